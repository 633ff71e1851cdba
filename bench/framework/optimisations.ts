/**
 * Every optimisation of the claim path: what is run with it and without it, what it gains, and what it costs. Where one cannot be
 * switched alone, the report says so instead of a figure. Main thread.
 */
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { gainOf, type Values } from './measure.ts';
import { ONE_A_DATAGRAM, type Runs } from './node-part.ts';
import type { OptimisationReport } from './schema.ts';
import { summarize } from './statistics.ts';

/** From dist/bench/framework, or from bench/framework where TypeScript runs as it is. */
const ROOT = [new URL('../../..', import.meta.url), new URL('../..', import.meta.url)]
  .map((url) => fileURLToPath(url))
  .find((path) => existsSync(`${path}/package.json`))!;

interface Known {
  name: string;
  on: string;
  off: string;
  /** Values of a part's process, by name, or runs of a node, by variant. */
  values?: { on: string; off: string; unit: string };
  runs?: { on: string; off: string };
  why?: string;
  memory: string;
  latency: string;
  files: string[];
}

const LATENCY_NONE = 'none';
const KNOWN: readonly Known[] = [
  {
    name: 'Batching: one call for many claims',
    on: 'calls of 1,024 slots',
    off: "a call for each slot, in the kernel's best way for one alone",
    values: { on: 'verify.perSecond', off: 'verify.oneACallPerSecond', unit: 'claims/s' },
    memory: 'none beyond the ring',
    latency: 'a claim waits for its batch: 1 to 2 ms at full load, none at rest, since a batch is whatever has come',
    files: ['src/path/verify-step.ts', 'src/verify/kernel-backend.ts'],
  },
  {
    name: 'Slots in place',
    on: 'claims are judged in the slots that they were received into',
    off: "each slot is copied to a queue of the verifier's own, and its verdict copied back",
    values: { on: 'verify.perSecond', off: 'verify.copiedPerSecond', unit: 'claims/s' },
    memory: 'saves a second ring of 128 bytes a slot',
    latency: 'none; saves two copies',
    files: ['src/ring/claim-ring.ts', 'src/ring/slot.ts', 'src/kernel/slots.c'],
  },
  {
    name: 'Tables of keys',
    on: '100 keys, whose tables stay in the cache',
    off: "4,096 keys in turn in a cache of 32 MiB: every claim's table is made anew",
    values: { on: 'tables.onPerSecond', off: 'tables.offPerSecond', unit: 'claims/s' },
    memory: '17 KB a key that stays warm, 133 KB more for one with many claims; --key-cache bounds it',
    latency: 'the first claim of a key waits for its table: 10 µs',
    files: ['src/kernel/keys.c', 'src/kernel/table.h', 'src/kernel/batch_table.h'],
  },
  {
    name: 'Shared inversions',
    on: 'a batch of 128 shares seven inversions, a signature an element',
    off: 'each signature is verified alone, spread over the elements, with an inversion of its own; in both, one call for all',
    values: { on: 'verify.sharedPerSecond', off: 'verify.alonePerSecond', unit: 'claims/s' },
    memory: '1.5 MB of scratch a thread',
    latency: 'as batching',
    files: ['src/kernel/batch_tree.h', 'src/kernel/batch_scalars.h'],
  },
  {
    name: 'Group commit',
    on: '256 claims share a write and a sync',
    off: 'a write and a sync for each claim',
    values: { on: 'journal.groupedPerSecond', off: 'journal.oneClaimAGroupPerSecond', unit: 'claims/s' },
    memory: '0.8 MB a lane for two groups of 4,096 claims',
    latency: 'none: a group is what was judged while the last one was synced',
    files: ['src/path/commit-group.ts', 'src/path/commit-step.ts', 'src/journal/group.ts'],
  },
  {
    name: 'Packing: acks share datagrams',
    on: '45 acks a datagram',
    off: 'a datagram for each ack',
    values: { on: 'acks.packedPerSecond', off: 'acks.alonePerSecond', unit: 'acks/s' },
    memory: '64 open packets of 1,440 bytes a thread',
    latency: 'none: packets leave at the end of each turn',
    files: ['src/path/ack-sender.ts'],
  },
  {
    name: 'Packing: claims share datagrams',
    on: '15 claims a datagram, through a whole node',
    off: 'a datagram for each claim',
    runs: { on: 'base', off: ONE_A_DATAGRAM },
    memory: 'none',
    latency: "a payer that waits to fill a datagram waits; claimwire's payers send what is due",
    files: ['protocol/frames.ts'],
  },
  {
    name: 'Filter of duplicates',
    on: 'a quarter of the claims are copies in flight: each costs a look',
    off: 'copies are verified',
    values: { on: 'filter.onPerSecond', off: 'filter.offPerSecond', unit: 'claims/s' },
    memory: '256 KiB a lane',
    latency: 'a copy waits for its original',
    files: ['src/path/duplicate-filter.ts', 'src/path/deferred-claims.ts'],
  },
  {
    name: "Coalescing: only a channel's newest claim of a batch is verified (--verify newest)",
    on: 'a node with --verify newest; 1,000 channels take turns',
    off: 'a node that verifies every claim, which is the default',
    runs: { on: 'newest', off: 'base' },
    memory: '4 bytes a channel and thread',
    latency:
      'none; with this load channels seldom meet twice in a batch, so it cannot gain much: with few channels it does',
    files: ['src/verify/newest-backend.ts'],
  },
  {
    name: 'GSO and GRO: trains of datagrams through the system',
    on: 'trains of 40 datagrams, sent and received as one message',
    off: 'each datagram by itself; still 64 messages a call',
    values: { on: 'sockets.allPerSecond', off: 'sockets.noGroGsoPerSecond', unit: 'datagrams/s' },
    memory: '4 MiB of address space a socket',
    latency: LATENCY_NONE,
    files: ['src/native/udp_batch.c'],
  },
  {
    name: 'GRO alone',
    on: 'a train is received as one message',
    off: 'the system cuts the train up, and each datagram is a message',
    values: { on: 'sockets.allPerSecond', off: 'sockets.noGroPerSecond', unit: 'datagrams/s' },
    memory: 'in the line above',
    latency: LATENCY_NONE,
    files: [],
  },
  {
    name: 'Many messages a system call',
    on: '64 messages a receive',
    off: 'one message a receive; no trains in both',
    values: { on: 'sockets.noGroGsoPerSecond', off: 'sockets.oneACallPerSecond', unit: 'datagrams/s' },
    memory: '4 MiB of address space a socket',
    latency: LATENCY_NONE,
    files: ['src/transport/udp-native.ts'],
  },
  {
    name: 'Native sockets (all three above) through a whole node',
    on: 'one lane with native sockets',
    off: "one lane with Node's own sockets (--sockets dgram)",
    runs: { on: 'oneLane', off: 'dgram' },
    memory: 'as above',
    latency: LATENCY_NONE,
    files: ['src/native/udp_node.c', 'src/native/udp_socket.c', 'src/transport/udp-batch.ts'],
  },
  {
    name: 'The claim path in C',
    on: 'a node as it is',
    off: 'a node with --path portable: the steps in TypeScript',
    runs: { on: 'base', off: 'portable' },
    memory: 'none',
    latency: LATENCY_NONE,
    files: ['src/native/claim_path.c', 'src/native/claim_path_node.c', 'src/path/native-path.ts'],
  },
  {
    name: 'Structure of arrays',
    on: 'the channel table: look-up by handle and the rules of acceptance, 100,000 channels at random',
    off: 'a Map of one object a channel, with the same rules; threads could not share it',
    values: { on: 'table.perSecond', off: 'table.objectsPerSecond', unit: 'look-ups/s' },
    memory: 'saves memory: see the figure table.objectBytes beside 250 bytes a channel',
    latency: LATENCY_NONE,
    files: ['src/channel/table.ts', 'src/ring/arena.ts'],
  },
  {
    name: "Prefetch of the next batch's tables",
    on: '',
    off: '',
    why: 'not separable: it is woven into the order in which a call works on its batches, and a build without it would be another kernel',
    memory: 'none',
    latency: LATENCY_NONE,
    files: [],
  },
  {
    name: 'Cursors that are published once a batch',
    on: '',
    off: '',
    why: 'not separable: batches are what is published; a cursor a claim is the row "one call for many claims" and cache misses between cores that two cores hardly show',
    memory: 'none',
    latency: LATENCY_NONE,
    files: [],
  },
  {
    name: 'Preallocated journal segments',
    on: '',
    off: '',
    why: 'not separable: recovery relies on them (a sync that also grows a file may lose the group), so there is no journal without them to compare with',
    memory: '64 MiB of disk a lane',
    latency: LATENCY_NONE,
    files: [],
  },
];

/** Lines of code without blank lines and comments; 0 where the sources are not there, as in the published package. */
export function linesOf(files: readonly string[]): number {
  let lines = 0;
  for (const file of files) {
    const path = `${ROOT}/${file}`;
    if (!existsSync(path)) continue;
    const code = readFileSync(path, 'utf8').replace(/\/\*[\s\S]*?\*\//g, '');
    lines += code.split('\n').filter((line) => !/^\s*(\/\/.*)?$/.test(line)).length;
  }
  return lines;
}

export function optimisationsOf(values: Values, runs: Runs, seed: number): OptimisationReport[] {
  return KNOWN.map(({ name, on, off, values: named, runs: variants, why, memory, latency, files }) => {
    const pair = named === undefined ? undefined : [values.get(named.on), values.get(named.off)];
    // By processor time, since the load generator shares the cores, and other programs may.
    const rates = (variant: string) => runs.get(variant)?.map(({ cpuNs }) => 1e9 / cpuNs);
    const [withIt, without] = pair ?? (variants === undefined ? [] : [rates(variants.on), rates(variants.off)]);
    const report = { name, on, off, memory, latency, lines: linesOf(files), files };
    if (why !== undefined) return { ...report, why };
    if (!withIt?.length || !without?.length)
      return { ...report, why: 'not measured in this run: its part was left out' };
    const rounds = Math.min(withIt.length, without.length);
    const [left, right] = [withIt.slice(0, rounds), without.slice(0, rounds)];
    return {
      ...report,
      measured: {
        unit: named?.unit ?? 'claims/s of processor time',
        with: summarize(left, seed, `${name} with`),
        without: summarize(right, seed, `${name} without`),
        gain: gainOf(left, right, seed, name),
      },
    };
  });
}
