/** `claimwire cluster status`, of the database's twin, and how shards are written on its command lines. */
import { expect, test } from 'vitest';
import { MemoryDatabase } from '../../../src/store/memory-database.ts';
import { shardsOf, statusOf, statusText } from '../../../tools/cluster.ts';

test('status says who lives, who leaves, and who has been silent', async () => {
  const database = new MemoryDatabase();
  const a = await database.enter('a');
  const b = await database.enter('b');
  await database.enter('c');
  await database.beat(a, ['udp://10.0.0.1:9393', 'tcp://10.0.0.1:9393'], false);
  const given = await database.handOver(a, [0, 1, 2], 'b');
  const status = await statusOf(database, async () => {
    await database.beat(given, ['udp://10.0.0.1:9393', 'tcp://10.0.0.1:9393'], false);
    await database.beat(b, ['udp://10.0.0.2:9393'], true);
  });
  expect(statusText(status)).toBe(
    `NODE  STATE    SHARDS  EPOCH  PLACES
a     lives    1021    1      udp://10.0.0.1:9393 tcp://10.0.0.1:9393
b     leaving  3       1      udp://10.0.0.2:9393
c     SILENT   0       1
map ${status.version}: 3 nodes, 1024 shards
`,
  );
  expect(statusText({ ...status, unheld: 5, unfolded: 2 })).toContain(
    '1024 shards; 5 shards have no node; 2 are loaded after a takeover',
  );
});

test('shards are numbers and ranges', () => {
  expect(shardsOf('7,100-102,7')).toEqual([7, 100, 101, 102]);
  for (const text of ['', '1024', '5-4', '1-1024', 'x', '1,', '-1'])
    expect(() => shardsOf(text), text).toThrow('SHARDS: expected numbers below 1024');
});
