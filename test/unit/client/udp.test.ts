/** The payer over real sockets on loopback: signatures, faults of the network, a node that goes away; and the tools. */
import { createSocket } from 'node:dgram';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { verify } from '@noble/secp256k1';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { ackBytes } from '../../../protocol/ack.ts';
import { claimBytes } from '../../../protocol/claim.ts';
import { xrplDigest } from '../../../protocol/digest.ts';
import { STATUS } from '../../../protocol/layout.ts';
import { generateKey, keySigner, loadKeyFile, writeKeyFile } from '../../../src/client/keys/key-file.ts';
import { openUdpSocket } from '../../../src/client/links/transport-udp.ts';
import { Payer } from '../../../src/client/payer.ts';
import { run as keygen } from '../../../tools/keygen.ts';
import { run as pay } from '../../../tools/pay.ts';
import { FaultySocket } from '../../support/faulty-socket.ts';
import { ackOf, openUdpNode, stubSigner, type UdpNode } from '../../support/payer-fakes.ts';

let node: UdpNode | undefined;
let payer: Payer | undefined;
afterEach(async () => {
  await payer?.close();
  await node?.close();
  node = payer = undefined;
});

function ledgerId(number: number): Uint8Array {
  const id = new Uint8Array(32).fill(0xee);
  new DataView(id.buffer).setUint32(4, number);
  return id;
}

describe('payer over UDP', () => {
  it('sends claims whose signatures hold, and sees them acknowledged', async () => {
    node = await openUdpNode((claim) => ackOf(claim));
    // Nothing is sent again, however busy the machine.
    payer = await Payer.open({ to: node.url, rto: { initialMs: 60_000, minMs: 60_000 } });
    const signer = keySigner(generateKey());
    const channel = payer.channel({ ledgerChannelId: ledgerId(1), key: signer });
    for (let count = 1; count <= 5; count += 1) {
      const ack = await channel.pay(10n);
      expect(ack).toMatchObject({ status: 'COMMITTED', amount: BigInt(count) * 10n, sequence: count });
      expect(ack.rttMs).toBeGreaterThan(0);
    }
    for (const claim of node.claims) {
      const digest = xrplDigest(ledgerId(1), claimBytes(claim));
      expect(verify(claim.signature, digest, signer.publicKey, { prehash: false })).toBe(true);
    }
    expect(Buffer.from(channel.lastClaim()!)).toEqual(Buffer.from(claimBytes(node.claims.at(-1)!)));
    expect(payer.stats()).toMatchObject({ acks: { COMMITTED: 5 }, retransmits: 0, rtt: { count: 5 } });
  });

  it('gets 4,000 claims through a network that loses 30 % and doubles and reorders 10 %', {
    timeout: 30_000,
  }, async () => {
    const best = new Map<bigint, bigint>();
    node = await openUdpNode((claim) => {
      const before = best.get(claim.channelId) ?? 0n;
      if (claim.amount <= before) return ackOf(claim, { status: STATUS.ALREADY });
      best.set(claim.channelId, claim.amount);
      return ackOf(claim);
    });
    const socket = new FaultySocket(await openUdpSocket(node.url), {
      drop: 0.3,
      duplicate: 0.1,
      reorder: 0.1,
      seed: 20260727,
    });
    const faulty = new Payer({ socket });
    payer = faulty;
    const channels = Array.from({ length: 200 }, (_, number) =>
      faulty.channel({ ledgerChannelId: ledgerId(number), key: stubSigner }),
    );
    await Promise.all(
      channels.map(async (channel) => {
        for (let count = 0; count < 20; count += 1) await channel.pay(3n);
      }),
    );
    expect(best.size).toBe(200);
    for (const channel of channels) {
      expect(best.get(channel.channelId)).toBe(60n);
      expect(channel.committed).toBe(60n);
    }
    expect(socket.dropped).toBeGreaterThan(50);
    expect(socket.duplicated).toBeGreaterThan(5);
    expect(socket.reordered).toBeGreaterThan(5);
    expect(payer.stats().retransmits).toBeGreaterThan(50);
    expect(payer.stats()).toMatchObject({ unmatched: 0, malformed: 0, inFlight: 0, waiting: 0 });
  });

  it('outlives its node', { timeout: 30_000 }, async () => {
    node = await openUdpNode((claim) => ackOf(claim));
    const { url } = node;
    payer = await Payer.open({ to: url });
    const channel = payer.channel({ ledgerChannelId: ledgerId(1), key: stubSigner });
    await channel.claim(1n);
    await node.close();
    const paid = channel.claim(2n);
    await new Promise((resolve) => setTimeout(resolve, 120));
    expect(payer.stats().socketErrors).toBeGreaterThan(0);
    node = await openUdpNode((claim) => ackOf(claim), Number(new URL(url).port));
    expect(await paid).toMatchObject({ status: 'COMMITTED', amount: 2n });
  });

  it('hears only its node', async () => {
    const stranger = createSocket('udp4');
    node = await openUdpNode((claim, source) => {
      stranger.send(ackBytes(ackOf(claim)), source.port, source.address);
      return undefined;
    });
    payer = await Payer.open({ to: node.url, ackTimeoutMs: 200 });
    const paid = payer.channel({ ledgerChannelId: ledgerId(1), key: stubSigner }).claim(1n);
    await expect(paid).rejects.toMatchObject({ code: 'ACK_TIMEOUT' });
    expect(node.claims.length).toBeGreaterThan(0);
    expect(payer.stats()).toMatchObject({ acks: {}, unmatched: 0 });
    stranger.close();
  });

  it.each(['http://127.0.0.1:1', 'udp://127.0.0.1', 'udp://127.0.0.1:0', 'udp://127.0.0.1:65536', 'udp://:5', ''])(
    'refuses to go to "%s"',
    async (to) => {
      await expect(Payer.open({ to })).rejects.toMatchObject({
        code: 'INPUT_INVALID',
        message: `to: expected udp://HOST:PORT (or tcp, tls, auto, ws, wss, webrtc+http, webrtc+https), got ${to}`,
      });
    },
  );
});

describe('tools', () => {
  const LEDGER = '5DB01B7FFED6B67E6B0414DED11E051D2EE2B7619CE0EAA6286D67A3A4D5BDB3';
  let folder: string;
  let keyFile: string;
  let output: string;
  let errors: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'claimwire-pay-'));
    keyFile = join(folder, 'key.json');
    output = errors = '';
    vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
      output += text;
      return true;
    });
    vi.spyOn(process.stderr, 'write').mockImplementation((text) => {
      errors += text;
      return true;
    });
  });
  afterEach(() => {
    vi.restoreAllMocks();
    rmSync(folder, { recursive: true });
  });

  it('keygen prints a key, or keeps it in a file and prints its public half', async () => {
    expect(await keygen(['--json'])).toBe(0);
    const printed = JSON.parse(output);
    expect(Object.keys(printed).sort()).toEqual(['privateKey', 'publicKey']);
    keySigner(printed);
    output = '';
    expect(await keygen(['--out', `${keyFile}-plain`])).toBe(0);
    const plain = loadKeyFile(`${keyFile}-plain`);
    expect(output.replaceAll(/ +/g, ' ')).toBe(`publicKey ${plain.publicKey}\npath ${keyFile}-plain\n`);
    output = '';
    expect(await keygen(['--out', keyFile, '--json'])).toBe(0);
    const { publicKey, privateKey } = loadKeyFile(keyFile);
    expect(JSON.parse(output)).toEqual({ privateKey, publicKey, path: keyFile });
    expect(statSync(keyFile).mode & 0o777).toBe(0o600);
    await expect(keygen(['--out', keyFile])).rejects.toMatchObject({ code: 'KEY_FILE_INVALID' });
    expect(loadKeyFile(keyFile).publicKey).toBe(publicKey);
    await expect(keygen(['--outt', 'x'])).rejects.toMatchObject({ code: 'USAGE' });
    await expect(keygen(['x'])).rejects.toMatchObject({ code: 'USAGE' });
    await expect(keygen(['--type', 'rsa'])).rejects.toMatchObject({
      code: 'USAGE',
      message: '--type: expected secp256k1 or ed25519, got "rsa"',
    });
    expect(await keygen(['--help'])).toBe(0);
  });

  it.each([
    ['secp256k1', /^0[23]/],
    ['ed25519', /^ED/],
  ])('keygen --type %s makes that kind of key', async (type, prefix) => {
    expect(await keygen(['--type', type, '--json'])).toBe(0);
    const key = JSON.parse(output);
    expect(key.publicKey).toMatch(prefix);
    expect(Buffer.from(keySigner(key).publicKey).toString('hex').toUpperCase()).toBe(key.publicKey);
  });

  it('pay prints the ack with the signature that the published vector has', async () => {
    node = await openUdpNode((claim) => ackOf(claim));
    writeKeyFile(keyFile, {
      privateKey: 'BAA795362C6E48B9722325D0DCBD5A1E2CD4935C6CB12816DAEC50F87487BF84',
      publicKey: '0257CF4F3929F535518D624292D62ACE47E9DA563D7DFA7EA4C6BC24258AB467B7',
    });
    const args = ['--to', node.url, '--key', keyFile, '--ledger-channel', LEDGER, '--amount', '1000000'];
    expect(await pay([...args, '--json', '--channel', '12', '--sequence', '44'])).toBe(0);
    expect(JSON.parse(output)).toEqual({
      status: 'COMMITTED',
      channelId: '12',
      sequence: 44,
      amount: '1000000',
      timestamp: node.claims[0]!.timestamp,
      rttMs: expect.any(Number),
      signature:
        '7A942607EFB90C9D38769330B3B540F7D83B3A38E7A621A59C9B6A51F3116D23' +
        '3BC45DB3E6CA873DCAC00EE6753FD982F9328A7BD3231B314C7195CAD2B4F5A3',
    });
  });

  it('pay exits 1 with the status of a refusal or a silence', async () => {
    node = await openUdpNode((claim) => ackOf(claim, { status: STATUS.OVER_CAPACITY, amount: 7n }));
    writeKeyFile(keyFile, generateKey());
    const args = ['--key', keyFile, '--ledger-channel', LEDGER, '--amount', '8', '--json'];
    expect(await pay(['--to', node.url, ...args])).toBe(1);
    expect(JSON.parse(output)).toMatchObject({ status: 'OVER_CAPACITY', sequence: 1, amount: '7' });
    expect(errors).toMatch(/^claimwire: .*OVER_CAPACITY.*\n$/);
    output = errors = '';
    await node.close();
    node = undefined;
    const silent = await openUdpNode(() => undefined);
    expect(await pay(['--to', silent.url, ...args, '--timeout', '100'])).toBe(1);
    await silent.close();
    expect(JSON.parse(output)).toMatchObject({ status: 'ACK_TIMEOUT', amount: '8', timeoutMs: 100 });
  });

  it('pay says what it expected', async () => {
    writeKeyFile(keyFile, generateKey());
    const good = { to: 'udp://127.0.0.1:9', key: keyFile, 'ledger-channel': LEDGER, amount: '1' };
    for (const [change, message] of [
      [{ amount: '1.5' }, '--amount: expected'],
      [{ amount: '18446744073709551616' }, '--amount: expected'],
      [{ 'ledger-channel': 'AB' }, '--ledger-channel: expected'],
      [{ profile: 'x' }, '--profile: expected xrpl or link, got "x"'],
      [
        { to: 'http://x' },
        '--to: expected udp://HOST:PORT (or tcp, tls, auto, ws, wss, webrtc+http, webrtc+https), got http://x',
      ],
      [{ sequence: '4294967296' }, '--sequence: expected a whole number from 0 to 4294967295'],
      [{ timeout: '0' }, '--timeout: expected'],
    ] as const) {
      const args = Object.entries({ ...good, ...change }).flatMap(([name, value]) => [`--${name}`, value]);
      await expect(pay(args)).rejects.toMatchObject({ code: 'USAGE', message: expect.stringContaining(message) });
    }
    await expect(pay([])).rejects.toMatchObject({
      code: 'USAGE',
      message: '--key: expected a key file, got nothing',
    });
    expect(output).toBe('');
    expect(await pay(['--help'])).toBe(0);
    expect(output).toContain('Usage: claimwire pay');
  });
});
