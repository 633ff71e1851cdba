/**
 * A wallet whose key lies in a token (src/pkcs11): its transactions are hashed here and signed there. Main thread.
 */
import { createHash } from 'node:crypto';
import { openTokenKey } from '../pkcs11/open.ts';
import { checkSigned } from './signed-transaction.ts';
import type { Wallet } from './signing.ts';
import { walletError } from './wallet.ts';
import { derFromCompact } from './xrpl.ts';
import type { XrplLibrary } from './xrpl-library.ts';

/** Rejects with ClaimwireError INPUT_INVALID, DEPENDENCY_MISSING, PKCS11_PIN, PKCS11_LOST or PKCS11_FAILED. */
export async function tokenWallet(uri: string, xrpl: XrplLibrary): Promise<Wallet> {
  const key = await openTokenKey(uri, { sessions: 1 });
  const publicKey = Buffer.from(key.publicKey).toString('hex').toUpperCase();
  const address = xrpl.deriveAddress(publicKey);
  return {
    address,
    sign: async (transaction) => {
      if (transaction.Account !== address)
        throw walletError(`expected a transaction of its own account ${address}, got one of ${transaction.Account}`);
      const asked = { ...transaction, SigningPubKey: publicKey } as never;
      const preimage = Buffer.from(xrpl.encodeForSigning(asked), 'hex');
      const digest = createHash('sha512').update(preimage).digest().subarray(0, 32);
      const TxnSignature = derFromCompact(await key.signDigests(digest));
      const blob = xrpl.encode({ ...(asked as object), TxnSignature } as never);
      return checkSigned(transaction, { blob, hash: xrpl.hashes.hashSignedTx(blob) }, xrpl);
    },
  };
}
