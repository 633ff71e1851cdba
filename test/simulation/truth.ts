/** What is true of a world's channels, by what payers signed and what the operator was answered: what the node is judged by. */
import type { ProfileName } from '../../protocol/layout.ts';
import type { Signer } from '../../src/client/keys/signer.ts';

/** What the operator decides of a channel. */
export interface Terms {
  state: 'none' | 'open' | 'closed' | 'removed';
  capacity: bigint;
  /** Unix seconds, 0 = never. */
  expiresAt: number;
}

export class ChannelTruth {
  readonly channelId: bigint;
  readonly ledgerChannelId: Uint8Array;
  readonly profile: ProfileName;
  readonly signer: Signer;
  /** What it is; more than one where a change was under way when the node ended, and nobody was told how it went. */
  terms: Terms[] = [{ state: 'none', capacity: 0n, expiresAt: 0 }];
  /** Durable: it was acknowledged, or answered, or found by a start that went well. */
  floor = 0n;
  /** The highest amount that its payer asked for, in a cluster. */
  asked = 0n;
  /** Amounts of valid claims that came to a node while the channel took them. */
  readonly admissible = new Set<bigint>();
  /** Of those the ones of ordinary claims, and of leaves of signed roots. */
  readonly ordinary = new Set<bigint>();
  readonly leaves = new Set<bigint>();
  /** What redeemed and what leaves had paid when it was last looked at: durable then. */
  redeemable = 0n;
  leaf = 0n;
  /** Amounts that it was raised to without a claim. */
  readonly raised = new Set<bigint>();
  /** A removed channel's balance is forgotten, and what was spent is not. */
  wasRemoved = false;
  /** Whether the operator's change is under way. */
  isChanging = false;

  constructor(number: number, profile: ProfileName, signer: Signer) {
    this.ledgerChannelId = new Uint8Array(32).fill(0x5a);
    this.channelId = BigInt(number + 1) * 0x0101_0101_0101_0101n;
    new DataView(this.ledgerChannelId.buffer).setBigUint64(0, this.channelId);
    this.profile = profile;
    this.signer = signer;
  }

  get now(): Terms {
    return this.terms[0]!;
  }
  get name(): string {
    return `channel ${this.channelId & 0xffn}`;
  }

  /** What it had committed is worth nothing any more. */
  forget(): void {
    this.floor = 0n;
    this.redeemable = 0n;
    this.leaf = 0n;
  }

  raiseFloor(amount: bigint): void {
    if (amount > this.floor) this.floor = amount;
  }
}
