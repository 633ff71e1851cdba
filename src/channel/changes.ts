/**
 * The changes that HTTP, control messages and the library may ask of the channel store, and their results. Types only.
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
  /** True for a channel made to try a node out: it is never settled, and removed without --force. Default false. */
  throwAway?: boolean;
  /** Paid out already, so that claims of no more are refused: drops, default 0. No signature belongs to it. */
  committed?: bigint;
}

/** What may change in a channel: drops, and Unix seconds (0 = never). */
export interface ChannelChange {
  capacity?: bigint;
  expiresAt?: number;
}

/** The result of a bulk opening. The refused openings change nothing for the others. */
export interface OpeningResult {
  opened: number;
  /** Openings of channels that are open already with the same parameters. */
  unchanged: number;
  refused: { index: number; code: string; message: string }[];
}

/** The result of a removal. The refused ones change nothing for the others. */
export interface RemovalResult {
  removed: number;
  refused: { index: number; code: string; message: string }[];
}
