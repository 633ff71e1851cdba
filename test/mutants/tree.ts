/**
 * A copy of the checkout in a temporary folder, in which one file at a time is wrong. What was built is copied along, so that only
 * what a mutation changes is built again. node_modules is a folder of links, in which vitest may keep its cache.
 */
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { type Mutation, mutate } from './mutation.ts';

/** Left out of the copy: what is not source. The parts of build/ that tests of mutants want are copied apart. */
const LEFT_OUT = new Set(['.git', 'node_modules', 'build', 'data']);
const BUILT = ['build/claimwire.node', 'build/native'];

export class Tree {
  readonly root: string;
  /** Originals of the files that are wrong now, by their paths. */
  readonly #originals = new Map<string, string>();

  /** @param from the checkout, or a copy of it in which more was built */
  constructor(from: string) {
    this.root = realpathSync(mkdtempSync(join(tmpdir(), 'claimwire-mutants-')));
    const options = { recursive: true, preserveTimestamps: true } as const;
    const filter = (path: string) => !LEFT_OUT.has(relative(from, path));
    cpSync(from, this.root, { ...options, filter });
    for (const path of BUILT)
      if (existsSync(join(from, path))) cpSync(join(from, path), join(this.root, path), options);
    const [modules, links] = [join(from, 'node_modules'), join(this.root, 'node_modules')];
    mkdirSync(links);
    for (const name of readdirSync(modules))
      if (!name.startsWith('.') || name === '.bin') symlinkSync(realpathSync(join(modules, name)), join(links, name));
  }

  apply(mutation: Mutation): void {
    const path = join(this.root, mutation.file);
    const text = readFileSync(path, 'utf8');
    const wrong = mutate(text, mutation);
    if (!this.#originals.has(path)) this.#originals.set(path, text);
    writeFileSync(path, wrong);
  }

  /** Puts all originals back. Their times are new, so that make builds again what was built of the wrong ones. */
  restore(): void {
    for (const [path, text] of this.#originals) writeFileSync(path, text);
    this.#originals.clear();
  }

  remove(): void {
    rmSync(this.root, { recursive: true, force: true });
  }
}
