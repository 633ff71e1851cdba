/**
 * Three nodes in processes of their own on one PostgreSQL with two standbys, payers, and what the payers were told. All on
 * loopback. What nodes and database have is compared with the payers' records after each round.
 */
import { mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { claimBytes, decodeClaim } from '../../../protocol/claim.ts';
import { xrplDigest } from '../../../protocol/digest.ts';
import { SHARDS, shardOfChannel } from '../../../protocol/shard.ts';
import type { RowJson } from '../../../src/http/ledger.ts';
import { RECORD_BYTES } from '../../../src/journal/record.ts';
import { isValid } from '../curve.ts';
import { PostgresServers } from '../postgres/servers.ts';
import { USER } from '../postgres/template.ts';
import { Watchdog } from '../watchdog.ts';
import { openingJson, openingOf } from '../wire.ts';
import { ClusterNode } from './cluster-node.ts';
import { LibraryPayer } from './library-payer.ts';
import { RawPayer } from './raw-payer.ts';
import { CAPACITY, Records } from './records.ts';

const SERVERS = ['primary', 's1', 's2'];
const NODES = ['a', 'b', 'c'];
const START_MS_MAX = 30_000;
/** Once faults have ended: a start, a fence, a takeover and loading, on a busy machine. */
const HEALED_MS_MAX = 40_000;
/** What takes longer is written down: nothing is wrong by then. */
const SLOW_MS = 1_500;

export interface ClusterSizes {
  /** Channels of each of the two library payers, and of the raw one. */
  libraryChannels: number;
  rawChannels: number;
}

export class RealCluster {
  readonly records = new Records();
  readonly servers: PostgresServers;
  readonly nodes: ClusterNode[] = [];
  readonly lines: string[] = [];
  readonly folder: string;
  library: LibraryPayer[] = [];
  raw!: RawPayer;
  channels: bigint[] = [];
  readonly #quiet = new Set<bigint>();
  readonly #watchdog: Watchdog;

  private constructor(servers: PostgresServers, folder: string) {
    this.servers = servers;
    this.folder = folder;
    this.#watchdog = new Watchdog(folder);
  }

  static async start({ libraryChannels, rawChannels }: ClusterSizes): Promise<RealCluster> {
    // Processes are killed here, and no machine: what they wrote is in the system's memory still.
    const servers = await PostgresServers.start({ standbys: ['s1', 's2'], fsync: false });
    const self = new RealCluster(servers, realpathSync(mkdtempSync(join(tmpdir(), 'claimwire-jepsen-'))));
    try {
      // What an operator's settings must not change: each session of a node waits for a standby of its own accord.
      await servers.primary.query(`alter role ${USER} set synchronous_commit = local`);
      for (const name of NODES)
        self.nodes.push(await ClusterNode.make(name, servers, SERVERS, self.folder, (line) => self.log(line)));
      const count = 2 * libraryChannels + rawChannels;
      self.channels = Array.from({ length: count }, (_, index) => BigInt(index + 1));
      for (const channelId of self.channels) self.records.add(channelId);
      // Whoever is alone holds all shards.
      const [first, ...others] = self.nodes;
      first!.start();
      await until(() => first!.isReady, 'the first node to start', START_MS_MAX);
      await first!.admin.openChannels(self.channels.map((id) => openingJson(id, { capacity: CAPACITY })));
      for (const node of others) node.start();
      await until(() => self.nodes.every(({ isReady }) => isReady), 'the nodes to start', START_MS_MAX);
      const seeds = `udp://${self.nodes.map(({ port }) => `127.0.0.1:${port}`).join(',')}`;
      for (const index of [0, 1]) {
        const own = self.channels.slice(index * libraryChannels, (index + 1) * libraryChannels);
        self.library.push(await LibraryPayer.start(self.records, seeds, own));
      }
      self.raw = await RawPayer.start(self.records, self.nodes, self.channels.slice(2 * libraryChannels));
      return self;
    } catch (error) {
      await self.close();
      throw error;
    }
  }

  log(line: string): void {
    this.lines.push(`${(performance.now() / 1_000).toFixed(3)} ${line}`);
  }

  setQuiet(channels: Iterable<bigint>, isQuiet: boolean): void {
    for (const channelId of channels) {
      if (isQuiet) this.#quiet.add(channelId);
      else this.#quiet.delete(channelId);
      for (const payer of [...this.library, this.raw]) payer.setQuiet(channelId, isQuiet);
    }
  }
  isAsking(channelId: bigint): boolean {
    return !this.#quiet.has(channelId);
  }

  /** Writes down who waits for whom, for the logs of a round that failed. */
  async describe(): Promise<void> {
    const sql = `select pid, application_name, state, wait_event_type, wait_event, pg_blocking_pids(pid)::text as blocked_by,
      round(extract(epoch from now() - state_change)::numeric, 2)::text as seconds, left(query, 160) as query
      from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid()`;
    const tell = (what: string) => (told: unknown) => this.log(`${what}: ${JSON.stringify(told)}`);
    const failed = (error: Error) => this.log(error.message);
    for (const row of await this.servers.primary.query(sql).catch(() => [])) tell('connection')(row);
    for (const payer of this.library) tell('payer')(payer.stats());
    const shards = `select node, source, count(*) from shards group by 1, 2`;
    await this.servers.primary.query(shards).then(tell('shards'), failed);
    for (const node of this.nodes)
      if (node.isReady)
        await node.admin.stats().then((stats) => tell(node.name)((stats as { cluster?: object }).cluster), failed);
  }

  /** The holder of each channel, by the database. @param hasFolded left out are those that it has yet to read a dead node's claims of */
  async holders({ hasFolded = false } = {}): Promise<Map<bigint, string>> {
    const rows = await this.servers.primary.query('select shard, node, source from shards order by shard');
    const byShard = new Array<string>(SHARDS);
    for (const { shard, node, source } of rows)
      byShard[Number(shard)] = hasFolded && source !== null ? '' : String(node);
    return new Map(this.channels.map((channelId) => [channelId, byShard[shardOfChannel(channelId)]!]));
  }

  async epochOf(name: string): Promise<number> {
    const [row] = await this.servers.primary.query('select epoch from nodes where node = $1', [name]);
    return Number(row!.epoch);
  }

  get standbys(): string[] {
    return SERVERS.filter((name) => name !== this.servers.primary.name);
  }

  /** Kills the primary and makes the standby the primary that has received more; the rest follow that one. Dead standbys start. */
  async failOver(): Promise<void> {
    const old = this.servers.primary;
    const { standbys: all } = this;
    await old.kill();
    // What is on its way to a standby arrives there.
    await sleep(100);
    await Promise.all(all.map((name) => this.servers.server(name)).map((server) => server.isRunning || server.start()));
    const received: [string, bigint][] = [];
    for (const name of all) received.push([name, await this.servers.server(name).receivedBytes()]);
    received.sort(([, left], [, right]) => (left < right ? 1 : -1));
    const [[best], ...others] = received as [[string, bigint], ...[string, bigint][]];
    this.log(`primary ${old.name} is dead; ${received.map(([name, lsn]) => `${name} has ${lsn}`).join(', ')}`);
    const standbys = [...others.map(([name]) => name), old.name].join(', ');
    await this.servers.promote(best, `ANY 1 (${standbys})`);
    for (const [name] of others) {
      this.servers.server(name).follow(this.servers.primary);
      this.servers.server(name).reload();
    }
    this.log(`${best} is the primary`);
  }

  /** All servers that are no primary follow it, from a fresh copy where they are dead. */
  async rebuild(dead: string): Promise<void> {
    await this.servers.rejoin(dead);
    for (const name of SERVERS) if (name !== this.servers.primary.name) await this.servers.streaming(name);
    this.log(`${dead} follows ${this.servers.primary.name}`);
  }

  /** Ends all faults of nodes: those that are dead are started. */
  mend(): void {
    for (const node of this.nodes) {
      node.join();
      node.resume();
      node.start();
    }
  }

  /** Resolves once all nodes run. */
  async isWhole(): Promise<void> {
    const isUp = () => this.nodes.every(({ isReady }) => isReady);
    await until(isUp, 'nodes', HEALED_MS_MAX).catch(() => this.#fails(`nodes that do not start: ${this.#notReady()}`));
  }

  /** Resolves once each channel is held and has been read there; then compares. */
  async check(): Promise<void> {
    const told = this.records.copy();
    const rows = new Map<bigint, RowJson>();
    for (const since = performance.now(); rows.size < this.channels.length; await sleep(30)) {
      if (performance.now() - since > HEALED_MS_MAX) {
        const missing = this.channels.filter((id) => !rows.has(id));
        return this.#fails(`channels without a holder that has them: ${missing.join(', ')}`);
      }
      await this.#readHeld(rows).catch((error: Error) => this.log(`reading channels: ${error.message}`));
    }
    const committed = new Map([...rows].map(([id, row]) => [id, BigInt(row.committed)]));
    this.records.check(told, committed, 'the holder');
    for (const [id, row] of rows)
      if (BigInt(row.committed) > 0n && !isSigned(id, row))
        this.#fails(`channel ${id}: no valid signature of ${row.committed}`);
    const again = this.records.copy();
    this.records.check(again, await this.#stored(), 'the database');
  }

  /** Resolves once every channel is acknowledged a claim begun from now on. */
  async served(): Promise<number> {
    const since = performance.now();
    const waiting = new Set(this.channels);
    let isSlow = false;
    for (; waiting.size > 0; await sleep(20)) {
      for (const { channelId, askedAt } of this.records.told) if (askedAt >= since) waiting.delete(channelId);
      if (performance.now() - since > SLOW_MS && !isSlow && waiting.size > 0) {
        isSlow = true;
        this.log(`not served within ${SLOW_MS} ms: channels ${[...waiting].join(', ')}`);
        for (const payer of this.library) this.log(`payer: ${JSON.stringify(payer.stats())}`);
      }
      if (performance.now() - since > HEALED_MS_MAX) {
        const stats = JSON.stringify(this.library.map((payer) => payer.stats()));
        this.#fails(`channels that are not served: ${[...waiting].join(', ')}; payers ${stats}`);
        break;
      }
    }
    return performance.now() - since;
  }

  async close(): Promise<void> {
    this.raw?.close();
    await Promise.all(this.library.map((payer) => payer.close()));
    await Promise.all(this.nodes.map((node) => node.close()));
    await this.servers.close();
    this.#watchdog.done();
  }

  removeFolder(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }

  /** Reads the rows of channels that had one holder, who has them, from before the reading until after it. */
  async #readHeld(rows: Map<bigint, RowJson>): Promise<void> {
    const before = await this.holders({ hasFolded: true });
    const lists = new Map<string, Map<bigint, RowJson>>();
    // One that was fenced is on its way down, or up again: what it held is held by the others.
    for (const node of this.nodes.filter(({ isReady }) => isReady)) {
      const list = new Map<bigint, RowJson>();
      try {
        for await (const row of node.admin.channels()) list.set(BigInt(row.channelId), row);
        lists.set(node.name, list);
      } catch (error) {
        this.log(`channels of ${node.run}: ${(error as Error).message}`);
      }
    }
    const after = await this.holders();
    for (const [id, holder] of before) {
      const row = lists.get(holder)?.get(id);
      if (after.get(id) === holder && row !== undefined && !rows.has(id)) rows.set(id, row);
    }
  }

  /** What the database alone has of each channel. */
  async #stored(): Promise<Map<bigint, bigint>> {
    const { primary } = this.servers;
    // One statement, so that what a checkpoint moves is seen in one of its places.
    const sql = `select channel_id::text as id, committed::text as amount, null::bytea as records from channels
      union all select null, null, records from claim_groups`;
    const stored = new Map<bigint, bigint>();
    const raise = (id: bigint, amount: bigint) => {
      if (amount > (stored.get(id) ?? -1n)) stored.set(id, amount);
    };
    for (const { id, amount, records } of await primary.query(sql)) {
      if (id !== null) raise(BigInt(String(id)), BigInt(String(amount)));
      const bytes = (records ?? Buffer.alloc(0)) as Buffer;
      const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
      for (let offset = 0; offset < bytes.length; offset += RECORD_BYTES) {
        const claim = decodeClaim(view, offset);
        raise(claim.channelId, claim.amount);
      }
    }
    return stored;
  }

  #fails(text: string): void {
    this.records.violations.push(text);
  }

  #notReady(): string {
    return this.nodes.flatMap(({ isReady, run }) => (isReady ? [] : [run])).join(', ');
  }
}

function isSigned(channelId: bigint, { committed, signature }: RowJson): boolean {
  const { ledgerChannelId, publicKey } = openingOf(channelId);
  const bytes = new Uint8Array(Buffer.from(String(signature), 'hex'));
  if (bytes.length !== 64) return false;
  const claim = claimBytes({ channelId, sequence: 0, amount: BigInt(committed), signature: bytes, timestamp: 0 });
  return isValid({ digest: xrplDigest(ledgerChannelId, claim), signature: bytes, key: publicKey });
}

export async function until(isSo: () => boolean | Promise<boolean>, what: string, ms: number): Promise<void> {
  for (const since = performance.now(); !(await isSo()); await sleep(20))
    if (performance.now() - since > ms) throw new Error(`expected ${what} within ${ms} ms, got another state`);
}
