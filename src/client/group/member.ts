/** A channel as its group has it. */
import type { PaymentChannel } from '../channel.ts';
import type { Flow } from '../flow.ts';

export interface Member {
  readonly channel: PaymentChannel;
  readonly flow: Flow;
  /** Resolves when it is known what the node held before. */
  readonly known: () => Promise<void>;
  /** Keeps that an amount may be signed, where the payer has a state: undefined where that is kept already. */
  readonly record: ((amount: bigint) => Promise<void> | undefined) | undefined;
}
