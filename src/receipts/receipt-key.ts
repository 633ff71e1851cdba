/** The key of --receipt-key: a file, or a token's by its pkcs11: URI. Main thread. */
import { keySigner, loadKeyFile } from '../client/keys/key-file.ts';
import { Pkcs11Signer } from '../client/keys/pkcs11-signer.ts';
import { isTokenUri } from '../pkcs11/uri.ts';

/** What signs receipts: the rules of `Signer.signMessage`. */
export interface ReceiptSigner {
  /** 33 bytes: a compressed secp256k1 point, or ED and Ed25519's 32. */
  readonly publicKey: Uint8Array;
  /** The 64 signature bytes of a message: secp256k1 signs its SHA-256 with a low s, Ed25519 the message. */
  signMessage(message: Uint8Array): Uint8Array | Promise<Uint8Array>;
  /** Ends what the key holds open. */
  close?(): Promise<void>;
}

/**
 * Rejects with ClaimwireError KEY_FILE_INVALID; for a token with INPUT_INVALID, DEPENDENCY_MISSING, PKCS11_PIN, PKCS11_LOST or
 * PKCS11_FAILED.
 */
export async function openReceiptKey(text: string): Promise<ReceiptSigner> {
  // One root is signed at a time.
  if (isTokenUri(text)) return await Pkcs11Signer.open(text, { sessions: 1 });
  return keySigner(loadKeyFile(text));
}
