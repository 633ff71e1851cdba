/** A node's side of the ledger in memory, for what shows it: a channel is on the ledger where its handle is even. Test's thread. */
import { defaultChannelId } from '../../src/channel/parse.ts';
import type { Channel } from '../../src/channel/row.ts';
import type {
  LedgerControl,
  LedgerHealth,
  LedgerState,
  RedemptionRecord,
  RedemptionResult,
} from '../../src/control/ledger-control.ts';
import { ClaimwireError } from '../../src/errors.ts';
import { openingOf } from './wire.ts';

export class FakeLedgerControl implements LedgerControl {
  rows = new Map<bigint, Channel>();
  readonly states = new Map<bigint, LedgerState>();

  health(): LedgerHealth {
    return {
      url: 'wss://fake-1',
      networkId: 0,
      ledgerIndex: 1_000,
      ageSeconds: 4,
      watched: this.states.size,
      stale: 0,
      polledAt: '2023-11-14T22:13:00Z',
      failure: null,
    };
  }

  state(channelId: bigint): LedgerState | undefined {
    return this.states.get(channelId);
  }

  async openFromLedger(ledgerChannelId: Uint8Array): Promise<Channel> {
    const channelId = defaultChannelId(ledgerChannelId);
    if (channelId % 2n === 1n)
      throw new ClaimwireError('LEDGER_REFUSED', `ledger channel ${channelId}: expected it in a ledger, got none`);
    const { publicKey } = openingOf(channelId);
    const terms = { capacity: 5_000n, committed: 2_000n, profile: 'xrpl', state: 'open', expiresAt: 0 } as const;
    const claim = { sequence: 0, timestampBits: 0n, signature: new Uint8Array(64) };
    const channel: Channel = { channelId, ledgerChannelId, publicKey, ...terms, ...claim };
    this.rows.set(channelId, channel);
    this.states.set(channelId, {
      deposited: 5_000n,
      redeemed: 2_000n,
      settleDelay: 3_600,
      expiration: 0,
      cancelAfter: 1_900_000_000,
      seenAt: 1_699_999_990,
      exists: true,
    });
    return channel;
  }

  createChannel(): Promise<Channel> {
    return Promise.reject(new Error('not here'));
  }

  /** What a redemption comes to; it may take its time. */
  outcome: (channelId: bigint, options?: Parameters<LedgerControl['redeem']>[1]) => Promise<RedemptionResult> = () =>
    Promise.reject(new Error('not here'));
  records: RedemptionRecord[] = [];

  redeem(channelId: bigint, options?: Parameters<LedgerControl['redeem']>[1]): Promise<RedemptionResult> {
    return this.outcome(channelId, options);
  }

  redemptions(limit: number): RedemptionRecord[] {
    return this.records.slice(0, limit);
  }
}

/** A redemption's transaction that was validated. */
export function record(channelId: bigint, change: Partial<RedemptionRecord> = {}): RedemptionRecord {
  return {
    channelId,
    ledgerChannelId: channelId.toString(16).padStart(64, '0').toUpperCase(),
    state: 'paid',
    reason: 'tesSUCCESS',
    paid: 5n,
    feeDrops: 10n,
    close: false,
    hash: 'A'.repeat(64),
    sequence: 7,
    lastLedger: 1_020,
    startedAt: 1_700_000_000,
    endedAt: 1_700_000_004,
    ...change,
  };
}
