/**
 * Leases: until when a channel's claims are accepted without fresh news of it, where that is before its own expiry. Main thread.
 *
 * Only the table's expiry word, which the claim path reads anyway, has the earlier of the two. The channel's own expiry is
 * kept here, and is what the registry and every reader get: a lease is never stored, and extending it writes nothing to disk.
 */
import { type Channel, earlier } from '../channel/row.ts';
import type { ChannelTable, RowChange } from '../channel/table.ts';

interface Lease {
  /** Unix seconds. */
  until: number;
  /** The channel's own expiry: Unix seconds, 0 = never. */
  expiresAt: number;
}

export class Leases {
  readonly #table: ChannelTable;
  /** By row. */
  readonly #leases = new Map<number, Lease>();
  /** Rows of open channels that take no claims for now, since their shard moves. */
  readonly #suspended = new Set<number>();

  constructor(table: ChannelTable) {
    this.#table = table;
  }

  /** The row as `ChannelTable.read` has it, with the channel's own expiry. */
  read(row: number): Channel {
    const channel = this.#table.read(row);
    const lease = this.#leases.get(row);
    if (lease !== undefined) channel.expiresAt = lease.expiresAt;
    if (this.#suspended.has(row)) channel.state = 'open';
    return channel;
  }

  /** As `ChannelTable.change`; an expiry in it is the channel's own. */
  change(row: number, change: RowChange): void {
    if (change.open === false) this.#suspended.delete(row);
    const lease = this.#leases.get(row);
    if (lease === undefined || change.expiresAt === undefined) {
      this.#table.change(row, change);
      return;
    }
    lease.expiresAt = change.expiresAt;
    this.#table.change(row, { ...change, expiresAt: earlier(change.expiresAt, lease.until) });
  }

  /** Forgets the lease of a row whose channel is removed: who opens it again begins without one. */
  drop(row: number): void {
    this.#leases.delete(row);
  }

  /** The row takes no claims for now. An open channel stays open for the registry and every reader; so does a row just loaded as closed. */
  suspend(row: number): void {
    this.#table.change(row, { open: false });
    this.#suspended.add(row);
  }
  /** Takes claims again, if its channel is open. */
  resume(row: number): void {
    if (this.#suspended.delete(row)) this.#table.change(row, { open: true });
  }

  /** Sets when the row's lease ends, Unix seconds; 0 takes the lease away. In force when it returns. */
  set(row: number, until: number): void {
    const { expiresAt } = this.read(row);
    if (until === 0) this.#leases.delete(row);
    else this.#leases.set(row, { until, expiresAt });
    this.#table.change(row, { expiresAt: earlier(expiresAt, until) });
  }
}
