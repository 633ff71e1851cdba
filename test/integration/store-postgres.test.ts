/** The shared database on a real PostgreSQL with a synchronous standby: the contract, and what only a server has. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe } from 'vitest';
import { PostgresDatabase } from '../../src/store/postgres/database.ts';
import { claimDatabaseContract, type DatabaseRig, type Hold } from '../support/claim-database-contract.ts';
import { hasPostgres } from '../support/postgres/programs.ts';
import { PostgresServers } from '../support/postgres/servers.ts';

const QUIET = { info: () => {}, warn: () => {}, error: () => {} };

describe.skipIf(!hasPostgres())('PostgreSQL', () => {
  let servers: PostgresServers;

  beforeAll(async () => {
    // Processes are killed here, and no machine: what they wrote is in the system's memory still.
    servers = await PostgresServers.start({ standbys: ['s1'], fsync: false });
  });
  afterAll(async () => {
    await servers?.close();
  });

  const open = () => PostgresDatabase.open(servers.url, { logger: QUIET });

  claimDatabaseContract('the contract', async (): Promise<DatabaseRig> => {
    await empty(servers);
    return { open, hold: () => hold(servers), close: async () => {} };
  });
});

/** A database as it is after its first migration. */
async function empty({ primary }: PostgresServers): Promise<void> {
  const [made] = await primary.query("select to_regclass('shards') as made");
  if (made!.made === null) return;
  await primary.query(`delete from channels; delete from claim_groups; delete from side_entries; delete from members;
    update shards set node = null, epoch = 0, source = null; delete from nodes; update shard_map set version = 0`);
}

/** While the standby stands still, writes wait with their locks. */
function hold(servers: PostgresServers): Hold {
  servers.server('s1').pause();
  return {
    waiting: async () => {
      while ((await waitingForStandby(servers)) === 0) await sleep(5);
    },
    release: () => servers.server('s1').resume(),
  };
}

async function waitingForStandby({ primary }: PostgresServers): Promise<number> {
  return (await primary.query("select 1 from pg_stat_activity where wait_event = 'SyncRep'")).length;
}
