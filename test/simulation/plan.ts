/**
 * What a seed draws before its world begins: sizes, layouts, odds of every fault. Swarm style: about half of the faults are
 * off in any one world, so that each is also seen alone, and the others at odds between seldom and far too often.
 */
import { random } from '../support/random.ts';
import { Chance } from './faults.ts';

export interface Plan {
  /** Claims that payers are to ask for, in all. */
  claims: number;
  /** The same, of a world that was made smaller. */
  claimsMax: number;
  payers: number;
  channels: number;
  /** How long a life lasts beside its crash at an operation, on average, virtual milliseconds. */
  lifeMs: number;
  layout: 'lanes' | 'pipeline';
  lanesMax: number;
  verifiers: number;
  ringSlots: number;
  /** Of the ring's slots: they wrap at 2^32. */
  firstSequence: number;
  channelsMax: number;
  blockBytes: 512 | 4096;
  segmentGroups: number;
  checkpointSeconds: number;
  groupWaitMs: number;
  durability: 'sync' | 'os';
  verify: 'every' | 'newest';
  path: 'portable' | 'native';
  measuring: boolean;
  /** Whether signatures are real ones, verified by the reference; else those of a double (signatures.ts). */
  realSignatures: boolean;
  /** Milliseconds that a sync takes when nothing is wrong, and at most a commit of the registry. */
  syncMs: number;
  commitMs: number;
  /** Milliseconds from one ledger to the next. */
  ledgerMs: number;
  /** Nodes that share a store; 1 has a disk of its own. */
  nodes: number;
  /** Whether the node takes signed roots, and what `xrpl` channels of a key may owe by their leaves, drops. */
  roots: boolean;
  exposureMax: number;
  odds: Odds;
}

/** What a world may be made smaller to, at most: to look at what has failed in it. */
export interface Sizes {
  claims?: number;
  channels?: number;
  payers?: number;
}

/** Probabilities: of each operation, datagram or draw that they are about. 0 is off. */
export interface Odds {
  crashAtOperation: number;
  crashAtAck: number;
  crashInStart: number;
  crashInStop: number;
  cleanStop: number;
  powerLoss: number;
  threadDeath: number;
  eio: number;
  eioForGood: number;
  diskFull: number;
  shortWrite: number;
  diskSlow: number;
  diskHung: number;
  bitRot: number;
  registryFull: number;
  registryFailed: number;
  loss: number;
  double: number;
  reorder: number;
  corruption: number;
  partition: number;
  sendQueueFull: number;
  hostile: number;
  clockStep: number;
  stall: number;
  payerDeath: number;
  operator: number;
  expiry: number;
  charges: number;
  /** From here on drawn apart, so that what was drawn before stays as it is (`drawLater`). */
  redemptions: number;
  ledgerLoses: number;
  ledgerHolds: number;
  ledgerOutrun: number;
  ledgerUnreachable: number;
  ledgerBehind: number;
  ledgerForgets: number;
  ledgerPayer: number;
  clusterKills: number;
  clusterStops: number;
  clusterStandsStill: number;
  clusterCutsOff: number;
  clusterLosesAnswers: number;
  clusterMoves: number;
  tcp: number;
  tcpCuts: number;
  /** Drawn after all of these, by a third generator: payers that sign roots. */
  roots: number;
}

type LaterOdds = Pick<
  Odds,
  | 'redemptions'
  | 'ledgerLoses'
  | 'ledgerHolds'
  | 'ledgerOutrun'
  | 'ledgerUnreachable'
  | 'ledgerBehind'
  | 'ledgerForgets'
  | 'ledgerPayer'
  | 'clusterKills'
  | 'clusterStops'
  | 'clusterStandsStill'
  | 'clusterCutsOff'
  | 'clusterLosesAnswers'
  | 'clusterMoves'
  | 'tcp'
  | 'tcpCuts'
>;

/** For each the most that it may be. */
const ODDS_MAX: Omit<Odds, keyof LaterOdds | 'roots'> = {
  crashAtOperation: 0.9,
  crashAtAck: 0.02,
  crashInStart: 0.25,
  crashInStop: 1,
  cleanStop: 0.3,
  powerLoss: 0.9,
  threadDeath: 0.3,
  eio: 0.01,
  eioForGood: 0.5,
  diskFull: 0.03,
  shortWrite: 0.5,
  diskSlow: 0.1,
  diskHung: 0.02,
  bitRot: 0.5,
  registryFull: 0.1,
  registryFailed: 0.03,
  loss: 0.4,
  double: 0.2,
  reorder: 0.2,
  corruption: 0.05,
  partition: 0.3,
  sendQueueFull: 0.1,
  hostile: 0.5,
  clockStep: 0.5,
  stall: 0.05,
  payerDeath: 0.3,
  operator: 1,
  expiry: 0.5,
  charges: 1,
};
const LATER_ODDS_MAX: LaterOdds = {
  redemptions: 1,
  ledgerLoses: 0.5,
  ledgerHolds: 0.1,
  ledgerOutrun: 0.5,
  ledgerUnreachable: 0.2,
  ledgerBehind: 0.8,
  ledgerForgets: 0.5,
  ledgerPayer: 1,
  clusterKills: 0.5,
  clusterStops: 0.3,
  clusterStandsStill: 0.5,
  clusterCutsOff: 0.5,
  clusterLosesAnswers: 0.1,
  clusterMoves: 1,
  tcp: 1,
  tcpCuts: 0.1,
};
/** Of another generator than the world's. */
const LATER_SEED = 0x1edbe4;
const ROOTS_SEED = 0x2007;

/** Always on: without them a seed shows little. */
const ALWAYS: readonly (keyof Odds)[] = ['crashAtOperation', 'powerLoss', 'operator', 'charges'];

/** Those that decide what kind of a thing happens, and not how often. */
const EVEN: readonly (keyof Odds)[] = [
  'crashAtOperation',
  'crashInStop',
  'powerLoss',
  'eioForGood',
  'shortWrite',
  'threadDeath',
  'operator',
  'charges',
];

/** One seed in so many has real signatures, which cost three milliseconds a claim, and few claims. */
const REAL_EVERY = 64;

function oddsOf<Name extends string>(
  chance: Chance,
  most: Record<Name, number>,
  even: readonly string[],
  always: readonly string[],
) {
  return Object.fromEntries(
    Object.entries<number>(most).map(([name, odd]) => {
      const isOn = chance.is(0.5) || always.includes(name);
      // Squared, small odds are as likely as large ones.
      return [name, (isOn ? 1 : 0) * odd * Math.max(0.05, chance.fraction() ** (even.includes(name) ? 1 : 2))];
    }),
  ) as Record<Name, number>;
}

/** Connections carry fewer claims than are asked for, since newer ones replace those that wait: some more are asked for. */
const CLAIMS_LONGER = 1.1;
/** Whose nodes take signed roots, beside clusters. */
const ROOTS_ODD = 0.4;
/** A ring with fewer slots has no room for the largest frame. */
const ROOTS_RING_SLOTS = 64;
/** One seed in so many is a cluster, whose takeovers take seconds. */
const CLUSTER_EVERY = 16;

/** @param hasNative whether there is an addon with the claim path in C */
export function drawPlan(seed: number, chance: Chance, hasNative: boolean): Plan {
  const odds = oddsOf(chance, ODDS_MAX, EVEN, ALWAYS);
  const later = new Chance(random(seed ^ LATER_SEED));
  const laterOdds = oddsOf(later, LATER_ODDS_MAX, ['redemptions', 'ledgerPayer', 'tcp'], []);
  const realSignatures = seed % REAL_EVERY === REAL_EVERY - 1;
  const blockBytes = chance.of([512, 4096] as const);
  const wantsNative = chance.is(0.4);
  const layout = chance.is(0.3) ? 'pipeline' : 'lanes';
  const plan = {
    claims: realSignatures ? 40 : chance.between(780, 980),
    payers: chance.between(1, 5),
    channels: chance.between(1, 10),
    lifeMs: chance.of([100, 300, 600, 8_000]),
    layout,
    lanesMax: layout === 'lanes' ? chance.between(1, 4) : 1,
    verifiers: chance.between(1, 2),
    ringSlots: chance.of([4, 16, 64]),
    firstSequence: chance.is(0.3) ? 2 ** 32 - chance.between(1, 60) : 0,
    channelsMax: chance.of([12, 24]),
    blockBytes,
    segmentGroups: chance.of([1, 2, 6]),
    checkpointSeconds: chance.of([0, 0.25, 1]),
    groupWaitMs: chance.of([0, 0, 0, 2]),
    durability: chance.is(0.1) ? 'os' : 'sync',
    verify: chance.is(0.3) ? 'newest' : 'every',
    path: wantsNative && hasNative && layout === 'lanes' ? 'native' : 'portable',
    measuring: chance.is(0.5),
    realSignatures,
    syncMs: chance.of([0.05, 0.2, 2]),
    commitMs: chance.of([0.3, 3, 20]),
    ledgerMs: 0,
    claimsMax: 0,
    nodes: 1,
    roots: false,
    exposureMax: 0,
    odds: { ...odds, ...laterOdds, roots: 0 },
  } satisfies Plan;
  // At the same pace for longer: what a seed was kept for happens as before.
  plan.claimsMax = Math.ceil(plan.claims * CLAIMS_LONGER);
  // Some ledgers a life, and none in less than it takes to write an intent: a transaction lives for twenty.
  plan.ledgerMs = Math.max(5, 2 * plan.commitMs, plan.lifeMs / later.of([6, 12, 40]));
  if (seed % CLUSTER_EVERY === CLUSTER_EVERY - 1 && !realSignatures) plan.nodes = later.between(2, 3);
  return withRoots(plan, new Chance(random(seed ^ ROOTS_SEED)));
}

function withRoots(plan: Plan, chance: Chance): Plan {
  if (!chance.is(ROOTS_ODD) || plan.nodes > 1) return plan;
  plan.odds.roots = chance.of([0.3, 0.9, 1]);
  plan.exposureMax = chance.of([0, 700, 5_000, 50_000]);
  return plan;
}

/** As the seed drew it, or, without roots, as it was before there were any. */
export function rootsOf(plan: Plan, without: readonly string[]): Plan {
  const roots = plan.odds.roots > 0 && !without.includes('roots');
  return roots ? { ...plan, roots, ringSlots: ROOTS_RING_SLOTS } : plan;
}
