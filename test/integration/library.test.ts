/** The library as a program uses it: compiled, over a node in this process. */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { expect, test } from 'vitest';
import type * as Client from '../../src/client/index.ts';
import type * as Library from '../../src/index.ts';
import { atOnePort } from '../support/at-one-port.ts';
import { temporaryFolders } from '../support/node-process.ts';

const folder = temporaryFolders();
// Threads run compiled code.
const library = (await import('../../dist/src/index.js' as string)) as typeof Library;
const client = (await import('../../dist/src/client/index.js' as string)) as typeof Client;
const { AdminClient, ClaimwireError, KeyCheck, parseOpening, parseRow, paymentChannelClaim, redeemAdvice, serve } =
  library;

const PAYEE = 'rHb9CJAWyB4rj91VRWn96DkukG4bwdtyTh';
const ledgerId = (digit: string) => digit.repeat(64);

test('a program opens, pays, reads and settles by what the package exports', async () => {
  const data = folder('library');
  const loopback = { host: '127.0.0.1', port: 0 };
  const quiet = { info: () => {}, warn: () => {}, error: () => {} };
  const options = { data, udp: loopback, http: loopback, backend: 'noble', sockets: 'dgram', logger: quiet } as const;
  const key = client.generateKey();
  let closed: Library.ClaimwireNode;
  {
    // The payer asks by TCP what the node holds of it.
    const { node, http, stop } = await atOnePort(async () => {
      const serving = await serve(options);
      return { ...serving, udp: serving.node.udp, tcp: serving.node.tcp };
    });
    closed = node;
    try {
      // Hex of any case and numbers as text, as the command line takes them; bytes that are checked already; both at once.
      const { publicKey } = key;
      const text = { ledgerChannelId: ledgerId('a'), publicKey: publicKey.toLowerCase(), capacity: '1000' };
      const checked = parseOpening({ ledgerChannelId: ledgerId('B'), publicKey, capacity: '1000' }, new KeyCheck());
      expect(await node.openChannels([text, checked])).toMatchObject({ opened: 2, refused: [] });
      expect(await node.openChannels([{ ...text, capacity: 1_000n }])).toMatchObject({ unchanged: 1 });
      await expect(node.openChannels([{ ...text, publicKey: 'much' }])).rejects.toThrow(ClaimwireError);

      const admin = AdminClient.open({ http: `http://${http}`, tokenFile: `${data}/admin-token` });
      expect(await admin.importChannels([{ ledgerChannelId: ledgerId('C'), publicKey, capacity: '7' }])).toMatchObject({
        opened: 1,
      });
      await using payer = await client.Payer.open({ to: `udp://${node.udp}` });
      const channel = payer.channel({ ledgerChannelId: ledgerId('A'), key: client.keySigner(key) });
      await channel.pay(25n);

      const row = parseRow(await admin.channel(ledgerId('A')));
      expect(row).toMatchObject({ committed: 25n, state: 'open' });
      expect(paymentChannelClaim({ account: PAYEE, channel: row })).toMatchObject({ Account: PAYEE, Amount: '25' });
      expect(redeemAdvice(row, { feeDrops: 12n, now: 0 }).worthRedeeming).toBe(true);
    } finally {
      await stop();
    }
  }
  expect(closed.ready).toBe(false);
});

test('nodes and pools are closed at the end of their block', async () => {
  const data = folder('using');
  const loopback = { host: '127.0.0.1', port: 0 };
  const logger = { info: () => {}, warn: () => {}, error: () => {} };
  const start = () => library.ClaimwireNode.start({ data, udp: loopback, backend: 'noble', sockets: 'dgram', logger });
  let outside: { node: Library.ClaimwireNode; pool: Client.ConnectionPool };
  {
    await using node = await start();
    await using pool = new client.ConnectionPool({ to: `tcp://${node.tcp}` });
    outside = { node, pool };
    expect(node.ready).toBe(true);
  }
  expect(outside.node.ready).toBe(false);
  await expect(client.Payer.open({ to: `tcp://${outside.pool.peer}`, pool: outside.pool })).rejects.toMatchObject({
    code: 'PAYER_CLOSED',
  });
  // The folder is free again.
  await using again = await start();
  expect(again.ready).toBe(true);
});

test.each(['udp', 'tcp'])(
  'a payer of a port at which nothing listens hears so at once over %s',
  async (scheme) => {
    const socket = createSocket('udp4').bind(0, '127.0.0.1');
    await once(socket, 'listening');
    const { port } = socket.address();
    await new Promise<void>((closed) => socket.close(closed));
    // Within the time of this test: the payer itself would wait for a minute.
    await using payer = await client.Payer.open({ to: `${scheme}://127.0.0.1:${port}`, ackTimeoutMs: 60_000 });
    const key = client.keySigner(client.generateKey());
    const channel = payer.channel({ ledgerChannelId: ledgerId('A'), key, committed: 0n });
    await expect(channel.claim(1n)).rejects.toMatchObject({
      code: 'NODE_UNREACHABLE',
      message: expect.stringMatching(new RegExp(`expected a node at 127\\.0\\.0\\.1:${port}, got ECONNREFUSED`)),
    });
  },
  20_000,
);
