/** Channels for tests of what keeps them. */
import type { Channel } from '../../src/channel/row.ts';

/** An open channel of 1,000 drops, of which none are committed. */
export function openRow(channelId: bigint, change: Partial<Channel> = {}): Channel {
  return {
    channelId,
    ledgerChannelId: new Uint8Array(32).fill(Number(channelId & 0xffn)),
    publicKey: new Uint8Array(33).fill(2),
    capacity: 1_000n,
    committed: 0n,
    sequence: 0,
    timestampBits: 0n,
    signature: new Uint8Array(64),
    profile: 'xrpl',
    state: 'open',
    expiresAt: 0,
    ...change,
  };
}
