/**
 * What a node holds of a channel before a payer's first pay(): without it, "25 drops more" cannot be told from 25 that
 * were there already. Cold path, payer's thread.
 *
 * Why pay() may then take ALREADY for an answer. Let C be what was asked for here. Whatever an earlier payer of the
 * channel saw acknowledged was durable before it ended, so C is no less than all that. This payer's first payment claims
 * C + drops, each next one that much more, and one resolves only when the node says that its whole amount is durable.
 * So all payments that ever resolved add up to no more than what the node holds, whichever copy of a claim brought it
 * there: the first, one sent again after its ack was lost (ALREADY), or one that an earlier payer signed and never heard
 * of, for which nobody was told that it had paid. This needs one live payer a channel: two would count from the same C.
 *
 * Why nobody can make a payer sign too much. Acks are not signed, and the node gains by a C too high, so one is believed
 * only up to an amount that the payer has signed itself: what its state file says, or the node's best claim with the
 * channel's own signature (`resume`). That nothing is committed, or no more than was said, needs no proof: who lies there
 * makes the payer sign too little.
 */
import { U64_MAX } from '../../protocol/layout.ts';
import { ClaimwireError, type ErrorCode } from '../errors.ts';

/** What the payer knows beforehand. */
export interface CommittedBounds {
  /** Acknowledged as durable before. */
  readonly least: bigint;
  /** The most that may have been signed; undefined where nobody kept it. */
  readonly most: bigint | undefined;
}

export interface Committed {
  readonly committed: bigint;
  /** Of the best claim, where the node told it. */
  readonly sequence?: number;
}

export interface CommittedSource {
  /** Whether so much is durable at the node. */
  isHeld(amount: bigint): Promise<boolean>;
  /** The node's best claim, its signature checked. */
  prove(): Promise<Committed>;
}

/** Where no proof is to be had, the caller can do something about it. */
const NO_PROOF: readonly ErrorCode[] = ['NODE_UNREACHABLE', 'INPUT_INVALID', 'PAYER_FULL'];

/** Rejects with ClaimwireError COMMITTED_UNKNOWN, COMMITTED_MISMATCH, or what asking the node can end with. */
export async function learnCommitted(source: CommittedSource, bounds: CommittedBounds): Promise<Committed> {
  const { least, most } = bounds;
  if (most === undefined) {
    if (!(await source.isHeld(1n))) return { committed: 0n };
    return await source.prove().catch((error: unknown) => {
      if (error instanceof ClaimwireError && NO_PROOF.includes(error.code)) throw unknownError(error);
      throw error;
    });
  }
  const [isOver, isReached] = await Promise.all([
    most < U64_MAX && source.isHeld(most + 1n),
    least === 0n || source.isHeld(least),
  ]);
  if (isOver) throw mismatchError(bounds, `more than ${most}`);
  if (!isReached) throw mismatchError(bounds, `less than ${least}`);
  return { committed: await highestHeld(source, least, most) };
}

/** The highest amount in [held, most] that is durable. The ends first: one of them it is after nearly every restart. */
async function highestHeld(source: CommittedSource, held: bigint, most: bigint): Promise<bigint> {
  if (held === most || (await source.isHeld(most))) return most;
  let low = held;
  let above = most;
  if (low + 1n < above && !(await source.isHeld(low + 1n))) return low;
  while (low + 1n < above) {
    const middle = (low + above) / 2n;
    if (await source.isHeld(middle)) low = middle;
    else above = middle;
  }
  return low;
}

function unknownError(cause: ClaimwireError): ClaimwireError {
  const message =
    'expected to know what the channel has committed, got something at the node and no proof of how much ' +
    `(${cause.message}); keep a state file (state: FILE), give committed, or pay over tcp://, tls:// or auto://`;
  return new ClaimwireError('COMMITTED_UNKNOWN', message, {}, { cause });
}

function mismatchError({ least, most }: CommittedBounds, got: string): ClaimwireError {
  const expected = least === most ? `${least}` : `${least} to ${most}`;
  const message =
    `committed: expected the node to hold ${expected} drops as the state file or the caller says, got ${got}: ` +
    'another payer has paid this channel, or the state is an old copy; end the other payer, and go on from what the ' +
    'node proves with resume()';
  return new ClaimwireError('COMMITTED_MISMATCH', message, { least: String(least), most: String(most) });
}
