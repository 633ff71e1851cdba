/**
 * Counters: each thread writes its own block of doubles in the arena, and a reader sums the blocks.
 *
 * A double counts exactly to 2^53 and costs a plain add; a u32 would wrap after 72 minutes at a million a second.
 */
import { assert } from '../errors.ts';
import { type Arena, COUNTER_BLOCK_BYTES } from './arena.ts';

/** A dot makes a group in /stats. */
export const COUNTER_NAMES = [
  'datagrams', // datagrams taken from a socket
  'received', // claims in them
  'verified', // claims whose signature was found valid
  'superseded', // claims not verified, since a newer one of the same batch and channel was (--verify newest)
  'committed', // claims covered by a synced group (accepted)
  'acked', // acks handed to a socket
  'already', // claims at or below what was committed: their signatures are not verified
  'deferred', // claims held back while an identical one was in flight
  'deferredFull', // identical claims for which there was no room to be held back, answered OVERLOADED
  'groupCommits',
  'syncs',
  'journalRecords',
  'journalBytes',
  'unmeasured', // committed claims whose way to their ack is not measured, since the sending side was too far behind
  'linkGaps', // sequence numbers missing on link channels
  'refused.unknownChannel',
  'refused.badSignature',
  'refused.overCapacity',
  'refused.channelClosed',
  'refused.badAmount',
  'refused.overloaded',
  'refused.badSequence',
  'refused.rootExposure', // leaves over what the node takes beyond ordinary claims (--root-exposure)
  'refused.moved', // claims of a channel whose shard another node of the cluster holds
  'roots.frames', // frames of Merkle batches
  'roots.checked', // roots whose signature was checked: those known by their last frame are not checked again
  'roots.failed', // frames that do not lead to a root that their channels' key has signed
  'roots.repeated', // frames dropped since an identical one was in flight
  'roots.unjudged', // leaves dropped since the channel of another leaf of their frame is unknown, so that it leads to no root
  'roots.poolFull', // frames for which there was no room, their leaves answered OVERLOADED
  'roots.unanswered', // refusals of leaves not sent, so that nobody is sent more bytes than came in his name
  'strangers.heldBack', // claims of strangers, while they fill their part of a ring, answered OVERLOADED
  'strangers.overBudget', // the same of a network or a channel of which too many signatures were wrong
  'slowPaths.heldBack', // claims of a channel whose signatures took too many slow paths, answered OVERLOADED (path/slow-paths.ts)
  'dropped.emptyDatagram',
  'dropped.unknownType',
  'dropped.cutFrame',
  'dropped.unexpectedAck', // acks sent to the node, which expects none
  'dropped.refusalLimited', // refusals not sent because their source was over its rate
  'dropped.ackRingFull',
  'dropped.sendQueueFull',
  'dropped.sendFailed',
  'dropped.socketBuffer', // datagrams the kernel dropped because a socket's receive buffer was full
  'dropped.floodFilter', // datagrams the kernel dropped while a flood's filter was attached: strangers' (threads/flood-filter.ts)
  'syncWaitUs', // microseconds that groups waited for their syncs
  'busyUs.receive', // microseconds of processor time in each stage (path/stage-clock.ts)
  'busyUs.verify',
  'busyUs.commit',
  'busyUs.write',
  'busyUs.send',
  'dropped.connectionGone', // acks for a connection that has ended
  'tcp.accepted', // connections accepted; less `closed`, those open now
  'tcp.closed', // of those, closed by either side for any reason
  'tcp.refusedFull', // connections over the table, closed at once
  'tcp.refusedAddress', // connections over their address's share, closed at once
  'tcp.acceptFailed', // connections that the system could not accept (descriptors, memory)
  'tcp.tlsFailed', // handshakes that failed or took too long
  'tcp.paused', // times a connection's reading paused: the ring was full, or it was the turn of others
  'tcp.control', // control messages accepted
  'tcp.controlRefused', // of those, answered with an error by the transport itself
  'tcp.controlHeld', // times a connection's reading paused because of its rate of control messages, or of the total rate
  'tcp.cutSlowReader', // connections cut because their write queue was full
  'tcp.cutQueuesFull', // connections with the longest write queues, cut because all queues together were too long
  'tcp.cutSilent', // connections cut because they never sent a whole message
  'tcp.cutIdle', // connections cut because they sent no whole message for long
  'tcp.cutLength', // connections cut because a message's length was 0 or over 65,536
  'tcp.endedInside', // connections that ended inside a message
] as const;
export type CounterName = (typeof COUNTER_NAMES)[number];

assert(COUNTER_NAMES.length * 8 <= COUNTER_BLOCK_BYTES, 'the counters fit their block');

/** The index of a counter within a block. Looked up once, at start, where it is often counted. */
export function counterIndex(name: CounterName): number {
  return COUNTER_NAMES.indexOf(name);
}

/** The block of one thread. No other thread adds to it. */
export class Counters {
  readonly #doubles: Float64Array;
  readonly #base: number;

  constructor(arena: Arena, thread: number) {
    assert(thread < arena.plan.shape.threads, 'the thread has a counter block');
    this.#doubles = arena.doubles;
    this.#base = (arena.plan.counters.offset + thread * COUNTER_BLOCK_BYTES) / 8;
  }

  add(index: number, amount: number): void {
    this.#doubles[this.#base + index]! += amount;
  }

  /** What this thread has counted. */
  get(index: number): number {
    return this.#doubles[this.#base + index]!;
  }

  /** Counts one by name: for what is rare. */
  count(name: CounterName): void {
    this.add(counterIndex(name), 1);
  }
}

/** Sums of every counter over all threads, `a.b` nested as `{a: {b}}`. */
export function readCounters(arena: Arena): Record<string, number | Record<string, number>> {
  const result: Record<string, number | Record<string, number>> = {};
  COUNTER_NAMES.forEach((name, index) => {
    let sum = 0;
    for (let thread = 0; thread < arena.plan.shape.threads; thread++)
      sum += arena.doubles[(arena.plan.counters.offset + thread * COUNTER_BLOCK_BYTES) / 8 + index]!;
    const [group, reason] = name.split('.') as [string, string | undefined];
    if (reason === undefined) result[group] = sum;
    else result[group] = { ...(result[group] as Record<string, number> | undefined), [reason]: sum };
  });
  return result;
}
