/**
 * Nodes with --roots, in turns one that is loaded with ordinary claims and one with Merkle batches: the same number of channels, of one key, the same
 * window and node options. Each is a new one: a checkpoint keeps the proofs of the leaves before it, at some 20 µs of processor time each, and the
 * claims of the next turn would lack that. The payer of the batches has its key in SoftHSM2 where that is installed.
 */
import { spawn } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { resolve } from 'node:path';
import type * as Library from 'pkcs11js';
import { assert } from '../../src/errors.ts';
import type { MerkleResult } from '../../src/load/merkle/run.ts';
import { isThere, PIN, SoftToken } from '../../test/support/softhsm.ts';
import type { Figures } from '../harness.ts';
import { endsWithBench, type NodeUnderTest, processorSeconds } from '../node-under-test.ts';
import { provenLoad } from '../path/load.ts';

/** Claims without an answer at once, of either kind. */
const WINDOW = 6_000;
/** At most 100 signatures a second. */
const EVERY_MS = 10;

/** A key in a token of SoftHSM2, by its URI; undefined where there is none. */
export function tokenKey(folder: string): string | undefined {
  if (!isThere()) return undefined;
  mkdirSync(folder, { recursive: true });
  const token = new SoftToken(resolve(folder), 'bench-merkle');
  token.makeKey(createRequire(import.meta.url)('pkcs11js') as typeof Library, 'roots');
  process.env.CLAIMWIRE_PKCS11_PIN = PIN;
  return token.uri('roots');
}

interface Side {
  perSecond: number;
  nodeNs: number;
  generatorNs: number;
}

/** Runs both sides in turns, and returns the medians' ratio. */
export async function measureEndToEnd(
  withNode: <Result>(work: (node: NodeUnderTest) => Promise<Result>) => Promise<Result>,
  { rounds, seconds, channels, key }: { rounds: number; seconds: number; channels: number; key: string | undefined },
  note: (line: string) => void,
): Promise<Figures> {
  const time = ['--duration', String(seconds), '--warmup', '2', '--seed', '1'];
  const same = ['--channels', String(channels), '--window', String(WINDOW), ...time];
  const [ordinary, roots]: [Side[], Side[]] = [[], []];
  let last: ProvenRoots | undefined;
  for (let round = 0; round < rounds; round++) {
    const claims = await withNode((node) => provenLoad(node, ['--keys', '1', ...same]));
    ordinary.push(claims);
    note(`claims  ${Math.round(claims.perSecond)}/s; ${claims.committedDrops} drops committed`);
    last = await withNode((node) => loadRoots(node, [...(key === undefined ? [] : ['--key', key]), ...same]));
    roots.push({ ...last, perSecond: last.claimsPerSecond });
    note(
      `batches ${Math.round(last.claimsPerSecond)}/s, ${last.signaturesPerSecond.toFixed(1)} signatures/s by ${key === undefined ? 'a throw-away key' : 'SoftHSM2'}, hashes ${last.hash}; ${last.reconciliation!.committedDrops} drops committed`,
    );
  }
  const [one, many] = [middle(ordinary), middle(roots)];
  return {
    'merkle.claimsPerSecond': many.perSecond,
    'merkle.ordinaryPerSecond': one.perSecond,
    'merkle.vsClaims': many.perSecond / one.perSecond,
    'merkle.bytesPerClaim': last!.bytesPerClaim,
    'merkle.signaturesPerSecond': last!.signaturesPerSecond,
    'merkle.nodeNs': many.nodeNs,
    'merkle.ordinaryNodeNs': one.nodeNs,
    'merkle.nodeCostRatio': many.nodeNs / one.nodeNs,
    'merkle.generatorNs': many.generatorNs,
    'merkle.p99Ms': last!.latency.p99Ms,
  };
}

/** The run of the median rate. */
function middle(sides: readonly Side[]): Side {
  return sides.toSorted((left, right) => left.perSecond - right.perSecond)[(sides.length - 1) >> 1]!;
}

interface ProvenRoots extends MerkleResult {
  nodeNs: number;
}

/** Throws where an acknowledged amount is missing, or was not verified. */
async function loadRoots(node: NodeUnderTest, flags: readonly string[]): Promise<ProvenRoots> {
  const [command = '', ...args] = [...node.program.load, ...node.loadFlags, '--merkle', String(EVERY_MS), '--json'];
  const options = ['--keep-channels', ...flags];
  const child = endsWithBench(spawn(command, [...args, ...options], { stdio: ['ignore', 'pipe', 'pipe'] }));
  let [stdout, stderr] = ['', ''];
  child.stdout.on('data', (text) => {
    stdout += String(text);
  });
  // From after the warm-up to before the end: its cost is that of judging leaves alone.
  const looks: { cpu: number; at: number }[] = [];
  const look = () => void looks.push({ cpu: processorSeconds(node.pid), at: performance.now() });
  child.stderr.on('data', (text) => {
    stderr += String(text);
    if (looks.length > 0 || !stderr.includes('channels opened,')) return;
    for (const delay of [1_500, 2_500]) setTimeout(look, delay);
  });
  const code = await new Promise<number | null>((done) => child.once('close', done));
  const line = stdout.trimEnd().split('\n').at(-1)!;
  if (!line.includes('"roots"'))
    throw new Error(`claimwire load --merkle: expected a result, got exit code ${code}, ${line}\n${stderr}`);
  const result = JSON.parse(line) as MerkleResult;
  const { reconciliation, counted, acknowledged, signaturesPerSecond, bytesPerClaim } = result;
  assert(reconciliation?.short === 0, 'every acknowledged amount is committed');
  assert(acknowledged > 0 && counted !== null, 'the node acknowledged something');
  assert(signaturesPerSecond <= 1_000 / EVERY_MS + 1, 'no more signatures than the key is allowed');
  assert(bytesPerClaim <= 93 / 2.5, 'at least 2.5 claims to 93 bytes');
  // What was covered by a newer leaf of its channel was acknowledged, but not verified: it does not count.
  const verified = counted.verified / result.seconds;
  const claimsPerSecond = Math.min(result.claimsPerSecond, verified);
  const [first, second] = looks;
  const cost = first && second ? (second.cpu - first.cpu) / ((second.at - first.at) / 1_000) : Number.NaN;
  return { ...result, claimsPerSecond, nodeNs: (cost * 1e9) / claimsPerSecond };
}
