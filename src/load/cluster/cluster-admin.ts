/**
 * The admin interfaces of all nodes of a cluster as one: channels are opened and removed at their holders, and rows and
 * counters are those of all nodes together. Main thread.
 *
 * Shards may move meanwhile. What was refused as MOVED is asked again by a newer map, and rows are read anew until no shard
 * moved between the first node's and the last one's.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { RouteMap } from '../../../protocol/route.ts';
import { SHARDS, shardOf, shardOfChannel } from '../../../protocol/shard.ts';
import { ClaimwireError } from '../../errors.ts';
import type { AdminClient, OpeningJson } from '../../http/client.ts';
import type { CommittedRow, LoadAdmin } from '../node-side.ts';

const PAUSE_MS = 250;
/** A takeover takes two seconds, and a busy machine has more. */
const WHOLE_MS_MAX = 15_000;
const TRIES_MAX = 20;
/** A node that stands still is passed over, as one that is gone. */
const LOOK_MS_MAX = 3_000;

type Stats = Awaited<ReturnType<AdminClient['stats']>>;
type BulkResult = Awaited<ReturnType<AdminClient['importChannels']>>;
type Node = { name: string; admin: AdminClient };

/** A node, its part in the cluster, and its counters. */
interface Look {
  node: Node;
  stats: Stats;
  version: number;
  served: number;
}

export class ClusterAdmin implements LoadAdmin {
  readonly #admins: readonly AdminClient[];
  readonly #map: () => RouteMap;

  /** @param admins of all nodes; @param map the newest one */
  constructor(admins: readonly AdminClient[], map: () => RouteMap) {
    this.#admins = admins;
    this.#map = map;
  }

  async importChannels(
    source: Iterable<OpeningJson>,
    progress: (total: BulkResult, bytes: number) => void,
  ): Promise<BulkResult> {
    const total: BulkResult = {
      opened: 0,
      unchanged: 0,
      refusedCount: 0,
      refused: [],
      stoppedAt: null,
    };
    await this.#atHolders(async ({ name, admin }, holderOf) => {
      const result = await admin.importChannels(own(source, (opening) => holderOf(shardOfOpening(opening)) === name));
      total.opened += result.opened;
      total.unchanged += result.unchanged;
      total.refusedCount += result.refusedCount;
      total.refused.push(...result.refused);
      total.stoppedAt ??= result.stoppedAt;
      progress(total, 0);
    });
    return total;
  }

  async removeChannels(ids: readonly string[]): ReturnType<AdminClient['removeChannels']> {
    const total: Awaited<ReturnType<AdminClient['removeChannels']>> = { removed: 0, refusedCount: 0, refused: [] };
    await this.#atHolders(async ({ name, admin }, holderOf) => {
      const held = ids.filter((id) => holderOf(shardOfChannel(BigInt(id))) === name);
      const result = await admin.removeChannels(held);
      total.removed += result.removed;
      total.refusedCount += result.refusedCount;
      total.refused.push(...result.refused);
    });
    return total;
  }

  /** The rows of all nodes, each from its holder: read until the map was the same before and after. */
  async *channels(): AsyncGenerator<CommittedRow> {
    for (let left = TRIES_MAX; left > 0; left--) {
      const looks = await this.#whole();
      const holderOf = this.#holders();
      const rows: CommittedRow[] = [];
      for (const { node } of looks)
        for await (const { channelId, committed } of node.admin.channels())
          if (holderOf(shardOfChannel(BigInt(channelId))) === node.name) rows.push({ channelId, committed });
      if (isSame(looks, await this.#looks())) return yield* rows;
      await sleep(PAUSE_MS);
    }
    throw new ClaimwireError(
      'NODE_UNREACHABLE',
      'cluster: expected shards to rest for a moment, got one move after the other',
    );
  }

  /** The counters are sums; the rest is the first node's. Throws NODE_UNREACHABLE where one of those that were given is silent. */
  async stats(): Promise<Stats> {
    const all = await Promise.all(this.#admins.map((admin) => admin.stats()));
    const sum = (pick: (counters: Stats['counters']) => unknown) =>
      all.reduce((total, { counters }) => total + (Number(pick(counters)) || 0), 0);
    const socketBuffer = sum(({ dropped }) => typeof dropped === 'object' && dropped.socketBuffer);
    const received = sum((counters) => counters.received);
    const verified = sum((counters) => counters.verified);
    return { ...all[0]!, counters: { received, verified, dropped: { socketBuffer } } };
  }

  /** Has each node do its part, and again by a newer map where one of them did not hold a channel any more. */
  async #atHolders(
    work: (node: Node, holderOf: (shard: number) => string | undefined) => Promise<void>,
  ): Promise<void> {
    for (let left = TRIES_MAX; ; left--) {
      const looks = await this.#whole();
      const holderOf = this.#holders();
      try {
        for (const { node } of looks) await work(node, holderOf);
        return;
      } catch (error) {
        if (!(error instanceof ClaimwireError) || error.code !== 'MOVED' || left === 0) throw error;
      }
      await sleep(PAUSE_MS);
    }
  }

  /** By the newest map: the name of each shard's holder. */
  #holders(): (shard: number) => string | undefined {
    const { holders, nodes } = this.#map();
    return (shard) => nodes[holders[shard]!]?.name;
  }

  /** Resolves once the nodes serve all shards among them, by one map that is known here too. */
  async #whole(): Promise<Look[]> {
    for (const since = performance.now(); ; await sleep(PAUSE_MS)) {
      const looks = await this.#looks();
      const served = looks.reduce((total, look) => total + look.served, 0);
      if (served === SHARDS && looks.every(({ version }) => BigInt(version) === this.#map().version)) return looks;
      if (performance.now() - since < WHOLE_MS_MAX) continue;
      throw new ClaimwireError(
        'NODE_UNREACHABLE',
        `--http: expected the nodes to serve all ${SHARDS} shards, got ${served} at ${looks.length} of ${this.#admins.length} nodes; give the admin interfaces of all nodes of the cluster`,
      );
    }
  }

  /** Of the nodes that answer. Throws where none does, or one is of no cluster. */
  async #looks(): Promise<Look[]> {
    const late = sleep(LOOK_MS_MAX, undefined, { ref: false }).then(() => {
      throw new ClaimwireError('NODE_UNREACHABLE', `--http: expected an answer within ${LOOK_MS_MAX} ms, got none`);
    });
    const answers = await Promise.allSettled(this.#admins.map((admin) => Promise.race([admin.stats(), late])));
    const looks = answers.flatMap((answer, index) => {
      if (answer.status === 'rejected') return [];
      const { cluster } = answer.value as Stats & { cluster?: { node: string; version: number; shardsServed: number } };
      if (cluster === undefined)
        throw new ClaimwireError('INPUT_INVALID', '--http: expected nodes of a cluster, got one that is by itself');
      const node = { name: cluster.node, admin: this.#admins[index]! };
      return [{ node, stats: answer.value, version: cluster.version, served: cluster.shardsServed }];
    });
    const [first] = answers;
    if (looks.length === 0 && first?.status === 'rejected') throw first.reason;
    return looks;
  }
}

function isSame(before: readonly Look[], after: readonly Look[]): boolean {
  const told = (looks: readonly Look[]) =>
    looks.map(({ node, version, served }) => `${node.name} ${version} ${served}`);
  return told(before).join() === told(after).join();
}

function* own(source: Iterable<OpeningJson>, isOwn: (opening: OpeningJson) => boolean): Generator<OpeningJson> {
  for (const opening of source) if (isOwn(opening)) yield opening;
}

/** The handle is the first eight bytes of the ledger channel id. */
function shardOfOpening({ ledgerChannelId }: OpeningJson): number {
  const word = (at: number) => Number.parseInt(ledgerChannelId.slice(at, at + 8), 16);
  return shardOf(word(0), word(8));
}
