/** Ed25519 signatures checked by OpenSSL, for clients in Node. User's thread. */
import { createPublicKey, verify } from 'node:crypto';

/** @param key 32 bytes. Throws where OpenSSL takes it for no key. */
export function verifyEd25519(message: Uint8Array, signature: Uint8Array, key: Uint8Array): boolean {
  const x = Buffer.from(key).toString('base64url');
  const object = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' });
  return verify(null, message, object, signature);
}
