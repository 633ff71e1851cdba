/**
 * Opens channels of the ledger by itself, for --auto-open. Main thread.
 *
 * A claim carries 8 bytes of its channel's id, and the claim path only counts claims of unknown channels. So when that
 * counter has moved, the list of all channels that pay this account is fetched, and those that may be opened are. This
 * costs the path nothing. Whoever sends claims of made-up channels makes the node ask again, ever more rarely.
 */
import { defaultChannelId, upperHex } from '../channel/parse.ts';
import type { LedgeredNode } from '../control/ledger-control.ts';
import { ClaimwireError } from '../errors.ts';
import type { Logger } from '../log.ts';
import type { LedgerChannel } from './ledger-port.ts';
import type { Sight } from './view.ts';

/** Shortest time between two lists. It doubles while they bring nothing new, up to the interval between polls. */
const WAIT_MS_MIN = 5_000;
const LOOK_MS = 1_000;
/** Channels opened from one list; the next list brings more. */
const OPENED_PER_LIST_MAX = 256;
/** Refusals that are remembered, so that each is told once. */
const TOLD_MAX = 10_000;

/** Refusals that say nothing of other channels. */
const OF_ONE_CHANNEL: ReadonlySet<string> = new Set(['LEDGER_REFUSED', 'CHANNEL_EXISTS', 'INPUT_INVALID', 'MOVED']);

export interface AutoOpenerOptions {
  node: LedgeredNode;
  pollSeconds: number;
  logger: Logger;
  /** Whether a channel is watched already, or was removed by its operator: only that one opens it again. */
  isSettled: (ledgerChannelId: Uint8Array) => boolean;
  /** Opens a channel as the ledger has it. Throws LEDGER_REFUSED with the reason where it may not be opened. */
  open: (channel: LedgerChannel, sight: Sight) => Promise<unknown>;
}

export class AutoOpener {
  readonly #options: AutoOpenerOptions;
  readonly #waitMsMax: number;
  /** Reasons that were told, by ledger id. */
  readonly #told = new Map<string, string>();
  #unknown = 0;
  #isWanted = true;
  #waitMs: number;
  #nextLookAt = 0;
  #nextListAt = 0;

  constructor(options: AutoOpenerOptions) {
    this.#options = options;
    this.#waitMsMax = options.pollSeconds * 1_000;
    this.#waitMs = Math.min(WAIT_MS_MIN, this.#waitMsMax);
  }

  /** A transaction touched a channel of this account that is not open. */
  notice(): void {
    this.#isWanted = true;
  }

  /** Whether a new list is wanted: claims of unknown channels came, and enough time has passed. */
  isDue(now: number): boolean {
    if (now >= this.#nextLookAt) {
      this.#nextLookAt = now + LOOK_MS;
      const unknown = unknownClaims(this.#options.node);
      if (unknown !== this.#unknown) this.#isWanted = true;
      this.#unknown = unknown;
    }
    return this.#isWanted && now >= this.#nextListAt;
  }

  /** Opens what may be opened of a list, which has every channel that pays this account. */
  async consider(channels: readonly LedgerChannel[], sight: Sight, now: number): Promise<void> {
    this.#isWanted = false;
    const { node, isSettled } = this.#options;
    const byHandle = new Map<bigint, LedgerChannel[]>();
    for (const channel of channels) {
      const handle = defaultChannelId(channel.ledgerChannelId);
      byHandle.set(handle, [...(byHandle.get(handle) ?? []), channel]);
    }
    let opened = 0;
    for (const [handle, [first, ...others]] of byHandle) {
      // Each of the nodes that share a store gets the whole list.
      if (node.holds?.(handle) === false) continue;
      if (node.channel(handle) !== undefined || isSettled(first!.ledgerChannelId)) continue;
      if (opened >= OPENED_PER_LIST_MAX) {
        this.#isWanted = true;
        break;
      }
      if (others.length > 0) this.#tell(first!, `its handle ${handle} is that of ${others.length} more channels`);
      else {
        const fault = await this.#open(first!, sight);
        if (fault === undefined) opened++;
        // The table or the disk is full, or the node stops: the others would fail the same way, each after a write.
        else if (!OF_ONE_CHANNEL.has(fault.code)) break;
      }
    }
    this.#waitMs = opened > 0 ? Math.min(WAIT_MS_MIN, this.#waitMsMax) : Math.min(this.#waitMs * 2, this.#waitMsMax);
    this.#nextListAt = now + this.#waitMs;
  }

  /** Returns why a channel was not opened; undefined where it was. */
  async #open(channel: LedgerChannel, sight: Sight): Promise<ClaimwireError | undefined> {
    try {
      await this.#options.open(channel, sight);
      return undefined;
    } catch (error) {
      if (!(error instanceof ClaimwireError)) throw error;
      this.#tell(channel, error.message);
      return error;
    }
  }

  #tell({ ledgerChannelId }: LedgerChannel, reason: string): void {
    const id = upperHex(ledgerChannelId);
    if (this.#told.get(id) === reason) return;
    if (this.#told.size >= TOLD_MAX) this.#told.clear();
    this.#told.set(id, reason);
    this.#options.logger.warn(`ledger: channel ${id} is not opened: ${reason}`);
  }
}

function unknownClaims(node: LedgeredNode): number {
  const { refused } = node.stats().counters;
  return typeof refused === 'object' ? (refused.unknownChannel ?? 0) : 0;
}
