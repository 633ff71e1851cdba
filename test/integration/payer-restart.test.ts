/**
 * What pay() promises over restarts: it resolves only when so many drops more are durable at a real node, whatever the
 * payer knew when it began, over every link. The node runs the compiled code.
 */
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { ClaimwireNode, type NodeOptions } from '../../dist/src/index.js';
import {
  type ChannelOptions,
  ConnectionPool,
  generateKey,
  Payer,
  type PaymentChannel,
  type StateOptions,
} from '../../src/client/index.ts';
import { atOnePort } from '../support/at-one-port.ts';
import { storeUnderTest } from '../support/store-under-test.ts';
import { TEST_TLS } from '../support/tcp.ts';

const ROOT = mkdtempSync(join(tmpdir(), 'claimwire-restart-'));
const key = generateKey();
const payers: Payer[] = [];
let plain: ClaimwireNode;
let secure: ClaimwireNode;

async function start(name: string, tls?: typeof TEST_TLS, more: NodeOptions = {}): Promise<ClaimwireNode> {
  const udp = { host: '127.0.0.1', port: 0 };
  const limits = { channelsMax: 1 << 12, segmentBytes: 1 << 20 };
  const data = join(ROOT, name);
  return await ClaimwireNode.start({ data, udp, tls, ...storeUnderTest.options(data), ...limits, ...more });
}

const stateFile = (): string => join(ROOT, `${randomBytes(4).toString('hex')}.state`);

beforeAll(async () => {
  plain = await atOnePort(() => start('plain'));
  secure = await start('secure', TEST_TLS);
}, 60_000);
afterEach(async () => {
  await Promise.all(payers.splice(0).map((payer) => payer.close()));
});
afterAll(async () => {
  await Promise.all([plain?.stop(), secure?.stop()]);
  rmSync(ROOT, { recursive: true, force: true });
});

interface Link {
  scheme: 'udp' | 'tcp' | 'tls' | 'auto';
  node: () => ClaimwireNode;
}
const LINKS: Link[] = [
  { scheme: 'udp', node: () => plain },
  { scheme: 'tcp', node: () => plain },
  { scheme: 'auto', node: () => plain },
  { scheme: 'tls', node: () => secure },
];

type Paying = PaymentChannel & { end(): Promise<void> };

/** A channel opened at the node, and payers that come and go. */
async function opened({ scheme, node }: Link, profile: 'xrpl' | 'link' = 'xrpl') {
  const ledgerChannelId = Uint8Array.from(randomBytes(32));
  const channelId = Buffer.from(ledgerChannelId).readBigUInt64BE();
  const publicKey = Uint8Array.from(Buffer.from(key.publicKey, 'hex'));
  const opening = { channelId, ledgerChannelId, publicKey, capacity: 1_000n, profile, expiresAt: 0 };
  await node().openChannels([opening]);
  const start = async (options: Partial<ChannelOptions> = {}, payerOptions: StateOptions = {}): Promise<Paying> => {
    const to = `${scheme}://${scheme === 'udp' ? node().udp : node().tcp}`;
    const payer = await Payer.open({ to, ...(scheme === 'tls' && { tls: { ca: TEST_TLS.cert } }), ...payerOptions });
    payers.push(payer);
    const channel = payer.channel({ ledgerChannelId, key, profile, ...options });
    return Object.assign(channel, { end: () => payer.close() });
  };
  return {
    start,
    committed: () => node().channel(channelId)!.committed,
    close: () => node().closeChannel(channelId),
  };
}

describe.each(LINKS)('over $scheme', (link) => {
  it.each(['xrpl', 'link'] as const)('pay(25) before and after a restart is 50 at the node (%s)', async (profile) => {
    const { start, committed } = await opened(link, profile);
    const first = await start();
    expect(await first.pay(25n)).toMatchObject({ amount: 25n });
    await first.end();
    const second = await start();
    expect(await second.pay(25n)).toMatchObject({ status: 'COMMITTED', amount: 50n });
    expect(committed()).toBe(50n);
  });
});

describe.each(LINKS)('over $scheme, with a state file', (link) => {
  it('goes on where it ended, and keeps link sequences rising', async () => {
    const { start, committed } = await opened(link, 'link');
    const state = stateFile();
    for (let run = 1n; run <= 3n; run += 1n) {
      const channel = await start({}, { state });
      expect(await channel.pay(10n)).toMatchObject({ status: 'COMMITTED', amount: 20n * run - 10n });
      expect(await Promise.all([channel.pay(4n), channel.pay(6n)])).toMatchObject([{}, { amount: 20n * run }]);
      await channel.end();
      expect(readFileSync(state, 'latin1').trim().split('\n').at(-1)).toMatch(
        new RegExp(`,${20n * run},${20n * run},${3n * run} #`),
      );
    }
    expect(committed()).toBe(60n);
  });

  it('says that the node holds more than the file knows, and goes on from the proof', async () => {
    const { start, committed } = await opened(link);
    const state = stateFile();
    const kept = await start({}, { state });
    await kept.pay(5n);
    await kept.end();
    await (await start()).claim(8n);
    const behind = await start({}, { state });
    await expect(behind.pay(1n)).rejects.toMatchObject({ code: 'COMMITTED_MISMATCH', details: { most: '5' } });
    expect(committed()).toBe(8n);
    await behind.resume();
    expect(await behind.pay(1n)).toMatchObject({ amount: 9n });
  });
});

describe.each(LINKS)('over $scheme, with a wrong idea of what is committed', (link) => {
  it.each([
    ['too little', 10n, 'more than 10'],
    ['nothing', 0n, 'more than 0'],
    ['too much', 26n, 'less than 26'],
  ])('%s: the payment is rejected, and nothing is signed', async (_, idea, message) => {
    const { start, committed } = await opened(link);
    await (await start()).pay(25n);
    const wrong = await start({ committed: idea });
    await expect(wrong.pay(25n)).rejects.toMatchObject({
      code: 'COMMITTED_MISMATCH',
      message: expect.stringContaining(message),
    });
    expect(wrong.lastClaim()).toBeUndefined();
    expect(committed()).toBe(25n);
    const right = await start({ committed: 25n });
    expect(await right.pay(25n)).toMatchObject({ amount: 50n });
    // What this payer has claimed itself is no contradiction.
    const claiming = await start({ committed: 50n });
    await claiming.claim(60n);
    expect(await claiming.pay(1n)).toMatchObject({ amount: 61n });
  });
});

describe.each(['tcp', 'udp'] as const)('many channels at once over %s', (scheme) => {
  it('are each asked for after a restart, however few requests a connection takes', async () => {
    const to = `${scheme}://${plain.udp}`;
    expect(plain.tcp).toBe(plain.udp);
    const ids = Array.from({ length: 90 }, () => Uint8Array.from(randomBytes(32)));
    const handle = (id: Uint8Array) => Buffer.from(id).readBigUInt64BE();
    const publicKey = Uint8Array.from(Buffer.from(key.publicKey, 'hex'));
    const terms = { publicKey, capacity: 1_000n, profile: 'xrpl' as const, expiresAt: 0 };
    await plain.openChannels(
      ids.map((ledgerChannelId) => ({ ...terms, ledgerChannelId, channelId: handle(ledgerChannelId) })),
    );
    const pool = new ConnectionPool({ to: `tcp://${plain.tcp}` });
    for (const amount of [3n, 6n, 9n]) {
      const options = { to, ...(scheme === 'tcp' && { pool }) };
      const some = await Promise.all([Payer.open(options), Payer.open(options)]);
      payers.push(...some);
      const channels = ids.map((ledgerChannelId, index) => some[index % 2]!.channel({ ledgerChannelId, key }));
      const acks = await Promise.all(channels.map((channel) => channel.pay(3n)));
      expect(new Set(acks.map((ack) => ack.amount))).toEqual(new Set([amount]));
      await Promise.all(some.map((payer) => payer.close()));
    }
    await pool.close();
  }, 60_000);
});

describe('where no proof is to be had', () => {
  it('UDP alone pays on a new channel, and says what to do on another', async () => {
    const node = await start('udp-alone', undefined, { tcp: { host: '127.0.0.1', port: 0 } });
    try {
      expect(node.tcp).not.toBe(node.udp);
      const { start, committed } = await opened({ scheme: 'udp', node: () => node });
      const first = await start();
      expect(await first.pay(25n)).toMatchObject({ amount: 25n });
      await first.end();
      const second = await start();
      await expect(second.pay(25n)).rejects.toMatchObject({
        code: 'COMMITTED_UNKNOWN',
        message: expect.stringMatching(/state: FILE.*committed.*tcp:\/\//),
      });
      expect(committed()).toBe(25n);
      expect(await (await start({ committed: 25n })).pay(25n)).toMatchObject({ amount: 50n });
    } finally {
      await node.stop();
    }
  });

  it('refusals of the channel are told as for a claim', async () => {
    const { start, close } = await opened(LINKS[0]!);
    const channel = await start();
    await channel.pay(1n);
    await close();
    const status = { code: 'CLAIM_REFUSED', details: { status: 'CHANNEL_CLOSED' } };
    await expect((await start()).pay(1n)).rejects.toMatchObject(status);
    const unknown = await start({ ledgerChannelId: new Uint8Array(32).fill(1) });
    await expect(unknown.pay(1n)).rejects.toMatchObject({ details: { status: 'UNKNOWN_CHANNEL' } });
    await expect(unknown.isDurable(1n)).rejects.toMatchObject({ details: { status: 'UNKNOWN_CHANNEL' } });
  });

  it('a channel at its capacity is known to be', async () => {
    const { start } = await opened(LINKS[0]!);
    await (await start()).claim(1_000n);
    const full = await start();
    await expect(full.pay(1n)).rejects.toMatchObject({ details: { status: 'OVER_CAPACITY' } });
    expect(full.committed).toBe(1_000n);
    expect([await full.isDurable(0n), await full.isDurable(1_000n), await full.isDurable(1_001n)]).toEqual([
      true,
      true,
      false,
    ]);
  });
});
