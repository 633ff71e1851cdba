/**
 * What a node holds of a channel before a payer's first pay(): without it, "25 drops more" cannot be told from 25 that
 * were there already. Cold path, payer's thread.
 *
 * Why pay() may then accept ALREADY. Let C be what the node was found to hold. All that earlier payers saw acknowledged was
 * durable before, so C is no less. This payer's first payment claims C + drops, each next one so much more, and each
 * resolves only when the node says that its whole amount is durable. So all payments that ever resolved add up to no more
 * than the node holds, whichever copy of a claim it received: the first, one sent again after its ack was lost (ALREADY),
 * or one that an earlier payer signed without hearing of it. Two live payers would count from the same C, so there may be
 * only one.
 *
 * Why nobody can make a payer sign too much. Acks are not signed, and the node gains by too high a C. So an ack is believed
 * only up to an amount that the payer has signed itself, by its state file or by the node's best claim with the channel's
 * own signature (`resume`). A lower answer needs no proof: with it the payer only signs too little.
 */
import { U64_MAX } from '../../protocol/layout.ts';
import { ClaimwireError, type ErrorCode } from '../errors.ts';

/** What the payer knows beforehand. */
export interface CommittedBounds {
  /** The amount acknowledged as durable before. */
  readonly least: bigint;
  /** The most that may have been signed, or undefined if that is not known. */
  readonly most: bigint | undefined;
}

export interface Committed {
  readonly committed: bigint;
  /** The best claim's, if the node told it. */
  readonly sequence?: number;
}

export interface CommittedSource {
  /** Whether so much is durable at the node. */
  isHeld(amount: bigint): Promise<boolean>;
  /** The node's best claim, its signature checked. */
  prove(): Promise<Committed>;
}

/** Errors that mean that there is no proof, about which the caller can do something. */
const NO_PROOF: readonly ErrorCode[] = ['NODE_UNREACHABLE', 'INPUT_INVALID', 'PAYER_FULL'];

/** Rejects with ClaimwireError COMMITTED_UNKNOWN or COMMITTED_MISMATCH, or as `source` does. */
export async function learnCommitted(source: CommittedSource, bounds: CommittedBounds): Promise<Committed> {
  const { least, most } = bounds;
  if (most === undefined) {
    if (!(await source.isHeld(1n))) return { committed: 0n };
    return await source.prove().catch((error: unknown) => {
      if (!(error instanceof ClaimwireError) || !NO_PROOF.includes(error.code)) throw error;
      const message =
        'expected to know what the channel has committed, got something at the node and no proof of how much ' +
        `(${error.message}); keep a state file (state: FILE), give committed, or pay over tcp://, tls://, ws:// or auto://`;
      throw new ClaimwireError('COMMITTED_UNKNOWN', message, {}, { cause: error });
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

/** The highest amount in [held, most] that is durable. It tries the ends first: after most restarts it is one of them. */
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

function mismatchError({ least, most }: CommittedBounds, got: string): ClaimwireError {
  const expected = least === most ? `${least}` : `${least} to ${most}`;
  const message =
    `committed: expected the node to hold ${expected} drops as the state file or the caller says, got ${got}: ` +
    'another payer has paid this channel, or the state is an old copy; end the other payer, and go on from what the ' +
    'node proves with resume()';
  return new ClaimwireError('COMMITTED_MISMATCH', message, { least: String(least), most: String(most) });
}
