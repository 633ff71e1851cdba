/**
 * One primary and its synchronous standby for all suites of a test file. Each data folder has a database of its own, as it has
 * channels of its own.
 */
import { resolve } from 'node:path';
import { afterAll, beforeAll } from 'vitest';
import { runOn } from '../store-under-test.ts';
import { PostgresServers } from './servers.ts';
import { runServerProgram, USER } from './template.ts';

/**
 * The suites that are registered from here on in this file run on PostgreSQL.
 * @returns what a suite ends with: it drops the databases that were made
 */
export function usePostgres(): () => Promise<void> {
  let servers: PostgresServers;
  /** By folder. */
  const names = new Map<string, string>();
  let made = 0;
  beforeAll(async () => {
    // Processes are killed here, and no machine: what they wrote is in the system's memory still.
    servers = await PostgresServers.start({ standbys: ['s1'], fsync: false });
  });
  afterAll(() => servers?.close());

  const nameOf = (data: string): string => {
    const folder = resolve(data);
    const known = names.get(folder);
    if (known !== undefined) return known;
    const name = `suite_${made++}`;
    const port = String(servers.primary.port);
    const sql = `create database ${name} owner ${USER}`;
    // The callers do not wait.
    runServerProgram('psql', ['-h', '127.0.0.1', '-p', port, '-U', 'postgres', '-q', '-c', sql, 'postgres']);
    names.set(folder, name);
    return name;
  };

  runOn({
    urlOf: (data) => servers.url.replace(/[^/]*$/, nameOf(data)),
    async groupsOf(data, lane) {
      const sql = 'select records from claim_groups where lane = $1 order by epoch, seq';
      const rows = await servers.primary.query(sql, [lane], nameOf(data));
      return rows.map(({ records }) => records as Uint8Array);
    },
    async channelsOf(data) {
      const sql = 'select channel_id, committed from channels order by channel_id';
      return JSON.stringify(await servers.primary.query(sql, [], nameOf(data)));
    },
  });

  return async () => {
    for (const name of names.values()) await servers.primary.query(`drop database ${name} with (force)`);
    names.clear();
  };
}
