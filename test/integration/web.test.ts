/** Payers over WebSocket and WebRTC at a node, whose web process is then killed. */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { ClaimwireNode } from '../../dist/src/index.js';
import { decodeControl, encodeControl } from '../../protocol/control-codec.ts';
import { generateKey, keySigner } from '../../src/client/keys/key-file.ts';
import type { ConnectCarrier } from '../../src/client/links/carrier.ts';
import { carrierTo } from '../../src/client/links/open-carrier.ts';
import { Payer } from '../../src/client/payer.ts';
import { isNativeTested } from '../support/native-only.ts';

const ANY = { host: '127.0.0.1', port: 0 };
const silent = { info() {}, warn() {}, error() {} };
let folder: string;
let node: ClaimwireNode;
const payers: Payer[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'claimwire-web-'));
});
afterEach(async () => {
  await Promise.all(payers.splice(0).map((payer) => payer.close()));
  await node?.stop();
  rmSync(folder, { recursive: true, force: true });
});

async function openPayer(scheme: string, number: number) {
  const payer = await Payer.open({ to: `${scheme}://${scheme === 'udp' ? node.udp : node.web}` });
  payers.push(payer);
  const key = keySigner(generateKey());
  const ledgerChannelId = new Uint8Array(32).fill(number);
  const channelId = new DataView(ledgerChannelId.buffer).getBigUint64(0);
  await node.openChannels([
    { channelId, ledgerChannelId, publicKey: key.publicKey, profile: 'xrpl', capacity: 1_000_000n, expiresAt: 0 },
  ]);
  return { payer, channel: payer.channel({ ledgerChannelId, key }), channelId, ledgerChannelId, key };
}

/** How the system schedules a thread. */
function priorityOf(pid: number, thread: string): string {
  const fields = readFileSync(`/proc/${pid}/task/${thread}/stat`, 'utf8').split(') ').at(-1)!.split(' ');
  return `nice ${fields[16]}, policy ${fields[38]}`;
}

/** A carrier whose control messages are collected. */
function collected() {
  const answers: unknown[] = [];
  const message = (bytes: Uint8Array) => answers.push(decodeControl(bytes, 1, bytes.length));
  return { answers, connect: (to: ConnectCarrier) => to({ message, closed() {} }) };
}

test('payers pay, and go on after the web process was killed', { timeout: 30_000 }, async () => {
  node = await ClaimwireNode.start({
    data: folder,
    udp: ANY,
    web: ANY,
    webrtc: true,
    channelsMax: 4_096,
    logger: silent,
  });
  const sides = [];
  for (const [index, scheme] of ['ws', 'webrtc+http', 'udp'].entries()) sides.push(await openPayer(scheme, index + 1));
  expect(sides.map(({ payer }) => payer.stats().transport)).toEqual(['websocket', 'webrtc', 'udp']);
  await Promise.all(sides.flatMap(({ channel }) => Array.from({ length: 50 }, () => channel.pay(1n))));
  for (const { channelId } of sides) expect(node.channel(channelId)!.committed).toBe(50n);
  const web = (node.stats().counters as { web: Record<string, number> }).web;
  await expect.poll(() => web).toMatchObject({ accepted: 2, websocketAccepted: 1, webrtcAccepted: 1 });

  const webPid = Number(readFileSync(`/proc/${process.pid}/task/${process.pid}/children`, 'utf8').split(' ')[0]);
  // The main thread, and those of the library, which are there after V8's. With the addon the policy is SCHED_BATCH (3) at
  // first and while the machine is full, else SCHED_IDLE (5).
  const name = (thread: string) => readFileSync(`/proc/${webPid}/task/${thread}/comm`, 'utf8').trim();
  const threads = readdirSync(`/proc/${webPid}/task`).filter((thread) => /^(juice|RTC)/.test(name(thread)));
  expect(threads.length).toBeGreaterThan(1);
  const expected = isNativeTested ? /^nice 19, policy [35]$/ : /^nice 19, policy 0$/;
  for (const thread of [String(webPid), ...threads]) expect(priorityOf(webPid, thread)).toMatch(expected);
  process.kill(webPid, 'SIGKILL');
  await Promise.all(sides.map(({ channel }) => channel.pay(1n)));
  for (const { channelId } of sides) expect(node.channel(channelId)!.committed).toBe(51n);
  expect(web.restarts).toBe(1);
  // Those of the process that ended have ended too.
  const open = () => [web.accepted! - web.closed!, web.websocketAccepted! - web.websocketClosed!];
  await expect.poll(open).toEqual([2, 1]);

  // A payer that lost its state asks what is committed the same way, and goes on from there.
  for (const [index, scheme] of ['ws', 'webrtc+http'].entries()) {
    const { key, ledgerChannelId } = sides[index]!;
    const payer = await Payer.open({ to: `${scheme}://${node.web}` });
    payers.push(payer);
    const again = payer.channel({ ledgerChannelId, key });
    expect(await again.resume()).toMatchObject({ committed: 51n });
    await again.pay(4n);
    expect(node.channel(again.channelId)!.committed).toBe(55n);
    const stranger = payer.channel({ ledgerChannelId: new Uint8Array(32).fill(9), key });
    await expect(stranger.resume()).rejects.toMatchObject({ code: 'CHANNEL_UNKNOWN' });
  }
  // No token is taken here, not even the right one and from this machine.
  const token = readFileSync(join(folder, 'admin-token'), 'utf8').trim();
  const { connect, answers } = collected();
  const carrier = await connect(await carrierTo('ws', { host: '127.0.0.1', port: Number(node.web.split(':')[1]) }));
  carrier.send(encodeControl({ id: 1, type: 'stats', token }).slice());
  await expect.poll(() => answers).toMatchObject([{ id: 1, ok: false, code: 'UNAUTHORIZED' }]);
  carrier.close();

  // An address that is taken is said.
  const other = join(folder, 'other');
  const port = Number(node.web.split(':')[1]);
  const options = { data: other, udp: ANY, web: { ...ANY, port }, channelsMax: 4_096, logger: silent };
  await expect(ClaimwireNode.start(options)).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
});
