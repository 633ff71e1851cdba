/**
 * The entry of a web process: the sockets of WebSocket and WebRTC peers, apart from the node.
 *
 * A library of a million lines that reads strangers' packets is not in the process that holds the channels: when it fails,
 * the node goes on, and starts this process again. It has no file, key or table of the node.
 */
import { type WebCounterName, zeroCounts } from './counters.ts';
import { Front } from './front.ts';
import type { FromWeb, ToWeb, WebSettings } from './messages.ts';
import { yieldToNode } from './yield-to-node.ts';

const COUNTS_MS = 100;

let front: Front | undefined;
const told = zeroCounts();

function tell(message: FromWeb): void {
  if (process.connected) process.send!(message);
}

function tellCounts(): void {
  const counts: Partial<Record<WebCounterName, number>> = {};
  let isNew = false;
  for (const [name, count] of Object.entries(front?.counts ?? {}) as [WebCounterName, number][]) {
    if (count === told[name]) continue;
    counts[name] = count - told[name];
    told[name] = count;
    isNew = true;
  }
  if (isNew) tell({ event: 'counts', counts });
}

/** Tells the batches of one turn together. */
let batches: { ring: number; batch: Uint8Array }[] = [];
function send(ring: number, batch: Uint8Array): void {
  if (batches.push({ ring, batch }) > 1) return;
  queueMicrotask(() => {
    tell({ event: 'claims', batches });
    batches = [];
  });
}

async function start(settings: WebSettings): Promise<void> {
  try {
    front = await Front.open(settings, {
      send,
      ask: (call) => tell({ event: 'control', ...call }),
    });
  } catch (error) {
    const { code = 'NODE_FAILED', message } = error as NodeJS.ErrnoException;
    tell({ event: 'fault', code, message });
    return;
  }
  setInterval(tellCounts, COUNTS_MS);
  tell({ event: 'ready', address: front.address });
}

async function close(): Promise<void> {
  await front?.close();
  tellCounts();
  // The library has threads of its own, which an exit by the event loop's end would wait for.
  process.send!({ event: 'counts', counts: {} } satisfies FromWeb, () => process.exit(0));
}

yieldToNode();

process.on('message', (message: ToWeb) => {
  if (message.event === 'answers')
    for (const { ring, taken, acks } of message.answers) front?.peers.answers(ring, taken, acks);
  else if (message.event === 'reply') front?.peers.control.answer(message.call, message.reply);
  else if (message.event === 'start') void start(message.settings);
  else if (message.event === 'stopReceiving') front?.stopReceiving();
  else void close();
});
// The node has ended, in whatever way.
process.on('disconnect', () => process.exit(0));
// An operator's Ctrl-C reaches the whole group: the node decides when this process ends.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => {});
