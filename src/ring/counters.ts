/**
 * Counters: one block of doubles per thread in the arena, one writer each, summed by whoever asks.
 *
 * A double counts exactly to 2^53 and costs a plain add; a u32 would wrap after 72 minutes at a million a second.
 */
import { assert } from '../errors.ts';
import type { Arena } from './arena.ts';
import { COUNTER_BLOCK_BYTES } from './arena.ts';

/** Every counter, once. A dot makes a group in /stats. */
const COUNTER_NAMES = [
  'datagrams', // datagrams taken from a socket
  'received', // claims in them
  'verified', // claims whose signature was found valid
  'superseded', // claims settled by a verified newer one of the same batch, their own signatures unseen (--verify newest)
  'committed', // claims covered by a synced group (accepted)
  'acked', // acks handed to a socket
  'already', // claims at or below what was committed: no signature looked at
  'deferred', // claims held back while an identical one was in flight
  'deferredFull', // identical claims beyond what is held back, answered OVERLOADED
  'groupCommits',
  'syncs',
  'journalRecords',
  'journalBytes',
  'linkGaps', // sequence numbers missing on link channels
  'refused.unknownChannel',
  'refused.badSignature',
  'refused.overCapacity',
  'refused.channelClosed',
  'refused.badAmount',
  'refused.overloaded',
  'refused.badSequence',
  'dropped.emptyDatagram',
  'dropped.unknownType',
  'dropped.cutFrame',
  'dropped.unexpectedAck', // a node is sent no acks
  'dropped.refusalLimited', // refusals over a source's rate: not answered
  'dropped.ackRingFull',
  'dropped.sendQueueFull',
  'dropped.sendFailed',
  'dropped.socketBuffer', // datagrams the kernel dropped because a socket's receive buffer was full
  'syncWaitUs', // microseconds that groups waited for their syncs
  'busyUs.receive', // processor microseconds per stage, summed over threads (path/stage-clock.ts)
  'busyUs.verify',
  'busyUs.commit',
  'busyUs.write',
  'busyUs.send',
  'dropped.connectionGone', // acks for a connection that has ended
  'tcp.accepted', // connections taken in; less `closed`, those open now
  'tcp.closed', // of those, by either side and for whatever reason
  'tcp.refusedFull', // connections over the table, closed at once
  'tcp.refusedAddress', // connections over their address's share, closed at once
  'tcp.acceptFailed', // the system gave none (descriptors, memory)
  'tcp.tlsFailed', // handshakes that failed or took too long
  'tcp.paused', // times a connection was not read on: the ring was full, or it was the turn of others
  'tcp.control', // control messages taken
  'tcp.controlRefused', // of those, answered with an error by the transport itself
  'tcp.controlHeld', // times a connection was not read on because of its rate of control messages, or of everybody's
  'tcp.cutSlowReader', // over its own write queue
  'tcp.cutQueuesFull', // the longest queues when all of them together were too long
  'tcp.cutSilent', // no whole message since the connection began
  'tcp.cutIdle', // none for long
  'tcp.cutLength', // length 0 or over 65,536
  'tcp.endedInside', // connections that ended inside a message
] as const;
export type CounterName = (typeof COUNTER_NAMES)[number];

assert(COUNTER_NAMES.length * 8 <= COUNTER_BLOCK_BYTES, 'the counters fit their block');

/** Index of a counter within a block, resolved once at start. */
export function counterIndex(name: CounterName): number {
  return COUNTER_NAMES.indexOf(name);
}

/** One thread's own block: only that thread adds to it. */
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
