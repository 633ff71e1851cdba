/**
 * The frames behind a group's records, as they are read: which leaves of each the group accepted. Main thread, and the tools.
 *
 * The group's checksum covers them; they are checked all the same, so that nothing a file says leads out of it.
 */
import {
  MERKLE_FRAME_BYTES_MAX,
  MERKLE_LEAF_AMOUNT,
  MERKLE_SEQUENCE,
  MERKLE_TIMESTAMP,
} from '../../protocol/layout.ts';
import { emptyFrameHead, frameLeafAt, readFrameHead } from '../../protocol/merkle-frame.ts';
import { FRAME, FRAME_HEADER_BYTES, GROUP_HEADER_BYTES, RECORD_BYTES } from './record.ts';
import type { StoredGroup } from './report.ts';

const head = emptyFrameHead();

/** A leaf that a group accepted. One object is filled again and again; the frame is a part of the group's bytes. */
export interface StoredLeaf {
  /** Where the frame lies in the group's bytes, and its size. */
  frameAt: number;
  frameBytes: number;
  /** The byte of the segment at which the frame's header lies: that of JournalGroup.frameOffset. */
  fileOffset: number;
  /** Index in the frame. */
  leaf: number;
  channelId: bigint;
  amount: bigint;
  sequence: number;
  timestampBits: bigint;
}

/** Why `bytes` [start, end) are not frames one after the other, or undefined where they are, or where there are none. */
export function framesFault(bytes: Uint8Array, view: DataView, start: number, end: number): string | undefined {
  for (let at = start; at < end; ) {
    const frame = at + FRAME_HEADER_BYTES;
    if (frame > end) return `expected the header of a frame, got ${end - at} bytes`;
    const length = view.getUint32(at + FRAME.length, true);
    if (!(length <= MERKLE_FRAME_BYTES_MAX && frame + length <= end))
      return `expected a frame of at most ${Math.min(MERKLE_FRAME_BYTES_MAX, end - frame)} bytes, got ${length}`;
    if (!readFrameHead(bytes, frame, frame + length, head) || head.size !== length)
      return `expected a frame of ${length} bytes, got a head that says another size`;
    const [low, high] = [view.getUint32(at + FRAME.accepted, true), view.getUint32(at + FRAME.accepted + 4, true)];
    // None of them is sound too: the frames of leaves over their exposure were written so once.
    if (bitsFrom(low, high, head.count) !== 0) return `expected some of ${head.count} leaves, got others`;
    at = frame + length;
  }
  return undefined;
}

/** The bits of two words from bit `first` on, 1..64; not 0 where one of them is set. */
function bitsFrom(low: number, high: number, first: number): number {
  if (first >= 32) return first === 64 ? 0 : high >>> (first - 32);
  return high | (low >>> first);
}

/** Calls `onLeaf` with every leaf that a sound group accepted, frame by frame. */
export function forEachLeaf(group: StoredGroup, onLeaf: (leaf: StoredLeaf) => void): void {
  const { bytes, offset, count, end, fileOffset } = group;
  const first = offset + count * RECORD_BYTES;
  if (first === end) return;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const groupAt = offset - GROUP_HEADER_BYTES;
  const stored: StoredLeaf = {
    frameAt: 0,
    frameBytes: 0,
    fileOffset: 0,
    leaf: 0,
    channelId: 0n,
    amount: 0n,
    sequence: 0,
    timestampBits: 0n,
  };
  for (let at = first; at < end; at += FRAME_HEADER_BYTES + stored.frameBytes) {
    stored.frameAt = at + FRAME_HEADER_BYTES;
    stored.frameBytes = view.getUint32(at + FRAME.length, true);
    stored.fileOffset = fileOffset + (at - groupAt);
    stored.sequence = view.getUint32(stored.frameAt + MERKLE_SEQUENCE);
    stored.timestampBits = view.getBigUint64(stored.frameAt + MERKLE_TIMESTAMP);
    for (let leaf = 0; leaf < 64; leaf++) {
      const word = view.getUint32(at + FRAME.accepted + 4 * (leaf >>> 5), true);
      if (((word >>> (leaf & 31)) & 1) === 0) continue;
      const leafAt = frameLeafAt(stored.frameAt, leaf);
      stored.leaf = leaf;
      stored.channelId = view.getBigUint64(leafAt);
      stored.amount = view.getBigUint64(leafAt + MERKLE_LEAF_AMOUNT);
      onLeaf(stored);
    }
  }
}
