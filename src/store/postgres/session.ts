/**
 * A handle's connection, made again whenever it is lost, to whichever host is the primary then. Work is done one after the other,
 * and again until its answer is confirmed or refused: so each piece of work must be one that may be done twice.
 */
import { ClaimwireError } from '../../errors.ts';
import { hostPortText } from '../../host-port.ts';
import type { Logger } from '../../log.ts';
import type { PostgresLibrary } from '../../optional-libraries.ts';
import { closed } from '../rules.ts';
import type { Retry, StoreCounts } from '../store-figures.ts';
import { Connection, type ConnectionOptions } from './connection.ts';
import { NotReplicated, remedyFor, storeFailed } from './faults.ts';

export interface SessionOptions extends ConnectionOptions {
  /** How long the first connection is tried for. */
  readonly waitMs: number;
  readonly logger: Logger;
  /** Counts what is made again. */
  readonly counts: StoreCounts;
  /** At least 0 and less than 1. */
  readonly random: () => number;
}

/** Pauses between tries: from the first, twice as long each time, each shortened at random by up to a half. */
const PAUSE_MS = 20;
const PAUSE_MS_MAX = 1_000;
/** A login that is refused, and a database that is not there, stay so: the first start says so at once. */
const HOPELESS = ['28000', '28P01', '3D000', '42501'];

export class Session {
  readonly #library: PostgresLibrary;
  readonly #options: SessionOptions;
  #connection: Connection | undefined;
  /** Which host is tried next. */
  #host = 0;
  #last: Promise<unknown> = Promise.resolve();
  #isClosed = false;
  #rejectClosed!: (error: Error) => void;
  readonly #closed: Promise<never>;
  #isLost = false;

  constructor(library: PostgresLibrary, options: SessionOptions) {
    this.#library = library;
    this.#options = options;
    this.#closed = new Promise((_, reject) => {
      this.#rejectClosed = reject;
    });
    this.#closed.catch(() => undefined);
  }

  /** @throws ClaimwireError STORE_UNREACHABLE, STORE_UNREPLICATED */
  async connect(): Promise<void> {
    const { waitMs } = this.#options;
    const until = performance.now() + waitMs;
    for (let tries = 0; ; tries++) {
      try {
        this.#connection = await this.#open();
        return;
      } catch (error) {
        if (!(error instanceof NoPrimary)) throw error;
        if (error.isHopeless || performance.now() >= until) throw unreachable(error, waitMs);
        await this.#pause(tries);
      }
    }
  }

  /** Does work that may be done twice, until it is confirmed or refused. */
  write<T>(work: (connection: Connection) => Promise<T>): Promise<T> {
    return this.#inTurn(work);
  }

  /**
   * Reads what is replicated: what is visible need not be, where this server has just become the primary. So each connection
   * first makes a write, and with the standby's answer to it has whatever came before.
   * @param confirm a write that changes something in any case
   */
  read<T>(
    confirm: (connection: Connection) => Promise<unknown>,
    work: (connection: Connection) => Promise<T>,
  ): Promise<T> {
    return this.#inTurn(async (connection) => {
      if (!connection.isConfirmed) await confirm(connection);
      connection.isConfirmed = true;
      return await work(connection);
    });
  }

  close(): void {
    this.#isClosed = true;
    this.#rejectClosed(closed());
    this.#connection?.end();
  }

  #inTurn<T>(work: (connection: Connection) => Promise<T>): Promise<T> {
    const result = this.#last.then(() => this.#until(work));
    this.#last = result.catch(() => undefined);
    return Promise.race([result, this.#closed]);
  }

  async #until<T>(work: (connection: Connection) => Promise<T>): Promise<T> {
    for (let tries = 0; ; tries++) {
      if (this.#isClosed) throw closed();
      let isAsked = false;
      try {
        const connection = await this.#connected();
        isAsked = true;
        const result = await work(connection);
        if (this.#isLost) this.#options.logger.info('store: the database answers again');
        this.#isLost = false;
        return result;
      } catch (error) {
        if (this.#isClosed) throw closed();
        const remedy = remedyFor(error);
        if (remedy === 'never') throw storeFailed(error);
        if (remedy === 'elsewhere') this.#lose(error as Error);
        // Without a connection nothing was asked, and is in no doubt.
        if (isAsked) this.#options.counts.add(retryOf(error, remedy));
        await this.#pause(tries);
      }
    }
  }

  async #connected(): Promise<Connection> {
    if (this.#connection?.isOpen) return this.#connection;
    const connection = await this.#open();
    if (this.#isClosed) connection.end();
    this.#connection = connection;
    this.#options.counts.add('reconnects');
    return connection;
  }

  #lose({ message }: Error): void {
    this.#connection?.end();
    this.#connection = undefined;
    if (!this.#isLost) this.#options.logger.warn(`store: expected the database to answer, got ${message}; trying on`);
    this.#isLost = true;
  }

  /**
   * Connects to the first host that is a primary, beginning after the one that was lost: a primary that was deposed and still
   * runs takes connections, and confirms nothing.
   */
  async #open(): Promise<Connection> {
    const { hosts } = this.#options.address;
    const faults: string[] = [];
    let isHopeless = true;
    let refusal: ClaimwireError | undefined;
    for (let tried = 0; tried < hosts.length; tried++) {
      const place = this.#host;
      const host = hosts[place]!;
      this.#host = (place + 1) % hosts.length;
      try {
        return await Connection.open(this.#library, host, this.#options);
      } catch (error) {
        if (error instanceof ClaimwireError) refusal ??= error;
        faults.push(`${hostPortText(host)}: ${messageOf(error)}`);
        isHopeless &&= HOPELESS.includes((error as { code?: string }).code ?? '');
      }
    }
    throw refusal ?? new NoPrimary(faults.join('; '), isHopeless);
  }

  async #pause(tries: number): Promise<void> {
    const most = Math.min(PAUSE_MS * 2 ** Math.min(tries, 10), PAUSE_MS_MAX);
    const ms = most * (1 - this.#options.random() / 2);
    let timer: NodeJS.Timeout | undefined;
    const passed = new Promise((resolve) => {
      timer = setTimeout(resolve, ms);
    });
    await Promise.race([passed, this.#closed]).finally(() => clearTimeout(timer));
  }
}

function retryOf(error: unknown, remedy: 'again' | 'elsewhere'): Retry {
  if (remedy === 'elsewhere') return 'unknown';
  return error instanceof NotReplicated ? 'unconfirmed' : 'refused';
}

/** No host takes writes now. */
class NoPrimary extends Error {
  readonly isHopeless: boolean;

  constructor(message: string, isHopeless: boolean) {
    super(message);
    this.isHopeless = isHopeless;
  }
}

/** Several addresses of a name fail as one error without a message. */
function messageOf(error: unknown): string {
  const { message, code } = error as { message: string; code?: string };
  return message === '' ? (code ?? 'no answer') : message;
}

function unreachable(cause: NoPrimary, waitMs: number): ClaimwireError {
  const text = `store: expected a primary within ${waitMs} ms, got ${cause.message}`;
  return new ClaimwireError('STORE_UNREACHABLE', text, {}, { cause });
}
