/**
 * One primary and its synchronous standby for all suites of a test file. Each data folder has a database of its own, as it has
 * channels of its own.
 */
import { resolve } from 'node:path';
import { afterAll, beforeAll } from 'vitest';
import { runOn } from '../store-under-test.ts';
import { PostgresServers } from './servers.ts';
import { runServerProgram, USER } from './template.ts';

/** The suites that are registered from here on in this file run on PostgreSQL. */
export function usePostgres(): void {
  let servers: PostgresServers;
  const urls = new Map<string, string>();
  beforeAll(async () => {
    // Processes are killed here, and no machine: what they wrote is in the system's memory still.
    servers = await PostgresServers.start({ standbys: ['s1'], fsync: false });
  });
  afterAll(() => servers?.close());

  runOn({
    urlOf(data) {
      const folder = resolve(data);
      const known = urls.get(folder);
      if (known !== undefined) return known;
      const name = `suite_${urls.size}`;
      const port = String(servers.primary.port);
      const sql = `create database ${name} owner ${USER}`;
      runServerProgram('psql', ['-h', '127.0.0.1', '-p', port, '-U', 'postgres', '-q', '-c', sql, 'postgres']);
      const url = servers.url.replace(/[^/]*$/, name);
      urls.set(folder, url);
      return url;
    },
  });
}
