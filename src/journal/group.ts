/**
 * The group of claims that one journal write takes: its header at byte 0, its records from 32, 96 bytes apart.
 *
 * Owned by the thread that commits; plain memory, made once. A lane has two, to fill one while the other is synced. Records
 * stay readable after the write, until `clear`. The memory includes the zeros that fill the last block.
 */
import { CLAIM_BYTES } from '../../protocol/layout.ts';
import { assert } from '../errors.ts';
import {
  BLOCK_BYTES,
  blockAlign,
  GROUP_CLAIMS_LIMIT,
  GROUP_HEADER_BYTES,
  groupBytes,
  RECORD_BYTES,
  sealGroup,
} from './record.ts';

/** The word of `counts` that holds the number of records. */
export const COUNT_RECORDS = 0;

const RECORD_WORDS = RECORD_BYTES / 4;
const NO_BYTES: Uint8Array = new Uint8Array(0);

export class JournalGroup {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly claimsMax: number;
  readonly #counts: Uint32Array;
  readonly #words: Uint32Array;
  /** The memory from which claims are copied, in words: it is the same ring every time. */
  #source = NO_BYTES;
  #sourceWords: Uint32Array = new Uint32Array(0);
  #sourceStart = 0;
  #sourceEnd = 0;

  /**
   * @param claimsMax 1..65,536
   * @param counts its word COUNT_RECORDS is the number of claims; C may share this memory
   */
  constructor(claimsMax: number, counts: Uint32Array = new Uint32Array(1)) {
    assert(claimsMax >= 1 && claimsMax <= GROUP_CLAIMS_LIMIT, 'recovery reads no larger group');
    this.claimsMax = claimsMax;
    this.#counts = counts;
    this.bytes = new Uint8Array(blockAlign(groupBytes(claimsMax), BLOCK_BYTES));
    this.view = new DataView(this.bytes.buffer);
    this.#words = new Uint32Array(this.bytes.buffer);
  }

  /** Claims in the group. */
  get count(): number {
    return this.#counts[COUNT_RECORDS]!;
  }

  /** Bytes of the header and the records, without the zeros that fill the last block. */
  get length(): number {
    return groupBytes(this.count);
  }

  /** Appends a copy of the claim at `source[offset]` and returns its index. The caller keeps count < claimsMax. */
  append(source: Uint8Array, offset: number): number {
    const index = this.count;
    assert(index < this.claimsMax, 'a group has room for the claim');
    this.#counts[COUNT_RECORDS] = index + 1;
    this.#copy(GROUP_HEADER_BYTES + index * RECORD_BYTES, source, offset);
    return index;
  }

  /** Replaces record `index` by a copy of the claim at `source[offset]`, a newer claim of the same channel. */
  replace(index: number, source: Uint8Array, offset: number): void {
    assert(index < this.count, 'the record to replace is in the group');
    this.#copy(GROUP_HEADER_BYTES + index * RECORD_BYTES, source, offset);
  }

  /** The offset of record `index` in `bytes`. */
  recordOffset(index: number): number {
    return GROUP_HEADER_BYTES + index * RECORD_BYTES;
  }

  clear(): void {
    this.#counts[COUNT_RECORDS] = 0;
  }

  /**
   * Writes the header, and zeros up to the next block, over records of an earlier group; then the bytes are ready for the
   * disk. `seed` is that of `groupSeed`. Returns the number of bytes to write.
   */
  seal(number: number, nowMs: number, seed: number, blockBytes: number): number {
    sealGroup(this.bytes, this.view, number, this.count, nowMs, seed);
    const end = blockAlign(this.length, blockBytes);
    this.bytes.fill(0, this.length, end);
    return end;
  }

  /** Copies 93 bytes into a record, in whole words if the source is aligned: half the time of `set(subarray)`. */
  #copy(target: number, source: Uint8Array, offset: number): void {
    if (source !== this.#source) this.#lookAt(source);
    const start = this.#sourceStart + offset;
    if ((start & 3) === 0 && start + RECORD_BYTES <= this.#sourceEnd) {
      const from = this.#sourceWords;
      const into = this.#words;
      for (let word = 0, left = start >>> 2, right = target >>> 2; word < RECORD_WORDS; word++)
        into[right + word] = from[left + word]!;
    } else {
      this.bytes.set(source.subarray(offset, offset + CLAIM_BYTES), target);
    }
    for (let pad = target + CLAIM_BYTES; pad < target + RECORD_BYTES; pad++) this.bytes[pad] = 0;
  }

  /** Caches a source's buffer and bounds, since asking a view for its buffer costs half as much as a copy. */
  #lookAt(source: Uint8Array): void {
    this.#source = source;
    this.#sourceStart = source.byteOffset;
    this.#sourceEnd = source.buffer.byteLength;
    this.#sourceWords = new Uint32Array(source.buffer, 0, this.#sourceEnd >>> 2);
  }
}
