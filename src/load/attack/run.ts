/**
 * A whole attack: channels where it needs some, the traffic, and what the node says it counted meanwhile. Main thread.
 */
import { setTimeout as pause } from 'node:timers/promises';
import type { HostPort } from '../../host-port.ts';
import type { AdminClient } from '../../http/client.ts';
import { LoadChannels } from '../channels.ts';
import { ifReachable, openLoadChannels, removeLoadChannels } from '../node-side.ts';
import { Random } from '../random.ts';
import { commitBase } from './base-amounts.ts';
import { ConnectionsAttack, type ConnectionsResult } from './connections.ts';
import type { KnownChannels } from './datagrams.ts';
import { Flood, type FloodResult } from './flood.ts';
import { ATTACKS, type AttackName, type DatagramKind } from './kinds.ts';
import { NodeKnown, ThrowawayKnown } from './known-channels.ts';
import { type CountersJson, countedBetween, type Sums, sumsOf } from './sums.ts';
import { TokensAttack, type TokensResult } from './tokens.ts';

export interface AttackRun {
  attack: AttackName;
  /** As the user wrote it, for the result. */
  to: string;
  target: HostPort;
  seed: number;
  /** Datagrams, bytes, messages or requests a second; null: as many as there can be. */
  rate: number | null;
  durationMs: number;
  datagramsMax: number;
  /** Sockets of UDP. */
  sockets: number;
  perDatagram: number;
  connections: number;
  channels: number;
  /** Names the node's own open channels, rather than throw-away ones. */
  useChannels: boolean;
  admin: AdminClient;
}

export interface AttackWatcher {
  progress(text: string): void;
  /** Calls back when the attack should stop and say what it has. */
  onStop(stop: () => void): void;
}

export interface AttackResult {
  attack: AttackName;
  to: string;
  seed: number;
  startedAt: string;
  udp?: FloodResult;
  tcp?: ConnectionsResult;
  http?: TokensResult;
  /** What the node counted meanwhile, whoever sent it; null where it did not answer. */
  counted: CountersJson | null;
  /** Whether that adds up; null where it is not known. */
  sums: Sums | null;
  /** Whether the node answers afterwards; null where it did not before either. */
  isUp: boolean | null;
}

const KEYS_MAX = 1_000;
/** Answers count as over when none came for so long. */
const QUIET_MS = 300;
/** How often, and how far apart, the node's counters are read until everything received has a reason. */
const LOOKS_MAX = 100;
const LOOK_MS = 100;

/** Throws what opening channels throws, and BACKEND_UNAVAILABLE where datagrams can't be sent in batches. */
export async function runAttack(run: AttackRun, watcher: AttackWatcher): Promise<AttackResult> {
  const { attack, admin, useChannels, seed } = run;
  if (!ATTACKS[attack].needsChannels) return measure(run, undefined, watcher);
  if (useChannels) return measure(run, await NodeKnown.read(admin, run.channels), watcher);
  const keys = Math.min(run.channels, KEYS_MAX);
  const channels = LoadChannels.derive(seed, run.channels, keys);
  try {
    await openLoadChannels(admin, channels, watcher.progress);
    const known = new ThrowawayKnown(channels, seed, keys);
    if (attack === 'stale' || attack === 'mixed') await commitBase(admin, channels, known, run.target);
    return await measure(run, known, watcher);
  } finally {
    await removeLoadChannels(admin, channels, watcher.progress).catch((error: Error) =>
      watcher.progress(`the attack's channels stay at the node: ${error.message}`),
    );
  }
}

async function measure(
  run: AttackRun,
  known: KnownChannels | undefined,
  watcher: AttackWatcher,
): Promise<AttackResult> {
  const { attack, to, seed, admin } = run;
  const unreachable = (error: Error) => watcher.progress(error.message);
  const look = () => ifReachable(async () => (await admin.stats()).counters as CountersJson, unreachable);
  const before = await look();
  const startedAt = new Date().toISOString();
  const sent = await send(run, known, watcher);
  // Connections bring no claims that would have to be waited for.
  const after = before && (sent.udp === undefined ? await look() : await atRest(look));
  const counted = before && after && countedBetween(before, after);
  const sums = counted && sent.udp ? sumsOf(sent.udp, counted) : null;
  return { attack, to, seed, startedAt, ...sent, counted, sums, isUp: before && after !== null };
}

async function send(
  run: AttackRun,
  known: KnownChannels | undefined,
  watcher: AttackWatcher,
): Promise<Pick<AttackResult, 'udp' | 'tcp' | 'http'>> {
  const { attack, seed } = run;
  const random = new Random(seed, `attack ${attack}`);
  if (attack === 'tokens') {
    const tokens = new TokensAttack({ ...run, random });
    watcher.onStop(() => {
      tokens.isStopped = true;
    });
    return { http: await tokens.run() };
  }
  if (ATTACKS[attack].transport === 'tcp') {
    const connections = new ConnectionsAttack({ ...run, attack: attack as 'connections', random });
    watcher.onStop(() => {
      connections.isStopped = true;
    });
    return { tcp: await connections.run() };
  }
  const flood = await Flood.open({ ...run, attack: attack as DatagramKind | 'mixed', known, random });
  watcher.onStop(() => {
    flood.isStopped = true;
  });
  try {
    const udp = await flood.run();
    return { udp: { ...udp, answered: await flood.drain(QUIET_MS) } };
  } finally {
    flood.close();
  }
}

const NOTHING = { datagrams: 0, whole: 0, emptyDatagram: 0, unknownType: 0, cutFrame: 0, claims: 0 };

/** Counters when no more arrives and everything received has a reason, or after the longest wait. */
async function atRest(look: () => Promise<CountersJson | null>): Promise<CountersJson | null> {
  let counters = await look();
  for (let looks = 1; counters !== null && looks < LOOKS_MAX; looks++) {
    const { datagrams } = counters;
    await pause(LOOK_MS);
    counters = await look();
    if (counters !== null && counters.datagrams === datagrams && sumsOf(NOTHING, counters).claims.missing === 0) break;
  }
  return counters;
}
