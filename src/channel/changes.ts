/**
 * What may be asked of channels, and how it went: between whoever asks (HTTP, control messages, the library) and the
 * registry. Types alone.
 */
import type { ProfileName } from '../../protocol/layout.ts';

/** A channel to open, already checked for form (see channel/parse.ts). Amounts in drops. */
export interface ChannelOpening {
  channelId: bigint;
  ledgerChannelId: Uint8Array;
  publicKey: Uint8Array;
  capacity: bigint;
  profile: ProfileName;
  /** Unix seconds, 0 = never. */
  expiresAt: number;
  /** Made to try a node out: never settled, and removed without a question. Default false. */
  throwAway?: boolean;
}

/** What of a channel may be changed: drops, and Unix seconds (0 = never). */
export interface ChannelChange {
  capacity?: bigint;
  expiresAt?: number;
}

/** How a bulk opening went. A line that could not be opened says why; the others stand. */
export interface OpeningResult {
  opened: number;
  /** Lines that repeat an identical open channel: nothing to do. */
  unchanged: number;
  refused: { index: number; code: string; message: string }[];
}

/** How a removal went. What could not be removed says why; the others are gone. */
export interface RemovalResult {
  removed: number;
  refused: { index: number; code: string; message: string }[];
}
