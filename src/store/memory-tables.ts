/** The tables of the database's twin: what is on stable storage, and the changes that a write makes at once. */
import { SHARDS, shardOfChannel } from '../../protocol/shard.ts';
import { ROW } from '../channel/row.ts';
import type { SideChange } from '../registry/side-tables.ts';
import type { Member, Shard, StoredGroup } from './claim-database.ts';
import { RowLocks } from './row-locks.ts';

/** A row of `nodes`. */
export interface NodeRow extends Member {
  holding: number;
  isMember: boolean;
  /** The last takeover or handover of it, so that one whose answer was lost is known again. */
  change?: symbol;
}

interface SideEntry {
  table: string;
  key: Uint8Array;
  value: Uint8Array;
}

export class MemoryTables {
  /** Whether a synchronous standby is configured. */
  isReplicated = true;
  version = 0;
  readonly locks = new RowLocks();
  readonly nodes = new Map<string, NodeRow>();
  readonly shards: Shard[] = Array.from({ length: SHARDS }, (_, shard) => ({
    shard,
    node: undefined,
    epoch: 0,
    source: undefined,
  }));
  /** By shard, then by channel. */
  readonly #channels: Map<bigint, Uint8Array>[] = Array.from({ length: SHARDS }, () => new Map());
  /** By node, then by epoch, lane and group. */
  readonly #groups = new Map<string, Map<string, StoredGroup>>();
  /** By node, then by table and key. */
  readonly #sides = new Map<string, Map<string, SideEntry>>();

  enter(name: string): NodeRow {
    const node = this.nodes.get(name) ?? {
      node: name,
      epoch: 0,
      beats: 0,
      places: [],
      leaving: false,
      holding: 0,
      isMember: false,
    };
    node.epoch++;
    node.isMember = true;
    this.nodes.set(name, node);
    for (const shard of this.shards) if (shard.node === undefined) this.#give(shard, name);
    this.version++;
    return node;
  }

  beat(node: NodeRow, places: readonly string[], leaving: boolean): void {
    const isNew = !node.isMember || node.leaving !== leaving || node.places.join('\n') !== places.join('\n');
    node.beats++;
    node.places = places;
    node.leaving = leaving;
    node.isMember = true;
    if (isNew) this.version++;
  }

  leave(node: NodeRow): void {
    node.isMember = false;
    this.version++;
  }

  members(): Member[] {
    return [...this.nodes.values()]
      .filter(({ isMember }) => isMember)
      .sort((left, right) => (left.node < right.node ? -1 : 1))
      .map(({ node, epoch, beats, places, leaving }) => ({ node, epoch, beats, places, leaving }));
  }

  shardsOf(node: string): Shard[] {
    return this.shards.filter((shard) => shard.node === node);
  }

  takeOver(dead: string, to: ReadonlyMap<number, string>): void {
    const node = this.nodes.get(dead)!;
    node.epoch++;
    node.isMember = false;
    for (const shard of this.shardsOf(dead)) {
      this.#give(shard, to.get(shard.shard)!);
      shard.source ??= dead;
    }
    this.version++;
  }

  handOver(shards: readonly number[], from: string, to: string): void {
    this.nodes.get(from)!.holding += shards.length;
    for (const shard of shards) this.#give(this.shards[shard]!, to);
    this.version++;
  }

  fold(shards: readonly number[], holder: string): void {
    const folded = shards.filter((shard) => this.shards[shard]?.node === holder && this.shards[shard]?.source);
    for (const shard of folded) this.shards[shard]!.source = undefined;
    if (folded.length > 0) this.version++;
  }

  putChannel(row: Uint8Array): void {
    const channelId = new DataView(row.buffer, row.byteOffset).getBigUint64(ROW.channelId, true);
    this.#channels[shardOfChannel(channelId)]!.set(channelId, row);
  }

  channelsOf(shards: readonly number[]): Uint8Array[] {
    return shards.flatMap((shard) => [...(this.#channels[shard]?.values() ?? [])]);
  }

  putGroup(group: StoredGroup): void {
    const groups = this.#groups.get(group.node) ?? new Map<string, StoredGroup>();
    groups.set(`${group.epoch} ${group.lane} ${group.group}`, group);
    this.#groups.set(group.node, groups);
  }

  groupsOf(node: string): StoredGroup[] {
    const groups = [...(this.#groups.get(node)?.values() ?? [])];
    return groups.sort((left, right) => left.epoch - right.epoch || left.lane - right.lane || left.group - right.group);
  }

  /** Whether there are groups of another node or epoch than these. */
  hasGroupsBeside(node: string, epoch: number): boolean {
    return [...this.#groups].some(([name, groups]) =>
      [...groups.values()].some((group) => name !== node || group.epoch !== epoch),
    );
  }

  dropGroups(node: string, isFolded: (group: StoredGroup) => boolean): void {
    for (const [key, group] of this.#groups.get(node) ?? []) if (isFolded(group)) this.#groups.get(node)!.delete(key);
  }

  putSides(node: string, changes: readonly SideChange[]): void {
    const entries = this.#sides.get(node) ?? new Map<string, SideEntry>();
    for (const { table, key, value } of changes) {
      const place = `${table} ${Buffer.from(key).toString('hex')}`;
      if (value === undefined) entries.delete(place);
      else entries.set(place, { table, key, value });
    }
    this.#sides.set(node, entries);
  }

  sidesOf(node: string): SideEntry[] {
    return [...(this.#sides.get(node) ?? [])]
      .sort(([left], [right]) => (left < right ? -1 : 1))
      .map(([, entry]) => entry);
  }

  #give(shard: Shard, node: string): void {
    shard.node = node;
    shard.epoch++;
  }
}
