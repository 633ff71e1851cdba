/**
 * A node under floods from processes of their own, while two payers pay, one over UDP and one over TCP: each of their
 * claims is answered, and none is refused for want of room. Judged by counts: how fast is for a bench to say.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import type { Ack } from '../../protocol/ack.ts';
import { STATUS } from '../../protocol/layout.ts';
import { upperHex } from '../../src/channel/parse.ts';
import { brieflyOrAtLength } from '../support/length.ts';
import { getJson, NodeProcess, openChannels, type ReadyLine, temporaryFolders } from '../support/node-process.ts';
import { framed, TcpPeer, until } from '../support/tcp.ts';
import { openingOf, signedClaim, WirePeer } from '../support/wire.ts';

const ATTACKERS = join(import.meta.dirname, 'attackers');
/** Claims of each payer, and how long apart. */
const CLAIMS = brieflyOrAtLength(60, 300);
const APART_MS = 10;
const PAID = 1n;

const folder = temporaryFolders();
const running: { attacker?: ChildProcess } = {};
afterEach(() => running.attacker?.kill('SIGKILL'));

/** One node goes through all floods; the payers of each have channels of their own. */
let node: NodeProcess;
let ready: ReadyLine;
let data: string;
let paidChannels = PAID;
beforeAll(async () => {
  data = folder('siege');
  node = new NodeProcess(data, ['--backend', 'native'], undefined, { env: { CLAIMWIRE_WARM_UP: 'off' } });
  ready = await node.ready;
  await openThese([PAID]);
});
afterAll(async () => {
  node.kill('SIGKILL');
  await node.exit;
});

async function openThese(ids: readonly bigint[]): Promise<void> {
  const openings = ids.map((id) => {
    const { ledgerChannelId, publicKey } = openingOf(id);
    return { ledgerChannelId: upperHex(ledgerChannelId), publicKey: upperHex(publicKey), capacity: '1000000000' };
  });
  await openChannels(ready, data, openings);
}

async function attack(name: string, options: object): Promise<ChildProcess> {
  const attacker = spawn(process.execPath, [join(ATTACKERS, `${name}.mjs`), JSON.stringify(options)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  running.attacker = attacker;
  await once(attacker.stdout!, 'data');
  return attacker;
}

test.each([
  ['tcp-claims', { kind: 'unknown', connections: 200 }],
  ['tcp-claims', { kind: 'already', connections: 200 }],
  ['tcp-claims', { kind: 'signature', connections: 100 }],
  ['tcp-claims', { kind: 'small', connections: 100 }],
  ['hello-flood', { connections: 200 }],
  ['never-read', { connections: 200 }],
])('%s %o: both payers are answered, every claim', async (name, options) => {
  const [udpChannel, tcpChannel] = [++paidChannels, ++paidChannels];
  await openThese([udpChannel, tcpChannel]);
  const udp = await WirePeer.to(ready.udp);
  expect((await udp.ask(signedClaim(PAID, 5n))).status).toBeLessThanOrEqual(STATUS.ALREADY);
  const port = Number(ready.udp.split(':')[1]);
  const tcp = await TcpPeer.to(port);
  const claims = (id: bigint) =>
    Array.from({ length: CLAIMS }, (_, index) => signedClaim(id, BigInt(index + 1), index + 1));
  const [byUdp, byTcp] = [claims(udpChannel), claims(tcpChannel)];
  udp.acks.length = 0;
  const attacker = await attack(name, { port, seconds: (CLAIMS * APART_MS) / 1_000 + 2, channelId: '1', ...options });
  for (let index = 0; index < CLAIMS; index++) {
    await udp.send(byUdp[index]!);
    tcp.write(framed(byTcp[index]!));
    await new Promise((resolve) => setTimeout(resolve, APART_MS));
  }
  // An ack covers everything below it, so the last one says that all were taken in order.
  const isDone = ({ acks }: { acks: Ack[] }) => acks.some(({ sequence }) => sequence === CLAIMS);
  await until(() => isDone(udp) && isDone(tcp));
  for (const { acks } of [udp, tcp])
    expect(acks.filter(({ status }) => status !== STATUS.COMMITTED && status !== STATUS.ALREADY)).toEqual([]);
  attacker.kill('SIGTERM');
  const { counters } = await getJson<{ counters: { refused: { overloaded: number } } }>(ready, '/stats');
  expect(counters.refused.overloaded).toBe(0);
  udp.close();
  tcp.close();
});
