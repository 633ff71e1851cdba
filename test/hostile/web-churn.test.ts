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
import { openRtcWire, openWebSocketWire } from '../support/wire-web.ts';

const PEERS = brieflyOrAtLength(48, 10_000);
const AT_A_TIME = 8;
/** What a node of a fixed table and ring may gain while peers come and go: buffers, and code that is compiled late. */
const GROWTH_MIB_MAX = 32;
const SAMPLES = 10;
const QUESTION = new Uint8Array(93).fill(1);

const folder = temporaryFolders();
let node: NodeProcess | undefined;
afterAll(() => node?.stop());

function residentMiB(pid: number): number {
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]) / 1_024;
}

/** The web process is the node's only child. */
function webPid(pid: number): number {
  return Number(readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim());
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
  const counts = async () => {
    const response = await fetch(`http://${http}/stats`);
    return ((await response.json()) as { counters: { web: Record<string, number> } }).counters.web;
  };
  // One that leaves at once may be gone before its data channel is there.
  const seen = async () => {
    const { accepted, closed, offers, websocketAccepted, webrtcAccepted } = await counts();
    const [begun, paying] = kind === 'webrtc' ? [offers!, webrtcAccepted!] : [websocketAccepted!, websocketAccepted!];
    return { open: accepted! - closed!, begun, arePaying: paying >= PEERS / 2 };
  };
  await expect.poll(seen, { timeout: 20_000 }).toEqual({ open: 0, begun: PEERS, arePaying: true });
  expect((await counts()).restarts).toBe(0);
  if (PEERS < 1_000) return;
  for (const process of ['node', 'web'] as const)
    console.info(`${kind}, ${process}: ${memory.map((at) => Math.round(at[process])).join(' ')} MiB by tenth`);
  // The first tenths are where pools and caches fill up.
  const [third, last] = [memory[2]!, memory.at(-1)!];
  expect(last.node - third.node).toBeLessThan(GROWTH_MIB_MAX);
  expect(last.web - third.web).toBeLessThan(GROWTH_MIB_MAX);
});
