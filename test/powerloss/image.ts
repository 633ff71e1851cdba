/**
 * Images on the real disk: laid out for a recovery to read, and compared with a folder that is there.
 */
import {
  closeSync,
  ftruncateSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import type { ImageFolder } from './models.ts';

const PAGE_BYTES = 4096;
const ZEROS = Buffer.alloc(PAGE_BYTES);

/** Writes the image into `folder`, which is made. Pages of zeros stay holes. */
export function layOut(image: ImageFolder, folder: string): void {
  mkdirSync(folder, { mode: 0o700 });
  for (const [name, entry] of Object.entries(image)) {
    const path = join(folder, name);
    if (Buffer.isBuffer(entry)) writeSparse(path, entry);
    else layOut(entry, path);
  }
}

function writeSparse(path: string, bytes: Buffer): void {
  const fd = openSync(path, 'w', 0o600);
  ftruncateSync(fd, bytes.length);
  for (let from = 0; from < bytes.length; from += PAGE_BYTES) {
    const page = bytes.subarray(from, from + PAGE_BYTES);
    if (page.compare(ZEROS, 0, page.length) !== 0) writeSync(fd, page, 0, page.length, from);
  }
  closeSync(fd);
}

/** LMDB's table of readers is written through a mapping, which is not recorded; it says nothing after a restart. */
const UNRECORDED = new Set(['lock.mdb']);

/** Where the folder differs from the image, or undefined: a recording that misses a call shows here. */
export function difference(image: ImageFolder, folder: string): string | undefined {
  const names = readdirSync(folder).sort();
  const expected = Object.keys(image).sort();
  if (names.join() !== expected.join()) return `${folder}: expected ${expected.join()}, got ${names.join()}`;
  for (const [name, entry] of Object.entries(image)) {
    if (UNRECORDED.has(name)) continue;
    const path = join(folder, name);
    if (!Buffer.isBuffer(entry)) {
      const below = difference(entry, path);
      if (below !== undefined) return below;
    } else if (!lstatSync(path).isSocket() && !readFileSync(path).equals(entry))
      return `${path}: expected other contents`;
  }
  return undefined;
}
