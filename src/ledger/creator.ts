/**
 * Submits the transactions with which payers create channels to this node's account, and opens the channels that they make.
 * Main thread.
 *
 * The order is: check every field, write the intent, submit, wait for the final result, open the channel from the validated
 * ledger, write that. The channel's id follows from the transaction, so that a lost answer is found again by whoever repeats
 * it. A payer that lost it and signs anew is told of the channel it has, unless that one has paid already.
 */
import { defaultChannelId, upperHex } from '../channel/parse.ts';
import type { Channel } from '../channel/row.ts';
import type { CreateOptions, LedgeredNode } from '../control/ledger-control.ts';
import { ClaimwireError } from '../errors.ts';
import type { Logger } from '../log.ts';
import type { SideTables } from '../registry/side-tables.ts';
import type { Clock } from '../system/system.ts';
import { CREATIONS_TABLE, type CreationEntry, CreationJournal, shardOfCreation } from './creation-journal.ts';
import { type Creation, parseCreation, refused } from './creation-rules.ts';
import { networkField } from './fill-in.ts';
import { untilFinal } from './finality.ts';
import type { FinalTransaction, LedgerConnection } from './ledger-port.ts';
import type { LedgerSettings } from './settings.ts';
import { isMoved } from './shard-tables.ts';
import type { ShardPart } from './shards.ts';
import { unlessAborted } from './unless-aborted.ts';
import { openingFault, sightOf } from './view.ts';
import { loadXrpl } from './xrpl-library.ts';

/** What the creator asks of the ledger service that it belongs to. */
interface CreatorService {
  openFromLedger(ledgerChannelId: Uint8Array): Promise<Channel>;
  /** Throws where the ledger's servers are not on the pinned network. */
  expectNetwork(): Promise<void>;
}

export interface CreatorOptions {
  service: CreatorService;
  node: Pick<LedgeredNode, 'channel' | 'ruleSeconds' | 'expectHere'>;
  connection: LedgerConnection;
  tables: SideTables;
  settings: Pick<LedgerSettings, 'account' | 'minSettleDelaySeconds'>;
  clock: Clock;
  logger: Logger;
}

/** Each may wait some minutes, and has cost its payer a fee and a reserve. */
const IN_FLIGHT_MAX = 64;
/** Transactions live for some twenty ledgers; what lives longer would keep its place too long. */
const LEDGERS_TO_LIVE_MAX = 200;
/** A server may be a ledger behind the one that showed the transaction. */
const OPEN_ATTEMPTS_MAX = 4;

export class ChannelCreator implements ShardPart {
  readonly table = CREATIONS_TABLE;
  readonly shards: ShardPart = this;
  readonly #options: CreatorOptions;
  readonly #journal: CreationJournal;
  /** By ledger channel id. */
  readonly #running = new Map<string, { hash: string; result: Promise<Channel>; end: AbortController }>();
  readonly #end = new AbortController();
  #isStarted = false;

  /** Reads what earlier runs submitted. Throws REGISTRY_CORRUPT. */
  constructor(options: CreatorOptions) {
    this.#options = options;
    this.#journal = new CreationJournal(options.tables);
  }

  /** Goes on with what an earlier run submitted, or was about to. */
  start(): void {
    this.#isStarted = true;
    for (const entry of this.#journal.pending()) this.#resume(entry);
  }

  #resume(entry: CreationEntry): void {
    this.#run(entry).catch((error: Error) => {
      if (!this.#end.signal.aborted && !isMoved(error))
        this.#options.logger.warn(`create ${entry.ledgerChannelId}: ${error.message}`);
    });
  }

  /** Leaves those whose channels are of these shards to whoever gets them: it finds them in the journal. */
  drain(shards: ReadonlySet<number>): void {
    this.#journal.drain(shards);
    for (const [ledgerChannelId, { end }] of this.#running)
      if (shards.has(shardOfCreation({ ledgerChannelId }))) end.abort(movedOf(ledgerChannelId));
  }
  /** @param entries of the journal, where they are new here */
  serve(shards: ReadonlySet<number>, entries: Iterable<readonly [Uint8Array, Uint8Array]>): void {
    this.#journal.serve(shards);
    this.#journal.load(entries);
    if (!this.#isStarted) return;
    for (const entry of this.#journal.pending()) if (shards.has(shardOfCreation(entry))) this.#resume(entry);
  }
  drop(shards: ReadonlySet<number>): void {
    this.#journal.drain(shards);
    this.#journal.drop(shards);
  }

  /** Ends the waiting. What was submitted is looked up at the next start. */
  async stop(): Promise<void> {
    const reason = new ClaimwireError('NODE_STOPPING', 'create: the node stops; its next start goes on with this');
    this.#end.abort(reason);
    const running = [...this.#running.values()];
    for (const { end } of running) end.abort(reason);
    await Promise.allSettled(running.map(({ result }) => result));
  }

  /** See LedgerControl. */
  async create(transaction: string, { amountMin = 0n, signal }: CreateOptions = {}): Promise<Channel> {
    this.#end.signal.throwIfAborted();
    const creation = parseCreation(transaction, await loadXrpl());
    // Its channel opens at one node.
    this.#options.node.expectHere?.(defaultChannelId(creation.channel.ledgerChannelId));
    const ledgerChannelId = upperHex(creation.channel.ledgerChannelId);
    const open = this.#openChannel(ledgerChannelId);
    if (open !== undefined) return open;
    const running = this.#running.get(ledgerChannelId);
    if (running !== undefined && running.hash !== creation.hash)
      throw refused('Sequence', 'a number that no transaction under way has', creation.sequence);
    const work = running?.result ?? this.#begin(creation, amountMin);
    return await unlessAborted(work, signal);
  }

  async #begin(creation: Creation, amountMin: bigint): Promise<Channel> {
    const known = this.#journal.get(upperHex(creation.channel.ledgerChannelId));
    if (known?.hash === creation.hash) return await this.#run(known);
    const earlier = await this.#unused(creation);
    if (earlier !== undefined) return earlier;
    await this.#check(creation, amountMin);
    const firstLedger = this.#options.connection.validated!.index;
    if (this.#running.size >= IN_FLIGHT_MAX)
      throw new ClaimwireError(
        'NODE_BUSY',
        `create: expected at most ${IN_FLIGHT_MAX} under way, got one more; try again`,
      );
    const { account, hash, blob, lastLedger, channel } = creation;
    const ids = { ledgerChannelId: upperHex(channel.ledgerChannelId), publicKey: upperHex(channel.publicKey) };
    const entry = { ...ids, account, hash, blob, firstLedger, lastLedger };
    return await this.#run(entry, true);
  }

  /** One transaction that the entry names, once at a time. */
  #run(entry: CreationEntry, isNew = false): Promise<Channel> {
    const { ledgerChannelId, hash } = entry;
    const running = this.#running.get(ledgerChannelId);
    if (running !== undefined && !running.end.signal.aborted) return running.result;
    const end = new AbortController();
    if (this.#end.signal.aborted) end.abort(this.#end.signal.reason);
    const begin = async () => {
      // One that was ended, as its shard was given away, does nothing more once the shard is back.
      await running?.result.catch(() => {});
      return await this.#submit(entry, isNew, end.signal);
    };
    const result = begin().finally(() => {
      if (this.#running.get(ledgerChannelId)?.end === end) this.#running.delete(ledgerChannelId);
    });
    this.#running.set(ledgerChannelId, { hash, result, end });
    return result;
  }

  async #submit(entry: CreationEntry, isNew: boolean, signal: AbortSignal): Promise<Channel> {
    const { connection, clock, logger } = this.#options;
    signal.throwIfAborted();
    if (isNew) await this.#journal.begin(entry);
    const onTrouble = ({ message }: Error) => logger.warn(`create ${entry.ledgerChannelId}: ${message}; trying again`);
    const withoutHistory = () => this.#withoutHistory(entry, signal);
    const { final, preliminary } = await untilFinal(entry, { connection, clock, signal, onTrouble, withoutHistory });
    const result = final === 'never' ? `never validated (${preliminary})` : final.result;
    const touched = final === 'never' ? undefined : final.channel;
    try {
      if (result !== 'tesSUCCESS') throw refused(`transaction ${entry.hash}`, 'tesSUCCESS', result);
      if (touched === undefined || upperHex(touched.ledgerChannelId) !== entry.ledgerChannelId)
        throw refused(`transaction ${entry.hash}`, `channel ${entry.ledgerChannelId} in its metadata`, 'another');
      const channel = await this.#open(touched.ledgerChannelId, signal);
      await this.#journal.opened(entry);
      return channel;
    } catch (error) {
      // Whatever else it is, it may be another time.
      if (isRefusal(error)) await this.#journal.forget(entry);
      throw error;
    }
  }

  /** Where no server has the history: the channel itself tells. One that is gone already is of no use. */
  async #withoutHistory(
    { ledgerChannelId, hash, lastLedger }: CreationEntry,
    signal: AbortSignal,
  ): Promise<FinalTransaction | 'never' | undefined> {
    const id = bytesOf(ledgerChannelId);
    const { ledger, channel } = await this.#options.connection.channel(id, signal);
    if (ledger.index <= lastLedger) return undefined;
    if (channel === undefined) return 'never';
    const { amount, balance } = channel;
    const touched = { ledgerChannelId: id, amount, balance, deleted: false };
    return { hash, ledgerIndex: ledger.index, result: 'tesSUCCESS', channel: touched };
  }

  /** It is on the ledger: servers that do not show it yet are asked again at the next one. */
  async #open(ledgerChannelId: Uint8Array, signal: AbortSignal): Promise<Channel> {
    const { service, connection } = this.#options;
    for (let attempt = 1; ; attempt++) {
      let onNext = () => {};
      const next = new Promise<void>((resolve) => {
        onNext = resolve;
      });
      const forget = connection.onLedger(onNext);
      signal.addEventListener('abort', onNext, { once: true });
      try {
        return await service.openFromLedger(ledgerChannelId);
      } catch (error) {
        if (attempt >= OPEN_ATTEMPTS_MAX || !isRefusal(error)) throw error;
        await next;
        signal.throwIfAborted();
      } finally {
        forget();
        signal.removeEventListener('abort', onNext);
      }
    }
  }

  #openChannel(ledgerChannelId: string): Channel | undefined {
    const row = this.#options.node.channel(defaultChannelId(bytesOf(ledgerChannelId)));
    const isIts = row !== undefined && upperHex(row.ledgerChannelId) === ledgerChannelId;
    return isIts && row.state === 'open' ? row : undefined;
  }

  /** The channel of an earlier transaction of this payer and key that nobody paid on yet: its answer was lost. */
  async #unused({ account, channel }: Creation): Promise<Channel | undefined> {
    for (const entry of this.#journal.of(account, upperHex(channel.publicKey))) {
      const row = entry.blob === '' ? this.#openChannel(entry.ledgerChannelId) : await this.#outcome(entry);
      if (row !== undefined && row.committed === 0n) return row;
      if (entry.blob === '') await this.#journal.forget(entry);
    }
    return undefined;
  }

  async #outcome(entry: CreationEntry): Promise<Channel | undefined> {
    try {
      return await this.#run(entry);
    } catch (error) {
      if (isRefusal(error)) return undefined;
      throw error;
    }
  }

  /** Throws where the channel would be of no use, or the transaction could never be validated. */
  async #check(creation: Creation, amountMin: bigint): Promise<void> {
    const { service, connection, settings, node } = this.#options;
    const { signal } = this.#end;
    const { account, sequence, feeDrops, lastLedger, channel } = creation;
    if (channel.amount < amountMin) throw refused('Amount', `at least ${amountMin} drops`, String(channel.amount));
    await service.expectNetwork();
    const network = networkField(await connection.networkId(signal));
    if (creation.networkId !== network) throw refused('NetworkID', String(network ?? 'none'), creation.networkId);
    const ledger = connection.validated!;
    const fault = openingFault(channel, sightOf(ledger, node.ruleSeconds), settings);
    if (fault !== undefined) throw new ClaimwireError('LEDGER_REFUSED', fault);
    const owner = await connection.account(account, signal);
    if (owner === undefined) throw refused('Account', 'an account on the ledger', account);
    // It was submitted before, by its payer or by a node that forgot it.
    if (owner.sequence > sequence && (await connection.transaction(creation.hash, signal)) !== undefined) return;
    if (owner.sequence !== sequence) throw refused('Sequence', String(owner.sequence), sequence);
    if (owner.balance < channel.amount + feeDrops)
      throw refused('Amount', `what ${account} has, ${owner.balance} drops, with the fee`, String(channel.amount));
    if (lastLedger <= ledger.index || lastLedger > ledger.index + LEDGERS_TO_LIVE_MAX)
      throw refused('LastLedgerSequence', `${ledger.index + 1} to ${ledger.index + LEDGERS_TO_LIVE_MAX}`, lastLedger);
  }
}

function bytesOf(hex: string): Uint8Array {
  return new Uint8Array(Buffer.from(hex, 'hex'));
}

function movedOf(ledgerChannelId: string): ClaimwireError {
  const channelId = String(defaultChannelId(bytesOf(ledgerChannelId)));
  const message = `create ${ledgerChannelId}: expected a channel of this node's shards, got one that is given to another node, which goes on with it; ask for the route`;
  return new ClaimwireError('MOVED', message, { channelId });
}

function isRefusal(error: unknown): boolean {
  return error instanceof ClaimwireError && error.code === 'LEDGER_REFUSED';
}
