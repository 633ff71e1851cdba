/** A redeemer on the rig's ledger, with a node's rows and side tables that outlive its process. Test's thread. */
import type { Channel } from '../../src/channel/row.ts';
import type { NodeControl } from '../../src/control/node-control.ts';
import { Redeemer, type RedeemerOptions } from '../../src/ledger/redeemer.ts';
import type { Logger } from '../../src/log.ts';
import { type ChainConnection, idOf, LedgerRig, signature } from './chain-rig.ts';
import { MemorySideTables } from './memory-side-tables.ts';

const silent: Logger = { info: () => {}, warn: () => {}, error: () => {} };

/** The rows of a node, as its claim path committed them. */
class Rows implements Pick<NodeControl, 'channel' | 'closeChannel'> {
  readonly #rows = new Map<bigint, Channel>();

  set(row: Channel): void {
    this.#rows.set(row.channelId, row);
  }

  /** A claim of so many drops is committed, unless the channel is closed. */
  commit(row: Channel, drops: bigint): void {
    const known = this.#rows.get(row.channelId)!;
    if (known.state === 'open') this.set({ ...known, committed: drops, signature: signature(idOf(row), drops) });
  }

  channel(channelId: bigint): Channel | undefined {
    return this.#rows.get(channelId);
  }

  async closeChannel(channelId: bigint): Promise<Channel> {
    const closed: Channel = { ...this.#rows.get(channelId)!, state: 'closed' };
    this.set(closed);
    return closed;
  }

  [Symbol.iterator](): Iterator<Channel> {
    return this.#rows.values();
  }
}

export class RedeemRig extends LedgerRig {
  readonly rows = new Rows();
  tables = new MemorySideTables();
  connection: ChainConnection = this.connect();

  redeemer(change: Partial<RedeemerOptions> = {}): Redeemer {
    return new Redeemer({
      control: this.rows,
      connection: this.connection,
      tables: this.tables,
      wallet: this.wallet(),
      clock: this.clock,
      logger: silent,
      feeMaxDrops: 1_000n,
      ...change,
    });
  }

  /** A channel on the ledger that the node has opened. */
  async opened(options?: Parameters<LedgerRig['channel']>[0]): Promise<Channel> {
    const row = await this.channel(options);
    this.rows.set(row);
    return row;
  }

  /** The process is killed, and another one starts on what was committed. */
  restart(change: Partial<RedeemerOptions> = {}): Redeemer {
    this.tables = this.tables.kill();
    this.connection = this.connect();
    return this.redeemer(change);
  }
}
