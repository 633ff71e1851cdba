/**
 * The frames of signed roots in a group: each as it came, with a bit for each leaf that the group accepted, and the bytes for the disk.
 *
 * Owned by the thread that commits, with its group (group.ts); made with the group's first frame. About 2.8 MiB where a group has 4,096
 * claims, which are not resident before they are used.
 */

import { FRAME_MERKLE, MERKLE_FRAME_BYTES_MAX } from '../../protocol/layout.ts';
import { assert } from '../errors.ts';
import {
  BLOCK_BYTES,
  blockAlign,
  FRAME,
  FRAME_HEADER_BYTES,
  GROUP_BYTES_LIMIT,
  GROUP_FRAMES_BYTES_MAX,
  GROUP_HEADER_BYTES,
  groupBytes,
  RECORD_BYTES,
  sealGroup,
} from './record.ts';

interface GroupSeal {
  number: number;
  /** Records that are written. */
  claims: number;
  nowMs: number;
  seed: number;
  blockBytes: number;
}

export class GroupFrames {
  /** Frames, and their bytes with their headers. */
  count = 0;
  length = 0;
  /** Header, records and frames, as they are written. */
  readonly sealed: Uint8Array;
  readonly #view: DataView;
  readonly #bytes = new Uint8Array(GROUP_FRAMES_BYTES_MAX);
  readonly #words = new Uint32Array(this.#bytes.buffer);
  /** Where each frame begins behind the records, its header first. */
  readonly offsets: Uint32Array;

  /** @param claimsMax most frames, since each has a leaf that was accepted */
  constructor(claimsMax: number) {
    assert(groupBytes(claimsMax) + GROUP_FRAMES_BYTES_MAX <= GROUP_BYTES_LIMIT, 'recovery reads no larger group');
    this.offsets = new Uint32Array(claimsMax);
    this.sealed = new Uint8Array(blockAlign(groupBytes(claimsMax) + GROUP_FRAMES_BYTES_MAX, BLOCK_BYTES));
    this.#view = new DataView(this.sealed.buffer);
  }

  /** See JournalGroup.addFrame. */
  add(source: Uint8Array, offset: number, length: number): number {
    assert(length <= MERKLE_FRAME_BYTES_MAX && length % 4 === 0, 'a frame is of a known size');
    const at = this.length;
    const end = at + FRAME_HEADER_BYTES + length;
    if (end > this.#bytes.length || this.count === this.offsets.length) return -1;
    const word = at >>> 2;
    this.#words[word] = 0;
    this.#words[word + 1] = 0;
    this.#words[word + 2] = length;
    this.#bytes.set(source.subarray(offset, offset + length), at + FRAME_HEADER_BYTES);
    this.offsets[this.count] = at;
    this.length = end;
    return this.count++;
  }

  /** Adds a bit each of the leaves that the group has accepted: 0 to 31, and those from 32 on. */
  accept(frame: number, low: number, high: number): void {
    assert(frame < this.count, 'the frame is in the group');
    const word = (this.offsets[frame]! + FRAME.accepted) >>> 2;
    this.#words[word]! |= low;
    this.#words[word + 1]! |= high;
  }

  /** Puts the records that are claims, and the frames, together; returns the bytes to write, whole blocks. */
  seal(records: Uint8Array, count: number, { number, claims, nowMs, seed, blockBytes }: GroupSeal): number {
    const { sealed } = this;
    let at = GROUP_HEADER_BYTES;
    for (let record = 0; record < count; record++) {
      const start = GROUP_HEADER_BYTES + record * RECORD_BYTES;
      if (records[start] === FRAME_MERKLE) continue;
      sealed.set(records.subarray(start, start + RECORD_BYTES), at);
      at += RECORD_BYTES;
    }
    sealed.set(this.#bytes.subarray(0, this.length), at);
    const length = at + this.length;
    sealGroup(sealed, this.#view, number, claims, nowMs, seed, length);
    const end = blockAlign(length, blockBytes);
    sealed.fill(0, length, end);
    return end;
  }

  clear(): void {
    this.count = 0;
    this.length = 0;
  }
}
