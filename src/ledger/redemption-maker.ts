/**
 * Makes the transactions of redemptions: whether one is worth its fee, its sequence number, its signature, and its intent on stable
 * storage. Main thread.
 */
import { upperHex } from '../channel/parse.ts';
import { type Channel, redeemable } from '../channel/row.ts';
import type { NodeControl } from '../control/node-control.ts';
import { ClaimwireError } from '../errors.ts';
import type { Clock } from '../system/system.ts';
import { fillIn } from './fill-in.ts';
import type { LedgerChannel, LedgerConnection } from './ledger-port.ts';
import { Places } from './places.ts';
import { balanceAfter, neverRedeemed, redeemTransaction, whyNotNow } from './redeem-rules.ts';
import type { Redemption, RedemptionJournal } from './redemption-journal.ts';
import type { Wallet } from './signing.ts';

interface RedemptionMakerOptions {
  control: Pick<NodeControl, 'channel' | 'closeChannel'>;
  connection: LedgerConnection;
  wallet: Wallet;
  clock: Clock;
  feeMaxDrops: bigint;
}

export class RedemptionMaker {
  readonly #options: RedemptionMakerOptions;
  readonly #journal: RedemptionJournal;
  /** Sequence numbers are given out one after the other. */
  readonly #account = new Places(1);

  constructor(options: RedemptionMakerOptions, journal: RedemptionJournal) {
    this.#options = options;
    this.#journal = journal;
  }

  /** Signs a transaction and writes it down. Resolves with the reason where none is worth it. */
  async make(channelId: bigint, close: boolean, signal: AbortSignal): Promise<Redemption | string> {
    const { connection, control, wallet, clock, feeMaxDrops } = this.#options;
    let row = this.#row(channelId);
    const never = whyNever(row, close);
    if (never !== undefined) return never;
    const { ledger, channel: answered } = await connection.channel(row.ledgerChannelId, signal);
    const channel = answered && this.#asPaidOut(answered);
    // It may not know of the last deposit either: a close by what it says could leave the newest claim out for good.
    if (close && answered !== undefined && channel!.balance > answered.balance)
      return `the ledger's server is behind: it says that ${answered.balance} drops were paid out, and ${channel!.balance} were; close it again shortly`;
    const feeDrops = await connection.fee(signal);
    const now = Math.floor(clock.wall() / 1_000);
    const account = wallet.address;
    const reason = whyNotNow({ row, ledger, channel, account, feeDrops, feeMaxDrops, now, close });
    if (reason !== undefined) return reason;
    // A claim that is accepted after the last one was taken for the close would never be paid.
    if (close) {
      if (row.state === 'open') await control.closeChannel(channelId);
      row = this.#row(channelId);
      // Before it was closed a claim may have come that the ledger does not know.
      const late = whyNever(row, close);
      if (late !== undefined) return late;
    }
    const transaction = redeemTransaction({ row, channel: channel!, account, close });
    return this.#account.run(async () => {
      const networkId = await connection.networkId(signal);
      const sequence = await this.#sequence(account, signal);
      const complete = fillIn({ ...transaction }, { feeDrops, sequence, networkId, ledger, now });
      const { blob, hash } = await wallet.sign(complete, signal);
      // The shard may have left and come back, and the channel have another transaction since.
      signal.throwIfAborted();
      return this.#journal.begin({
        channelId,
        ledgerChannelId: transaction.Channel,
        account,
        hash,
        blob,
        sequence,
        firstLedger: ledger.index,
        lastLedger: complete.LastLedgerSequence,
        balanceBefore: channel!.balance,
        balance: balanceAfter(row, channel!),
        feeDrops,
        close,
        startedAt: now,
      });
    });
  }

  /** A server that is behind may not know of the last payment, which would be counted again, and might not bring its fee. */
  #asPaidOut(channel: LedgerChannel): LedgerChannel {
    const paidOut = this.#journal.paidOut(upperHex(channel.ledgerChannelId));
    return paidOut > channel.balance ? { ...channel, balance: paidOut } : channel;
  }

  #row(channelId: bigint) {
    const row = this.#options.control.channel(channelId);
    // What leaves of signed roots have paid is no matter of the ledger.
    if (row !== undefined && row.state !== 'removed') return redeemable(row);
    throw new ClaimwireError('CHANNEL_UNKNOWN', `channel ${channelId}: expected an opened channel, got none`);
  }

  /**
   * The lowest sequence number that no transaction in flight has. One that can never be validated gives its number back,
   * since those after it wait for it. What other nodes of the account have in flight is not known here: of two transactions
   * with one number the ledger takes one, and the other costs nothing.
   */
  async #sequence(address: string, signal: AbortSignal): Promise<number> {
    const account = await this.#options.connection.account(address, signal);
    if (account === undefined)
      throw new ClaimwireError('LEDGER_REFUSED', `account ${address}: expected it on the ledger, got none`);
    const taken = new Set(this.#journal.pending().map(({ sequence }) => sequence));
    let { sequence } = account;
    while (taken.has(sequence)) sequence++;
    return sequence;
  }
}

/** Why nothing is to be signed for a row, whatever the ledger says. A channel that nobody has paid by can be closed all the same. */
function whyNever(row: Channel, close: boolean): string | undefined {
  return close && row.committed === 0n && row.throwAway !== true ? undefined : neverRedeemed(row);
}
