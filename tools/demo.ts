/**
 * `claimwire demo` (what `make run` runs): a node in a process of its own and a payer in this one, over loopback.
 *
 * The payer opens new channels through the admin interface and streams signed claims: each channel's next one goes out when
 * the last is durable. It ends with what the node committed and a transaction that redeems a channel's best claim.
 */
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { parseRow } from '../src/channel/parse.ts';
import { generateKey, keySigner, Payer, type PaymentChannel, type Percentiles } from '../src/client/index.ts';
import { ClaimwireError } from '../src/errors.ts';
import { AdminClient } from '../src/http/client.ts';
import { type PaymentChannelClaim, paymentChannelClaim } from '../src/ledger/xrpl.ts';
import type { NodeTotals } from '../src/node/node.ts';
import { defineCommand } from './command.ts';
import { fullLoad, type Say } from './demo-load.ts';
import { NodeProcess, type ReadyLine } from './demo-node.ts';
import { BACKEND_OPTION, LOG_OPTIONS } from './node-options.ts';
import { stoppedText } from './node-text.ts';
import { DATA_OPTION } from './options.ts';
import { rowText, writeJson } from './output.ts';
import { Progress } from './progress.ts';
import { count, countText, duration, durationText } from './units.ts';

/** One key with many channels, like a payer's. */
const CAPACITY = 1_000_000_000n;
const DROPS_PER_CLAIM = 25n;
/** The ledger's genesis account stands in for the payee. */
const PAYEE = 'rHb9CJAWyB4rj91VRWn96DkukG4bwdtyTh';
export const command = defineCommand({
  name: 'demo',
  summary: 'a node, a payer and full load on this machine, for a look',
  description:
    'starts a node on the embedded store and a payer beside it, streams signed claims, and prints what was committed, the latency, and one redeemable transaction. Then it loads the node with all it takes, and says what that was and what limits it here.',
  options: {
    data: { ...DATA_OPTION, description: 'data folder of the node' },
    seconds: { value: 'N', description: 'how long the payer streams', default: '6', read: duration('s', 1, 3_600) },
    'load-seconds': {
      value: 'N',
      description: 'how long the node is loaded; 0 leaves it out',
      default: '3',
      read: duration('s', 0, 3_600),
    },
    channels: { value: 'N', description: 'payment channels the payer opens', default: '64', read: count(1, 100_000) },
    backend: BACKEND_OPTION,
    ...LOG_OPTIONS,
    'log-level': { ...LOG_OPTIONS['log-level'], default: 'warn' },
  },
  examples: [
    ['claimwire demo', 'ten seconds: a payer with its key, then full load'],
    ['claimwire demo --backend wasm --load-seconds 0', 'the payer alone, over the kernel that needs no compiler'],
  ],
  notes: `The channels and their keys are made up on the spot, and removed at the end: their claims
are signed as the XRP Ledger wants them, for ledger channels that do not exist.

With --json one object on stdout, {"payer", "load", "redeem", "stopped"}, and the rest on stderr.

Exit code: 0 fine, 1 failed, 2 usage.`,
  act: async (values) => {
    const { data, json } = values;
    const say: Say = (label, text) => void (json ? process.stderr : process.stdout).write(`${rowText(label, text)}\n`);
    const logFlags = ['--log-level', values['log-level'], '--log-format', values['log-format']];
    const node = new NodeProcess(data, ['--backend', values.backend, ...logFlags]);
    const result: Record<string, unknown> = {};
    try {
      const ready = await node.ready;
      say('node', `pid ${node.pid}, claims on udp://${ready.udp}, admin on http://${ready.http}`);
      say('', `backend ${ready.backend}, ${ready.verifiers} verifier threads, data in ${data}`);
      const admin = AdminClient.open({ http: `http://${ready.http}`, tokenFile: join(data, 'admin-token') });
      Object.assign(result, await stream(ready, admin, { ms: values.seconds, count: values.channels, json }, say));
      if (values['load-seconds'] > 0) {
        say('load', `the same node, as many claims as it takes, for ${durationText(values['load-seconds'])}`);
        result.load = await fullLoad(ready, admin, values['load-seconds'], say);
      }
    } finally {
      const last = await node.stop();
      result.stopped = asJson(last);
      say('stopped', last.startsWith('{') ? stoppedText(JSON.parse(last) as NodeTotals) : last);
    }
    if (json) writeJson(result);
    return 0;
  },
});
export const { run } = command;

/** The node's last line, or how it ended when there is none. */
function asJson(line: string): unknown {
  return line.startsWith('{') ? JSON.parse(line) : line;
}

interface StreamOptions {
  ms: number;
  /** How many channels pay. */
  count: number;
  json: boolean;
}

async function stream(ready: ReadyLine, admin: AdminClient, options: StreamOptions, say: Say): Promise<object> {
  const { ms, count, json } = options;
  const key = generateKey();
  const ids = Array.from({ length: count }, () => randomBytes(32).toString('hex').toUpperCase());
  await admin.openChannels(
    ids.map((ledgerChannelId) => ({ ledgerChannelId, publicKey: key.publicKey, capacity: String(CAPACITY) })),
  );
  say('payer', `opened ${count} channels of ${CAPACITY} drops; streaming claims of ${DROPS_PER_CLAIM} drops`);
  const payer = await Payer.open({ to: `udp://${ready.udp}` });
  const signer = keySigner(key);
  const channels = ids.map((ledgerChannelId) => payer.channel({ ledgerChannelId, key: signer }));
  const startedAt = performance.now();
  const endsAt = startedAt + ms;
  const claims = { acknowledged: 0 };
  const elapsed = () => (performance.now() - startedAt) / 1_000;
  const progress = new Progress();
  const show = () => {
    const rate = Math.round(claims.acknowledged / elapsed());
    const trip = `p50 ${payer.stats().rtt.p50Ms.toFixed(1)} ms`;
    const plain = `         ${elapsed().toFixed(0)} s  ${claims.acknowledged} claims durable  ${rate}/s  ${trip}`;
    const bar = `${countText(claims.acknowledged)} durable  ${countText(rate)}/s  ${trip}`;
    progress.update((elapsed() * 1_000) / ms, bar, plain);
  };
  const timer = setInterval(show, 1_000);
  try {
    await Promise.all(channels.map((channel) => payUntil(channel, endsAt, claims)));
  } finally {
    clearInterval(timer);
    progress.clear();
  }
  const took = elapsed();
  const { rtt } = payer.stats();
  await payer.close();
  const { payer: figures, redeem } = await report(admin, ids, { took, ...claims }, rtt, say);
  if (!json) process.stdout.write(`${JSON.stringify(redeem, undefined, 2)}\n`);
  await admin.removeChannels(ids, true);
  return { payer: figures, redeem };
}

/**
 * Sends a channel's next claim when the last one is durable. It starts from 0, since the channels are new; pay() would ask the
 * node what is committed.
 */
async function payUntil(channel: PaymentChannel, endsAt: number, claims: { acknowledged: number }): Promise<void> {
  while (performance.now() < endsAt) {
    await channel.claim(channel.claimed + DROPS_PER_CLAIM);
    claims.acknowledged++;
  }
}

async function report(
  admin: AdminClient,
  ids: string[],
  result: { took: number; acknowledged: number },
  rtt: Percentiles,
  say: Say,
): Promise<{ payer: object; redeem: PaymentChannelClaim }> {
  const rows = await Promise.all(ids.map((id) => admin.channel(id)));
  const committed = rows.reduce((sum, row) => sum + BigInt(row.committed), 0n);
  const expected = DROPS_PER_CLAIM * BigInt(result.acknowledged);
  if (committed !== expected)
    throw new ClaimwireError('NODE_FAILED', `demo: expected ${expected} drops committed, the node has ${committed}`);
  const { counters } = await admin.stats();
  const rate = Math.round(result.acknowledged / result.took);
  const ms = (value: number) => `${value.toFixed(1)} ms`;
  say(
    'result',
    `${result.acknowledged} claims verified, durable and acknowledged in ${result.took.toFixed(1)} s: ${rate}/s`,
  );
  say('', `${committed} drops committed over ${ids.length} channels, as acknowledged, to the drop`);
  say(
    '',
    `claim to durable ack: p50 ${ms(rtt.p50Ms)}, p90 ${ms(rtt.p90Ms)}, p99 ${ms(rtt.p99Ms)}, max ${ms(rtt.maxMs)}`,
  );
  say('', `${counters.syncs} syncs for ${counters.committed} claims`);
  const best = rows.reduce((left, right) => (BigInt(right.committed) > BigInt(left.committed) ? right : left));
  say('redeem', 'the best claim of one channel, ready for the XRP Ledger:');
  const redeem = paymentChannelClaim({ account: PAYEE, channel: parseRow(best) });
  const { acknowledged, took: seconds } = result;
  return { payer: { acknowledged, seconds, perSecond: rate, committedDrops: committed, rtt }, redeem };
}
