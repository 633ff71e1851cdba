/**
 * By how much each channel's committed amount was raised without a claim, since the ledger had paid for one that this node
 * never had. Nobody paid this node for these drops: a service may not spend them, so the meter takes them off what is
 * committed. By ledger channel, as what was spent is. Side tables; main thread.
 */
import { shardOfChannel } from '../../protocol/shard.ts';
import { assert } from '../errors.ts';
import type { SideTables } from './side-tables.ts';

const TABLE = 'ledger-raised';

/**
 * Value of an entry: version byte, then u64 big-endian each. `drops` includes the last raise, `from` and `to` are what counted
 * before and after that one.
 */
const VERSION = 1;
const VALUE_BYTES = 25;
interface Raised {
  drops: bigint;
  from: bigint;
  to: bigint;
}
const NONE: Raised = { drops: 0n, from: 0n, to: 0n };

export class RaisedAmounts {
  readonly #tables: SideTables;
  /** All entries, by ledger channel id in hex: few channels have one. */
  readonly #raised = new Map<string, Raised>();

  constructor(tables: SideTables) {
    this.#tables = tables;
    this.reload();
  }

  /** The tables have got entries of shards, or lost some. */
  reload(): void {
    this.#raised.clear();
    for (const [key, value] of this.#tables.entries(TABLE)) this.#raised.set(hex(key), decode(value));
  }

  get isEmpty(): boolean {
    return this.#raised.size === 0;
  }

  /** Drops of a channel's committed amount that no claim to this node paid. */
  of(ledgerChannelId: Uint8Array): bigint {
    return this.isEmpty ? 0n : (this.#raised.get(hex(ledgerChannelId)) ?? NONE).drops;
  }

  /**
   * Records a raise to `to`. It comes before the raise itself.
   *
   * What was paid to this node, or raised before, is not raised again: what is committed, and what was spent and raised
   * where that is more, since a removed channel's committed amount is forgotten. Nor are claims that came up to the end of
   * the last raise: the ledger had paid as much already, also where the process ended before that raise was made.
   */
  async record(
    { ledgerChannelId, channelId }: { ledgerChannelId: Uint8Array; channelId: bigint },
    { committed, spent, to }: { committed: bigint; spent: bigint; to: bigint },
  ): Promise<void> {
    const last = this.#raised.get(hex(ledgerChannelId)) ?? NONE;
    const from = [last.to, spent + last.drops].reduce((most, each) => (each > most ? each : most), committed);
    if (to <= from) return;
    const raised = { drops: last.drops + to - from, from, to };
    // In force before it is durable, since it only restricts; what failed is recorded by the next try.
    this.#raised.set(hex(ledgerChannelId), raised);
    try {
      const shard = shardOfChannel(channelId);
      await this.#tables.commit([{ table: TABLE, key: ledgerChannelId, value: encode(raised), shard }]);
      // Entries may have been read anew meanwhile.
      this.#raised.set(hex(ledgerChannelId), raised);
    } catch (error) {
      this.#raised.set(hex(ledgerChannelId), last);
      throw error;
    }
  }
}

function encode({ drops, from, to }: Raised): Uint8Array {
  const value = new Uint8Array(VALUE_BYTES);
  const view = new DataView(value.buffer);
  view.setUint8(0, VERSION);
  view.setBigUint64(1, drops);
  view.setBigUint64(9, from);
  view.setBigUint64(17, to);
  return value;
}

function decode(value: Uint8Array): Raised {
  assert(value.length === VALUE_BYTES && value[0] === VERSION, 'a raise is stored in a known form');
  const view = new DataView(value.buffer, value.byteOffset, value.length);
  return { drops: view.getBigUint64(1), from: view.getBigUint64(9), to: view.getBigUint64(17) };
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('hex');
}
