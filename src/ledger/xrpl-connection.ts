/**
 * The connection to the XRP Ledger (ledger-port.ts) over xrpl.js. ledger-servers.ts picks the server; here are the
 * questions. It believes validated ledgers alone: every question names one, and an answer that does not say that it is
 * from one is refused, and its server gives way to the next. Main thread.
 */
import { upperHex } from '../channel/parse.ts';
import { ClaimwireError } from '../errors.ts';
import type { Logger } from '../log.ts';
import { type Clock, nodeSystem } from '../system/system.ts';
import { covers, dropsOf, type Fields, fieldsOf, refuse, timeOf, u32Of } from './ledger-answer.ts';
import {
  parseFinalTransaction,
  parseLedgerChannel,
  parseLedgerChannels,
  touchedChannels,
  transactionHashOf,
} from './ledger-channel.ts';
import type {
  FinalTransaction,
  LedgerAccount,
  LedgerChannel,
  LedgerConnection,
  Submission,
  ValidatedLedger,
} from './ledger-port.ts';
import { LedgerServers } from './ledger-servers.ts';
import { parseAddress } from './xrpl.ts';
import { loadXrpl } from './xrpl-library.ts';
import { AnsweredError, orGiveWay, type XrplSession } from './xrpl-session.ts';

const TIMEOUT_MS = 10_000;
/** Ledgers close every four seconds or so; ten of them missing is not bad luck. */
const STALE_MS = 40_000;
const URLS_MAX = 16;
/** The most that a server gives at once, and pages of one account: 102,400 channels, each of which cost its payer a reserve. */
const PAGE_OBJECTS = 400;
const PAGES_MAX = 256;

export interface ConnectLedgerOptions {
  /** ws:// or wss://, in the order in which they are tried. */
  urls: readonly string[];
  logger: Logger;
  /** Default the machine's. */
  clock?: Clock;
  /** The network that every server must be on. Default that of the first server. */
  networkId?: number | undefined;
  /** A server that has not answered after this long counts as gone. Default 10 s. */
  timeoutMs?: number;
  /** A server whose validated ledger has stood still this long gives way to the next one. Default 40 s. */
  staleMs?: number;
}

/**
 * A connection that begins to connect and goes on trying until it is closed.
 * @throws ClaimwireError DEPENDENCY_MISSING without xrpl.js, INPUT_INVALID for a URL of another kind
 */
export async function connectLedger(options: ConnectLedgerOptions): Promise<LedgerConnection> {
  const { urls, logger, networkId, clock = nodeSystem.clock, timeoutMs = TIMEOUT_MS, staleMs = STALE_MS } = options;
  checkUrls(urls);
  const xrpl = await loadXrpl();
  return new XrplConnection(new LedgerServers({ xrpl, urls, logger, clock, networkId, timeoutMs, staleMs }));
}

function checkUrls(urls: readonly string[]): void {
  if (urls.length === 0 || urls.length > URLS_MAX)
    throw new ClaimwireError('INPUT_INVALID', `ledger: expected 1 to ${URLS_MAX} URLs, got ${urls.length}`);
  for (const url of urls)
    if (!URL.canParse(url) || !/^wss?:$/.test(new URL(url).protocol))
      throw new ClaimwireError('INPUT_INVALID', `ledger: expected a ws:// or wss:// URL, got ${JSON.stringify(url)}`);
}

class XrplConnection implements LedgerConnection {
  private readonly servers: LedgerServers;

  constructor(servers: LedgerServers) {
    this.servers = servers;
  }

  get url(): string | undefined {
    return this.servers.url;
  }

  get validated(): ValidatedLedger | undefined {
    return this.servers.validated;
  }

  async networkId(signal?: AbortSignal): Promise<number> {
    await this.servers.session(signal);
    return this.servers.networkId!;
  }

  async channel(ledgerChannelId: Uint8Array, signal?: AbortSignal) {
    const index = upperHex(ledgerChannelId);
    const session = await this.servers.session(signal);
    return orGiveWay(session, async () => {
      const found = await this.entry(session, index, signal);
      if (found.node === undefined) return { ledger: found.ledger, channel: undefined };
      const node = fieldsOf(found.node, 'node');
      if (node.index !== index) refuse('index', index, node.index);
      return { ledger: found.ledger, channel: parseLedgerChannel(node) };
    });
  }

  async channelsTo(account: string, signal?: AbortSignal) {
    parseAddress(account, 'account');
    const session = await this.servers.session(signal);
    return orGiveWay(session, () => this.pages(session, account, signal));
  }

  private async pages(session: XrplSession, account: string, signal: AbortSignal | undefined) {
    const channels: LedgerChannel[] = [];
    let skipped = 0;
    const question: Fields = { account, type: 'payment_channel', limit: PAGE_OBJECTS };
    let from: ValidatedLedger | undefined;
    for (let page = 0; page < PAGES_MAX; page += 1) {
      const fields = from === undefined ? question : { ...question, ledger_index: from.index };
      const { answer, ledger } = await this.validatedAnswer(session, 'account_objects', fields, signal);
      from ??= ledger;
      if (ledger.index !== from.index) refuse('ledger_index', String(from.index), ledger.index);
      const read = parseLedgerChannels(answer.account_objects);
      skipped += read.skipped;
      for (const channel of read.channels) if (channel.destination === account) channels.push(channel);
      if (answer.marker === undefined) return { ledger: from, channels, skipped };
      question.marker = answer.marker;
    }
    throw new ClaimwireError(
      'LEDGER_REFUSED',
      `expected at most ${PAGES_MAX} pages of channels to ${account}, got more`,
    );
  }

  async account(address: string, signal?: AbortSignal): Promise<LedgerAccount | undefined> {
    parseAddress(address, 'account');
    const session = await this.servers.session(signal);
    try {
      const { answer, ledger } = await this.validatedAnswer(session, 'account_info', { account: address }, signal);
      const data = fieldsOf(answer.account_data, 'account_data');
      if (data.Account !== address) refuse('Account', address, data.Account);
      const [sequence, balance] = [u32Of(data.Sequence, 'Sequence'), dropsOf(data.Balance, 'Balance')];
      return { ledgerIndex: ledger.index, sequence, balance };
    } catch (error) {
      if (error instanceof AnsweredError && error.error === 'actNotFound' && error.answer.validated !== false)
        return undefined;
      throw error;
    }
  }

  async fee(signal?: AbortSignal): Promise<bigint> {
    const { drops } = await this.ask('fee', {}, signal);
    const { base_fee: base, open_ledger_fee: open } = fieldsOf(drops, 'drops');
    const baseFee = dropsOf(base, 'base_fee');
    const openFee = dropsOf(open, 'open_ledger_fee');
    if (openFee < baseFee) return baseFee;
    return openFee;
  }

  async submit(blob: string, signal?: AbortSignal): Promise<Submission> {
    const { engine_result: preliminary } = await this.ask('submit', { tx_blob: blob }, signal);
    if (typeof preliminary !== 'string' || !/^te[cflmrs][A-Za-z0-9_]{1,60}$/.test(preliminary))
      refuse('engine_result', 'a result code such as tesSUCCESS', preliminary);
    return { preliminary };
  }

  async transaction(hash: string, signal?: AbortSignal): Promise<FinalTransaction | undefined> {
    const transaction = transactionHashOf(hash);
    try {
      return parseFinalTransaction(await this.ask('tx', { transaction }, signal), transaction);
    } catch (error) {
      if (error instanceof AnsweredError && error.error === 'txnNotFound') return undefined;
      throw error;
    }
  }

  async knowsLedgers(fromLedger: number, toLedger: number, signal?: AbortSignal): Promise<boolean> {
    const info = fieldsOf((await this.ask('server_info', {}, signal)).info, 'info');
    return covers(info.complete_ledgers, fromLedger, toLedger);
  }

  onLedger(listener: (ledger: ValidatedLedger) => void): () => void {
    return this.servers.onLedger(listener);
  }

  onChannelTouched(account: string, listener: (ledgerChannelId: Uint8Array) => void): () => void {
    parseAddress(account, 'account');
    return this.servers.onTransaction(account, (message) => {
      for (const touched of touchedChannels(message.meta))
        if (touched.account === account || touched.destination === account)
          this.servers.call(() => listener(touched.ledgerChannelId));
    });
  }

  close(): Promise<void> {
    return this.servers.close();
  }

  private async ask(command: string, fields: Fields, signal: AbortSignal | undefined): Promise<Fields> {
    const session = await this.servers.session(signal);
    return await abortable(session.request(command, fields), signal);
  }

  /** An entry of the validated ledger with that ledger; `node` is undefined where there is none. */
  private async entry(
    session: XrplSession,
    index: string,
    signal: AbortSignal | undefined,
  ): Promise<{ node: unknown; ledger: ValidatedLedger }> {
    try {
      const { answer, ledger } = await this.validatedAnswer(
        session,
        'ledger_entry',
        { payment_channel: index },
        signal,
      );
      return { node: answer.node, ledger };
    } catch (error) {
      if (!(error instanceof AnsweredError) || error.error !== 'entryNotFound') throw error;
      const { answer } = error;
      // Some servers do not say which ledger an entry is missing from: so that it be a validated one, one is named.
      if (answer.validated === undefined) return this.entryOf(session, index, signal);
      return { node: undefined, ledger: await this.ledgerOf(session, answer, 'ledger_entry', signal) };
    }
  }

  private async entryOf(session: XrplSession, index: string, signal: AbortSignal | undefined) {
    const { ledger } = await this.validatedAnswer(session, 'ledger', {}, signal);
    const question = { payment_channel: index, ledger_index: ledger.index };
    try {
      const { answer } = await this.validatedAnswer(session, 'ledger_entry', question, signal);
      return { node: answer.node, ledger };
    } catch (error) {
      if (error instanceof AnsweredError && error.error === 'entryNotFound' && error.answer.validated !== false)
        return { node: undefined, ledger };
      throw error;
    }
  }

  /** Asks about the newest validated ledger, unless `fields` name another one. */
  private async validatedAnswer(
    session: XrplSession,
    command: string,
    fields: Fields,
    signal: AbortSignal | undefined,
  ): Promise<{ answer: Fields; ledger: ValidatedLedger }> {
    const seen = fields.ledger_index === undefined ? this.validated!.index : 0;
    const answer = await abortable(session.request(command, { ledger_index: 'validated', ...fields }), signal);
    return { answer, ledger: await this.ledgerOf(session, answer, command, signal, seen) };
  }

  /** The validated ledger that an answer is from, no older than ledger `seen`. */
  private async ledgerOf(
    session: XrplSession,
    answer: Fields,
    command: string,
    signal: AbortSignal | undefined,
    seen = 0,
  ): Promise<ValidatedLedger> {
    if (answer.validated !== true) {
      const message = `expected ${command} of a validated ledger, got one of another (validated: ${answer.validated})`;
      session.end(message);
      throw new ClaimwireError('LEDGER_REFUSED', message, { url: session.url, field: 'validated' });
    }
    const index = u32Of(answer.ledger_index, 'ledger_index');
    if (index < seen) {
      const message = `expected ${command} of ledger ${seen} or a later one, got ${index}`;
      session.end(message);
      throw new ClaimwireError('LEDGER_UNREACHABLE', message, { url: session.url });
    }
    const closedAt = this.servers.closeTime(index) ?? (await this.closeTime(session, index, signal));
    return { index, closedAt };
  }

  private async closeTime(session: XrplSession, index: number, signal: AbortSignal | undefined): Promise<number> {
    const answer = await abortable(session.request('ledger', { ledger_index: index }), signal);
    const ledger = fieldsOf(answer.ledger, 'ledger');
    if (answer.validated !== true) refuse('validated', 'true', answer.validated);
    if (answer.ledger_index !== index) refuse('ledger_index', String(index), answer.ledger_index);
    const closedAt = timeOf(ledger.close_time, 'close_time');
    this.servers.remember({ index, closedAt });
    return closedAt;
  }
}

/** A promise that rejects when the signal says so; the question stays asked, and its answer is dropped. */
function abortable<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return promise;
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason);
    if (signal.aborted) abort();
    signal.addEventListener('abort', abort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
  });
}
