/** The key of --key: a file, or a token's by its pkcs11: URI. Main thread of a command. */
import { upperHex } from '../src/channel/parse.ts';
import { type KeyPair, loadKeyFile } from '../src/client/keys/key-file.ts';
import { Pkcs11Signer } from '../src/client/keys/pkcs11-signer.ts';
import type { Signer } from '../src/client/keys/signer.ts';
import { isTokenUri } from '../src/pkcs11/uri.ts';

export interface PayerKey {
  readonly key: KeyPair | Signer;
  /** 66 upper-case hex digits. */
  readonly publicKey: string;
  close(): void;
}

export const KEY_VALUE = 'FILE|pkcs11:URI';
export const TOKEN_NOTE = `A key in a hardware module is named by a PKCS#11 URI (RFC 7512), and needs npm's pkcs11js:
pkcs11:token=LABEL;object=LABEL?module-path=/PATH. Its pin comes from the environment
(CLAIMWIRE_PKCS11_PIN), from pin-source=file:/PATH in the URI, or is asked for.`;

/** Throws ClaimwireError KEY_FILE_INVALID, or what Pkcs11Signer.open rejects with. */
export async function openPayerKey(text: string): Promise<PayerKey> {
  if (!isTokenUri(text)) {
    const key = loadKeyFile(text);
    return { key, publicKey: key.publicKey, close: () => {} };
  }
  const signer = await Pkcs11Signer.open(text);
  return { key: signer, publicKey: upperHex(signer.publicKey), close: () => void signer.close() };
}

export async function publicKeyOfKey(text: string): Promise<string> {
  const { publicKey, close } = await openPayerKey(text);
  close();
  return publicKey.toUpperCase();
}
