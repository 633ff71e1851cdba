/**
 * What a payer may ask of the ledger through the gateway: find a channel, create one, close one. Ledgers are slow and their
 * servers limit who asks, so the rate is bounded and what was not there is remembered for a while. Main thread.
 */
import type { Channel } from '../channel/row.ts';
import { ClaimwireError } from '../errors.ts';
import type { Clock } from '../system/system.ts';
import { isSame } from './sessions.ts';
import type { GatewayNode, Verdict } from './verdict.ts';
import type { Voucher } from './voucher.ts';

/** Questions to the ledger in a second, from all clients. */
const PER_SECOND_MAX = 4;
const MISSING_MS = 30_000;
const MISSING_MAX = 4_096;
/** How long a request waits for the ledger. What was submitted goes on, and the same request again joins it. */
const LEDGER_MS_MAX = 60_000;
/** The ledger, or the way to it, has no time now. */
const BUSY_CODES = ['MOVED', 'LEDGER_UNREACHABLE', 'NODE_BUSY', 'NODE_STOPPING', 'REGISTRY_FULL'];
const BUSY: Verdict = { kind: 'busy' };

export class Ledger {
  readonly #parts: GatewayNode;
  readonly #clock: Pick<Clock, 'monotonic'>;
  /** Channels that the ledger did not have, and until when that is believed. */
  readonly #missing = new Map<string, number>();
  #asked = 0;
  #since = 0;

  constructor(parts: GatewayNode, clock: Pick<Clock, 'monotonic'>) {
    this.#parts = parts;
    this.#clock = clock;
  }

  notFound(): string {
    return this.#parts.ledger === undefined
      ? 'this channel is not open here; the server is not connected to the ledger (it needs --ledger) and opens none itself'
      : 'the ledger has no such channel to this recipient';
  }

  /** The channel of a voucher: as the node has it, or else as the ledger has it. */
  async channel({ channelId, handle }: Voucher): Promise<Channel | undefined> {
    const known = this.#parts.node.channel(handle);
    if (known !== undefined) return isSame(known.ledgerChannelId, channelId) ? known : undefined;
    const { ledger } = this.#parts;
    const name = Buffer.from(channelId).toString('latin1');
    if (ledger === undefined || (this.#missing.get(name) ?? 0) > this.#clock.monotonic() || !this.#mayAsk())
      return undefined;
    try {
      return await ledger.openFromLedger(channelId);
    } catch (error) {
      if (!(error instanceof ClaimwireError)) throw error;
      if (this.#missing.size >= MISSING_MAX) this.#missing.delete(this.#missing.keys().next().value!);
      this.#missing.set(name, this.#clock.monotonic() + MISSING_MS);
      return undefined;
    }
  }

  /** Submits what creates a channel, and opens that; or says why not. */
  async open(transaction: string, price: bigint): Promise<Channel | Verdict> {
    const { ledger } = this.#parts;
    if (ledger === undefined) return notFound(this.notFound());
    if (!this.#mayAsk()) return BUSY;
    try {
      const channel = await ledger.createChannel(transaction, { amountMin: price, signal: soon() });
      // It may have been asked for too early.
      this.#missing.delete(Buffer.from(channel.ledgerChannelId).toString('latin1'));
      return channel;
    } catch (error) {
      return isBusy(error) ? BUSY : notFound(messageOf(error));
    }
  }

  /** Redeems the best claim and closes the channel on the ledger. */
  async close(channel: Channel, cumulative: bigint): Promise<Verdict> {
    const { ledger } = this.#parts;
    if (ledger === undefined)
      return { kind: 'denied', detail: 'this server is not connected to the ledger; its operator redeems and closes' };
    if (!this.#mayAsk()) return BUSY;
    try {
      const { outcome, reason, paid, hash } = await ledger.redeem(channel.channelId, { close: true, signal: soon() });
      if (outcome === 'failed') return notClosed(reason);
      const isClosed = outcome === 'paid' || hash !== null;
      if (!isClosed) return notClosed(reason);
      return { kind: 'done', channel, cumulative, body: { closed: true, paid: String(paid), hash } };
    } catch (error) {
      return isBusy(error) ? BUSY : notClosed(messageOf(error));
    }
  }

  #mayAsk(): boolean {
    const second = Math.floor(this.#clock.monotonic() / 1_000);
    if (second !== this.#since) {
      this.#since = second;
      this.#asked = 0;
    }
    return ++this.#asked <= PER_SECOND_MAX;
  }
}

function soon(): AbortSignal {
  return AbortSignal.timeout(LEDGER_MS_MAX);
}

/** Whether the same request may do better in a while. */
function isBusy(error: unknown): boolean {
  if (error instanceof DOMException) return error.name === 'TimeoutError';
  return error instanceof ClaimwireError && BUSY_CODES.includes(error.code);
}

/** Of an error that its sender may read. Throws every other one. */
function messageOf(error: unknown): string {
  if (error instanceof ClaimwireError) return error.message;
  throw error;
}

function notFound(detail: string): Verdict {
  return { kind: 'refused', refusal: { problem: 'session/channel-not-found', detail } };
}

function notClosed(reason: string): Verdict {
  return { kind: 'denied', detail: `the ledger did not close the channel: ${reason}` };
}
