/**
 * Who waits for a channel's committed amount, and for which amount. Main thread.
 *
 * It listens to the claim path only while somebody waits. A look at a batch costs no more than the fewer of its channels
 * and the channels waited for.
 */
import type { CommittedBatch } from '../control/meter-control.ts';
import { ClaimwireError } from '../errors.ts';
import type { CommittedSource } from './committed-source.ts';

/** All that wait, together: about 20 MB. */
export const WAITERS_MAX = 65_536;

/** Is called once: with the amount that was reached, or with the reason why it never will be. */
export interface AmountWaiter {
  drops: bigint;
  reached(committed: bigint): void;
  failed(error: ClaimwireError): void;
}

export class AmountWatch {
  readonly #source: CommittedSource;
  readonly #waiting = new Map<bigint, Set<AmountWaiter>>();
  #count = 0;
  #unlisten: (() => void) | undefined;
  #isStopped = false;

  constructor(source: CommittedSource) {
    this.#source = source;
  }

  /**
   * Calls the waiter when the channel's amount is at least its drops, at once where it is. Returns a function that forgets it.
   * @throws ClaimwireError CHANNEL_UNKNOWN, NODE_BUSY, NODE_STOPPING
   */
  add(channelId: bigint, waiter: AmountWaiter): () => void {
    if (this.#isStopped) throw stopping();
    if (this.#count >= WAITERS_MAX) throw tooMany();
    const waiters = this.#waiting.get(channelId) ?? new Set();
    this.#waiting.set(channelId, waiters.add(waiter));
    this.#count++;
    // Listened for first, looked at then: what is committed in between is seen by one or the other.
    this.#unlisten ??= this.#source.onCommitted((batch) => this.#look(batch), { soon: true });
    this.recheck(channelId);
    return () => this.#forget(channelId, waiter);
  }

  /** Looks at a channel that has changed otherwise than by a claim: one that was removed, for example. */
  recheck(channelId: bigint): void {
    const waiters = this.#waiting.get(channelId);
    if (waiters === undefined) return;
    const committed = this.#source.committed(channelId);
    for (const waiter of [...waiters]) {
      if (committed !== undefined && committed < waiter.drops) continue;
      this.#forget(channelId, waiter);
      if (committed === undefined) waiter.failed(unknownChannel(channelId));
      else waiter.reached(committed);
    }
  }

  recheckAll(): void {
    for (const channelId of [...this.#waiting.keys()]) this.recheck(channelId);
  }

  stop(): void {
    this.#isStopped = true;
    for (const [channelId, waiters] of this.#waiting)
      for (const waiter of [...waiters]) {
        this.#forget(channelId, waiter);
        waiter.failed(stopping());
      }
  }

  #look(batch: CommittedBatch): void {
    if (this.#waiting.size <= batch.length) {
      this.recheckAll();
    } else {
      for (let index = 0; index < batch.length; index++) this.recheck(batch.channelId(index));
    }
  }

  #forget(channelId: bigint, waiter: AmountWaiter): void {
    const waiters = this.#waiting.get(channelId);
    if (waiters === undefined || !waiters.delete(waiter)) return;
    this.#count--;
    if (waiters.size === 0) this.#waiting.delete(channelId);
    if (this.#count > 0) return;
    this.#unlisten?.();
    this.#unlisten = undefined;
  }
}

export function unknownChannel(channelId: bigint): ClaimwireError {
  return new ClaimwireError('CHANNEL_UNKNOWN', `channel ${channelId}: expected an open channel, got none`);
}

export function stopping(): ClaimwireError {
  return new ClaimwireError('NODE_STOPPING', 'expected a running node, got one that is stopping');
}

export function tooMany(): ClaimwireError {
  return new ClaimwireError(
    'NODE_BUSY',
    `meter: expected at most ${WAITERS_MAX} calls to wait, got one more; try again later`,
  );
}
