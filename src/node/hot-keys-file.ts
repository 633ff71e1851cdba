/**
 * The file of the keys that had most to do, hottest first: `hot-keys` in the data folder. Main thread.
 *
 * A magic word and a version, u32 each, little-endian; how many keys, u32; for each the kind of table that it had, u8, and the key, 33
 * bytes; and SHA-256 of all that. It is no more than advice for the next start: written without a sync, and one that is
 * damaged, of another version or missing is passed over.
 */
import { createHash } from 'node:crypto';
import { PUBLIC_KEY_BYTES } from '../../protocol/layout.ts';
import { type Files, withFile, writeWhole } from '../system/files.ts';
import { readSmallFile } from '../system/regular-file.ts';

/** 4.4 MB of file; with more keys than that hardly any is hot. */
export const HOT_KEYS_MAX = 131_072;

const MAGIC = 0x4b48_5743; // CWHK
const VERSION = 1;
const HEADER_BYTES = 12;
const ENTRY_BYTES = 1 + PUBLIC_KEY_BYTES;
const SUM_BYTES = 32;

/** Keys, 33 bytes each, and the kind of table that each had. */
export interface HotKeys {
  count: number;
  kinds: Uint8Array;
  keys: Uint8Array;
}

export function encodeHotKeys({ count, kinds, keys }: HotKeys): Buffer {
  const bytes = Buffer.alloc(HEADER_BYTES + count * ENTRY_BYTES + SUM_BYTES);
  bytes.writeUInt32LE(MAGIC, 0);
  bytes.writeUInt32LE(VERSION, 4);
  bytes.writeUInt32LE(count, 8);
  for (let index = 0; index < count; index++) {
    const at = HEADER_BYTES + index * ENTRY_BYTES;
    bytes[at] = kinds[index]!;
    bytes.set(keys.subarray(index * PUBLIC_KEY_BYTES, (index + 1) * PUBLIC_KEY_BYTES), at + 1);
  }
  const end = bytes.length - SUM_BYTES;
  bytes.set(sumOf(bytes.subarray(0, end)), end);
  return bytes;
}

/** The keys of a whole file; of anything else a text, what was expected and what was there. */
export function decodeHotKeys(bytes: Uint8Array): HotKeys | string {
  const { length } = bytes;
  const view = new DataView(bytes.buffer, bytes.byteOffset, length);
  if (length < HEADER_BYTES + SUM_BYTES || view.getUint32(0, true) !== MAGIC)
    return `expected a file of hot keys, got ${length} bytes of another kind`;
  if (view.getUint32(4, true) !== VERSION) return `expected version ${VERSION}, got ${view.getUint32(4, true)}`;
  const count = view.getUint32(8, true);
  const end = HEADER_BYTES + count * ENTRY_BYTES;
  if (count > HOT_KEYS_MAX || length !== end + SUM_BYTES) return `expected the bytes of ${count} keys, got ${length}`;
  if (!sumOf(bytes.subarray(0, end)).equals(bytes.subarray(end))) return 'expected bytes of the checksum, got others';
  const kinds = new Uint8Array(count);
  const keys = new Uint8Array(count * PUBLIC_KEY_BYTES);
  for (let index = 0; index < count; index++) {
    const at = HEADER_BYTES + index * ENTRY_BYTES;
    kinds[index] = bytes[at]!;
    keys.set(bytes.subarray(at + 1, at + ENTRY_BYTES), index * PUBLIC_KEY_BYTES);
  }
  return { count, kinds, keys };
}

/** The keys of a file; undefined where there is none, and a text where it cannot be used. */
export function readHotKeys(path: string, files: Files): HotKeys | string | undefined {
  if (!files.existsSync(path)) return undefined;
  try {
    return decodeHotKeys(readSmallFile(path, HEADER_BYTES + HOT_KEYS_MAX * ENTRY_BYTES + SUM_BYTES, files).bytes);
  } catch (error) {
    return (error as Error).message;
  }
}

/** Puts a whole file in the place of the last one; whoever kills the process meanwhile leaves that. */
export function writeHotKeys(path: string, keys: HotKeys, files: Files): void {
  const bytes = encodeHotKeys(keys);
  withFile(files, `${path}.new`, 'w', (fd) => writeWhole(files, fd, bytes, bytes.length, 0), 0o600);
  files.renameSync(`${path}.new`, path);
}

function sumOf(bytes: Uint8Array): Buffer {
  return createHash('sha256').update(bytes).digest();
}
