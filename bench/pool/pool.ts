/**
 * bench:pool: a thousand payers with a hundred channels each pay over the connections of one pool for half a minute.
 *
 * Main thread, where all payers run; the node is a process of its own. A claim's latency counts from the time it was due.
 * The payers sign with throw-away keys in the addon, since the client's constant-time signing (some 4,500 per second) would
 * dominate the result; without the addon they sign as the client does, at a rate it can meet.
 * Exit code 1 where a claim fails, a connection is lost, or an amount is missing at the node.
 */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay, setImmediate as turn } from 'node:timers/promises';
import { build } from 'hdr-histogram-js';
import { CLAIM_BYTES, CLAIM_CHANNEL_ID, CLAIM_SIGNATURE, SIGNATURE_BYTES } from '../../protocol/layout.ts';
import type { PaymentChannel } from '../../src/client/channel.ts';
import type { Signer } from '../../src/client/keys/signer.ts';
import { Payer } from '../../src/client/payer.ts';
import { ConnectionPool } from '../../src/client/pool/pool.ts';
import { assert } from '../../src/errors.ts';
import { LoadChannels } from '../../src/load/channels.ts';
import { openLoadChannels, reconcile } from '../../src/load/node-side.ts';
import { KernelSigner, type LoadSigner } from '../../src/load/signer.ts';
import { SLOT_ROW } from '../../src/ring/slot.ts';
import { type BenchContext, type Figures, runBench } from '../harness.ts';
import { benchFolder, NodeUnderTest, processorSeconds } from '../node-under-test.ts';
import { difference } from '../path/load.ts';

const SEED = 11;
const PAYERS = 1_000;
const CHANNELS_EACH = 100;
const CHANNELS = PAYERS * CHANNELS_EACH;
const SECONDS = 30;
const SECONDS_QUICK = 5;
/** Each channel is paid once in five seconds. */
const CLAIMS_PER_SECOND = 20_000;
const CLAIMS_PER_SECOND_NOBLE = 2_000;
/** Four times the default, so that there are connections to open and to share. The first claim opens the first one. */
const CONNECTIONS_MAX = 16;
/** The most claims made in one turn, so that acks are read in between however late this thread is. */
const TURN_CLAIMS_MAX = 100;
/** The time in which connections are opened and code is compiled. It counts in every figure but p50 and p99. */
const WARM_SECONDS = 1;
const LATENCY_US_MAX = 60_000_000;

/** A payer's key. It signs all its claims in the first slot of the ring of `channels`. */
class ThrowawaySigner implements Signer {
  readonly publicKey: Uint8Array;
  readonly #channels: LoadChannels;
  readonly #signer: LoadSigner;

  constructor(publicKey: Uint8Array, channels: LoadChannels, signer: LoadSigner) {
    this.publicKey = publicKey;
    this.#channels = channels;
    this.#signer = signer;
  }

  signClaim(claim: Uint8Array, offset: number): void {
    const { arena, ring, table } = this.#channels;
    const slot = ring.slot(0);
    const handle = slot + CLAIM_CHANNEL_ID;
    arena.bytes.set(claim.subarray(offset, offset + CLAIM_BYTES), slot);
    arena.words[(slot + SLOT_ROW) >>> 2] = table.find(arena.view.getUint32(handle), arena.view.getUint32(handle + 4));
    this.#signer.sign(1);
    const signature = slot + CLAIM_SIGNATURE;
    claim.set(arena.bytes.subarray(signature, signature + SIGNATURE_BYTES), offset + CLAIM_SIGNATURE);
  }
}

/** Makes claims of one drop, each when it is due, for one payer after the other and one channel of each after the other. */
class Round {
  /** Latencies of claims after the warm-up. */
  readonly latencyUs = build({ highestTrackableValue: LATENCY_US_MAX, numberOfSignificantValueDigits: 3 });
  readonly channels: PaymentChannel[];
  acknowledged = 0;
  failed = 0;
  /** The reason of the first failure. */
  failure: string | undefined;
  /** Over all claims. */
  lateMsMax = 0;
  latencyUsMax = 0;
  #measuredFrom = 0;
  #settled: () => void = () => {};

  /** @param channels channel i belongs to payer i mod PAYERS */
  constructor(channels: PaymentChannel[]) {
    this.channels = channels;
  }

  /** Resolves when every claim is acknowledged, or its payer has given up. */
  async pay(perSecond: number, total: number): Promise<void> {
    const allSettled = new Promise<void>((resolve) => {
      this.#settled = () => {
        if (this.acknowledged + this.failed === total) resolve();
      };
    });
    const begin = performance.now();
    this.#measuredFrom = begin + WARM_SECONDS * 1_000;
    for (let claim = 0; claim < total; ) {
      const due = Math.min(total, Math.floor(((performance.now() - begin) * perSecond) / 1_000) + 1);
      const end = Math.min(due, claim + TURN_CLAIMS_MAX);
      while (claim < end) this.#payOne(claim, begin + (claim++ * 1_000) / perSecond);
      await (claim < due ? turn() : delay(1));
    }
    await allSettled;
  }

  #payOne(claim: number, dueAt: number): void {
    this.lateMsMax = Math.max(this.lateMsMax, performance.now() - dueAt);
    // The channels are new, so nothing is committed and there is nothing to ask the node.
    const channel = this.channels[claim % CHANNELS]!;
    channel.claim(channel.claimed + 1n).then(
      () => {
        const microseconds = Math.min(Math.max(Math.round((performance.now() - dueAt) * 1_000), 1), LATENCY_US_MAX);
        if (dueAt >= this.#measuredFrom) this.latencyUs.recordValue(microseconds);
        this.latencyUsMax = Math.max(this.latencyUsMax, microseconds);
        this.acknowledged++;
        this.#settled();
      },
      (error: Error) => {
        this.failed++;
        this.failure ??= error.message;
        this.#settled();
      },
    );
  }
}

async function openPayers(pool: ConnectionPool, to: string): Promise<Payer[]> {
  return await Promise.all(Array.from({ length: PAYERS }, () => Payer.open({ to, pool })));
}

/** Channel i of `known` belongs to payer and key i mod PAYERS. */
function openRound(payers: readonly Payer[], known: LoadChannels, signer: LoadSigner): Round {
  const signers = payers.map((_, key) => new ThrowawaySigner(known.table.read(key).publicKey, known, signer));
  const channels = Array.from({ length: CHANNELS }, (_, index) =>
    payers[index % PAYERS]!.channel({
      ledgerChannelId: known.table.ledgerId(index).slice(),
      key: signers[index % PAYERS]!,
    }),
  );
  return new Round(channels);
}

async function measureNode(node: NodeUnderTest, { quick, note }: BenchContext): Promise<Figures> {
  const known = LoadChannels.derive(SEED, CHANNELS, PAYERS);
  const signer = new KernelSigner(SEED, PAYERS, known);
  await openLoadChannels(node.admin, known, () => {});
  const to = `tcp://${node.udp.host}:${node.udp.port}`;
  const pool = new ConnectionPool({ to, connectionsMin: 0, connectionsMax: CONNECTIONS_MAX });
  const payers = await openPayers(pool, to);
  try {
    const round = openRound(payers, known, signer);
    const perSecond = signer.name === 'native' ? CLAIMS_PER_SECOND : CLAIMS_PER_SECOND_NOBLE;
    const seconds = quick ? SECONDS_QUICK : SECONDS;
    const before = await node.stats();
    const [ours, theirs, begin] = [processorSeconds(process.pid), processorSeconds(node.pid), performance.now()];
    await round.pay(perSecond, perSecond * seconds);
    const tookSeconds = (performance.now() - begin) / 1_000;
    const share = (now: number, then: number) => `${Math.round((100 * (now - then)) / tookSeconds)} %`;
    note(
      `${PAYERS} payers of ${CHANNELS_EACH} channels, ${perSecond}/s asked for, signed by ${signer.name}, the latest claim made ${round.lateMsMax.toFixed(1)} ms late; of a core the payers took ${share(processorSeconds(process.pid), ours)}, the node ${share(processorSeconds(node.pid), theirs)}`,
    );
    for (const [index, { committed }] of round.channels.entries()) known.setAcknowledged(index, Number(committed));
    const { short, acknowledgedDrops, committedDrops } = await reconcile(node.admin, known);
    const { verified, committed } = difference(before, await node.stats());
    note(
      `${acknowledgedDrops} drops acknowledged, ${committedDrops} committed, ${short} channels short; ${verified} claims verified, ${committed} committed`,
    );
    assert(Number(acknowledgedDrops) >= round.acknowledged, 'each acknowledged claim is a drop of its own');
    assert(verified >= round.acknowledged, 'every acknowledged claim was verified');
    return figuresOf(round, payers, pool, { short, tookSeconds, note });
  } finally {
    await Promise.all(payers.map((payer) => payer.close()));
    await pool.close();
  }
}

function figuresOf(
  round: Round,
  payers: readonly Payer[],
  pool: ConnectionPool,
  { short, tookSeconds, note }: { short: number; tookSeconds: number; note: BenchContext['note'] },
): Figures {
  const stats = pool.stats();
  const faults = stats.resets + stats.openFailures + stats.waitTimeouts + stats.malformed;
  const errors = round.failed + short + faults;
  const retransmits = payers.reduce((sum, payer) => sum + payer.stats().retransmits, 0);
  note(`pool: ${JSON.stringify(stats)}; ${retransmits} claims sent again`);
  if (errors > 0) {
    note(
      `FAILED: ${round.failed} claims (${round.failure ?? 'none'}), ${faults} faults of connections, ${short} short`,
    );
    process.exitCode = 1;
  }
  const atMs = (percentile: number) => round.latencyUs.getValueAtPercentile(percentile) / 1_000;
  return {
    'pool.claims': round.acknowledged,
    'pool.claimsPerSecond': round.acknowledged / tookSeconds,
    'pool.errors': errors,
    'pool.connections': stats.opened,
    'pool.reused': stats.reused,
    'pool.waits': stats.waits,
    'pool.waitMs': stats.waitMs,
    'pool.resets': stats.resets,
    'pool.evicted': stats.evicted,
    'pool.retransmits': retransmits,
    'pool.p50Ms': atMs(50),
    'pool.p99Ms': atMs(99),
    'pool.maxMs': round.latencyUsMax / 1_000,
  };
}

await runBench({ name: 'pool', backend: 'auto', repeats: 1 }, async (context) => {
  const data = join(benchFolder('pool'), 'node');
  const figures = await NodeUnderTest.run(data, [], (node) => measureNode(node, context));
  rmSync(data, { recursive: true });
  return figures;
});
