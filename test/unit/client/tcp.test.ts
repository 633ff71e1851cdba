/** The payer over TCP and TLS on loopback: cut connections, slow and hostile nodes, shared pools, control messages. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { encodeClaim } from '../../../protocol/claim.ts';
import { resumePreimage } from '../../../protocol/control.ts';
import { CLAIM_BYTES, CLAIM_SIGNATURE } from '../../../protocol/layout.ts';
import { generateKey, keySigner, writeKeyFile } from '../../../src/client/keys/key-file.ts';
import { Payer } from '../../../src/client/payer.ts';
import { ConnectionPool } from '../../../src/client/pool/pool.ts';
import { run as pay } from '../../../tools/pay.ts';
import { ledgerId, ModelNode, NONCE, type NodePlan, seeded, until } from '../../support/client-node.ts';
import { brieflyOrAtLength } from '../../support/length.ts';
import { MemorySocket, stubSigner } from '../../support/payer-fakes.ts';
import { TLS_PAIR } from '../../support/wire-tcp.ts';

const toClose: { close(): Promise<void> }[] = [];
afterEach(async () => {
  for (const one of toClose.splice(0).reverse()) await one.close();
});

async function openNode(plan: NodePlan = {}): Promise<ModelNode> {
  const node = await ModelNode.open(plan);
  toClose.push(node);
  return node;
}

async function openPayer(...[options]: Parameters<typeof Payer.open>): Promise<Payer> {
  const payer = await Payer.open(options);
  toClose.push(payer);
  return payer;
}

/** A timeout that never comes: what is sent again is so for another reason. */
const NO_RTO = { initialMs: 60_000, minMs: 60_000 };

describe('payer over TCP', () => {
  it('leaves nothing open', async () => {
    const handles = () =>
      process
        .getActiveResourcesInfo()
        .filter((name) => /TCP|TLS|Timeout|UDP/.test(name))
        .sort();
    const node = await openNode();
    const before = handles();
    const payer = await Payer.open({ to: node.url('tcp') });
    const channel = payer.channel({ ledgerChannelId: ledgerId(1), key: stubSigner });
    await channel.pay(1n);
    const waiting = channel.pay(1n);
    await Promise.all([expect(waiting).rejects.toMatchObject({ code: 'PAYER_CLOSED' }), payer.close()]);
    // A timer of the test runner's may have ended meanwhile: fewer are fine, others are not.
    await until(() => handles().length <= before.length && handles().every((name) => before.includes(name)));
  });

  it('sees its claims acknowledged', async () => {
    const node = await openNode();
    const payer = await openPayer({ to: node.url('tcp') });
    const channel = payer.channel({ ledgerChannelId: ledgerId(1), key: stubSigner });
    for (let count = 1; count <= 5; count += 1)
      expect(await channel.pay(10n)).toMatchObject({ status: 'COMMITTED', amount: BigInt(count) * 10n });
    expect(payer.stats()).toMatchObject({
      transport: 'tcp',
      datagramsSent: 0,
      claimsSent: 5,
      retransmits: 0,
      acks: { COMMITTED: 5 },
      pool: { connections: 1, opened: 1, resets: 0, channels: 1, unmatched: 0 },
    });
  });

  it('loses nothing and pays nothing twice over 50 cuts at any byte', { timeout: 30_000 }, async () => {
    const random = seeded(20_261_121);
    const node = await openNode({
      cutAfter: () => {
        if (node.cuts >= 50) return { read: Number.POSITIVE_INFINITY, written: Number.POSITIVE_INFINITY };
        const bytes = 1 + Math.floor(random() * 8_000);
        const other = Number.POSITIVE_INFINITY;
        return random() < 0.5 ? { read: bytes, written: other } : { read: other, written: bytes };
      },
    });
    const payer = await openPayer({ to: node.url('tcp'), ackTimeoutMs: 25_000, rto: NO_RTO });
    const channels = Array.from({ length: 100 }, (_, number) =>
      payer.channel({ ledgerChannelId: ledgerId(number), key: stubSigner }),
    );
    const paid = new Map<bigint, bigint>();
    await Promise.all(
      channels.map(async (channel, number) => {
        for (let count = 1; node.cuts < 50 || count <= 20; count += 1) {
          const ack = await channel.pay(BigInt(number + 1));
          expect(ack.amount).toBe(BigInt(number + 1) * BigInt(count));
          // Durable before it is acknowledged.
          expect(node.best.get(channel.channelId)!).toBeGreaterThanOrEqual(ack.amount);
          paid.set(channel.channelId, ack.amount);
        }
      }),
    );
    // More than one connection may have been under way to its cut.
    expect(node.cuts).toBeGreaterThanOrEqual(50);
    expect(node.best).toEqual(paid);
    expect(channels.every(({ channelId, committed }) => committed === node.best.get(channelId))).toBe(true);
    const { pool, ...stats } = payer.stats();
    expect(stats).toMatchObject({ waiting: 0, inFlight: 0, queued: 0, unmatched: 0 });
    expect(pool!.resets).toBeGreaterThanOrEqual(50);
    expect(stats.retransmits).toBeGreaterThan(50);
  });

  it('sends again on another connection at once, not after its time-out', async () => {
    const node = await openNode({ cutAfter: () => ({ read: node.connections === 1 ? 50 : 1e9, written: 1e9 }) });
    const payer = await openPayer({ to: node.url('tcp'), rto: NO_RTO });
    const channel = payer.channel({ ledgerChannelId: ledgerId(1), key: stubSigner });
    expect(await channel.claim(5n)).toMatchObject({ amount: 5n });
    expect(payer.stats()).toMatchObject({ claimsSent: 2, retransmits: 1, pool: { opened: 2, resets: 1 } });
  });

  it('waits for a node that starts later, and outlives it', async () => {
    const first = await ModelNode.open();
    await first.close();
    const payer = await openPayer({ to: first.url('tcp'), rto: NO_RTO, waitForNode: true });
    const channel = payer.channel({ ledgerChannelId: ledgerId(1), key: stubSigner });
    const early = channel.claim(1n);
    await until(() => payer.stats().pool!.openFailures >= 2);
    const second = await openNode({ port: first.port });
    expect(await early).toMatchObject({ amount: 1n });
    await second.closeTcp();
    const late = channel.claim(2n);
    await until(() => payer.stats().pool!.openFailures >= 4);
    const third = await openNode({ port: first.port });
    expect(await late).toMatchObject({ amount: 2n });
    expect(third.best.get(channel.channelId)).toBe(2n);
  });

  it('names what failed in the time-out', async () => {
    const node = await ModelNode.open();
    await node.close();
    const payer = await openPayer({ to: node.url('tcp'), ackTimeoutMs: 100, waitForNode: true });
    const paid = payer.channel({ ledgerChannelId: ledgerId(1), key: stubSigner }).claim(1n);
    await expect(paid).rejects.toMatchObject({
      code: 'ACK_TIMEOUT',
      message: expect.stringContaining(`from 127.0.0.1:${node.port} within 100 ms, got ECONNREFUSED`),
    });
  });

  it('says at once that nothing listens, with the address', async () => {
    const node = await ModelNode.open();
    await node.close();
    const payer = await openPayer({ to: node.url('tcp') });
    const channel = payer.channel({ ledgerChannelId: ledgerId(1), key: stubSigner });
    for (const promise of [channel.claim(1n), payer.resume(channel)])
      await expect(promise).rejects.toMatchObject({
        code: 'NODE_UNREACHABLE',
        message: expect.stringContaining(`expected a node at 127.0.0.1:${node.port}, got ECONNREFUSED`),
      });
  });

  it('cuts what is no node, and goes on with other connections', async () => {
    const random = seeded(7);
    const node = await openNode({
      onConnection: (socket, index) => {
        if (index % 2 === 1) return true;
        socket.write(Buffer.from(Array.from({ length: 5_000 }, () => 16 + Math.floor(random() * 240))));
        return false;
      },
    });
    const pool = new ConnectionPool({ to: node.url('tcp'), connectionsMin: 2 });
    toClose.push(pool);
    const payer = await openPayer({ to: node.url('tcp'), pool, rto: NO_RTO });
    const channels = Array.from({ length: 20 }, (_, number) =>
      payer.channel({ ledgerChannelId: ledgerId(number), key: stubSigner }),
    );
    await Promise.all(channels.map((channel) => channel.pay(3n)));
    await until(() => pool.stats().cutGarbage > 0);
    await Promise.all(channels.map((channel) => channel.pay(3n)));
    expect([...node.best.values()]).toEqual(channels.map(() => 6n));
    expect(payer.stats()).toMatchObject({ malformed: 0, unmatched: 0 });
  });

  it('waits for a node slower than its time-out', async () => {
    const node = await openNode({ beforeAck: () => new Promise((resolve) => setTimeout(resolve, 300)) });
    const payer = await openPayer({ to: node.url('tcp'), rto: { initialMs: 50 } });
    const channels = Array.from({ length: 300 }, (_, number) =>
      payer.channel({ ledgerChannelId: ledgerId(number), key: stubSigner }),
    );
    await Promise.all(channels.map((channel) => channel.pay(3n)));
    expect(node.kept).toBe(300);
    expect(payer.stats()).toMatchObject({ waiting: 0, inFlight: 0, pool: { resets: 0 } });
  });

  it.each([
    [
      { to: 'udp://127.0.0.1:1', tls: {} },
      'tls: expected with tls://, auto://, wss:// or webrtc+https://, and without a pool',
    ],
    [{ to: 'tls://127.0.0.1:1', tls: { ca: 'none' } }, 'tls.ca: expected certificates as PEM'],
    [{ to: 'udp://127.0.0.1:1', pool: new ConnectionPool({ to: 'tcp://127.0.0.1:1' }) }, 'pool: expected with tcp'],
    [{ to: 'tcp://127.0.0.1:2', pool: new ConnectionPool({ to: 'tcp://127.0.0.1:1' }) }, 'pool: expected one to tcp'],
    [
      { to: 'tls://127.0.0.1:1', pool: new ConnectionPool({ to: 'tcp://127.0.0.1:1' }) },
      'got one to tcp://127.0.0.1:1',
    ],
  ])('refuses %j', async (options, message) => {
    await expect(Payer.open(options)).rejects.toMatchObject({
      code: 'INPUT_INVALID',
      message: expect.stringContaining(message),
    });
  });
});

describe('a pool', () => {
  const PAYERS = brieflyOrAtLength(200, 1_000);
  it(`carries ${PAYERS} payers of 100 channels on four connections`, { timeout: 60_000 }, async () => {
    const warnings: Error[] = [];
    const onWarning = (warning: Error) => warnings.push(warning);
    process.on('warning', onWarning);
    const node = await openNode();
    const pool = new ConnectionPool({ to: node.url('tcp') });
    toClose.push(pool);
    let payments: Promise<unknown>[] = [];
    for (let number = 0; number < PAYERS; number += 1) {
      const payer = await openPayer({ to: node.url('tcp'), pool, rto: NO_RTO, ackTimeoutMs: 50_000 });
      for (let index = 0; index < 100; index += 1)
        payments.push(payer.channel({ ledgerChannelId: ledgerId(number * 100 + index), key: stubSigner }).claim(7n));
    }
    await Promise.all(payments);
    payments = [];
    expect(node.kept).toBe(PAYERS * 100);
    expect(node.best.size).toBe(PAYERS * 100);
    const stats = pool.stats();
    expect(stats).toMatchObject({
      connections: 4,
      opened: 4,
      resets: 0,
      waiting: 0,
      channels: PAYERS * 100,
      unmatched: 0,
    });
    expect(stats.waits + stats.reused).toBe(PAYERS * 100);
    process.off('warning', onWarning);
    expect(warnings).toEqual([]);
  });

  it('outlives its payers, and is closed on its own', async () => {
    const node = await openNode();
    const pool = new ConnectionPool({ to: node.url('tcp') });
    const first = await Payer.open({ to: node.url('tcp'), pool });
    await first.channel({ ledgerChannelId: ledgerId(1), key: stubSigner }).pay(1n);
    const second = await Payer.open({ to: node.url('tcp'), pool });
    expect(() => second.channel({ ledgerChannelId: ledgerId(1), key: stubSigner })).toThrow('a handle not in use');
    await first.close();
    await second.channel({ ledgerChannelId: ledgerId(1), key: stubSigner, committed: 1n }).pay(1n);
    expect(pool.stats()).toMatchObject({ opened: 1, connections: 1 });
    await second.close();
    await pool.close();
    expect(pool.stats()).toMatchObject({ connections: 0, resets: 0 });
    await expect(Payer.open({ to: node.url('tcp'), pool })).rejects.toMatchObject({ code: 'PAYER_CLOSED' });
  });
});

describe('TLS', () => {
  it('is spoken with a node whose certificate is known', async () => {
    const node = await openNode({ tls: TLS_PAIR });
    const payer = await openPayer({ to: node.url('tls', 'localhost'), tls: { ca: TLS_PAIR.cert } });
    const channel = payer.channel({ ledgerChannelId: ledgerId(1), key: stubSigner });
    expect(await channel.pay(10n)).toMatchObject({ status: 'COMMITTED' });
    expect(payer.stats()).toMatchObject({ transport: 'tls', pool: { connections: 1 } });
  });

  it.each([
    ['whose certificate nobody signed', '127.0.0.1', {}, 'DEPTH_ZERO_SELF_SIGNED_CERT'],
    ['of another name', '127.0.0.1', { ca: TLS_PAIR.cert, servername: 'other' }, 'ERR_TLS_CERT_ALTNAME_INVALID'],
  ])('is refused to a node %s', async (_, host, tls, code) => {
    const node = await openNode({ tls: TLS_PAIR });
    const payer = await openPayer({ to: node.url('tls', host), tls, ackTimeoutMs: 500 });
    const paid = payer.channel({ ledgerChannelId: ledgerId(1), key: stubSigner }).pay(1n);
    await expect(paid).rejects.toThrow(`got ${code}`);
    expect(node.received).toBe(0);
  });
});

describe('resume', () => {
  const key = generateKey();
  const signer = keySigner(key);

  /** What a node says that holds `amount`, signed by `by`. */
  function bestClaim(amount: bigint, by = signer): Record<string, unknown> {
    const claim = new Uint8Array(CLAIM_BYTES);
    const fields = { channelId: 5n, sequence: 9, amount, signature: new Uint8Array(64), timestamp: 12.5 };
    encodeClaim(new DataView(claim.buffer), 0, fields);
    by.signClaim(claim, 0, ledgerId(5), 'xrpl');
    const hex = (from: number, to: number) => Buffer.from(claim.subarray(from, to)).toString('hex');
    return {
      ok: true,
      channelId: '5',
      committed: String(amount),
      sequence: 9,
      timestamp: hex(85, 93),
      signature: hex(CLAIM_SIGNATURE, CLAIM_SIGNATURE + 64),
    };
  }

  async function resumed(scheme: 'tcp' | 'auto' | 'udp', answer: Record<string, unknown>) {
    const node = await openNode({ control: () => answer, udp: true });
    const payer = await openPayer({ to: node.url(scheme) });
    const channel = payer.channel({ ledgerChannelId: ledgerId(5), channelId: 5n, key });
    return { node, channel, best: payer.resume(channel) };
  }

  it.each(['tcp', 'auto', 'udp'] as const)('goes on from the best claim (%s)', async (scheme) => {
    const { node, channel, best } = await resumed(scheme, bestClaim(1_000n));
    expect(await best).toMatchObject({ committed: 1_000n, sequence: 9 });
    expect([channel.committed, channel.claimed]).toEqual([1_000n, 1_000n]);
    expect(await channel.pay(5n)).toMatchObject({ amount: 1_005n, sequence: 10 });
    const asked = node.controls.find(({ type }) => type === 'resume')!;
    const signature = signer.signMessage!(resumePreimage(ledgerId(5), Buffer.from(NONCE, 'hex')));
    // Printed in upper case, and read in either: the answer above is in lower case.
    expect(asked).toMatchObject({ channelId: '5', signature: Buffer.from(signature).toString('hex').toUpperCase() });
  });

  it('takes nothing from an answer that does not hold', async () => {
    const lies = [
      bestClaim(1_000n, keySigner(generateKey())),
      { ...bestClaim(1_000n), committed: '2000' },
      { ...bestClaim(1_000n), channelId: '6' },
      { ok: true },
    ];
    for (const lie of lies) {
      const { channel, best } = await resumed('tcp', lie);
      await expect(best).rejects.toMatchObject({ code: 'NODE_FAILED' });
      expect([channel.committed, channel.claimed]).toEqual([0n, 0n]);
    }
  });

  it('says what the node refuses, and what can not be done', async () => {
    const { best } = await resumed('tcp', { ok: false, code: 'CHANNEL_UNKNOWN', message: 'no such channel' });
    await expect(best).rejects.toMatchObject({ code: 'CHANNEL_UNKNOWN' });
    const bare = new Payer({ socket: new MemorySocket() });
    const channel = bare.channel({ ledgerChannelId: ledgerId(5), key });
    await expect(bare.resume(channel)).rejects.toMatchObject({ code: 'INPUT_INVALID' });
    const { channel: another, best: resumedBest } = await resumed('tcp', bestClaim(1n));
    await resumedBest;
    await expect(bare.resume(another)).rejects.toMatchObject({ code: 'INPUT_INVALID' });
  });
});

describe('claimwire pay', () => {
  it('says paid only where this claim paid, and adds to what is held with --more', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'claimwire-pay-'));
    const keyFile = join(folder, 'key.json');
    writeKeyFile(keyFile, generateKey());
    let output = '';
    let errors = '';
    vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
      output += text;
      return true;
    });
    vi.spyOn(process.stderr, 'write').mockImplementation((text) => {
      errors += text;
      return true;
    });
    const node = await openNode({ udp: true });
    const args = (scheme: 'tcp' | 'udp') => ['--to', node.url(scheme), '--key', keyFile, '--ledger-channel', LEDGER];
    const LEDGER = 'AB'.repeat(32);
    const state = ['--state', join(folder, 'pay.state')];
    const said = async (...more: string[]) => {
      output = errors = '';
      const code = await pay([...args('udp'), '--json', ...more]);
      const { status, amount, sequence } = JSON.parse(output);
      return { code, status, amount, sequence };
    };
    expect(await said('--amount', '8')).toMatchObject({ code: 0, status: 'COMMITTED', amount: '8' });
    for (const amount of ['8', '3']) {
      expect(await said('--amount', amount)).toMatchObject({ code: 1, status: 'ALREADY', amount });
      expect(errors).toMatch(/nothing was paid, the node holds . drops or more already/);
    }
    expect(node.received).toBe(1);
    expect(await said('--amount', '9', ...state)).toMatchObject({ code: 0, amount: '9', sequence: 1 });
    expect(await said('--more', '5', ...state)).toMatchObject({ code: 0, amount: '14', sequence: 2 });
    expect(await said('--more', '5', ...state)).toMatchObject({
      code: 0,
      status: 'COMMITTED',
      amount: '19',
      sequence: 3,
    });
    node.best.set(0xababababababababn, 30n);
    expect(await said('--more', '5', ...state)).toMatchObject({ code: 1, status: 'COMMITTED_MISMATCH' });
    await expect(pay([...args('tcp'), '--amount', '1', '--more', '1'])).rejects.toMatchObject({ code: 'USAGE' });
    await expect(pay([...args('tcp'), '--more', '0'])).rejects.toMatchObject({ code: 'USAGE' });
    vi.restoreAllMocks();
    rmSync(folder, { recursive: true });
  });

  it('pays over TCP and TLS', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'claimwire-pay-'));
    const keyFile = join(folder, 'key.json');
    const caFile = join(folder, 'ca.pem');
    writeKeyFile(keyFile, generateKey());
    writeFileSync(caFile, TLS_PAIR.cert);
    let output = '';
    vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
      output += text;
      return true;
    });
    const plain = await openNode();
    const secure = await openNode({ tls: TLS_PAIR });
    const args = ['--key', keyFile, '--ledger-channel', 'AB'.repeat(32), '--amount', '8', '--json'];
    expect(await pay(['--to', plain.url('tcp'), ...args])).toBe(0);
    expect(await pay(['--to', secure.url('tls'), '--tls-ca', caFile, ...args])).toBe(0);
    vi.restoreAllMocks();
    expect(
      output
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line).status),
    ).toEqual(['COMMITTED', 'COMMITTED']);
    const noFile = ['--to', secure.url('tls'), '--tls-ca', join(folder, 'none'), ...args];
    await expect(pay(noFile)).rejects.toMatchObject({ code: 'USAGE' });
    rmSync(folder, { recursive: true });
  });
});

describe('TCP_NODELAY', () => {
  /** Milliseconds, the median of rounds in which the node answers two claims of two turns together, as a commit does. */
  async function roundMs(noDelay: boolean): Promise<number> {
    let seen = 0;
    let release = () => {};
    const node = await openNode({
      beforeAck: (claims) => {
        seen += claims.length;
        const second = seen % 2 === 0;
        const first = release;
        if (second) first();
        return second ? Promise.resolve() : new Promise<void>((resolve) => (release = resolve));
      },
    });
    const connect = noDelay
      ? {}
      : { connect: () => ({ socket: net.connect(node.port, '127.0.0.1'), upEvent: 'connect' as const }) };
    const pool = new ConnectionPool({ to: node.url('tcp'), ...connect });
    toClose.push(pool);
    const payer = await openPayer({ to: node.url('tcp'), pool, rto: NO_RTO });
    const [first, second] = [1, 2].map((number) =>
      payer.channel({ ledgerChannelId: ledgerId(number), key: stubSigner }),
    );
    const rounds: number[] = [];
    for (let round = 0; round < 21; round += 1) {
      const startedAt = performance.now();
      const one = first!.pay(1n);
      await new Promise((resolve) => setImmediate(resolve));
      await new Promise((resolve) => setImmediate(resolve));
      await Promise.all([one, second!.pay(1n)]);
      rounds.push(performance.now() - startedAt);
    }
    return rounds.sort((a, b) => a - b)[10]!;
  }

  it.runIf(process.platform === 'linux')('spares a claim the wait for the ack of the one before it', async () => {
    const withoutMs = await roundMs(false);
    const withMs = await roundMs(true);
    console.log(`claim to ack: ${withMs.toFixed(2)} ms with TCP_NODELAY, ${withoutMs.toFixed(2)} ms without`);
    // Not a speed: Linux delays an ack by 40 ms at the least, and a slow machine adds the same to both.
    expect(withoutMs - withMs).toBeGreaterThan(20);
  });
});
