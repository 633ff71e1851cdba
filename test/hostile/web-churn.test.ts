/**
 * Peers that come and go at a node's web listener, by WebSocket and by WebRTC: some pay, some say nothing, some leave in
 * the middle of the handshake. Nothing of them is left behind, in the node or in its web process.
 *
 * At length (`make test-long`) 10,000 of each, with the memory of both processes over time.
 */
import { readFileSync } from 'node:fs';
import net from 'node:net';
import { afterAll, expect, test } from 'vitest';
import { brieflyOrAtLength } from '../support/length.ts';
import { NodeProcess, temporaryFolders } from '../support/node-process.ts';
import type { Wire } from '../support/wire-client.ts';
import { openRtcWire, openWebSocketWire, soundOffer } from '../support/wire-web.ts';

const PEERS = brieflyOrAtLength(48, 10_000);
const AT_A_TIME = 8;
/** A thousand a second, or as many as this process manages: the honest peers are in it too. */
const OFFERS = brieflyOrAtLength(400, 10_000);
const OFFERS_AT_A_TIME = 256;
/** What a node of a fixed table and ring may gain while peers come and go: buffers, and code that is compiled late. */
const GROWTH_MIB_MAX = 32;
const SAMPLES = 10;
const QUESTION = new Uint8Array(93).fill(1);

const folder = temporaryFolders();
let node: NodeProcess | undefined;
let flooded: NodeProcess | undefined;
afterAll(() => Promise.all([node?.stop(), flooded?.stop()]));

function residentMiB(pid: number): number {
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]) / 1_024;
}

/** The web process is the node's only child. */
function webPid(pid: number): number {
  return Number(readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim());
}

async function webCounts(http: string): Promise<Record<string, number>> {
  const response = await fetch(`http://${http}/stats`);
  return ((await response.json()) as { counters: { web: Record<string, number> } }).counters.web;
}

async function comeAndGo(open: () => Promise<Wire>, number: number, port: number): Promise<void> {
  if (number % 4 === 0) {
    // In the middle of the handshake.
    const socket = net.connect(port, '127.0.0.1');
    socket.on('error', () => {});
    socket.write('GET / HTTP/1.1\r\nupgrade: websocket\r\n');
    await new Promise((resolve) => setTimeout(resolve, 2));
    socket.destroy();
  }
  const wire = await open();
  if (number % 2 === 0) {
    // A claim of a channel that nobody opened is refused, and that too is an answer.
    await wire.send(QUESTION);
    await expect.poll(() => wire.inbox.acks.length, { interval: 2, timeout: 10_000 }).toBeGreaterThan(0);
  }
  wire.close();
}

const kinds = [
  ['websocket', openWebSocketWire],
  ['webrtc', openRtcWire],
] as const;
test.each(kinds)(`${PEERS} peers come and go by %s`, { timeout: 60_000 + 100 * PEERS }, async (kind, open) => {
  node ??= new NodeProcess(folder('churn'), ['--web', '127.0.0.1:0', '--webrtc', '--web-offers', '10000']);
  const { pid, web: place, http } = (await node.ready) as Awaited<NodeProcess['ready']> & { web: string };
  const port = Number(place.split(':')[1]);
  const memory: { node: number; web: number }[] = [];
  for (let done = 0; done < PEERS; done += AT_A_TIME) {
    const numbers = Array.from({ length: AT_A_TIME }, (_, index) => done + index);
    await Promise.all(numbers.map((number) => comeAndGo(() => open(place), number, port)));
    if (done >= (memory.length * PEERS) / SAMPLES)
      memory.push({ node: residentMiB(pid), web: residentMiB(webPid(pid)) });
  }
  // One that leaves at once may be gone before its data channel is there.
  const seen = async () => {
    const { accepted, closed, offers, websocketAccepted, webrtcAccepted } = await webCounts(http);
    const [begun, paying] = kind === 'webrtc' ? [offers!, webrtcAccepted!] : [websocketAccepted!, websocketAccepted!];
    return { open: accepted! - closed!, begun, arePaying: paying >= PEERS / 2 };
  };
  await expect.poll(seen, { timeout: 20_000 }).toEqual({ open: 0, begun: PEERS, arePaying: true });
  expect((await webCounts(http)).restarts).toBe(0);
  if (PEERS < 1_000) return;
  for (const process of ['node', 'web'] as const)
    console.info(`${kind}, ${process}: ${memory.map((at) => Math.round(at[process])).join(' ')} MiB by tenth`);
  // The first tenths are where pools and caches fill up.
  const [third, last] = [memory[2]!, memory.at(-1)!];
  expect(last.node - third.node).toBeLessThan(GROWTH_MIB_MAX);
  expect(last.web - third.web).toBeLessThan(GROWTH_MIB_MAX);
});

test(`${OFFERS} offers, a thousand a second, leave honest peers alone`, { timeout: 60_000 + 10 * OFFERS }, async () => {
  flooded = new NodeProcess(folder('offers'), ['--web', '127.0.0.1:0', '--webrtc']);
  const { web: place, http } = (await flooded.ready) as Awaited<NodeProcess['ready']> & { web: string };
  const honest = await Promise.all([openWebSocketWire(place), openRtcWire(place)]);
  const body = await soundOffer();
  const statuses = new Map<number, number>();
  const offer = async () => {
    const headers = { 'content-type': 'application/sdp' };
    const status = await fetch(`http://${place}/rtc`, { method: 'POST', headers, body }).then(
      (response) => response.status,
      () => 0,
    );
    statuses.set(status, (statuses.get(status) ?? 0) + 1);
    unanswered--;
  };
  let unanswered = 0;
  const offers: Promise<void>[] = [];
  const { pid } = await flooded.ready;
  const memory = () => `${Math.round(residentMiB(pid))} + ${Math.round(residentMiB(webPid(pid)))} MiB`;
  const memoryBefore = memory();
  const answerMs: number[] = [];
  const began = performance.now();
  for (let asked = 0; offers.length < OFFERS; asked++) {
    const due = Math.min(OFFERS, performance.now() - began);
    for (; offers.length < due && unanswered < OFFERS_AT_A_TIME; unanswered++) offers.push(offer());
    // Each is answered while the flood goes on.
    for (const wire of honest) {
      const before = wire.inbox.acks.length;
      const sentAt = performance.now();
      await wire.send(QUESTION);
      if (asked % 10 !== 0) continue;
      await expect.poll(() => wire.inbox.acks.length, { interval: 5 }).toBeGreaterThan(before);
      answerMs.push(performance.now() - sentAt);
    }
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  await Promise.all(offers);
  const seconds = (performance.now() - began) / 1_000;
  // For one address a quarter of 100 a second, and those of two seconds at once.
  expect(statuses.get(200) ?? 0).toBeLessThanOrEqual(50 + 25 * (seconds + 1));
  const refused = { refusedRate: statuses.get(429), restarts: 0, closed: 0 };
  await expect.poll(() => webCounts(http), { timeout: 10_000 }).toMatchObject(refused);
  if (OFFERS >= 1_000) {
    const slowest = answerMs.sort((a, b) => a - b).at(-1)!;
    const median = answerMs[answerMs.length >> 1]!;
    console.info(`${OFFERS} offers in ${seconds.toFixed(1)} s: ${JSON.stringify(Object.fromEntries(statuses))}`);
    console.info(`memory of node + web process: ${memoryBefore}, then ${memory()}`);
    console.info(
      `${answerMs.length} answers to honest peers: median ${median.toFixed(1)} ms, slowest ${slowest.toFixed(1)}`,
    );
  }
  for (const wire of honest) {
    expect(wire.isOpen).toBe(true);
    wire.close();
  }
});
