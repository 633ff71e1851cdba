/**
 * Takes channels that were opened by hand under watch, under whatever handle, and marks those that their operator removed.
 * It goes through the node's channels at each poll. Main thread, never on the claim path.
 */
import { setImmediate } from 'node:timers/promises';
import { upperHex } from '../channel/parse.ts';
import type { Channel } from '../channel/row.ts';
import type { LedgeredNode } from '../control/ledger-control.ts';
import { ClaimwireError } from '../errors.ts';
import type { Logger } from '../log.ts';
import type { LedgerChannel } from './ledger-port.ts';
import type { LedgerReader } from './reader.ts';
import type { Reconciler } from './reconcile.ts';
import type { LedgerSettings } from './settings.ts';
import { isMoved } from './shard-tables.ts';
import { type LedgerView, limitsOf, openingFault, type Sight, viewOf } from './view.ts';
import { type LedgerViews, nameOf } from './views.ts';

/** Rows that are read before the event loop has its turn: less than 1 ms. */
const TURN_ROWS = 256;
/** Rows of a poll after the first, some 0.3 s of work; the next poll goes on from there. */
const POLL_ROWS_MAX = 131_072;
/** Questions of a poll about channels that the list lacks. */
const QUESTIONS_MAX = 64;
/** Channels that a warning names. */
const NAMED_MAX = 8;
/** What was told and asked is remembered, so that it is done once. */
const REMEMBERED_MAX = 100_000;

export interface AdopterOptions {
  node: LedgeredNode;
  reader: LedgerReader;
  views: LedgerViews;
  reconciler: Reconciler;
  settings: LedgerSettings;
  logger: Logger;
  /** Does work while nothing else changes views. */
  exclusively: <Result>(work: () => Promise<Result>) => Promise<Result>;
  onChange: (view: LedgerView) => void;
}

/** A list of what pays the account, by ledger ids in hex. */
export interface SeenChannels {
  found: ReadonlyMap<string, LedgerChannel>;
  sight: Sight;
}

export class Adopter {
  readonly #options: AdopterOptions;
  #row = 0;
  #isFirst = true;
  /** Channels, by ledger id, that were asked about because the list lacks them. */
  readonly #asked = new Set<string>();
  readonly #told = new Set<string>();

  constructor(options: AdopterOptions) {
    this.#options = options;
  }

  /** Looks through the node's channels. Throws where the ledger is not reached, or the disk is full. */
  async adopt(seen: SeenChannels): Promise<void> {
    const unknown: Channel[] = [];
    let questions = 0;
    try {
      for (let rows = 0; this.#isFirst || rows < POLL_ROWS_MAX; rows += TURN_ROWS) {
        const channels = this.#options.node.channels(this.#row, TURN_ROWS);
        if (channels.length === 0) {
          this.#row = 0;
          this.#isFirst = false;
          break;
        }
        for (const channel of channels) {
          if (channel.profile !== 'xrpl' || channel.throwAway === true || !this.#isNew(channel)) continue;
          // The row stays behind when its shard goes to another node, and reads as removed.
          if (this.#options.node.holds?.(channel.channelId) === false) continue;
          if (channel.state === 'removed') await this.#mark(channel, seen);
          else if (seen.found.has(upperHex(channel.ledgerChannelId))) await this.#consider(channel, seen);
          else if (this.#isToBeAsked(channel) && ++questions <= QUESTIONS_MAX)
            if (!(await this.#ask(channel))) unknown.push(channel);
        }
        this.#row += channels.length;
        await setImmediate();
      }
    } finally {
      this.#tellUnknown(unknown);
    }
  }

  #isNew({ channelId, ledgerChannelId }: Channel): boolean {
    return this.#options.views.ofLedgerId(ledgerChannelId)?.channelId !== channelId;
  }

  #isToBeAsked({ state, ledgerChannelId }: Channel): boolean {
    const { size } = this.#asked;
    return state === 'open' && size < REMEMBERED_MAX && !this.#asked.has(upperHex(ledgerChannelId));
  }

  /** The row of a removed channel may stay for long after it was opened again in another row. */
  async #mark({ channelId, ledgerChannelId }: Channel, { found, sight }: SeenChannels): Promise<void> {
    const { views, node, exclusively } = this.#options;
    if (!found.has(upperHex(ledgerChannelId)) || views.ofLedgerId(ledgerChannelId) !== undefined) return;
    const now = node.channel(channelId);
    if (now !== undefined && upperHex(now.ledgerChannelId) === upperHex(ledgerChannelId)) return;
    await exclusively(() => views.markRemoved({ channelId, ledgerChannelId, seenAt: sight.seenAt }));
  }

  /** Lists lack channels that are older than the list of what pays an account. Returns whether the ledger has the channel. */
  async #ask(channel: Channel): Promise<boolean> {
    const id = upperHex(channel.ledgerChannelId);
    try {
      const { sight, channel: entry } = await this.#options.reader.channel(channel.ledgerChannelId);
      this.#asked.add(id);
      if (entry === undefined) return false;
      await this.#consider(channel, { found: new Map([[id, entry]]), sight });
    } catch (error) {
      if (!(error instanceof ClaimwireError) || error.code !== 'LEDGER_REFUSED') throw error;
      this.#tell('warn', channel, error.message);
    }
    return true;
  }

  async #consider(channel: Channel, { found, sight }: SeenChannels): Promise<void> {
    const { settings, exclusively } = this.#options;
    const entry = found.get(upperHex(channel.ledgerChannelId))!;
    const [key, ledgersKey] = [upperHex(channel.publicKey), upperHex(entry.publicKey)];
    if (entry.destination !== settings.account)
      this.#tell('warn', channel, `expected one that pays ${settings.account}, got one that pays ${entry.destination}`);
    else if (key !== ledgersKey)
      this.#tell(
        'error',
        channel,
        `expected the key ${ledgersKey} of the ledger, got ${key}: its claims are worth nothing; remove it and open it from the ledger`,
      );
    else
      try {
        await exclusively(() => this.#take(channel, entry, sight));
      } catch (error) {
        // Its shard is being given away.
        if (isMoved(error)) return;
        if (!(error instanceof ClaimwireError) || error.code !== 'LEDGER_REFUSED') throw error;
        this.#tell('warn', channel, error.message);
      }
  }

  /** The operator's lower capacity and earlier expiry are limits: nobody asked for more. */
  async #take(channel: Channel, entry: LedgerChannel, sight: Sight): Promise<void> {
    const { node, views, reconciler, settings, logger, onChange } = this.#options;
    const known = node.channel(channel.channelId);
    if (known === undefined || upperHex(known.ledgerChannelId) !== upperHex(channel.ledgerChannelId)) return;
    if (!this.#isNew(channel) || node.holds?.(channel.channelId) === false) return;
    const { channelId, capacity, expiresAt } = known;
    const seen: LedgerView = { ...viewOf(entry, sight), channelId };
    const view = { ...seen, followed: { capacity, expiresAt, ...limitsOf(known, seen) } };
    await views.add(view);
    logger.info(`ledger: ${nameOf(view)} was opened by hand; it is watched from now on`);
    const fault = openingFault(entry, sight, settings);
    if (fault !== undefined) this.#tell('warn', known, `it is open, though ${fault}`);
    reconciler.lease(view);
    await reconciler.reconcile(view);
    await views.save();
    onChange(view);
  }

  #tell(level: 'warn' | 'error', { channelId, ledgerChannelId }: Channel, reason: string): void {
    const message = `ledger: channel ${channelId} (${upperHex(ledgerChannelId)}), which was opened by hand: ${reason}`;
    if (this.#told.has(message)) return;
    if (this.#told.size >= REMEMBERED_MAX) this.#told.clear();
    this.#told.add(message);
    this.#options.logger[level](message);
  }

  #tellUnknown(unknown: readonly Channel[]): void {
    if (unknown.length === 0) return;
    const names = unknown
      .slice(0, NAMED_MAX)
      .map(({ channelId, ledgerChannelId }) => `${channelId} (${upperHex(ledgerChannelId)})`);
    const rest = unknown.length > NAMED_MAX ? ' and others' : '';
    this.#options.logger.warn(
      `ledger: ${unknown.length} channels that were opened by hand are not on the ledger, so that their claims are worth nothing there and they are not watched: ${names.join(', ')}${rest}`,
    );
  }
}
