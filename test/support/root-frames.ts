/** Frames of roots that a payer's key has signed. Test's thread. */
import type { KeySigner } from '../../src/client/keys/signer.ts';
import { signedFrames } from './signed-roots.ts';

/** One claim of a batch. */
export interface Leaf {
  channelId: bigint;
  amount: bigint;
  /** By default the handle, then zeros, as the rigs open channels. */
  ledgerChannelId?: Uint8Array;
}

/** The ledger channel id that begins with a handle and has zeros behind it. */
function idOf(channelId: bigint): Uint8Array {
  const id = new Uint8Array(32);
  new DataView(id.buffer).setBigUint64(0, channelId);
  return id;
}

/** The frames of a root that `signer` has signed over these leaves, block by block. */
export function framesOf(signer: KeySigner, leaves: readonly Leaf[], { sequence = 1 } = {}): Uint8Array[] {
  const named = leaves.map((leaf) => ({ ledgerChannelId: idOf(leaf.channelId), ...leaf }));
  return signedFrames(named, sequence, (preimage) => signer.signMessage(preimage));
}
