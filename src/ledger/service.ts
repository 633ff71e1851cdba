/**
 * A running node's side of the XRP Ledger: opens channels from it, watches them, tells what it knows of them, and hands
 * redemptions to the one who makes them. Main thread, beside the claim path.
 *
 * The order of a start: made before the node (what is stored is checked), `restore` before the node receives claims, `start`
 * after it. `stop` comes before the node's.
 */
import { defaultChannelId, isoTime, upperHex } from '../channel/parse.ts';
import type { Channel } from '../channel/row.ts';
import type {
  CreateOptions,
  LedgerControl,
  LedgeredNode,
  LedgerHealth,
  LedgerState,
  RedemptionRecord,
  RedemptionResult,
} from '../control/ledger-control.ts';
import { openChannel } from '../control/node-control.ts';
import { ClaimwireError } from '../errors.ts';
import type { Logger } from '../log.ts';
import type { Clock } from '../system/system.ts';
import { Adopter } from './adopter.ts';
import { AutoOpener } from './auto-open.ts';
import type { LedgerChannel, LedgerConnection } from './ledger-port.ts';
import { NetworkPin } from './network.ts';
import { expectSame, refusal } from './opening-refusals.ts';
import { LedgerReader } from './reader.ts';
import { Reconciler } from './reconcile.ts';
import type { RedemptionTotals } from './redeemer.ts';
import type { LedgerSettings } from './settings.ts';
import { isMoved, type ShardTables } from './shard-tables.ts';
import { LedgerShards, type ShardPart } from './shards.ts';
import { endOf, type LedgerView, openingFault, type Sight, viewOf } from './view.ts';
import { LedgerViews } from './views.ts';
import { LedgerWatcher } from './watcher.ts';

/** A node starts without its ledger where that does not answer in this time; leases end what was not seen for too long. */
const START_MS_MAX = 5_000;

/** Makes redemptions. It is started after the watcher and stopped before it. */
export interface LedgerRedeemer {
  redeem: LedgerControl['redeem'];
  redemptions: LedgerControl['redemptions'];
  totals?(): RedemptionTotals;
  readonly shards?: ShardPart;
  start(): void;
  stop(): Promise<void>;
}

/** Submits payers' transactions that create channels. It is started after the watcher and stopped before it. */
export interface LedgerCreator {
  create: LedgerControl['createChannel'];
  readonly shards?: ShardPart;
  start(): void;
  stop(): Promise<void>;
}

export interface LedgerServiceOptions {
  settings: LedgerSettings;
  /** Closed by `stop`. */
  connection: LedgerConnection;
  tables: ShardTables;
  node: LedgeredNode;
  clock: Clock;
  logger: Logger;
  /** Makes the redeemer of this service; without it nothing is redeemed. */
  redeemer?: ((service: LedgerService) => LedgerRedeemer) | undefined;
  /** Makes the creator of this service; without it no channel is created for payers. */
  creator?: ((service: LedgerService) => LedgerCreator) | undefined;
}

export class LedgerService implements LedgerControl {
  /** Where nodes share a store: what is kept of channels goes with their shards. */
  readonly shards: LedgerShards;
  readonly #options: LedgerServiceOptions;
  readonly #network: NetworkPin;
  readonly #views: LedgerViews;
  readonly #reader: LedgerReader;
  readonly #reconciler: Reconciler;
  readonly #watcher: LedgerWatcher;
  readonly #redeemer: LedgerRedeemer | undefined;
  readonly #creator: LedgerCreator | undefined;
  readonly #ended = new AbortController();
  readonly #listeners = new Set<(view: LedgerView) => void>();

  /** Reads what is stored. Throws CONFIG_INVALID where that is of another network than the settings want. */
  constructor(options: LedgerServiceOptions) {
    this.#options = options;
    const { tables, settings, connection, node, logger } = options;
    this.#network = new NetworkPin(tables, settings.networkId);
    const views = new LedgerViews(tables);
    this.#views = views;
    const nowSeconds = () => node.ruleSeconds;
    this.#reader = new LedgerReader({ connection, network: this.#network, nowSeconds, signal: this.#ended.signal });
    const reconciler = new Reconciler({ node, views, logger });
    this.#reconciler = reconciler;
    const { pollSeconds } = settings;
    const open = (channel: LedgerChannel, sight: Sight) => this.#watcher.exclusively(() => this.#open(channel, sight));
    const isSettled = (id: Uint8Array) => views.isRemoved(id) || views.ofLedgerId(id) !== undefined;
    const autoOpener = settings.autoOpen ? new AutoOpener({ node, pollSeconds, logger, open, isSettled }) : undefined;
    const onChange = (view: LedgerView) => this.#tell(view);
    const reader = this.#reader;
    const parts = { node, settings, logger, reader, views, reconciler, onChange };
    const adopter = new Adopter({ ...parts, exclusively: (work) => this.#watcher.exclusively(work) });
    this.#watcher = new LedgerWatcher({ ...parts, connection, clock: options.clock, adopter, autoOpener });
    this.#redeemer = options.redeemer?.(this);
    this.#creator = options.creator?.(this);
    const lease = (view: LedgerView) => this.#leaseStored(view);
    this.shards = new LedgerShards({ tables, views, lease, arrived: (views) => this.#arrived(views) });
    this.shards.add(this.#redeemer?.shards);
    this.shards.add(this.#creator?.shards);
  }

  /**
   * Leases every channel for as long as what is stored of it allows. Called before the node receives claims: those of a
   * channel that was not seen for too long are refused from the first one on. A clock that says it is earlier than what was
   * seen was set back, and by at least that much the leases end sooner.
   */
  restore(): void {
    for (const view of this.#views.all()) this.#leaseStored(view);
  }

  #leaseStored(view: LedgerView): void {
    const now = Math.floor(this.#options.clock.wall() / 1_000);
    this.#reconciler.lease({ ...view, clockBehind: Math.max(view.clockBehind, view.seenAt - now) });
  }

  /** Channels that another node watched: what happened since its last look is seen by the next one here. */
  #arrived(views: readonly LedgerView[]): void {
    this.#watcher.pollSoon();
    // One that ends is not left to the policy's next round.
    for (const view of views) if (view.expiration !== 0) this.#tell(view);
  }

  /** Begins to watch. An unreachable ledger is tried again; another network than the pinned one throws CONFIG_INVALID. */
  async start(): Promise<void> {
    try {
      await this.#reader.checkNetwork(START_MS_MAX);
    } catch (error) {
      if (!(error instanceof ClaimwireError)) throw error;
      if (error.code === 'LEDGER_REFUSED')
        throw new ClaimwireError('CONFIG_INVALID', error.message, { setting: 'ledger' });
      this.#options.logger.warn(`ledger: not reached yet: ${error.message}`);
    }
    await this.#catchUp();
    this.#watcher.start();
    this.#redeemer?.start();
    this.#creator?.start();
  }

  /** Makes what a process that ended had stored, but not done. What fails here is done by the first poll. */
  async #catchUp(): Promise<void> {
    const { settings, logger } = this.#options;
    const views = this.#views.all();
    const foreign = views.filter(({ destination }) => destination !== settings.account).length;
    if (foreign > 0)
      logger.warn(
        `ledger: ${foreign} channels pay another account than ${settings.account}: they are not watched, and their claims are refused once they were not seen for too long`,
      );
    try {
      for (const { channelId } of views)
        await this.#watcher.exclusively(async () => {
          const view = this.#views.get(channelId);
          if (view !== undefined) await this.#reconciler.reconcile(view);
        });
      await this.#watcher.exclusively(() => this.#views.save());
    } catch (error) {
      if (!(error instanceof ClaimwireError)) throw error;
      if (!isMoved(error)) logger.warn(`ledger: ${error.message}`);
    }
  }

  async stop(): Promise<void> {
    await Promise.all([this.#redeemer?.stop(), this.#creator?.stop()]);
    this.#ended.abort(new ClaimwireError('NODE_STOPPING', 'ledger: expected a running node, got one that is stopping'));
    await this.#watcher.stop();
    await this.#options.connection.close();
  }

  health(): LedgerHealth {
    const { connection, node } = this.#options;
    const { validated } = connection;
    return {
      url: connection.url ?? null,
      networkId: this.#network.networkId ?? null,
      ledgerIndex: validated?.index ?? null,
      ageSeconds: validated === undefined ? null : Math.max(0, node.ruleSeconds - validated.closedAt),
      watched: this.#views.count,
      stale: this.#watcher.stale,
      polledAt: isoTime(this.#views.polledAt),
      failure: this.#watcher.failure ?? null,
    };
  }

  state(channelId: bigint): LedgerState | undefined {
    return this.#views.get(channelId);
  }

  /** Of every watched channel. */
  states(): (LedgerState & { channelId: bigint })[] {
    return this.#views.all();
  }

  /** Calls `listener` with each channel of which the ledger says something new. Returns a function that ends it. */
  onChange(listener: (channelId: bigint, state: LedgerState) => void): () => void {
    const tell = (view: LedgerView) => listener(view.channelId, view);
    this.#listeners.add(tell);
    return () => this.#listeners.delete(tell);
  }

  /** To be told what a redemption has paid: drops in all, as its metadata has it. */
  paid(ledgerChannelId: Uint8Array, drops: bigint): Promise<void> {
    return this.#watcher.paid(ledgerChannelId, drops);
  }

  async openFromLedger(ledgerChannelId: Uint8Array): Promise<Channel> {
    this.#options.node.expectHere?.(this.#handleOf(ledgerChannelId));
    const { sight, channel } = await this.#reader.channel(ledgerChannelId);
    if (channel === undefined)
      throw refusal(
        ledgerChannelId,
        `expected it in validated ledger ${sight.ledgerIndex}, got none: it is closed, or its Create is not validated yet`,
      );
    return this.#watcher.exclusively(() => this.#open(channel, sight));
  }

  /** Throws where the ledger's servers are not on the pinned network. */
  expectNetwork(): Promise<void> {
    return this.#reader.checkNetwork(START_MS_MAX);
  }

  async createChannel(transaction: string, options?: CreateOptions): Promise<Channel> {
    if (this.#creator !== undefined) return this.#creator.create(transaction, options);
    throw new ClaimwireError('LEDGER_REFUSED', 'create: expected a node that submits for payers, got another');
  }

  async redeem(channelId: bigint, options?: Parameters<LedgerControl['redeem']>[1]): Promise<RedemptionResult> {
    this.#options.node.expectHere?.(channelId);
    if (this.#redeemer !== undefined) return this.#redeemer.redeem(channelId, options);
    throw new ClaimwireError(
      'LEDGER_REFUSED',
      'redeem: expected a node with the wallet of its account, got one without; start it with --wallet',
    );
  }

  redemptions(limit: number): RedemptionRecord[] {
    return this.#redeemer?.redemptions(limit) ?? [];
  }

  /** For the node's counters: drops as decimal strings. Undefined where nothing is redeemed. */
  redemptionTotals(): Record<string, number | string> | undefined {
    const totals = this.#redeemer?.totals?.();
    return totals && { ...totals, drops: String(totals.drops), feeDrops: String(totals.feeDrops) };
  }

  /**
   * Opens a channel, or takes one that was opened by hand under watch. What the ledger has paid out of it counts as
   * committed from the first moment on, so that no claim of as much is taken for a payment.
   */
  async #open(channel: LedgerChannel, sight: Sight): Promise<Channel> {
    const { node, settings, logger } = this.#options;
    const { ledgerChannelId, publicKey } = channel;
    const fault = openingFault(channel, sight, settings);
    if (fault !== undefined) throw refusal(ledgerChannelId, fault);
    const view = { ...viewOf(channel, sight), channelId: this.#handleOf(ledgerChannelId) };
    const { channelId, redeemed } = view;
    const known = node.channel(channelId);
    if (known !== undefined) expectSame(known, channel);
    // Stored before the channel is open: one that claims come for is watched, also after a kill in between.
    await this.#views.add(view);
    if (known === undefined) {
      const terms = { capacity: channel.amount, profile: 'xrpl', expiresAt: endOf(view) } as const;
      await openChannel(node, { channelId, ledgerChannelId, publicKey, committed: redeemed, ...terms });
      logger.info(`ledger: channel ${channelId} (${upperHex(ledgerChannelId)}) opened with ${channel.amount} drops`);
    }
    this.#reconciler.lease(view);
    await this.#reconciler.reconcile(view);
    await this.#views.save();
    this.#tell(view);
    return node.channel(channelId)!;
  }

  /** That of the default, unless the channel is open under another one. */
  #handleOf(ledgerChannelId: Uint8Array): bigint {
    const handle = this.#views.ofLedgerId(ledgerChannelId)?.channelId;
    const known = handle === undefined ? undefined : this.#options.node.channel(handle);
    return known !== undefined && upperHex(known.ledgerChannelId) === upperHex(ledgerChannelId)
      ? known.channelId
      : defaultChannelId(ledgerChannelId);
  }

  #tell(view: LedgerView): void {
    for (const listener of this.#listeners) listener(view);
  }
}
