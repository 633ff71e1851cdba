/** A whole run of signed roots: channels at the node, the traffic, what the node counted, and the amounts afterwards. Main thread. */
import { LEDGER_CHANNEL_ID_BYTES } from '../../../protocol/layout.ts';
import { Secp256k1Signer } from '../../client/keys/signer.ts';
import type { AdminClient } from '../../http/client.ts';
import { treeHash, treeHashName } from '../../verify/tree-hash.ts';
import { LoadChannels } from '../channels.ts';
import { ifReachable, openLoadChannels, reconcile, removeLoadChannels } from '../node-side.ts';
import { seededBytes } from '../random.ts';
import type { Reconciliation } from '../result.ts';
import { machineName } from '../run.ts';
import { throwawayPublicKey } from '../signer.ts';
import { type MerkleCounts, MerkleGenerator, type MerkleOptions } from './generator.ts';
import { RootMaker, type SignRoot } from './root-maker.ts';

export interface MerkleRun extends MerkleOptions {
  /** The target as the user gave it, for the result. */
  to: string;
  seed: number;
  channels: number;
  keepChannels: boolean;
  admin: AdminClient;
  /** A key of the user's own, and its name; by default a throw-away one of the seed. */
  key: { readonly publicKey: Uint8Array; readonly sign: SignRoot; readonly name: string } | undefined;
}

export interface MerkleWatcher {
  progress(text: string): void;
  /** Calls back when the run should stop and say what it has. */
  onStop(stop: () => void): void;
}

export interface MerkleResult extends MerkleCounts {
  startedAt: string;
  machine: string;
  node: string;
  to: string;
  channels: number;
  everyMs: number;
  window: number;
  /** Whose key signed, and what hashed. */
  key: string;
  hash: string;
  /** Leaves that the node verified in the whole run, warm-up included, and claims that it committed; null where it did not answer. */
  counted: { verified: number; received: number; dropped: number } | null;
  claimsPerSecond: number;
  signaturesPerSecond: number;
  bytesPerClaim: number;
  reconciliation: Reconciliation | null;
  pass: boolean;
}

/** Throws what opening channels throws, BACKEND_UNAVAILABLE, and the signer's errors. */
export async function runMerkle(run: MerkleRun, watcher: MerkleWatcher): Promise<MerkleResult> {
  const { admin, seed } = run;
  const progress = (text: string) => watcher.progress(text);
  const channels = LoadChannels.ofKey(seed, run.channels, run.key?.publicKey ?? throwawayPublicKey(seed, 0));
  try {
    await openLoadChannels(admin, channels, progress, 'link');
    const maker = await makerFor(run, channels);
    const generator = await MerkleGenerator.open(run, channels, maker);
    watcher.onStop(() => {
      generator.isStopped = true;
    });
    try {
      return await measure(run, channels, generator, progress);
    } finally {
      generator.close();
    }
  } finally {
    if (!run.keepChannels)
      await removeLoadChannels(admin, channels, progress).catch((error: Error) =>
        progress(`the run's channels stay at the node: ${error.message}`),
      );
  }
}

async function makerFor({ admin, seed, key }: MerkleRun, channels: LoadChannels): Promise<RootMaker> {
  // Of `link` channels the sequence rises, over runs too.
  let sequence = 0;
  let amount = 0;
  for await (const row of admin.channels()) {
    const channel = channels.find(BigInt(row.channelId));
    if (channel < 0) continue;
    sequence = Math.max(sequence, row.sequence);
    amount = Math.max(amount, channels.signed(channel));
  }
  const ids = new Uint8Array(channels.count * LEDGER_CHANNEL_ID_BYTES);
  const handles = new Uint8Array(channels.count * 8);
  for (let channel = 0; channel < channels.count; channel++) {
    ids.set(channels.table.read(channel).ledgerChannelId, channel * LEDGER_CHANNEL_ID_BYTES);
    const view = new DataView(handles.buffer, channel * 8);
    view.setUint32(0, channels.handleHigh(channel));
    view.setUint32(4, channels.handleLow(channel));
  }
  return new RootMaker(ids, handles, { sequence, amount }, treeHash(), key?.sign ?? throwawaySign(seed));
}

/** The first of the seed's throw-away keys. Roots are few, so the ordinary signer does. */
function throwawaySign(seed: number): SignRoot {
  const signer = new Secp256k1Signer(seededBytes(seed, 'key 0'));
  return (preimage) => signer.signMessage(preimage);
}

async function measure(
  run: MerkleRun,
  channels: LoadChannels,
  generator: MerkleGenerator,
  progress: (text: string) => void,
): Promise<MerkleResult> {
  const { admin, to, everyMs, window, key } = run;
  const unreachable = (error: Error) => progress(error.message);
  const look = () => ifReachable(async () => countersOf((await admin.stats()).counters), unreachable);
  const before = await look();
  const startedAt = new Date().toISOString();
  const counts = await generator.run();
  const after = await look();
  const reconciliation = await ifReachable(() => reconcile(admin, channels), unreachable);
  const { seconds, acknowledged, roots, bytes, leaves } = counts;
  const pass = acknowledged > 0 && Object.keys(counts.refused).length === 0 && reconciliation?.short === 0;
  return {
    startedAt,
    machine: machineName(),
    node: process.version,
    to,
    channels: channels.count,
    everyMs,
    window,
    key: key?.name ?? 'throw-away',
    hash: treeHashName(),
    ...counts,
    counted: before && after && difference(before, after),
    claimsPerSecond: acknowledged / seconds,
    signaturesPerSecond: roots / seconds,
    bytesPerClaim: bytes / leaves,
    reconciliation,
    pass,
  };
}

type Counted = NonNullable<MerkleResult['counted']>;

function countersOf(counters: Record<string, unknown>): Counted {
  const count = (value: unknown) => (typeof value === 'number' ? value : 0);
  const { verified, received, dropped } = counters;
  const drops = typeof dropped === 'object' && dropped !== null ? (dropped as Record<string, unknown>) : {};
  return { verified: count(verified), received: count(received), dropped: count(drops.socketBuffer) };
}

function difference(before: Counted, after: Counted): Counted {
  return {
    verified: after.verified - before.verified,
    received: after.received - before.received,
    dropped: after.dropped - before.dropped,
  };
}
