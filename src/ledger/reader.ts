/** Asks servers of the pinned network alone, and says when and by which clock their answers were so. Main thread. */
import { ClaimwireError } from '../errors.ts';
import type { LedgerChannel, LedgerConnection } from './ledger-port.ts';
import type { NetworkPin } from './network.ts';
import { type Sight, sightOf } from './view.ts';

/** The longest list has 256 pages, 0.3 s each. */
const QUESTION_MS_MAX = 90_000;
/** The server may change while it is asked; a second change in a row is rare. */
const ATTEMPTS_MAX = 4;

export interface LedgerReaderOptions {
  connection: LedgerConnection;
  network: NetworkPin;
  /** Unix seconds by the clock that channels expire by. */
  nowSeconds: () => number;
  /** Ends every question. */
  signal: AbortSignal;
}

export class LedgerReader {
  readonly #options: LedgerReaderOptions;
  /** The server whose network was checked last. */
  #checked: string | undefined;

  constructor(options: LedgerReaderOptions) {
    this.#options = options;
  }

  /** Throws LEDGER_UNREACHABLE, and LEDGER_REFUSED where the server is on another network. */
  async channel(ledgerChannelId: Uint8Array): Promise<{ sight: Sight; channel: LedgerChannel | undefined }> {
    const { connection, nowSeconds } = this.#options;
    const { ledger, channel } = await this.#ask((signal) => connection.channel(ledgerChannelId, signal));
    return { sight: sightOf(ledger, nowSeconds()), channel };
  }

  /** All channels that pay `account`. Throws as `channel` does. */
  async channelsTo(account: string): Promise<{ sight: Sight; channels: LedgerChannel[]; skipped: number }> {
    const { connection, nowSeconds } = this.#options;
    const { ledger, channels, skipped = 0 } = await this.#ask((signal) => connection.channelsTo(account, signal));
    return { sight: sightOf(ledger, nowSeconds()), channels, skipped };
  }

  /** Asks for the network alone, and waits `waitMsMax` at most. Throws as `channel` does. */
  async checkNetwork(waitMsMax: number): Promise<void> {
    await this.#ask(() => Promise.resolve(), waitMsMax);
  }

  async #ask<Answer>(question: (signal: AbortSignal) => Promise<Answer>, waitMsMax = QUESTION_MS_MAX): Promise<Answer> {
    const late = AbortSignal.timeout(waitMsMax);
    try {
      return await this.#askOne(question, AbortSignal.any([this.#options.signal, late]));
    } catch (error) {
      if (!late.aborted) throw error;
      throw new ClaimwireError('LEDGER_UNREACHABLE', `ledger: expected an answer within ${waitMsMax} ms, got none`);
    }
  }

  /** An answer counts where one server, of the right network, was there before and after it. */
  async #askOne<Answer>(question: (signal: AbortSignal) => Promise<Answer>, signal: AbortSignal): Promise<Answer> {
    const { connection, network } = this.#options;
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
      const url = connection.url;
      if (url === undefined || url !== this.#checked) {
        this.#checked = undefined;
        await network.check(await connection.networkId(signal));
        if (url === undefined || connection.url !== url) continue;
        this.#checked = url;
      }
      const answer = await question(signal);
      if (connection.url === url) return answer;
    }
    throw new ClaimwireError(
      'LEDGER_UNREACHABLE',
      'ledger: expected an answer of one server, got servers that come and go',
    );
  }
}
