/**
 * The token with which a payer that streams claims by UDP buys over HTTP (protocol/GATEWAY.md): 137 bytes, which name a
 * channel and are signed by its key. Runs anywhere, imports nothing of Node.
 */
import { utf8ToBytes } from '@noble/hashes/utils.js';
import { LEDGER_CHANNEL_ID_BYTES, SIGNATURE_BYTES } from './layout.ts';

/** The authentication scheme's name, in WWW-Authenticate and Authorization. */
export const SESSION_SCHEME = 'Claimwire-Session';
/** Length of a gateway's nonce. It means nothing to the payer. */
export const SESSION_NONCE_BYTES = 32;
/** Longest realm, in bytes of UTF-8. */
export const SESSION_REALM_BYTES_MAX = 255;
/** `u8 version ‖ ledgerChannelId[32] ‖ u64 expires ‖ nonce[32] ‖ signature[64]`. */
export const SESSION_TOKEN_BYTES = 1 + LEDGER_CHANNEL_ID_BYTES + 8 + SESSION_NONCE_BYTES + SIGNATURE_BYTES;
/** The one version there is. */
export const SESSION_VERSION = 1;

const SESSION_PREFIX = utf8ToBytes('claimwire/session/1');
const TOKEN_CHANNEL = 1;
const TOKEN_EXPIRES = TOKEN_CHANNEL + LEDGER_CHANNEL_ID_BYTES;
const TOKEN_NONCE = TOKEN_EXPIRES + 8;
const TOKEN_SIGNATURE = TOKEN_NONCE + SESSION_NONCE_BYTES;

/** What a session token says. */
export interface SessionToken {
  /** 32 bytes. */
  ledgerChannelId: Uint8Array;
  /** Unix seconds; no later than the nonce's own end. */
  expires: bigint;
  /** 32 bytes, from the gateway's challenge. */
  nonce: Uint8Array;
  /** 64 bytes, r‖s or Ed25519, by the rules of the `link` profile: secp256k1 signs the SHA-256, Ed25519 the bytes. */
  signature: Uint8Array;
}

/**
 * The bytes that a token's signature covers:
 * `"claimwire/session/1" ‖ ledgerChannelId[32] ‖ u64 expires ‖ nonce[32] ‖ u16 length of the realm ‖ realm`. No claim and no
 * `resume` begins so. Throws RangeError on other sizes.
 */
export function sessionPreimage(token: Omit<SessionToken, 'signature'>, realm: string): Uint8Array {
  const { ledgerChannelId, expires, nonce } = token;
  const name = utf8ToBytes(realm);
  if (ledgerChannelId.length !== LEDGER_CHANNEL_ID_BYTES || nonce.length !== SESSION_NONCE_BYTES)
    throw new RangeError(
      `session: expected ${LEDGER_CHANNEL_ID_BYTES} bytes of channel id and ${SESSION_NONCE_BYTES} of nonce, got ${ledgerChannelId.length} and ${nonce.length}`,
    );
  if (name.length === 0 || name.length > SESSION_REALM_BYTES_MAX)
    throw new RangeError(`realm: expected 1..${SESSION_REALM_BYTES_MAX} bytes, got ${name.length}`);
  const fixed = SESSION_PREFIX.length + LEDGER_CHANNEL_ID_BYTES + 8 + SESSION_NONCE_BYTES;
  const preimage = new Uint8Array(fixed + 2 + name.length);
  const view = new DataView(preimage.buffer);
  preimage.set(SESSION_PREFIX);
  preimage.set(ledgerChannelId, SESSION_PREFIX.length);
  view.setBigUint64(SESSION_PREFIX.length + LEDGER_CHANNEL_ID_BYTES, expires);
  preimage.set(nonce, SESSION_PREFIX.length + LEDGER_CHANNEL_ID_BYTES + 8);
  view.setUint16(fixed, name.length);
  preimage.set(name, fixed + 2);
  return preimage;
}

/** A token as its 137 bytes. */
export function encodeSessionToken({ ledgerChannelId, expires, nonce, signature }: SessionToken): Uint8Array {
  const bytes = new Uint8Array(SESSION_TOKEN_BYTES);
  bytes[0] = SESSION_VERSION;
  bytes.set(ledgerChannelId, TOKEN_CHANNEL);
  new DataView(bytes.buffer).setBigUint64(TOKEN_EXPIRES, expires);
  bytes.set(nonce, TOKEN_NONCE);
  bytes.set(signature, TOKEN_SIGNATURE);
  return bytes;
}

/** Reads a token, or `undefined` for bytes of another length or version. Nothing is checked but the form. */
export function decodeSessionToken(bytes: Uint8Array): SessionToken | undefined {
  if (bytes.length !== SESSION_TOKEN_BYTES || bytes[0] !== SESSION_VERSION) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  return {
    ledgerChannelId: bytes.slice(TOKEN_CHANNEL, TOKEN_EXPIRES),
    expires: view.getBigUint64(TOKEN_EXPIRES),
    nonce: bytes.slice(TOKEN_NONCE, TOKEN_SIGNATURE),
    signature: bytes.slice(TOKEN_SIGNATURE),
  };
}
