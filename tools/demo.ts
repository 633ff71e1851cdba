/**
 * `claimwire demo` (what `make run` runs): a node in a process of its own and a payer in this one, over loopback.
 *
 * The payer opens fresh channels through the admin interface, streams signed claims, each channel its next one when the
 * last is durable, and ends with what the node committed and one transaction that redeems a channel's best claim.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { type ChannelJson, parseRow } from '../src/channel/parse.ts';
import { generateKey, keySigner, Payer, type PaymentChannel, type Percentiles } from '../src/client/index.ts';
import { ClaimwireError } from '../src/errors.ts';
import { AdminClient } from '../src/http/client.ts';
import { paymentChannelClaim } from '../src/ledger/xrpl.ts';
import { wholeNumber } from './args.ts';

const HELP = `Usage: claimwire demo [--data DIR] [--seconds N] [--channels N] [--backend NAME]

Starts a node on the embedded store and a payer beside it, streams signed claims,
and prints what was committed, the latency, and one redeemable transaction.

  --data DIR      data folder of the node; default ./data
  --seconds N     how long the payer streams; default 6
  --channels N    payment channels it opens; default 64
  --backend NAME  verification backend of the node; default auto
  --help          this text

The channels and their key are made up on the spot: their claims are signed as the
XRP Ledger wants them, for ledger channels that do not exist.
`;

/** One key, many channels: as a payer has it. */
const CAPACITY = 1_000_000_000n;
const DROPS_PER_CLAIM = 25n;
/** The ledger's genesis account stands in for the payee. */
const PAYEE = 'rHb9CJAWyB4rj91VRWn96DkukG4bwdtyTh';
const STOP_MS_MAX = 15_000;

interface ReadyLine {
  event: 'ready';
  udp: string;
  http: string;
  backend: string;
  verifiers: number;
  channels: number;
}

export async function run(args: string[]): Promise<number> {
  const { values } = parseArgs({
    args,
    options: {
      data: { type: 'string', default: './data' },
      seconds: { type: 'string', default: '6' },
      channels: { type: 'string', default: '64' },
      backend: { type: 'string', default: 'auto' },
      help: { type: 'boolean', short: 'h' },
    },
  });
  if (values.help) {
    process.stdout.write(HELP);
    return 0;
  }
  const seconds = wholeNumber(values.seconds, '--seconds', 1, 3_600);
  const channels = wholeNumber(values.channels, '--channels', 1, 100_000);
  const node = new NodeProcess(values.data, values.backend);
  try {
    const ready = await node.ready;
    say(`node     pid ${node.pid}, claims on udp://${ready.udp}, admin on http://${ready.http}`);
    say(`         backend ${ready.backend}, ${ready.verifiers} verifier threads, data in ${values.data}`);
    const admin = AdminClient.open({ http: `http://${ready.http}`, tokenFile: join(values.data, 'admin-token') });
    await stream(ready, admin, seconds, channels);
    return 0;
  } finally {
    say(`stopped  ${await node.stop()}`);
  }
}

async function stream(ready: ReadyLine, admin: AdminClient, seconds: number, count: number): Promise<void> {
  const key = generateKey();
  const ids = Array.from({ length: count }, () => randomBytes(32).toString('hex').toUpperCase());
  await admin.openChannels(
    ids.map((ledgerChannelId) => ({ ledgerChannelId, publicKey: key.publicKey, capacity: String(CAPACITY) })),
  );
  say(`payer    opened ${count} channels of ${CAPACITY} drops; streaming claims of ${DROPS_PER_CLAIM} drops`);
  const payer = await Payer.open({ to: `udp://${ready.udp}` });
  const signer = keySigner(key);
  const channels = ids.map((ledgerChannelId) => payer.channel({ ledgerChannelId, key: signer }));
  const startedAt = performance.now();
  const endsAt = startedAt + seconds * 1_000;
  const claims = { acknowledged: 0 };
  const elapsed = () => (performance.now() - startedAt) / 1_000;
  const line = () => {
    const { smoothedRttMs } = payer.stats();
    const rate = Math.round(claims.acknowledged / elapsed());
    return `         ${elapsed().toFixed(0)} s  ${claims.acknowledged} claims durable  ${rate}/s  round trip ${smoothedRttMs.toFixed(1)} ms`;
  };
  const progress = setInterval(() => showProgress(line()), 1_000);
  try {
    await Promise.all(channels.map((channel) => payUntil(channel, endsAt, claims)));
  } finally {
    clearInterval(progress);
    endProgress();
  }
  const took = elapsed();
  const { rtt } = payer.stats();
  await payer.close();
  await report(admin, ids, { took, ...claims }, rtt);
}

/**
 * The next claim of a channel goes out when the last one is durable. That nothing is committed at first is known, since
 * the channels were opened a moment ago: pay() would ask the node.
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
): Promise<void> {
  const rows = await Promise.all(ids.map((id) => admin.channel(id)));
  const committed = rows.reduce((sum, row) => sum + BigInt(row.committed), 0n);
  const expected = DROPS_PER_CLAIM * BigInt(result.acknowledged);
  if (committed !== expected)
    throw new ClaimwireError('NODE_FAILED', `demo: expected ${expected} drops committed, the node has ${committed}`);
  const { counters } = await admin.stats();
  const rate = Math.round(result.acknowledged / result.took);
  const ms = (value: number) => `${value.toFixed(1)} ms`;
  say(
    `result   ${result.acknowledged} claims verified, durable and acknowledged in ${result.took.toFixed(1)} s: ${rate}/s`,
  );
  say(`         ${committed} drops committed over ${ids.length} channels, as acknowledged, to the drop`);
  say(
    `         claim to durable ack: p50 ${ms(rtt.p50Ms)}, p90 ${ms(rtt.p90Ms)}, p99 ${ms(rtt.p99Ms)}, max ${ms(rtt.maxMs)}`,
  );
  say(`         ${counters.syncs} syncs for ${counters.committed} claims`);
  const best = rows.reduce((left, right) => (BigInt(right.committed) > BigInt(left.committed) ? right : left));
  say('redeem   the best claim of one channel, ready for the XRP Ledger:');
  process.stdout.write(`${JSON.stringify(redeemable(best), undefined, 2)}\n`);
}

function redeemable(row: ChannelJson): unknown {
  return paymentChannelClaim({ account: PAYEE, channel: parseRow(row) });
}

/** The node as an operator runs it: its own process, its first and last line read from stdout. */
class NodeProcess {
  readonly ready: Promise<ReadyLine>;
  readonly #child: ChildProcess;
  readonly #exit: Promise<number | null>;
  #last = '';

  constructor(data: string, backend: string) {
    const cli = fileURLToPath(new URL('./cli.js', import.meta.url));
    const flags = ['--data', data, '--udp', '127.0.0.1:0', '--http', '127.0.0.1:0', '--backend', backend];
    this.#child = spawn(process.execPath, [cli, 'node', ...flags], { stdio: ['ignore', 'pipe', 'inherit'] });
    this.#exit = new Promise((resolve) => this.#child.once('exit', resolve));
    const lines = createInterface({ input: this.#child.stdout! });
    this.ready = new Promise((resolve, reject) => {
      lines.on('line', (line) => {
        this.#last = line;
        const message = JSON.parse(line) as { event?: string };
        if (message.event === 'ready') resolve(message as ReadyLine);
      });
      void this.#exit.then((code) =>
        reject(new ClaimwireError('NODE_FAILED', `demo: expected the node to start, it ended with code ${code}`)),
      );
    });
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  /** SIGTERM, then the node's last line. */
  async stop(): Promise<string> {
    this.#child.kill('SIGTERM');
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), STOP_MS_MAX);
    const code = await this.#exit;
    clearTimeout(timer);
    if (code !== 0) return `with code ${code}`;
    return this.#last;
  }
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

/** On a terminal one line is rewritten; elsewhere each is a line of its own. */
function showProgress(line: string): void {
  process.stdout.write(process.stdout.isTTY ? `\r\x1b[K${line}` : `${line}\n`);
}
function endProgress(): void {
  if (process.stdout.isTTY) process.stdout.write('\n');
}
