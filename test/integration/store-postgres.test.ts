/** The shared database on a real PostgreSQL with a synchronous standby: the contract, and what only a server has. */

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { packedRows } from '../../src/channel/row.ts';
import { RECORD_BYTES } from '../../src/journal/record.ts';
import { encodeSpent, SPENT_TABLE } from '../../src/meter/charge-record.ts';
import { SHARDS } from '../../src/store/claim-database.ts';
import { PostgresDatabase, type PostgresOptions } from '../../src/store/postgres/database.ts';
import * as changes from '../../src/store/postgres/shard-statements.ts';
import { StoreCounts } from '../../src/store/store-figures.ts';
import type { StoreFacts } from '../../tools/doctor/machine.ts';
import { storeFacts } from '../../tools/doctor/real-store.ts';
import { claimDatabaseContract } from '../support/claim-database/contract.ts';
import type { DatabaseRig, Hold } from '../support/claim-database/rig.ts';
import { CuttingProxy } from '../support/cutting-proxy.ts';
import { brieflyOrAtLength } from '../support/length.ts';
import { openRow } from '../support/open-channel.ts';
import { hasPostgres } from '../support/postgres/programs.ts';
import { PostgresServers } from '../support/postgres/servers.ts';
import { random } from '../support/random.ts';

const QUIET = { info: () => {}, warn: () => {}, error: () => {} };
const ONE = new Uint8Array(RECORD_BYTES).fill(1);

describe.skipIf(!hasPostgres())('PostgreSQL', () => {
  let servers: PostgresServers;
  const opened: PostgresDatabase[] = [];

  /** Closed after the test. */
  async function open(options: PostgresOptions = {}, url = servers.url): Promise<PostgresDatabase> {
    const database = await PostgresDatabase.open(url, { logger: QUIET, ...options });
    opened.push(database);
    return database;
  }

  beforeAll(async () => {
    // Processes are killed here, and no machine: what they wrote is in the system's memory still.
    servers = await PostgresServers.start({ standbys: ['s1'], fsync: false });
  });
  afterAll(async () => {
    await servers?.close();
  });
  beforeEach(async () => {
    await Promise.all(opened.splice(0).map((database) => database.close()));
    await empty(servers);
  });

  claimDatabaseContract(
    'the contract',
    async (): Promise<DatabaseRig> => ({ open: () => open(), hold: () => hold(servers), close: async () => {} }),
  );

  describe('an append that was not confirmed', () => {
    test('is made again where its connection was cut, at whichever byte, and is stored once', async () => {
      const { below } = random(15);
      const proxy = await CuttingProxy.start(() => servers.primary.port);
      const counts = new StoreCounts();
      const database = await open({ counts }, servers.urlOf(proxy.place));
      const fence = await database.enter('a');
      const rounds = brieflyOrAtLength(25, 1_000);
      const size = (group: number) => (group % 5 === 0 ? 400 : 1);
      for (let group = 1; group <= rounds; group++) {
        const bytes = size(group) * RECORD_BYTES;
        // The statement is some 200 bytes beside its records, its answer 40.
        proxy.cutAfter(below(bytes + 240));
        await database.append(fence, 0, group, new Uint8Array(bytes).fill(group));
      }
      proxy.cutAfter(Number.POSITIVE_INFINITY);
      let next = 1;
      await database.readGroups('a', ({ group, records }) => {
        expect(group).toBe(next);
        expect(records.length).toBe(size(group) * RECORD_BYTES);
        expect(records.every((byte) => byte === (group & 0xff))).toBe(true);
        next += 1;
      });
      expect(next).toBe(rounds + 1);
      expect(proxy.cuts).toBeGreaterThan(rounds / 2);
      // Each cut is counted: of a call that was under way, or of a connection that was being made.
      const { unknown, ...others } = counts.retries;
      expect(unknown).toBeGreaterThan(rounds / 2);
      expect(unknown).toBeLessThanOrEqual(proxy.cuts);
      expect(counts.reconnects).toBe(unknown);
      expect(others).toEqual({ refused: 0, unconfirmed: 0 });
      await database.close();
      await proxy.close();
    });

    test('nor is any other write done twice, or told wrong, when its connection is cut', async () => {
      const { below } = random(16);
      const proxy = await CuttingProxy.start(() => servers.primary.port);
      const database = await open({}, servers.urlOf(proxy.place));
      const other = await open();
      let a = await database.enter('a');
      await other.enter('b');
      const rounds = brieflyOrAtLength(8, 200);
      for (let round = 1; round <= rounds; round++) {
        proxy.cutAfter(below(1_700));
        a = await database.handOver(a, [round], 'b');
        proxy.cutAfter(below(2_200));
        await database.replaceChannels(a, packedRows([openRow(BigInt(round))]));
        proxy.cutAfter(below(900));
        await database.commitSides(a, [{ table: 't', key: Uint8Array.of(round), value: Uint8Array.of(1) }]);
        const dead = await other.enter('dead');
        proxy.cutAfter(below(2_000));
        expect(await database.takeOver(a, dead, new Map())).toBe(true);
        proxy.cutAfter(below(400));
        await database.beat(a, [`udp://h:${round}`], false);
      }
      proxy.cutAfter(Number.POSITIVE_INFINITY);
      expect(a).toEqual({ node: 'a', epoch: 1, holding: rounds });
      const { shards } = await other.state();
      expect(shards.filter(({ node }) => node === 'b')).toHaveLength(rounds);
      expect(shards.every(({ epoch }) => epoch <= 2)).toBe(true);
      expect(await other.countChannels(shards.map(({ shard }) => shard))).toBe(rounds);
      expect(await other.readSides('a', () => {})).toBe(rounds);
      expect(await other.enter('dead')).toMatchObject({ epoch: 2 * rounds + 1 });
      expect(proxy.cuts).toBeGreaterThan(rounds);
      await database.close();
      await proxy.close();
    });

    test('gives a shard once, though it has come back when the statement is made again', async () => {
      const database = await open();
      const [a, b] = [await database.enter('a'), await database.enter('b')];
      const handOver = changes.handOver(a, [1, 2], 'b', 'key').join(';');
      const holder = async () => (await database.state()).shards.slice(1, 3).map(({ node }) => node);
      await servers.primary.query(handOver);
      expect(await holder()).toEqual(['b', 'b']);
      await database.handOver(b, [1], 'a');
      await servers.primary.query(handOver);
      expect(await holder()).toEqual(['a', 'b']);
      expect(await servers.primary.query(`select holding, change from nodes where node = 'a'`)).toMatchObject([
        { holding: '2', change: 'key' },
      ]);
    });

    test('waits for the standby, however often it is made again, and leaves no connections behind', async () => {
      const database = await open({ statementMs: 150, connectMs: 500 });
      const fence = await database.enter('a');
      const standby = { name: 's1', isSynchronous: true, lagBytes: expect.any(Number), lagSeconds: expect.any(Number) };
      // A user without the right sees that somebody follows, and nothing of who.
      expect(await database.replication()).toEqual({ names: 'ANY 1 (s1)', standbys: null });
      await servers.primary.query('grant pg_monitor to claimwire');
      expect(await database.replication()).toEqual({ names: 'ANY 1 (s1)', standbys: [standby] });
      await servers.primary.query('revoke pg_monitor from claimwire');
      await servers.server('s1').kill();
      const append = settled(database.append(fence, 0, 1, ONE));
      await sleep(700);
      const clients = "select 1 from pg_stat_activity where application_name like 'claimwire-%'";
      // It is told while every commit waits, by a connection of its own.
      expect(await database.replication()).toEqual({ names: 'ANY 1 (s1)', standbys: [] });
      expect((await servers.primary.query(clients)).length).toBeLessThanOrEqual(3);
      expect(append.isSettled).toBe(false);
      await servers.server('s1').start();
      await append.promise;
      expect(await database.readGroups('a', () => {})).toBe(1);
    });

    test('is waited for by whoever takes its node over: a group that came later would be read by nobody', async () => {
      const [one, two] = [await open(), await open()];
      const [a, b] = [await one.enter('a'), await two.enter('b')];
      const held = hold(servers);
      const append = settled(one.append(a, 0, 1, ONE));
      await held.waiting();
      const toB = new Map(Array.from({ length: SHARDS }, (_, shard) => [shard, 'b']));
      const taken = two.takeOver(b, a, toB);
      const locks =
        "select 1 from pg_stat_activity where wait_event_type = 'Lock' and application_name like 'claimwire-%'";
      await expect.poll(() => servers.primary.query(locks), { timeout: 5_000 }).toHaveLength(1);
      await held.release();
      await append.promise;
      expect(await taken).toBe(true);
    });

    // The defaults of the user's sessions would hide the warning, and wait for no standby.
    test.each(['pg_cancel_backend', 'pg_terminate_backend'])(
      'is not acknowledged by the warning after %s',
      async (end) => {
        await servers.primary.query('alter role claimwire set client_min_messages = error');
        await servers.primary.query('alter role claimwire set synchronous_commit = local');
        const counts = new StoreCounts();
        const database = await open({ counts });
        const fence = await database.enter('a');
        const held = hold(servers);
        const append = settled(database.append(fence, 0, 1, ONE));
        for (let round = 0; round < 2; round++) {
          await held.waiting();
          const [before] = await waiting(servers);
          await servers.primary.query(`select ${end}($1)`, [before!.pid]);
          while ((await waiting(servers)).every((now) => now.pid === before!.pid && now.since === before!.since))
            await sleep(5);
          expect(append.isSettled).toBe(false);
        }
        await held.release();
        await append.promise;
        expect(await database.readGroups('a', () => {})).toBe(1);
        const told = end === 'pg_cancel_backend' ? 'unconfirmed' : 'unknown';
        expect(counts.retries).toMatchObject({ [told]: 2 });
      },
    );
  });

  describe('a server without a synchronous standby', () => {
    test('is refused, also when the setting changes while a handle is open, unless one server is said to be enough', async () => {
      const database = await open();
      const fence = await database.enter('a');
      await servers.setSynchronous('');
      const refused = { code: 'STORE_UNREPLICATED', message: expect.stringContaining('synchronous_standby_names') };
      await expect(database.append(fence, 0, 1, ONE)).rejects.toMatchObject(refused);
      await expect(database.enter('b')).rejects.toMatchObject(refused);
      await expect(open()).rejects.toMatchObject(refused);
      const alone = await open({ mayBeUnreplicated: true });
      await alone.append(fence, 0, 2, ONE);
      await servers.setSynchronous('ANY 1 (s1)');
      await database.append(fence, 0, 3, ONE);
      const groups: number[] = [];
      await database.readGroups('a', ({ group }) => groups.push(group));
      expect(groups).toEqual([2, 3]);
    });
  });

  describe('a first connection', () => {
    test('passes over hosts that are not there, and standbys', async () => {
      const [dead, standby, primary] = [1, servers.server('s1').port, servers.primary.port];
      const database = await open({}, servers.urlOf(...[dead, standby, primary].map((port) => `127.0.0.1:${port}`)));
      expect(await database.enter('a')).toMatchObject({ epoch: 1 });
    });

    test('is what `claimwire doctor` makes: it tells each host, the standbys, and how long a commit takes', async () => {
      const [dead, standby, primary] = [1, servers.server('s1').port, servers.primary.port];
      const url = servers.urlOf(...[dead, standby, primary].map((port) => `127.0.0.1:${port}`));
      await servers.primary.query('grant pg_monitor to claimwire');
      const facts = (await storeFacts({ url, passwordFile: undefined }, 5)) as StoreFacts;
      expect(facts.hosts.map(({ host, state }) => [host, state])).toEqual([
        ['127.0.0.1:1', 'unreachable'],
        [`127.0.0.1:${standby}`, 'standby'],
        [`127.0.0.1:${primary}`, 'primary'],
      ]);
      expect(facts.primary).toMatchObject({ isPostgres: true, names: 'ANY 1 (s1)', synchronous: 1, other: 0 });
      expect(facts.primary!.commitMs).toHaveLength(5);
      await servers.primary.query('revoke pg_monitor from claimwire');
      const left = "select 1 from pg_class where relname like 'claimwire_doctor_%'";
      expect(await servers.primary.query(left)).toEqual([]);
    });

    test('says what it found when no host is a primary in time', async () => {
      const places = ['127.0.0.1:1', `127.0.0.1:${servers.server('s1').port}`];
      await expect(open({ waitMs: 50 }, servers.urlOf(...places))).rejects.toMatchObject({
        code: 'STORE_UNREACHABLE',
        message: expect.stringMatching(/127\.0\.0\.1:1: .*ECONNREFUSED.*is a standby/),
      });
    });

    test('by several nodes at once makes the tables once, and finds those of a newer program', async () => {
      await servers.primary.query('drop database if exists fresh');
      await servers.primary.query('create database fresh owner claimwire');
      const url = servers.url.replace(/claimwire$/, 'fresh');
      const handles = await Promise.all(Array.from({ length: 4 }, () => open({}, url)));
      expect((await handles[3]!.state()).shards).toHaveLength(SHARDS);
      await Promise.all(handles.map((handle) => handle.close()));
      await servers.primary.query('update schema_version set version = version + 1', [], 'fresh');
      await expect(open({}, url)).rejects.toMatchObject({
        code: 'STORE_FAILED',
        message: expect.stringContaining('update'),
      });
    });
  });

  describe('a login', () => {
    const folder = mkdtempSync(join(tmpdir(), 'claimwire-login-'));
    const file = (name: string, text: string) => {
      writeFileSync(join(folder, name), text, { mode: 0o600 });
      return join(folder, name);
    };
    afterAll(() => rmSync(folder, { recursive: true, force: true }));

    test('takes the password from a file, over TLS from a host that proves its name', async () => {
      const certificate = servers.useTls();
      await servers.primary.query("alter role claimwire password 'sesame'");
      const url = servers.url.replaceAll('127.0.0.1', 'localhost');
      const verified = `${url}?sslmode=verify-full&sslrootcert=${certificate}`;
      const passwordFile = file('right', 'sesame\n');
      const database = await open({ passwordFile }, verified);
      await database.enter('a');
      const [session] = await servers.primary.query(
        "select s.version from pg_stat_ssl s join pg_stat_activity a using (pid) where s.ssl and a.application_name like 'claimwire-%'",
      );
      expect(session?.version).toBe('TLSv1.3');
      const refused = (options: PostgresOptions, address: string, message: RegExp) =>
        expect(open({ waitMs: 0, ...options }, address)).rejects.toMatchObject({
          code: 'STORE_UNREACHABLE',
          message: expect.stringMatching(message),
        });
      await refused({ passwordFile: file('wrong', 'abracadabra') }, verified, /password authentication failed/);
      await refused({ passwordFile }, url, /no encryption/);
      await refused({ passwordFile }, `${url}?sslmode=verify-full`, /self-signed certificate/);
      await refused({ passwordFile }, verified.replaceAll('localhost', '127.1'), /does not match certificate/);
      await (await open({ passwordFile }, `${url}?sslmode=require`)).pulse();
      servers.trustAll();
    });
  });

  describe('what an operator asks', () => {
    test('each query of the docs runs, and tells balances', async () => {
      const database = await open();
      const fence = await database.enter('a');
      const paid = openRow(5n, { committed: 700n, signature: new Uint8Array(64).fill(3) });
      await database.replaceChannels(fence, packedRows([paid, openRow(2n ** 64n - 1n)]));
      await database.commitSides(fence, [
        { table: SPENT_TABLE, key: paid.ledgerChannelId, value: encodeSpent(2n ** 64n - 1n) },
        { table: 'other', key: Uint8Array.of(1), value: Uint8Array.of(1) },
      ]);
      const text = readFileSync(resolve(import.meta.dirname, '../../docs/postgresql.md'), 'utf8');
      const [section] = text.split('\n## Queries')[1]!.split('\n## ');
      const queries = [...section!.matchAll(/```sql\n(.*?)```/gs)].flatMap(([, block]) => block!.split(/;\n/));
      const asked = queries.filter((query) => query.trim() !== '');
      expect(asked.length).toBeGreaterThan(4);
      for (const query of asked) await servers.primary.query(query);
      const [charge] = await servers.primary.query('select channel_id, node, spent, unspent from charges');
      const spent = String(2n ** 64n - 1n);
      expect(charge).toEqual({ channel_id: '5', node: 'a', spent, unspent: String(700n - (2n ** 64n - 1n)) });
      const [last] = await servers.primary.query('select max(channel_id) as channel_id from channels');
      expect(last!.channel_id).toBe(spent);
    });
  });

  // The last one, since the servers have changed their parts after it.
  describe('a failover', () => {
    test('to the standby keeps what was acknowledged, and what was under way is made again there', async () => {
      const database = await open({ connectMs: 500, statementMs: 500 });
      const fence = await database.enter('a');
      await database.append(fence, 0, 1, ONE);
      // The primary still runs, and takes connections.
      await servers.promote('s1', 'ANY 1 (primary)');
      const append = settled(database.append(fence, 0, 2, ONE));
      const opening = open({ connectMs: 500, statementMs: 500 }).then(async (late) => void (await late.pulse()));
      const look = settled(opening);
      // The new primary has no standby yet: nothing is confirmed, and what is visible need not be replicated.
      while ((await waiting(servers)).length < 2) await sleep(5);
      await servers.server('primary').kill();
      expect([append.isSettled, look.isSettled]).toEqual([false, false]);
      await servers.rejoin('primary');
      await look.promise;
      await append.promise;
      const groups: number[] = [];
      await database.readGroups('a', ({ group }) => groups.push(group));
      expect(groups).toEqual([1, 2]);
    });
  });
});

/** A database as it is after its first migration. */
async function empty({ primary }: PostgresServers): Promise<void> {
  const [made] = await primary.query("select to_regclass('shards') as made");
  await primary.query('alter role claimwire reset all');
  if (made!.made === null) return;
  await primary.query(`delete from channels; delete from claim_groups; delete from side_entries; delete from members;
    update shards set node = null, epoch = 0, source = null; delete from nodes; update shard_map set version = 0`);
}

/** While the standby stands still, writes wait with their locks. */
function hold(servers: PostgresServers): Hold {
  servers.server('s1').pause();
  return {
    waiting: async () => {
      for (let tries = 0; (await waiting(servers)).length === 0; tries++) {
        if (tries === 1_000) throw new Error('expected a commit that waits for the standby, got none');
        await sleep(5);
      }
    },
    release: () => servers.server('s1').resume(),
  };
}

/** Statements that wait for the standby. */
async function waiting({ primary }: PostgresServers): Promise<{ pid: number; since: string }[]> {
  const sql = "select pid, xact_start::text as since from pg_stat_activity where wait_event = 'SyncRep'";
  return (await primary.query(sql)) as { pid: number; since: string }[];
}

/** A promise, and whether it is settled. */
function settled(promise: Promise<void>): { promise: Promise<void>; isSettled: boolean } {
  const state = { promise, isSettled: false };
  promise.then(
    () => {
      state.isSettled = true;
    },
    () => {
      state.isSettled = true;
    },
  );
  return state;
}
