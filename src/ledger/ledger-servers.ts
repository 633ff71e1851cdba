/**
 * Keeps a session with one of several ledger servers. A server that is on another network, has no validated ledger, is
 * behind what was seen, stands still or hangs gives way to the next URL; after a round of all URLs comes a pause, which
 * grows. Main thread.
 */
import { ClaimwireError } from '../errors.ts';
import type { Logger } from '../log.ts';
import type { Clock } from '../system/system.ts';
import { type Fields, fieldsOf, timeOf, u32Of } from './ledger-answer.ts';
import type { ValidatedLedger } from './ledger-port.ts';
import type { XrplLibrary } from './xrpl-library.ts';
import { shownUrl, XrplSession } from './xrpl-session.ts';

const PAUSE_MS = 500;
const PAUSE_MS_MAX = 30_000;
/** How often it is looked whether the validated ledger stands still, as a share of the time allowed. */
const STALE_CHECKS = 4;
/** Close times that are remembered, newest last: answers come from one of the newest ledgers. */
const CLOSE_TIMES_MAX = 64;
/** Questions that wait for a server at one time. */
const WAITING_MAX = 256;
/** Accounts whose transactions are followed. */
const ACCOUNTS_MAX = 100;

export interface LedgerServersOptions {
  xrpl: XrplLibrary;
  urls: readonly string[];
  logger: Logger;
  clock: Clock;
  /** The network that every server must be on; without it, that of the first server. */
  networkId?: number | undefined;
  /** A server that has not answered after this long counts as gone. */
  timeoutMs: number;
  /** A server whose validated ledger has stood still this long gives way. */
  staleMs: number;
}

export class LedgerServers {
  /** Of the network that the servers are on, once known. */
  networkId: number | undefined;
  /** Never goes back. */
  validated: ValidatedLedger | undefined;
  private readonly options: LedgerServersOptions;
  private readonly closeTimes = new Map<number, number>();
  private readonly accounts = new Map<string, number>();
  private readonly ledgerListeners = new Set<(ledger: ValidatedLedger) => void>();
  private readonly transactionListeners = new Set<(message: Fields) => void>();
  private readonly waiting = new Set<{ resolve(session: XrplSession): void; reject(error: Error): void }>();
  private readonly running: Promise<void>;
  /** The session in use, once it is admitted. */
  private current: XrplSession | undefined;
  /** The same, or one that is being admitted. */
  private candidate: XrplSession | undefined;
  /** Whether the current server has told of a new ledger since it was connected. */
  private progressed = false;
  private progressedAt = 0;
  private failures: string[] = [];
  /** Why every URL failed, during the pause after that. */
  private pausedFor: string | undefined;
  private stopping = false;
  private endPause: () => void = () => {};

  constructor(options: LedgerServersOptions) {
    this.options = options;
    this.networkId = options.networkId;
    this.running = this.run();
  }

  get url(): string | undefined {
    return this.current?.url;
  }

  /** The session in use, or the next one; rejects with LEDGER_UNREACHABLE once every URL has failed. */
  session(signal?: AbortSignal): Promise<XrplSession> {
    signal?.throwIfAborted();
    if (this.current !== undefined) return Promise.resolve(this.current);
    if (this.stopping) return Promise.reject(this.unreachable('the connection is closed'));
    if (this.pausedFor !== undefined) return Promise.reject(this.unreachable(this.pausedFor));
    if (this.waiting.size >= WAITING_MAX) return Promise.reject(this.unreachable(`${WAITING_MAX} questions wait`));
    return new Promise((resolve, reject) => {
      const abort = () => {
        this.waiting.delete(wait);
        reject(signal!.reason);
      };
      const done = () => signal?.removeEventListener('abort', abort);
      const wait = {
        resolve(session: XrplSession) {
          done();
          resolve(session);
        },
        reject(error: Error) {
          done();
          reject(error);
        },
      };
      this.waiting.add(wait);
      signal?.addEventListener('abort', abort, { once: true });
    });
  }

  /** When a ledger closed, where one of the newest is meant. */
  closeTime(index: number): number | undefined {
    return this.closeTimes.get(index);
  }

  onLedger(listener: (ledger: ValidatedLedger) => void): () => void {
    this.ledgerListeners.add(listener);
    return () => this.ledgerListeners.delete(listener);
  }

  /** Follows the validated transactions of an account until the function returned is called. What `listener` throws ends the
   * session: the message was malformed. */
  onTransaction(account: string, listener: (message: Fields) => void): () => void {
    const followers = this.accounts.get(account) ?? 0;
    if (followers === 0 && this.accounts.size >= ACCOUNTS_MAX) {
      const message = `expected at most ${ACCOUNTS_MAX} accounts to follow, got one more`;
      throw new ClaimwireError('INPUT_INVALID', message);
    }
    this.accounts.set(account, followers + 1);
    const own = (message: Fields) => listener(message);
    this.transactionListeners.add(own);
    if (followers === 0) this.subscribeAccounts([account]);
    return () => {
      if (!this.transactionListeners.delete(own)) return;
      const left = this.accounts.get(account)! - 1;
      // A server goes on telling of the account; nobody listens, and the next session does not ask for it.
      if (left === 0) this.accounts.delete(account);
      else this.accounts.set(account, left);
    };
  }

  async close(): Promise<void> {
    this.stopping = true;
    this.candidate?.end('the connection is closed');
    this.endPause();
    this.failWaiting('the connection is closed');
    await this.running;
  }

  private async run(): Promise<void> {
    const { urls, logger } = this.options;
    let failed = 0;
    for (let place = 0; !this.stopping; place = (place + 1) % urls.length) {
      const url = urls[place]!;
      const reason = await this.serve(url);
      if (this.stopping) break;
      if (this.progressed) failed = 0;
      else failed += 1;
      logger.warn(`ledger server ${shownUrl(url)}: ${reason}`);
      this.failures = [...this.failures, `${shownUrl(url)}: ${reason}`].slice(-urls.length);
      if (failed === 0 || failed % urls.length !== 0) continue;
      this.pausedFor = this.failures.join('; ');
      this.failWaiting(this.pausedFor);
      await this.pause(Math.min(PAUSE_MS * 2 ** (failed / urls.length - 1), PAUSE_MS_MAX));
      this.pausedFor = undefined;
    }
    this.failWaiting('the connection is closed');
  }

  /** Uses one server for as long as it is good. Gives the reason why it no longer is. */
  private async serve(url: string): Promise<string> {
    const { xrpl, clock, timeoutMs, staleMs, logger } = this.options;
    this.progressed = false;
    let endWatch = () => {};
    // What a server tells before it is admitted, nobody believes.
    const session: XrplSession = new XrplSession({
      xrpl,
      url,
      clock,
      timeoutMs,
      onLedgerClosed: (message) => this.current === session && this.note(readLedger(message)),
      onTransaction: (message) => this.current === session && this.sawTransaction(message),
    });
    this.candidate = session;
    try {
      await session.connect();
      await this.admit(session);
      logger.info(
        `ledger server ${session.url}: connected, network ${this.networkId}, ledger ${this.validated!.index}`,
      );
      endWatch = clock.every(staleMs / STALE_CHECKS, () => {
        if (clock.monotonic() - this.progressedAt >= staleMs)
          session.end(`its validated ledger has stood still at ${this.validated!.index} for ${staleMs} ms`);
      });
      return await session.gone;
    } catch (error) {
      const { message } = error as Error;
      session.end(message);
      return message;
    } finally {
      endWatch();
      this.current = undefined;
    }
  }

  /** Uses a server, or throws where it is not to be used. */
  private async admit(session: XrplSession): Promise<void> {
    const info = fieldsOf((await session.request('server_info')).info, 'info');
    // A server of the main network may leave its id out.
    const networkId = u32Of(info.network_id ?? 0, 'network_id');
    if (this.networkId !== undefined && networkId !== this.networkId)
      throw new ClaimwireError('LEDGER_REFUSED', `expected network ${this.networkId}, got ${networkId}`);
    const accounts = [...this.accounts.keys()];
    const followed = accounts.length === 0 ? {} : { accounts };
    const newest = await session.request('subscribe', { streams: ['ledger'], ...followed });
    const ledger = readLedger(newest);
    if (this.validated !== undefined && ledger.index < this.validated.index) {
      const message = `it is behind: its validated ledger is ${ledger.index}, and ${this.validated.index} was seen`;
      throw new ClaimwireError('LEDGER_UNREACHABLE', message);
    }
    if (this.stopping) throw this.unreachable('the connection is closed');
    this.networkId = networkId;
    this.note(ledger);
    this.progressed = false;
    this.progressedAt = this.options.clock.monotonic();
    this.use(session, accounts);
  }

  private use(session: XrplSession, followed: string[]): void {
    this.current = session;
    for (const { resolve } of this.waiting) resolve(session);
    this.waiting.clear();
    // Those that were added while the server was being admitted.
    this.subscribeAccounts([...this.accounts.keys()].filter((account) => !followed.includes(account)));
  }

  private subscribeAccounts(accounts: string[]): void {
    const session = this.current;
    if (session === undefined || accounts.length === 0) return;
    session.request('subscribe', { accounts }).catch((error) => session.end((error as Error).message));
  }

  private note(ledger: ValidatedLedger): void {
    if (this.validated !== undefined && ledger.index <= this.validated.index) return;
    this.validated = ledger;
    this.progressed = true;
    this.progressedAt = this.options.clock.monotonic();
    this.remember(ledger);
    for (const listener of this.ledgerListeners) this.call(() => listener(ledger));
  }

  /** Keeps when a validated ledger closed. */
  remember({ index, closedAt }: ValidatedLedger): void {
    this.closeTimes.set(index, closedAt);
    if (this.closeTimes.size > CLOSE_TIMES_MAX) this.closeTimes.delete(this.closeTimes.keys().next().value!);
  }

  private sawTransaction(message: Fields): void {
    if (message.validated !== true) return;
    for (const listener of this.transactionListeners) listener(message);
  }

  /** Calls a listener, whose fault is not the server's. */
  call(listener: () => void): void {
    try {
      listener();
    } catch (error) {
      this.options.logger.error(`a listener to the ledger failed: ${(error as Error).message}`);
    }
  }

  private failWaiting(reason: string): void {
    for (const { reject } of this.waiting) reject(this.unreachable(reason));
    this.waiting.clear();
  }

  private unreachable(reason: string): ClaimwireError {
    const message = `expected a ledger server, got none (${reason}); check the URLs and the network`;
    return new ClaimwireError('LEDGER_UNREACHABLE', message, { urls: this.options.urls.map(shownUrl) });
  }

  private pause(forMs: number): Promise<void> {
    return new Promise((resolve) => {
      const stop = this.options.clock.every(forMs, () => this.endPause());
      this.endPause = () => {
        stop();
        resolve();
      };
    });
  }
}

/** The newest validated ledger, as `subscribe` answers and its stream tells. */
function readLedger(message: Fields): ValidatedLedger {
  return { index: u32Of(message.ledger_index, 'ledger_index'), closedAt: timeOf(message.ledger_time, 'ledger_time') };
}
