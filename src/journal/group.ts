/**
 * The group of claims that one journal write takes: its header at byte 0, its records from 32, 96 bytes apart.
 *
 * Owned by the thread that commits; plain memory, made once. A lane has two, to fill one while the other is synced. Records
 * stay readable after the write, until `clear`. The memory includes the zeros that fill the last block.
 *
 * A leaf of a signed root has a record here too, which is not written: its frame is (group-frames.ts), with a bit for each leaf that
 * the group accepted. The bytes for the disk are then put together elsewhere. A claim on its own and a leaf of one channel each have a
 * record, since neither says what the other does.
 */
import { CLAIM_BYTES, CLAIM_SIGNATURE, FRAME_MERKLE } from '../../protocol/layout.ts';
import { assert } from '../errors.ts';
import { GroupFrames } from './group-frames.ts';
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
  /** Undefined before the first frame, so that a node without signed roots has no memory for them. */
  #frames: GroupFrames | undefined;
  /** The records that are written, where there are frames. */
  #claims = 0;
  /** Where it was written: the segment, and its byte there. */
  #segment = 0;
  #start = 0;

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

  /** Bytes for the disk: header, records and frames, without the zeros that fill the last block. */
  get length(): number {
    return this.hasFrames ? groupBytes(this.#countClaims()) + this.#frames!.length : groupBytes(this.count);
  }

  /** What `seal` has prepared for the disk. */
  get sealed(): Uint8Array {
    return this.hasFrames ? this.#frames!.sealed : this.bytes;
  }

  get hasFrames(): boolean {
    return this.#frames !== undefined && this.#frames.count > 0;
  }
  /** The segment that it was written to. */
  get segment(): number {
    return this.#segment;
  }

  /**
   * Appends a copy of the frame of `length` bytes at `source[offset]`, and returns its index; -1 where the group has no room for it,
   * and must be written first. A frame is added once, before its first leaf is accepted.
   */
  addFrame(source: Uint8Array, offset: number, length: number): number {
    this.#frames ??= new GroupFrames(this.claimsMax);
    return this.#frames.add(source, offset, length);
  }

  /** Record `record` is that of leaf `leaf` (0..63) of frame `frame`: the journal will say that the group has accepted it. */
  acceptLeaf(record: number, frame: number, leaf: number): void {
    const at = this.recordOffset(record);
    assert(this.bytes[at] === FRAME_MERKLE, 'a leaf’s record is not written');
    assert(leaf < 64, 'a frame has no more leaves');
    const bit = 1 << (leaf & 31);
    this.#frames!.accept(frame, leaf < 32 ? bit : 0, leaf < 32 ? 0 : bit);
    this.view.setUint32(at + CLAIM_SIGNATURE, frame);
    this.view.setUint32(at + CLAIM_SIGNATURE + 4, leaf);
  }

  /** The same for leaves whose records C has written, a bit each: 0 to 31, and those from 32 on. */
  acceptLeaves(frame: number, low: number, high: number): void {
    this.#frames!.accept(frame, low, high);
  }

  /** Its frames; there are some. */
  get frames(): Pick<GroupFrames, 'count' | 'offsets'> {
    return this.#frames!;
  }
  /** Once it is written, the byte in the segment of its first frame. */
  get framesStart(): number {
    return this.#start + groupBytes(this.#claims);
  }

  /** Of a leaf's record, once the group is written: the byte of its frame in the segment, and its index in the frame. */
  frameOffset(record: number): number {
    const frame = this.view.getUint32(this.recordOffset(record) + CLAIM_SIGNATURE);
    return this.framesStart + this.#frames!.offsets[frame]!;
  }
  leafOf(record: number): number {
    return this.view.getUint32(this.recordOffset(record) + CLAIM_SIGNATURE + 4);
  }
  /** Whether a record is a leaf's. */
  isLeaf(record: number): boolean {
    return this.bytes[this.recordOffset(record)] === FRAME_MERKLE;
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
    assert(source[offset] === this.bytes[this.recordOffset(index)], 'a leaf replaces a leaf, a claim a claim');
    this.#copy(GROUP_HEADER_BYTES + index * RECORD_BYTES, source, offset);
  }

  /** The offset of record `index` in `bytes`. */
  recordOffset(index: number): number {
    return GROUP_HEADER_BYTES + index * RECORD_BYTES;
  }

  clear(): void {
    this.#counts[COUNT_RECORDS] = 0;
    this.#frames?.clear();
  }

  /** It is about to be written to byte `start` of this segment. */
  placeAt(segment: number, start: number): void {
    this.#segment = segment;
    this.#start = start;
  }

  /**
   * Writes the header, and zeros up to the next block, over records of an earlier group; then the bytes are ready for the
   * disk. `seed` is that of `groupSeed`. Returns the number of bytes to write.
   */
  seal(number: number, nowMs: number, seed: number, blockBytes: number): number {
    if (this.hasFrames) {
      this.#claims = this.#countClaims();
      return this.#frames!.seal(this.bytes, this.count, { number, claims: this.#claims, nowMs, seed, blockBytes });
    }
    sealGroup(this.bytes, this.view, number, this.count, nowMs, seed);
    const end = blockAlign(this.length, blockBytes);
    this.bytes.fill(0, this.length, end);
    return end;
  }

  #countClaims(): number {
    let claims = 0;
    for (let record = 0; record < this.count; record++) if (!this.isLeaf(record)) claims++;
    return claims;
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
