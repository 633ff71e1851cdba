/**
 * Makes a channel of the node follow what the ledger says of it. Main thread.
 *
 * It compares the channel itself with the view, not one view with the next, so that what failed is made good by the next look.
 */
import { upperHex } from '../channel/parse.ts';
import { type Channel, earlier } from '../channel/row.ts';
import type { LedgeredNode } from '../control/ledger-control.ts';
import type { Logger } from '../log.ts';
import { acceptUntil, endOf, type Followed, type LedgerView, limitsOf } from './view.ts';
import { type LedgerViews, nameOf } from './views.ts';

/** Claims are refused from this second on, which has long passed. */
const ALWAYS = 1;

export interface ReconcilerOptions {
  node: LedgeredNode;
  views: LedgerViews;
  logger: Logger;
}

export class Reconciler {
  readonly #options: ReconcilerOptions;
  /** Wrong keys that were told, by ledger id. */
  readonly #told = new Map<string, string>();

  constructor(options: ReconcilerOptions) {
    this.#options = options;
  }

  /** Refuses claims that could not be redeemed in time, from now on, or at all. Writes nothing. */
  lease(view: LedgerView): void {
    const { node } = this.#options;
    const channel = this.#channel(view);
    if (channel !== undefined) node.leaseChannel(view.channelId, hasKeyOf(channel, view) ? acceptUntil(view) : ALWAYS);
  }

  /** Brings the node's channel in line with its view. The channel is durable when it resolves; the views are to be saved. */
  async reconcile(view: LedgerView): Promise<void> {
    const { node, views, logger } = this.#options;
    const channel = this.#channel(view);
    if (channel === undefined) {
      this.#loseHandle(view);
      await views.remove(view);
      return;
    }
    if (channel.state !== 'open') return;
    if (!view.exists) {
      await node.closeChannel(view.channelId);
      logger.warn(`ledger: ${nameOf(view)} is gone from the ledger; closed`);
      return;
    }
    if (!hasKeyOf(channel, view)) {
      this.#tellKey(view, channel);
      return;
    }
    const limits = this.#limits(view, channel);
    const { capacity, expiresAt } = await this.#follow(view, await this.#raise(view, channel), limits);
    const followed = { capacity, expiresAt, ...limits };
    // The view may have been replaced only by its own work, which goes on one at a time.
    if (!isSameFollowed(view.followed, followed)) views.set({ ...view, followed });
  }

  /** The node's channel of a view: a handle may have gone to a channel of another ledger id. */
  #channel({ channelId, ledgerChannelId }: LedgerView): Channel | undefined {
    const channel = this.#options.node.channel(channelId);
    return channel !== undefined && upperHex(channel.ledgerChannelId) === upperHex(ledgerChannelId)
      ? channel
      : undefined;
  }

  #loseHandle(view: LedgerView): void {
    const other = this.#options.node.channel(view.channelId);
    if (other !== undefined)
      this.#options.logger.error(
        `ledger: ${nameOf(view)}: its handle is now that of channel ${upperHex(other.ledgerChannelId)}: it is watched no longer`,
      );
  }

  #tellKey(view: LedgerView, { publicKey }: Channel): void {
    const id = upperHex(view.ledgerChannelId);
    const key = upperHex(publicKey);
    if (this.#told.get(id) === key) return;
    this.#told.set(id, key);
    this.#options.logger.error(
      `ledger: ${nameOf(view)}: expected the key ${view.publicKey} of the ledger, got ${key}: its claims are worth nothing and are refused; remove it and open it from the ledger`,
    );
  }

  /** The operator's limits: what the channel was changed to since it followed last. */
  #limits(view: LedgerView, channel: Channel): Pick<Followed, 'capacityMax' | 'expiresAtMax'> {
    const { followed } = view;
    if (followed === undefined) return {};
    const limits = limitsOf(channel, view);
    const { capacityMax, expiresAtMax } = followed;
    return {
      ...(channel.capacity === followed.capacity ? { capacityMax } : { capacityMax: limits.capacityMax }),
      ...(channel.expiresAt === followed.expiresAt ? { expiresAtMax } : { expiresAtMax: limits.expiresAtMax }),
    };
  }

  /** What the ledger has paid is at least committed, so that no claim of as much, or less, counts as a payment. */
  async #raise(view: LedgerView, channel: Channel): Promise<Channel> {
    const { node, logger } = this.#options;
    const { channelId, redeemed } = view;
    if (redeemed <= channel.committed) return channel;
    logger.error(
      `ledger: ${nameOf(view)}: expected at most the ${channel.committed} drops committed here to be paid out, got ${redeemed}: somebody redeemed a newer claim than this node knows; claims of no more are refused from now on`,
    );
    return node.raiseCommitted(channelId, redeemed);
  }

  async #follow(
    view: LedgerView,
    channel: Channel,
    { capacityMax, expiresAtMax = 0 }: Pick<Followed, 'capacityMax' | 'expiresAtMax'>,
  ): Promise<Pick<Followed, 'capacity' | 'expiresAt'>> {
    const { node, logger } = this.#options;
    const { channelId, deposited } = view;
    const { committed } = channel;
    const expiresAt = earlier(endOf(view), expiresAtMax);
    if (deposited < committed)
      logger.error(
        `ledger: ${nameOf(view)}: expected a deposit of at least the ${committed} drops committed, got ${deposited}; the rest cannot be redeemed until its payer deposits more`,
      );
    let capacity = deposited;
    if (capacityMax !== undefined && capacityMax < capacity) capacity = capacityMax;
    if (capacity < committed) capacity = committed;
    if (capacity === channel.capacity && expiresAt === channel.expiresAt) return { capacity, expiresAt };
    await node.updateChannel(channelId, {
      ...(capacity !== channel.capacity && { capacity }),
      ...(expiresAt !== channel.expiresAt && { expiresAt }),
    });
    logger.info(`ledger: ${nameOf(view)} now holds ${deposited} drops and ${expiryText(expiresAt)}`);
    return { capacity, expiresAt };
  }
}

/** Whether a channel's claims are signed by the key that the ledger pays for. */
function hasKeyOf({ publicKey }: Channel, view: LedgerView): boolean {
  return view.publicKey === undefined || view.publicKey === upperHex(publicKey);
}

function isSameFollowed(before: Followed | undefined, after: Followed): boolean {
  return (
    before?.capacity === after.capacity &&
    before.expiresAt === after.expiresAt &&
    before.capacityMax === after.capacityMax &&
    before.expiresAtMax === after.expiresAtMax
  );
}

function expiryText(expiresAt: number): string {
  return expiresAt === 0 ? 'has no end' : `ends at ${new Date(expiresAt * 1_000).toISOString()}`;
}
