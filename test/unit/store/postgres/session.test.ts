/** A handle's connection that is lost and made again, over a library in memory: what is counted, and what is done again. */
import { EventEmitter } from 'node:events';
import { expect, test } from 'vitest';
import type { PostgresLibrary } from '../../../../src/optional-libraries.ts';
import { parsePostgresAddress } from '../../../../src/store/postgres/address.ts';
import { Session } from '../../../../src/store/postgres/session.ts';
import { StoreCounts } from '../../../../src/store/store-figures.ts';

/** A primary with a standby, which takes connections, or none for so many tries. */
class Server {
  refusals = 0;
  connections = 0;

  get library(): PostgresLibrary {
    const server = this;
    class Client extends EventEmitter {
      readonly connection = { stream: { destroy: () => {} } };
      async connect(): Promise<void> {
        if (server.refusals > 0) {
          server.refusals--;
          throw Object.assign(new Error('nobody listens'), { code: 'ECONNREFUSED' });
        }
        server.connections++;
      }
      async query(): Promise<object[]> {
        const row = { version: 'PostgreSQL 15', standby: 'f', replicas: 's1' };
        return Array.from({ length: 8 }, () => ({ rows: [row], rowCount: 1 }));
      }
    }
    return { Client } as unknown as PostgresLibrary;
  }
}

test('only what was asked is in doubt when a connection is lost: tries to connect again are counted as no calls', async () => {
  const server = new Server();
  const counts = new StoreCounts();
  const lines: string[] = [];
  const line = (text: string) => void lines.push(text);
  const session = new Session(server.library, {
    address: parsePostgresAddress('postgres://user@127.0.0.1:1/name'),
    passwordFile: undefined,
    mayBeUnreplicated: false,
    connectMs: 1_000,
    statementMs: 1_000,
    name: 'test',
    waitMs: 1_000,
    logger: { info: line, warn: line, error: line },
    counts,
    random: () => 0.99,
  });
  await session.connect();
  let tries = 0;
  const done = await session.write(async () => {
    if (tries++ === 0) {
      server.refusals = 2;
      throw new Error('the connection was cut');
    }
    return 'done';
  });
  session.close();
  expect([done, tries, server.connections]).toEqual(['done', 2, 2]);
  expect([counts.retries, counts.reconnects]).toEqual([{ refused: 0, unknown: 1, unconfirmed: 0 }, 1]);
  expect(lines).toEqual([
    'store: expected the database to answer, got the connection was cut; trying on',
    'store: the database answers again',
  ]);
});
