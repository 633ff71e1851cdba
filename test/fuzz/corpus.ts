/** The kept inputs of a target: a file each in test/fuzz/corpus/NAME, named by what is in it, and deflated, as many
 * are mostly zeros. */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { deflateRawSync, inflateRawSync } from 'node:zlib';

const CORPUS = resolve('test/fuzz/corpus');

export function readCorpus(name: string, corpus = CORPUS): Uint8Array[] {
  const folder = join(corpus, name);
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .toSorted()
    .map((file) => new Uint8Array(inflateRawSync(readFileSync(join(folder, file)))));
}

/** Keeps one more input; returns its file. */
export function keep(name: string, bytes: Uint8Array, corpus = CORPUS): string {
  const folder = join(corpus, name);
  mkdirSync(folder, { recursive: true });
  const file = join(folder, createHash('sha256').update(bytes).digest('hex').slice(0, 16));
  writeFileSync(file, deflateRawSync(bytes));
  return file;
}

/** Keeps these inputs and no others. */
export function replaceCorpus(name: string, inputs: readonly Uint8Array[], corpus = CORPUS): void {
  rmSync(join(corpus, name), { recursive: true, force: true });
  for (const bytes of inputs) keep(name, bytes, corpus);
}
