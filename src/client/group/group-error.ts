/** What a group's promises are rejected with where some of its channels were not paid. */
import { ClaimwireError } from '../../errors.ts';
import type { PaymentChannel } from '../channel.ts';

/** A channel that was not paid, or may not have been, and why. */
export interface GroupFailure {
  readonly channel: PaymentChannel;
  /** Cumulative drops that were to be durable. */
  readonly amount: bigint;
  /** As PaymentChannel.pay rejects. */
  readonly error: Error;
}

/** Code GROUP_FAILED; `failures` names the channels. All others of the wave are paid. */
export class GroupError extends ClaimwireError {
  readonly failures: readonly GroupFailure[];

  constructor(failures: readonly GroupFailure[], claims: number) {
    const [{ channel, error }] = failures as [GroupFailure];
    const first = `the first is ${channel.channelId}: ${error.message}`;
    const message = `expected all ${claims} claims to be durable, got ${failures.length} that are not; ${first}`;
    super('GROUP_FAILED', message, { claims, failed: failures.length }, { cause: error });
    this.failures = failures;
  }
}
