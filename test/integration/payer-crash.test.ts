/**
 * A payer killed between signing a claim and its ack, and one whose acks are lost, at a real node behind a relay that
 * drops what it is told to. Payer and node run the compiled code where they are processes or threads of their own.
 */
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { ClaimwireNode } from '../../dist/src/index.js';
import { decodeAck } from '../../protocol/ack.ts';
import { type Claim, decodeClaim } from '../../protocol/claim.ts';
import { ACK_BYTES, CLAIM_BYTES, STATUS } from '../../protocol/layout.ts';
import { generateKey, Payer } from '../../src/client/index.ts';
import { isQuestion } from '../support/payer-fakes.ts';
import { storeUnderTest } from '../support/store-under-test.ts';

const ROOT = mkdtempSync(join(tmpdir(), 'claimwire-crash-'));
const CLIENT = resolve(import.meta.dirname, '../../dist/src/client/index.js');
const key = generateKey();
let node: ClaimwireNode;

beforeAll(async () => {
  const udp = { host: '127.0.0.1', port: 0 };
  const data = join(ROOT, 'data');
  const settings = { ...storeUnderTest.options(data), channelsMax: 1 << 12, segmentBytes: 1 << 20 };
  node = await ClaimwireNode.start({ data, udp, ...settings });
}, 60_000);
afterAll(async () => {
  await node?.stop();
  rmSync(ROOT, { recursive: true, force: true });
});

interface Relay {
  url: string;
  close(): Promise<void>;
}

/** UDP to the node and back; each side's datagrams pass where the test lets them. */
async function relay(passClaim: (claim: Claim) => boolean, passAck: (status: number, amount: bigint) => boolean) {
  const [front, back] = [createSocket('udp4'), createSocket('udp4')];
  let payerPort = 0;
  front.on('message', (bytes, source) => {
    payerPort = source.port;
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    for (let at = 0; at < bytes.length; at += CLAIM_BYTES)
      if (passClaim(decodeClaim(view, at))) back.send(bytes.subarray(at, at + CLAIM_BYTES));
  });
  back.on('message', (bytes) => {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    for (let at = 0; at < bytes.length; at += ACK_BYTES) {
      const { status, amount } = decodeAck(view, at);
      if (passAck(status, amount)) front.send(bytes.subarray(at, at + ACK_BYTES), payerPort, '127.0.0.1');
    }
  });
  front.bind(0, '127.0.0.1');
  await once(front, 'listening');
  back.connect(Number(node.udp.split(':')[1]), '127.0.0.1');
  await once(back, 'connect');
  const made: Relay = {
    url: `udp://127.0.0.1:${front.address().port}`,
    close: async () => {
      const closed = [once(front, 'close'), once(back, 'close')];
      front.close();
      back.close();
      await Promise.all(closed);
    },
  };
  return made;
}

async function opened() {
  const ledgerChannelId = Uint8Array.from(randomBytes(32));
  const channelId = Buffer.from(ledgerChannelId).readBigUInt64BE();
  const publicKey = Uint8Array.from(Buffer.from(key.publicKey, 'hex'));
  const opening = { channelId, ledgerChannelId, publicKey, capacity: 1_000n, profile: 'link' as const, expiresAt: 0 };
  await node.openChannels([opening]);
  return { ledgerChannelId, committed: () => node.channel(channelId)!.committed };
}

/** A payer in a process of its own, which pays 25 and 25 and says so. */
function payerProcess(to: string, state: string, ledgerChannelId: Uint8Array) {
  const options = { ledgerChannelId: Buffer.from(ledgerChannelId).toString('hex'), key, profile: 'link' };
  const script = `
    import { Payer } from ${JSON.stringify(CLIENT)};
    const payer = await Payer.open(${JSON.stringify({ to, state })});
    const channel = payer.channel(${JSON.stringify(options)});
    for (let count = 0; count < 2; count += 1) console.log(String((await channel.pay(25n)).amount));`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const lines: string[] = [];
  createInterface({ input: child.stdout }).on('line', (line) => lines.push(line));
  return { child, lines };
}

it.each([
  ['the ack was lost', false, 50n],
  ['the claim was lost', true, 25n],
])(
  'killed after it signed, %s: the next payer goes on from what the node holds',
  async (_, loseClaim, held) => {
    const { ledgerChannelId, committed } = await opened();
    const state = join(ROOT, `${randomBytes(4).toString('hex')}.state`);
    let stateAtClaim: string | undefined;
    let seen: () => void = () => {};
    const second = new Promise<void>((resolve) => {
      seen = resolve;
    });
    const between = await relay(
      (claim) => {
        if (isQuestion(claim) || claim.amount !== 50n) return true;
        stateAtClaim ??= readFileSync(state, 'latin1');
        if (loseClaim) seen();
        return !loseClaim;
      },
      (status, amount) => {
        const isSecond = amount === 50n && status <= STATUS.ALREADY;
        if (isSecond) seen();
        return !isSecond;
      },
    );
    const { child, lines } = payerProcess(between.url, state, ledgerChannelId);
    try {
      await second;
      // Held by a live process: nobody else pays this channel.
      await expect(Payer.open({ to: between.url, state })).rejects.toMatchObject({ code: 'STATE_LOCKED' });
    } finally {
      child.kill('SIGKILL');
      await once(child, 'exit');
      await between.close();
    }
    expect(lines).toEqual(['25']);
    // The amount was on the disk before the claim that bears it left.
    expect(stateAtClaim!.trim().split('\n').at(-1)).toMatch(/,25,50,\d+ #/);
    expect(committed()).toBe(held);
    const payer = await Payer.open({ to: `udp://${node.udp}`, state });
    const channel = payer.channel({ ledgerChannelId, key, profile: 'link' });
    expect(await channel.pay(25n)).toMatchObject({ status: 'COMMITTED', amount: held + 25n });
    expect(committed()).toBe(held + 25n);
    await payer.close();
    expect(readdirSync(ROOT).filter((name) => name.startsWith(state.split('/').at(-1)!))).toHaveLength(1);
  },
  30_000,
);

it('an ack that was lost is asked for again: ALREADY is the answer to this payer itself', async () => {
  const { ledgerChannelId, committed } = await opened();
  const lost = new Set<bigint>();
  const between = await relay(
    () => true,
    (status, amount) => status !== STATUS.COMMITTED || lost.has(amount) || !lost.add(amount),
  );
  const payer = await Payer.open({ to: between.url });
  const channel = payer.channel({ ledgerChannelId, key, profile: 'link' });
  for (let count = 1n; count <= 3n; count += 1n) {
    expect(await channel.pay(25n)).toMatchObject({ status: 'ALREADY', amount: 25n * count });
    expect(committed()).toBe(25n * count);
  }
  await payer.close();
  await between.close();
}, 30_000);
