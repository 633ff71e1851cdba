/**
 * Every metric of a node itself: claims, acks, journal, channels, money, ledger, machine. Names follow the conventions of
 * Prometheus; docs/metrics.md lists them, and a test holds it to this. Any thread.
 */
import { STAGES } from '../control/measure-control.ts';
import { CLAIMS_BUCKETS, SECONDS_BUCKETS } from './buckets.ts';
import { counted, countedEach, counter, type Facts, type Family, gauge, histogram, labelled } from './family.ts';

const REFUSED = [
  'unknownChannel',
  'badSignature',
  'overCapacity',
  'channelClosed',
  'badAmount',
  'overloaded',
  'badSequence',
  'moved',
  'rootExposure',
];
const FRAMES_DROPPED = ['failed', 'repeated', 'poolFull'];
const LEAVES_DROPPED = ['unjudged', 'unanswered'];
const STRANGERS = ['heldBack', 'overBudget'];
const DATAGRAMS_DROPPED = ['emptyDatagram', 'unknownType', 'cutFrame', 'unexpectedAck', 'socketBuffer', 'floodFilter'];
const ACKS_DROPPED = ['refusalLimited', 'ackRingFull', 'sendQueueFull', 'sendFailed', 'connectionGone'];
const BUSY = ['receive', 'verify', 'commit', 'write', 'send'];
const MICROSECONDS = 1e6;

const path = (name: string, help: string, of: string) => counter(name, help, (facts) => counted(facts, of));

function info({ stats, version }: Facts): Record<string, string> {
  const { backend, kernel, layout, sockets, path, durability, store, verify } = stats;
  return {
    version,
    node: process.version,
    backend,
    kernel: kernel ?? 'none',
    layout,
    sockets,
    path,
    durability,
    store,
    verify,
  };
}

const claims: Family[] = [
  path('claimwire_datagrams_received_total', 'Datagrams taken from sockets.', 'datagrams'),
  path('claimwire_claims_received_total', 'Claims taken in, whatever became of them.', 'received'),
  path('claimwire_claims_verified_total', 'Claims whose signature was found valid.', 'verified'),
  path(
    'claimwire_claims_superseded_total',
    'Claims not verified since a newer one of the same batch and channel was (--verify newest).',
    'superseded',
  ),
  path('claimwire_claims_committed_total', 'Claims covered by a durable group: accepted.', 'committed'),
  path(
    'claimwire_claims_already_committed_total',
    'Claims at or below what was committed, answered without verification.',
    'already',
  ),
  path('claimwire_claims_deferred_total', 'Claims held back while an identical one was in flight.', 'deferred'),
  path(
    'claimwire_claims_deferred_full_total',
    'Identical claims for which there was no room to be held back.',
    'deferredFull',
  ),
  labelled(
    'counter',
    'claimwire_claims_refused_total',
    'Claims refused, by the reason that their payer was told.',
    'reason',
    (facts) => countedEach(facts, 'refused', REFUSED),
  ),
  path('claimwire_root_frames_total', 'Frames of Merkle batches received.', 'roots.frames'),
  path(
    'claimwire_roots_checked_total',
    'Roots of Merkle batches whose signature was checked; a root known by an earlier frame is not checked again.',
    'roots.checked',
  ),
  labelled(
    'counter',
    'claimwire_root_frames_dropped_total',
    'Frames of Merkle batches of which nothing was taken, by reason. failed: it leads to no root that its key has signed. poolFull: its leaves were answered OVERLOADED.',
    'reason',
    (facts) => countedEach(facts, 'roots', FRAMES_DROPPED),
  ),
  labelled(
    'counter',
    'claimwire_root_leaves_dropped_total',
    'Leaves of Merkle batches that were not answered, by reason. unjudged: another leaf’s channel is unknown. unanswered: nobody is sent more bytes than came in his name.',
    'reason',
    (facts) => countedEach(facts, 'roots', LEAVES_DROPPED),
  ),
  labelled(
    'counter',
    'claimwire_strangers_refused_total',
    'Claims answered OVERLOADED while a ring filled, since none of their source and channel was verified lately, by reason.',
    'reason',
    (facts) => countedEach(facts, 'strangers', STRANGERS),
  ),
  path(
    'claimwire_slow_paths_held_back_total',
    'Claims answered OVERLOADED since their channel took the slow path of the kernel too often of late.',
    'slowPaths.heldBack',
  ),
  labelled(
    'counter',
    'claimwire_datagrams_dropped_total',
    'Datagrams, or the rest of them, that brought nothing, by reason. socketBuffer: the kernel had no room. floodFilter: it dropped them for a socket under a flood.',
    'reason',
    (facts) => countedEach(facts, 'dropped', DATAGRAMS_DROPPED),
  ),
  path('claimwire_acks_sent_total', 'Acks handed to a socket.', 'acked'),
  labelled(
    'counter',
    'claimwire_acks_dropped_total',
    'Acks and refusals that were not sent, by reason.',
    'reason',
    (facts) => countedEach(facts, 'dropped', ACKS_DROPPED),
  ),
  path('claimwire_link_gaps_total', 'Sequence numbers missing on link channels: claims lost on their way.', 'linkGaps'),
  path(
    'claimwire_unmeasured_claims_total',
    'Committed claims that claimwire_ack_seconds leaves out: the sending side was too far behind.',
    'unmeasured',
  ),
];

const latencies: Family[] = [
  histogram(
    'claimwire_ack_seconds',
    'From the arrival of a claim in the socket to the handing over of its ack; claims that were committed.',
    SECONDS_BUCKETS,
    undefined,
    ({ lanes }) => (lanes.length === 0 ? [] : [['', lanes.map(({ ack }) => ack)]]),
  ),
  histogram(
    'claimwire_stage_seconds',
    'Where the time of claims goes: queue, receive, verify, commit, sync, ack.',
    SECONDS_BUCKETS,
    'stage',
    ({ lanes }) =>
      lanes.length === 0 ? [] : STAGES.map((stage) => [stage, lanes.map(({ stages }) => stages[stage])] as const),
  ),
  histogram(
    'claimwire_sync_seconds',
    'Each sync of a journal; with a database, each append until it was confirmed.',
    SECONDS_BUCKETS,
    undefined,
    ({ lanes }) => (lanes.length === 0 ? [] : [['', lanes.map(({ sync }) => sync)]]),
  ),
  histogram('claimwire_group_claims', 'Claims that a group commit covered.', CLAIMS_BUCKETS, undefined, ({ lanes }) =>
    lanes.length === 0 ? [] : [['', lanes.map(({ group }) => group)]],
  ),
  counter('claimwire_sync_wait_seconds_total', 'Time that groups waited for their syncs.', (facts) =>
    seconds(counted(facts, 'syncWaitUs')),
  ),
  labelled(
    'counter',
    'claimwire_busy_seconds_total',
    'Processor time of the threads of the claim path, by what they did.',
    'stage',
    (facts) => countedEach(facts, 'busyUs', BUSY).map(([stage, us]) => [stage, seconds(us)] as const),
  ),
];

const store: Family[] = [
  gauge('claimwire_ring_depth', 'Claims that wait in the rings, over all lanes.', ({ stats }) => stats.ring.depth),
  gauge('claimwire_ring_slots', 'Claims that the rings have room for.', ({ stats }) => stats.ring.slots),
  labelled('gauge', 'claimwire_lane_ring_depth', 'Claims that wait in the ring of one lane.', 'lane', ({ lanes }) =>
    lanes.map(({ ringDepth }, lane) => [String(lane), ringDepth] as const),
  ),
  path('claimwire_group_commits_total', 'Groups of claims made durable together.', 'groupCommits'),
  path('claimwire_syncs_total', 'Syncs of journals.', 'syncs'),
  path('claimwire_journal_records_total', 'Records written to journals.', 'journalRecords'),
  path('claimwire_journal_written_bytes_total', 'Bytes written to journals.', 'journalBytes'),
  gauge(
    'claimwire_disk_free_bytes',
    'Room on the file system of the data folder for a user that is not root.',
    ({ machine }) => machine.disk?.free,
  ),
  gauge(
    'claimwire_disk_size_bytes',
    'Size of the file system of the data folder.',
    ({ machine }) => machine.disk?.size,
  ),
];

const keyCache: Family[] = [
  labelled(
    'counter',
    'claimwire_key_cache_hits_total',
    'Verifications that found a table of their key, by its size.',
    'table',
    ({ stats: { keyTables } }) => [
      ['huge', keyTables?.hitsHuge],
      ['large', keyTables?.hitsLarge],
      ['small', keyTables?.hitsSmall],
      ['tiny', keyTables?.hitsTiny],
    ],
  ),
  counter(
    'claimwire_key_cache_misses_total',
    'Verifications of keys without a table, which take the longer way.',
    ({ stats }) => stats.keyTables?.misses,
  ),
  labelled(
    'counter',
    'claimwire_key_cache_builds_total',
    'Tables built, by size.',
    'table',
    ({ stats: { keyTables } }) => [
      ['huge', keyTables?.buildsHuge],
      ['large', keyTables?.buildsLarge],
      ['small', keyTables?.buildsSmall],
      ['tiny', keyTables?.buildsTiny],
    ],
  ),
  counter(
    'claimwire_key_cache_evictions_total',
    'Tables that made room for others.',
    ({ stats }) => stats.keyTables?.evictions,
  ),
  counter(
    'claimwire_key_cache_refused_total',
    'Tables that a key had earned, and for which there was no place.',
    ({ stats }) => stats.keyTables?.refused,
  ),
  gauge('claimwire_key_cache_size_bytes', 'Memory that key tables may use.', ({ stats }) => stats.keyTables?.bytes),
  gauge('claimwire_key_cache_used_bytes', 'Memory that key tables use.', ({ stats }) => stats.keyTables?.bytesUsed),
  counter(
    'claimwire_kernel_signatures_total',
    'Signatures that the kernel verified since the process began.',
    ({ stats }) => stats.keyTables?.verified,
  ),
  counter('claimwire_kernel_valid_total', 'Of these, the valid ones.', ({ stats }) => stats.keyTables?.valid),
  counter(
    'claimwire_kernel_slow_paths_total',
    'Collisions, each decided by the complete path. With a table of its key only the payer of the channel can make one; without, anybody.',
    ({ stats }) => stats.keyTables?.slowPaths,
  ),
];

/** What src/tune shows in /stats, where it is on. */
interface Tuning {
  readonly settings: readonly { readonly name: string; readonly value: number }[];
  readonly kept: number;
  readonly undone: number;
}

function tuningOf({ beside }: Facts): Tuning | undefined {
  return beside.tuning as Tuning | undefined;
}

const tuning: Family[] = [
  labelled(
    'gauge',
    'claimwire_tuning_setting',
    'Settings that --auto-tune may change, as they are now.',
    'setting',
    (facts) => tuningOf(facts)?.settings.map(({ name, value }) => [name, value] as const) ?? [],
  ),
  labelled(
    'counter',
    'claimwire_tuning_changes_total',
    'Changes that --auto-tune has tried, by what became of them, those of earlier starts included.',
    'outcome',
    (facts) => [
      ['kept', tuningOf(facts)?.kept],
      ['undone', tuningOf(facts)?.undone],
    ],
  ),
];

const money: Family[] = [
  gauge('claimwire_channels', 'Channels that the node has.', ({ stats }) => stats.channels),
  gauge('claimwire_channels_max', 'Channels that there is room for.', ({ stats }) => stats.channelsMax),
  gauge(
    'claimwire_exposure_drops',
    'Committed and not redeemed, over all channels but throw-away ones.',
    ({ exposure }) => (exposure.ageSeconds === null ? undefined : Number(exposure.drops)),
  ),
  gauge(
    'claimwire_exposure_age_seconds',
    'How old the exposure is: the channels are walked bit by bit.',
    ({ exposure }) => exposure.ageSeconds ?? undefined,
  ),
  labelled(
    'gauge',
    'claimwire_exposure_ending_drops',
    'Exposure of channels that end within so many seconds, or have ended.',
    'within_seconds',
    ({ exposure }) =>
      exposure.ageSeconds === null
        ? []
        : exposure.ending.map(({ seconds, drops }) => [String(seconds), Number(drops)] as const),
  ),
  labelled(
    'gauge',
    'claimwire_exposure_ending_channels',
    'How many channels these are.',
    'within_seconds',
    ({ exposure }) =>
      exposure.ageSeconds === null
        ? []
        : exposure.ending.map(({ seconds, channels }) => [String(seconds), channels] as const),
  ),
  path('claimwire_charges_total', 'Durable charges, refunds among them.', 'charges'),
  path('claimwire_refunds_total', 'Durable refunds: charges of less than nothing.', 'refunds'),
  labelled(
    'counter',
    'claimwire_redemptions_total',
    'Transactions that redeem claims and are final, by result. never: it can no longer be validated, and cost nothing.',
    'result',
    (facts) => ['paid', 'nothing', 'failed', 'never'].map((result) => [result, redeemed(facts, result)] as const),
  ),
  gauge('claimwire_redemptions_pending', 'Transactions that are written down and not final yet.', (facts) =>
    redeemed(facts, 'pending'),
  ),
  counter('claimwire_redeemed_drops_total', 'Drops that redemptions brought, by validated metadata.', (facts) =>
    redeemed(facts, 'drops'),
  ),
  counter('claimwire_redemption_fee_drops_total', 'Drops that redemptions cost.', (facts) =>
    redeemed(facts, 'feeDrops'),
  ),
  gauge(
    'claimwire_ledger_age_seconds',
    'Since the newest validated ledger that was seen closed; since the start where none was seen.',
    ({ ledger, stats }) => ledger && (ledger.ageSeconds ?? stats.uptimeSeconds),
  ),
  gauge(
    'claimwire_ledger_index',
    'The newest validated ledger that was seen.',
    ({ ledger }) => ledger?.ledgerIndex ?? undefined,
  ),
  gauge(
    'claimwire_ledger_failing',
    '1 while the last attempt to ask the ledger has failed.',
    ({ ledger }) => ledger && Number(ledger.failure !== null),
  ),
  gauge('claimwire_ledger_watched_channels', 'Channels watched on the ledger.', ({ ledger }) => ledger?.watched),
  gauge(
    'claimwire_ledger_stale_channels',
    'Of these, those whose claims are refused since the ledger was not seen for too long.',
    ({ ledger }) => ledger?.stale,
  ),
];

const process_: Family[] = [
  {
    name: 'claimwire_info',
    type: 'gauge',
    help: 'What the node runs with; always 1.',
    labels: ['version', 'node', 'backend', 'kernel', 'layout', 'sockets', 'path', 'durability', 'store', 'verify'],
    read: (facts) => [{ value: 1, labels: info(facts) }],
  },
  gauge('claimwire_ready', '1 while claims are taken and get on, as GET /readyz says.', ({ ready }) => Number(ready)),
  gauge('claimwire_uptime_seconds', 'Since the node began.', ({ stats }) => stats.uptimeSeconds),
  gauge('claimwire_verifiers', 'Threads that verify.', ({ stats }) => stats.verifiers),
  gauge(
    'claimwire_memory_used_bytes',
    'Memory of the process that the system cannot take back.',
    ({ machine }) => machine.memoryUsed,
  ),
  gauge(
    'claimwire_memory_limit_bytes',
    'The limit of its container, or the memory of the machine.',
    ({ machine }) => machine.memoryLimit,
  ),
];

function seconds(microseconds: number | undefined): number | undefined {
  return microseconds === undefined ? undefined : microseconds / MICROSECONDS;
}

/** Undefined for a node that redeems nothing. */
function redeemed({ beside }: Facts, name: string): number | undefined {
  const value = (beside.redemptions as Record<string, number | string> | undefined)?.[name];
  return value === undefined ? undefined : Number(value);
}

const spans: Family[] = [
  labelled(
    'counter',
    'claimwire_spans_total',
    'Spans of --otel that have ended, by what became of them. dropped: the queue was full. failed: the collector did not take them.',
    'result',
    ({ beside }) => {
      const counters = beside.spans as Record<string, number> | undefined;
      return ['exported', 'dropped', 'failed'].map((result) => [result, counters?.[result]] as const);
    },
  ),
];

/** Undefined for a node that gives no receipts. */
const receipt = (of: string) => (facts: Facts) => (facts.beside.receipts as Record<string, number> | undefined)?.[of];

const receipts: Family[] = [
  counter('claimwire_receipt_roots_total', 'Roots that --receipt-key has signed.', receipt('roots')),
  counter('claimwire_receipt_leaves_total', 'Channels with their amounts under these roots.', receipt('leaves')),
  labelled(
    'counter',
    'claimwire_receipts_total',
    'Questions for receipts, by what became of them. notYet: so much was not durable. busy: too many asked.',
    'result',
    (facts) => ['given', 'notYet', 'busy'].map((result) => [result, receipt(result)(facts)] as const),
  ),
  counter(
    'claimwire_receipt_failed_total',
    'Roots that the key did not sign; who asked was told why.',
    receipt('failed'),
  ),
  counter(
    'claimwire_receipt_left_out_total',
    'Channels that had grown and found no room under a root: they are there when somebody asks for them.',
    receipt('leftOut'),
  ),
  counter('claimwire_receipt_build_seconds_total', 'Time of the main thread that trees of receipts took.', (facts) =>
    seconds(receipt('buildUs')(facts)),
  ),
];

export const NODE_FAMILIES: readonly Family[] = [
  ...process_,
  ...claims,
  ...latencies,
  ...store,
  ...keyCache,
  ...tuning,
  ...money,
  ...spans,
  ...receipts,
];
