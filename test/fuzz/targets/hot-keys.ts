/**
 * The file of hot keys with any bytes, as they are and with a checksum that fits them: it is read as keys that give the same file
 * again, or a text says what was expected; nothing is thrown, and no more is asked for than the file has.
 */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import {
  decodeHotKeys,
  encodeHotKeys,
  HOT_KEYS_MAX,
  type HotKeys,
  readHotKeys,
} from '../../../src/node/hot-keys-file.ts';
import { MemoryFiles } from '../../support/memory-files.ts';
import type { Target } from '../target.ts';

const PATH = '/data/hot-keys';
const SUM_BYTES = 32;

export const target: Target = {
  bytesMax: 512,
  seeds: () => {
    const files = [0, 1, 2, 13].map(fileOf);
    const huge = Buffer.from(files[1]!);
    huge.writeUInt32LE(HOT_KEYS_MAX, 8);
    const other = Buffer.from(files[1]!);
    other.writeUInt32LE(2, 4);
    return [...files, huge, other, files[2]!.subarray(0, 50), new Uint8Array(0)];
  },
  run(bytes) {
    for (const file of [bytes, sealed(bytes)]) {
      const read = decodeHotKeys(file);
      if (typeof read === 'string') assert.match(read, /^expected .*, got /);
      else assert(encodeHotKeys(read).equals(file), 'the same file again');
      assert.deepEqual(fromDisk(file), read);
    }
  },
};

function fileOf(count: number): Buffer {
  const keys = new Uint8Array(33 * count).map((_, index) => index);
  return encodeHotKeys({ count, kinds: new Uint8Array(count).fill(count), keys });
}

/** Under a checksum of its own, in the place of the last bytes: what a damaged file hardly ever has. */
function sealed(bytes: Uint8Array): Buffer {
  const body = bytes.subarray(0, Math.max(0, bytes.length - SUM_BYTES));
  return Buffer.concat([body, createHash('sha256').update(body).digest()]);
}

function fromDisk(bytes: Uint8Array): HotKeys | string | undefined {
  const files = new MemoryFiles();
  files.folders.add('/data');
  const fd = files.openSync(PATH, 'w');
  if (bytes.length > 0) files.writeSync(fd, bytes, 0, bytes.length, 0);
  files.closeSync(fd);
  return readHotKeys(PATH, files);
}
