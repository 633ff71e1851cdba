/**
 * Names what holds a running node back, from how busy its parts are, and says what to change, with the evidence. Pure, any
 * thread.
 *
 * The causes are tried in an order, and the first that is seen is the primary one: what spoils the evidence of the others
 * comes first. Full memory slows every thread; datagrams that were dropped, or a disk that is waited for, starve threads that
 * would otherwise look lightly loaded; keys without a table make the verifying stage look slow. Busy stages come
 * after them, and a node without any of these waits for its payers.
 */
import type { MachineFigures } from './machine-figures.ts';
import type { Sample } from './sample.ts';

export type BottleneckKind =
  | 'memory'
  | 'receive-buffer'
  | 'disk-throughput'
  | 'disk-sync'
  | 'ring'
  | 'key-tables'
  | 'core-taken'
  | 'few-lanes'
  | 'verify'
  | 'receive'
  | 'commit'
  | 'send'
  | 'main-thread'
  | 'payers';

export interface Bottleneck {
  readonly kind: BottleneckKind;
  /** What holds the node back, in one sentence. */
  readonly says: string;
  /** The figures behind it. */
  readonly evidence: readonly string[];
  /** What to change, in one sentence. */
  readonly change: string;
}

/** Of the memory that the node may have. */
const MEMORY_FULL = 0.9;
/** Share of a thread's time from which it counts as busy: queues grow without bound on the way from here to 1. */
const BUSY = 0.75;
/** Share of the time in which a thread waits for its disk from which the disk decides the rate. */
const SYNCING = 0.65;
/** The same where groups have many claims, which came while the disk was waited for: writes block as well, uncounted. */
const SYNCING_GROUPS = 0.4;
const GROUP_CLAIMS = 8;
/** Of what the disk was measured to write. */
const DISK_FULL = 0.8;
/** Of the ring's slots. */
const RING_FULL = 0.9;
/** Of the claims that came: fewer that are lost or refused are a burst, not a limit. */
const LOST = 0.002;
/** Of the look-ups of key tables: at one in ten the tables' building costs as much as all verifying. */
const MISSING = 0.1;
/** Cores that threads were ready for, and did not get. */
const WAITED = 0.25;
/** Cores that other processes used, of those that there are. */
const TAKEN = 0.25;
/** Cores that nobody used. */
const UNUSED = 0.6;
const MAIN_DELAY_MS = 50;

/** Figures that several rules use. */
interface Picture {
  sample: Sample;
  machine: MachineFigures;
  /** Processor time of all stages, in cores. */
  busy: number;
  /** The same as a share of what the threads could have had. */
  load: number;
  /** The same, with the time that threads were ready without getting a core: what they would have used. */
  wanted: number;
  /** Share of the threads' time in which a sync was under way. */
  syncing: number;
  ringFill: number;
}

type Rule = (picture: Picture) => Bottleneck | undefined;

/** What holds the node back, over the sample's time. */
export function bottleneckOf(sample: Sample, machine: MachineFigures): Bottleneck {
  const busy = Object.values(sample.busy).reduce((sum, share) => sum + share, 0);
  const rings = [sample.ring, ...sample.lanes.map(({ ring }) => ring)];
  const picture: Picture = {
    sample,
    machine,
    busy,
    load: busy / Math.max(1, Math.min(machine.threads, machine.cores)),
    wanted: (busy + machine.waitedCores) / Math.max(1, Math.min(machine.threads, machine.cores)),
    syncing: (sample.rates.syncs * syncMs(sample, machine)) / 1_000 / Math.max(1, machine.committers),
    ringFill: Math.max(...rings.map(({ depth, slots }) => (slots > 0 ? depth / slots : 0))),
  };
  for (const rule of RULES) {
    const found = rule(picture);
    if (found !== undefined) return found;
  }
  return payers(picture);
}

const memory: Rule = ({ sample }) => {
  const { resident, limit } = sample.memory;
  if (limit <= 0 || resident / limit < MEMORY_FULL) return undefined;
  return {
    kind: 'memory',
    says: 'The node has nearly all the memory it may have.',
    evidence: [`${mib(resident)} of ${mib(limit)} MiB are resident (${percent(resident / limit)})`],
    change: 'Give the node more memory, or less to keep: a lower --key-cache, then a lower --channels-max.',
  };
};

/** Threads that have time left and datagrams that are dropped: the buffer is too small for the bursts. */
const receiveBuffer: Rule = ({ sample, load, syncing }) => {
  const dropped = sample.dropped.socketBuffer ?? 0;
  if (dropped < LOST * Math.max(1, sample.rates.datagrams) || load >= BUSY || syncing >= SYNCING) return undefined;
  return {
    kind: 'receive-buffer',
    says: 'The network hands over more at once than the sockets can hold: datagrams are dropped while the threads have time.',
    evidence: [`${rate(dropped)} datagrams a second dropped by the sockets' buffers`, loadText(load)],
    change: 'Raise the system limit, as with sysctl -w net.core.rmem_max=4194304, start the node again, and add lanes.',
  };
};

const diskThroughput: Rule = ({ sample, machine, load }) => {
  const { diskBytesPerSecondMax } = machine;
  const { journalBytes } = sample.rates;
  if (diskBytesPerSecondMax === undefined || journalBytes < DISK_FULL * diskBytesPerSecondMax || load >= BUSY)
    return undefined;
  return {
    kind: 'disk-throughput',
    says: 'The disk writes as much as it can.',
    evidence: [
      `${(journalBytes / 1e6).toFixed(1)} of at most ${(diskBytesPerSecondMax / 1e6).toFixed(1)} MB/s`,
      `${rate(sample.rates.groups)} groups a second of ${sample.groupClaims.toFixed(0)} claims`,
    ],
    change: 'Put the journal on a faster disk; with disks known to write sectors of 512 bytes, --journal-block 512.',
  };
};

const diskSync: Rule = ({ sample, machine, load, wanted, syncing }) => {
  // A thread that waits for a core sees its syncs end late.
  const isBlocked = syncing >= SYNCING_GROUPS && sample.groupClaims >= GROUP_CLAIMS && wanted < BUSY;
  if ((syncing < SYNCING && !isBlocked) || load >= BUSY) return undefined;
  return {
    kind: 'disk-sync',
    says: 'The threads wait for the disk to say that claims are durable.',
    evidence: [
      `${percent(syncing)} of the committing threads' time a sync was under way`,
      `${rate(sample.rates.syncs)} syncs a second of ${syncMs(sample, machine).toFixed(2)} ms`,
      loadText(load),
    ],
    change:
      'Put the data folder on a disk that syncs faster (one with protection against power loss), or let payers keep more claims unanswered, so that each sync covers more.',
  };
};

const ring: Rule = ({ sample, load, ringFill }) => {
  const overloaded = sample.refused.overloaded ?? 0;
  if (overloaded < LOST * Math.max(1, sample.rates.received) || ringFill < RING_FULL || load >= BUSY) return undefined;
  return {
    kind: 'ring',
    says: 'The ring is full while the threads have time: a burst is larger than it.',
    evidence: [
      `${rate(overloaded)} claims a second refused as OVERLOADED`,
      `the fullest ring is at ${percent(ringFill)}`,
      loadText(load),
    ],
    change: 'Raise --ring-slots; each slot takes 128 bytes, and a fuller ring means more latency.',
  };
};

const keyTables: Rule = ({ sample, machine, wanted }) => {
  const { lookups, misses, evictions } = machine.keyTables;
  const { verify } = sample.busy;
  if (wanted < BUSY || lookups <= 0 || misses / lookups < MISSING || verify < largest(sample)[1]) return undefined;
  return {
    kind: 'key-tables',
    says: 'The tables of the keys do not fit their cache, and are made again and again.',
    evidence: [
      `${percent(misses / lookups)} of ${rate(lookups)} look-ups a second found no table`,
      `${rate(evictions)} tables a second were given up for others`,
      `${percent(verify)} of a core is spent verifying`,
    ],
    change: 'Raise --key-cache: a key that should stay warm takes 17 KB, one with many claims 133 KB more.',
  };
};

const coreTaken: Rule = ({ machine, wanted }) => {
  const { cores, otherCores, waitedCores } = machine;
  if (waitedCores < WAITED || otherCores < TAKEN || wanted < BUSY) return undefined;
  return {
    kind: 'core-taken',
    says: 'Other processes take cores that the threads are ready for.',
    evidence: [
      `threads waited for ${waitedCores.toFixed(2)} cores that they did not get`,
      `other processes used ${otherCores.toFixed(2)} of ${cores} cores`,
    ],
    change: 'Move the other processes to another machine or other cores (taskset, CPUAffinity=), or lower --lanes.',
  };
};

const fewLanes: Rule = ({ machine, load, busy }) => {
  const { cores, threads, otherCores } = machine;
  const unused = cores - machine.ownCores - otherCores;
  if (load < BUSY || threads >= cores || unused < UNUSED) return undefined;
  return {
    kind: 'few-lanes',
    says: 'There are fewer threads than cores: the threads are busy, and cores are idle.',
    evidence: [`${threads} threads use ${busy.toFixed(2)} cores`, `${unused.toFixed(2)} of ${cores} cores are idle`],
    change: `Start the node with --lanes ${cores} (in the layout pipeline: --verifiers ${cores}).`,
  };
};

const CHANGES: Readonly<Record<string, string>> = {
  verify:
    'Add cores and lanes: verifying is the work itself. Where payers send many claims of one channel, --verify newest.',
  receive: 'Let payers put more claims into a datagram (up to 15), or add lanes; see that sockets are native.',
  commit: 'Add lanes, and see that the path is native (claimwire stats shows "path": "native").',
  send: 'Let payers use fewer sockets, so that acks share datagrams, or add lanes.',
};

const stage: Rule = ({ sample, load, machine }) => {
  const queueFull = (sample.dropped.sendQueueFull ?? 0) + (sample.dropped.ackRingFull ?? 0);
  const isSending = queueFull > LOST * Math.max(1, sample.rates.acked);
  if (load < BUSY && !isSending) return undefined;
  const [slowest, share] = isSending ? (['send', sample.busy.send] as const) : largest(sample);
  const kind = slowest === 'write' ? 'commit' : slowest;
  const names = { verify: 'Verifying signatures', receive: 'Receiving', commit: 'Committing', send: 'Sending acks' };
  return {
    kind,
    says: `${names[kind]} takes most of the threads' time.`,
    evidence: [
      `${percent(share)} of a core for ${slowest}, of ${machine.threads} threads on ${machine.cores} cores`,
      loadText(load),
      ...(isSending ? [`${rate(queueFull)} acks a second found no room to be sent`] : []),
    ],
    change: CHANGES[kind]!,
  };
};

const mainThread: Rule = ({ machine, sample }) => {
  const { mainDelayMs } = machine;
  if (mainDelayMs === undefined || mainDelayMs < MAIN_DELAY_MS) return undefined;
  return {
    kind: 'main-thread',
    says: 'The main thread is busy with requests of the operator, charges or events: these wait, claims do not.',
    evidence: [`it is ${mainDelayMs.toFixed(0)} ms late at p99`, `${rate(sample.rates.charges)} charges a second`],
    change: 'Ask for less at once: smaller pages of channels, fewer event streams, charges in batches.',
  };
};

const RULES: readonly Rule[] = [
  memory,
  receiveBuffer,
  diskThroughput,
  diskSync,
  ring,
  keyTables,
  coreTaken,
  fewLanes,
  stage,
  mainThread,
];

function payers({ sample, load, syncing, ringFill }: Picture): Bottleneck {
  return {
    kind: 'payers',
    says: 'Nothing holds the node back: it does all that its payers send.',
    evidence: [
      `${rate(sample.rates.received)} claims a second`,
      loadText(load),
      `a sync was under way ${percent(syncing)} of the time`,
      `the fullest ring is at ${percent(ringFill)}`,
    ],
    change: 'Nothing; send more to find the next limit.',
  };
}

/** The stage with the most processor time. */
function largest({ busy }: Sample): readonly [keyof Sample['busy'], number] {
  const stages = Object.entries(busy) as [keyof Sample['busy'], number][];
  return stages.reduce((most, each) => (each[1] > most[1] ? each : most));
}

/** The mean where it was measured, otherwise the median. */
function syncMs({ sync }: Sample, { syncMeanMs }: MachineFigures): number {
  return syncMeanMs ?? sync.p50;
}

function loadText(load: number): string {
  return `the threads are busy ${percent(load)} of the time`;
}
function percent(share: number): string {
  return `${(share * 100).toFixed(0)} %`;
}
function rate(perSecond: number): string {
  return Math.round(perSecond).toLocaleString('en-US');
}
function mib(bytes: number): string {
  return Math.round(bytes / 2 ** 20).toLocaleString('en-US');
}
