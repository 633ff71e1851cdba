/** `claimwire load --merkle MS`: what its options mean together, and its result. Main thread. */
import { lookup } from 'node:dns/promises';
import { keySigner } from '../src/client/keys/key-file.ts';
import type { Signer } from '../src/client/keys/signer.ts';
import { ClaimwireError } from '../src/errors.ts';
import { type HostPort, parseNodeAddress } from '../src/host-port.ts';
import { AdminClient } from '../src/http/client.ts';
import type { SignRoot } from '../src/load/merkle/root-maker.ts';
import { type MerkleResult, type MerkleRun, runMerkle } from '../src/load/merkle/run.ts';
import { LOAD_DEFAULTS } from '../src/load/settings.ts';
import { asUsage, usage } from './args.ts';
import type { LoadValues } from './load.ts';
import { stopAtSignals } from './load-watcher.ts';
import { adminAddress } from './options.ts';
import { output, say, writeJson } from './output.ts';
import { openPayerKey } from './payer-key.ts';
import { Progress } from './progress.ts';

/** Options that single claims have and roots have not. */
const SINGLE = ['ramp', 'corpus', 'replay', 'pcap', 'hgrm', 'report', 'keys', 'rate', 'attack'] as const;
const SOCKETS_DEFAULT = 16;
const CHANNELS_DEFAULT = 16_384;
const WINDOW_DEFAULT = 4_096;
const LEAVES_MAX = 65_536;

/** Returns the exit code. Throws USAGE, and what src/load/merkle/run.ts throws. */
export async function loadMerkle(values: LoadValues, everyMs: number): Promise<number> {
  for (const flag of SINGLE)
    if (values[flag] !== undefined)
      usage(`--merkle: expected no --${flag} beside it, got one; that is for single claims`);
  const channels = values.channels === LOAD_DEFAULTS.channels ? CHANNELS_DEFAULT : values.channels;
  if (channels > LEAVES_MAX) usage(`--channels: expected at most ${LEAVES_MAX} with --merkle, got ${channels}`);
  const opened = values.key === undefined ? undefined : await openPayerKey(values.key);
  const progress = new Progress();
  const { http, 'token-file': files } = values;
  const run: MerkleRun = {
    to: values.to,
    target: await readTarget(values.to),
    seed: values.seed,
    channels,
    sockets: values.sockets ?? SOCKETS_DEFAULT,
    everyMs,
    window: values.window === LOAD_DEFAULTS.window ? WINDOW_DEFAULT : values.window,
    warmupMs: values.warmup,
    durationMs: values.duration,
    drainMs: values.drain,
    keepChannels: values['keep-channels'],
    admin: AdminClient.open(adminAddress({ http: http[0]!, 'token-file': files?.[0] })),
    key: opened && {
      ...rootSigner('privateKey' in opened.key ? keySigner(opened.key) : opened.key),
      name: values.key!,
    },
  };
  try {
    const result = await runMerkle(run, {
      progress: (text) => progress.line(text),
      onStop: (stop) => stopAtSignals(stop, (text) => progress.line(text)),
    });
    if (output.json) writeJson(result);
    else say(merkleText(result));
    return result.pass ? 0 : 1;
  } finally {
    opened?.close();
  }
}

function rootSigner(signer: Signer): { publicKey: Uint8Array; sign: SignRoot } {
  if (signer.signMessage === undefined) usage('--key: expected a key that signs messages, got another');
  return { publicKey: signer.publicKey, sign: (preimage) => signer.signMessage!(preimage) };
}

async function readTarget(to: string): Promise<HostPort> {
  const { host, port } = asUsage(() => parseNodeAddress(to, ['udp'], '--to with --merkle'));
  try {
    return { host: (await lookup(host)).address, port };
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new ClaimwireError('NODE_UNREACHABLE', `--to: expected a host that has an address, got ${code} for ${host}`);
  }
}

function merkleText(result: MerkleResult): string {
  const { seconds, roots, leaves, frames, latency, refused, counted, reconciliation } = result;
  const whole = (value: number) => Math.round(value).toLocaleString('en-US');
  const refusals = Object.entries(refused).map(([name, count]) => `${name} ${count}`);
  return `${[
    `roots over ${whole(result.channels)} channels to ${result.to}, key ${result.key}, hashes ${result.hash}`,
    '',
    `sent         ${whole(leaves)} leaves in ${whole(frames)} datagrams, ${result.bytesPerClaim.toFixed(1)} bytes a claim, ${roots} roots in ${seconds.toFixed(1)} s: ${result.signaturesPerSecond.toFixed(1)} signatures/s`,
    `acknowledged ${whole(result.acknowledged)}: ${whole(result.claimsPerSecond)} claims/s`,
    `refused      ${refusals.length === 0 ? 'none' : refusals.join(', ')}`,
    `latency      p50 ${latency.p50Ms} ms, p99 ${latency.p99Ms} ms, max ${latency.maxMs} ms`,
    `generator    ${whole(result.generatorNs)} ns of processor time a claim`,
    ...(counted
      ? [`node         ${whole(counted.verified)} verified, ${whole(counted.dropped)} datagrams dropped`]
      : []),
    ...(reconciliation
      ? [
          `amounts      ${reconciliation.committedDrops} drops committed, ${reconciliation.short} channels short of what was acknowledged`,
        ]
      : []),
    '',
    result.pass
      ? 'PASS'
      : 'FAIL: something was refused, nothing was acknowledged, or an acknowledged amount is missing',
  ].join('\n')}\n`;
}
