/** Everything that goes wrong in simulated worlds, by name, and how often it did. Each seed draws its own odds of each. */
import type { Random } from '../support/random.ts';

/** Each counts when it has happened, not when it was drawn. The comment says what one is. */
export const FAULT_KINDS = [
  'crash.kill', // the process ends; its page cache stays
  'crash.power-strict', // power is lost, by the five models of test/powerloss/models.ts
  'crash.power-ordered',
  'crash.power-torn512',
  'crash.power-torn4096',
  'crash.at-operation', // of the crashes: at an operation of the disk or a commit of the registry
  'crash.at-ack', // of the crashes: right after a packet of acks has left
  'crash.in-start', // of the crashes: while the node recovers
  'crash.in-stop', // of the crashes: while the node stops
  'crash.commit-kept', // a commit of the registry or the side tables that nobody was told of, and that is there
  'stop.clean', // the node is stopped, and all its claims are drained
  'thread.death', // a thread ends between two of its steps
  'disk.eio-once',
  'disk.eio-for-good', // every call fails until the node has ended
  'disk.full', // a file that has to grow finds no room
  'disk.short-write', // room for a part of what was to be written
  'disk.slow', // an operation of a millisecond or much more
  'disk.hung', // a sync that takes longer than it takes a node to say that it is stalled
  'disk.lost-pages', // a sync failed, and no later one writes those pages
  'journal.cut', // with durability `os` a loss of power left a journal that only --cut-journal opens
  'disk.bit-rot', // a bit of an old segment, on a copy that a start then reads
  'registry.full', // a commit that the disk has no room for
  'registry.failed', // a commit of which nobody knows whether it is there
  'network.loss',
  'network.double',
  'network.reorder', // a datagram that is late by many round trips
  'network.corruption',
  'network.partition', // seconds in which nothing gets through, one way or both
  'network.send-queue-full', // the node's socket takes no more acks
  'hostile.forgery', // an amount that nobody has signed
  'hostile.replay', // an old datagram from another address
  'hostile.junk',
  'hostile.unknown-channel',
  'clock.back', // the wall clock is set back
  'clock.forward',
  'thread.stall', // a thread gets no processor for many milliseconds
  'ring.full',
  'ring.wrapped', // its sequences have passed 2^32
  'segment.rolled-in-checkpoint', // a lane goes on in another segment while the registry is written
  'channel.expired', // while its payer pays
  'channel.closed',
  'channel.removed',
  'channel.reopened', // after it was removed
  'channel.raised', // the ledger paid more than is committed
  'payer.death', // and another begins where it was
  'charge.repeated', // asked again with its key, since its answer was lost
  'redemption.cut-off', // the process ends between a submission and the record of what became of it
  'redemption.resumed', // a start finds some under way
  'redemption.closed-channel',
  'ledger.submission-lost', // a server takes it, and no ledger ever has it
  'ledger.held', // ledgers close without what waits
  'ledger.outrun', // another transaction of the account has used the next number
  'ledger.unreachable', // a question that has no answer, before or after it arrived
  'ledger.server-behind',
  'ledger.server-forgets', // it knows no ledger of before
  'ledger.topped-up',
  'ledger.close-asked', // by the payer
  'root.over-exposure', // a leaf would have owed more than is allowed
  'root.forged', // a frame with something altered
  'tcp.split', // a message in several pieces
  'tcp.cut', // a connection is lost between two messages
  'tcp.cut-inside', // and within one
  'cluster.killed', // a node of several that share a store
  'cluster.stopped', // after it has given its shards away
  'cluster.stands-still', // for so long that the others take it over, or nearly
  'cluster.cut-off', // the store is not reached
  'cluster.answer-lost', // of a write to the store, made or not
  'cluster.taken-over', // by the next holder
  'cluster.handed-over',
  'cluster.moved', // a claim is told that another node has its channel
] as const;
export type FaultKind = (typeof FAULT_KINDS)[number];

export class FaultCounts {
  readonly byKind = new Map<FaultKind, number>(FAULT_KINDS.map((kind) => [kind, 0]));

  count(kind: FaultKind): void {
    this.byKind.set(kind, this.byKind.get(kind)! + 1);
  }
}

/** Chance with the few forms that a world draws in. */
export class Chance {
  readonly random: Random;

  constructor(random: Random) {
    this.random = random;
  }

  /** 0 up to 1. */
  fraction(): number {
    return this.random.u32() / 0x1_0000_0000;
  }
  /** With this probability. */
  is(probability: number): boolean {
    return probability > 0 && this.fraction() < probability;
  }
  between(least: number, most: number): number {
    return least + this.random.below(most - least + 1);
  }
  of<Item>(items: readonly Item[]): Item {
    return items[this.random.below(items.length)]!;
  }
  /** From `least` up, with this mean beyond it: mostly little, sometimes much. */
  spread(least: number, mean: number): number {
    return least - Math.log(1 - this.fraction()) * mean;
  }
}
