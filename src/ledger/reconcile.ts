/**
 * Makes a channel of the node follow what the ledger says of it. Main thread.
 *
 * It compares the channel itself with the view, not one view with the next, so that what failed is made good by the next look.
 */
import type { Channel } from '../channel/row.ts';
import type { LedgeredNode } from '../control/ledger-control.ts';
import type { Logger } from '../log.ts';
import { acceptUntil, endOf, type LedgerView } from './view.ts';
import { type LedgerViews, nameOf } from './views.ts';

export interface ReconcilerOptions {
  node: LedgeredNode;
  views: LedgerViews;
  logger: Logger;
}

export class Reconciler {
  readonly #options: ReconcilerOptions;

  constructor(options: ReconcilerOptions) {
    this.#options = options;
  }

  /** Refuses claims that could not be redeemed in time, from now on. Writes nothing. */
  lease(view: LedgerView): void {
    const { node } = this.#options;
    if (node.channel(view.channelId) !== undefined) node.leaseChannel(view.channelId, acceptUntil(view));
  }

  /** Brings the node's channel in line with its view; all of it is durable when it resolves. */
  async reconcile(view: LedgerView): Promise<void> {
    const { node, views, logger } = this.#options;
    const channel = node.channel(view.channelId);
    if (channel === undefined) {
      await views.remove(view);
      return;
    }
    if (channel.state !== 'open') return;
    if (!view.exists) {
      await node.closeChannel(view.channelId);
      logger.warn(`ledger: ${nameOf(view)} is gone from the ledger; closed`);
      return;
    }
    await this.#follow(view, await this.#raise(view, channel));
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

  async #follow(view: LedgerView, { committed, ...channel }: Channel): Promise<void> {
    const { node, logger } = this.#options;
    const { channelId, deposited } = view;
    const expiresAt = endOf(view);
    if (deposited < committed)
      logger.error(
        `ledger: ${nameOf(view)}: expected a deposit of at least the ${committed} drops committed, got ${deposited}; the rest cannot be redeemed until its payer deposits more`,
      );
    const capacity = deposited < committed ? committed : deposited;
    if (capacity === channel.capacity && expiresAt === channel.expiresAt) return;
    await node.updateChannel(channelId, { capacity, expiresAt });
    logger.info(`ledger: ${nameOf(view)} now holds ${deposited} drops and ${expiryText(expiresAt)}`);
  }
}

function expiryText(expiresAt: number): string {
  return expiresAt === 0 ? 'has no end' : `ends at ${new Date(expiresAt * 1_000).toISOString()}`;
}
