/** Vectors of session tokens (protocol/GATEWAY.md): the bytes, what is signed, and whether the signature holds. */
import { CLAIM_SIGNATURE, CLAIM_TIMESTAMP } from '../../protocol/layout.ts';
import { encodeSessionToken, sessionPreimage } from '../../protocol/session.ts';
import { LEDGER_CHANNEL_ID, signedWire, TIMESTAMP_BITS } from './claims.ts';
import { hex, highSTwin, publicKeyOf, sha256Hex, signDigest, signEd25519, TEST_KEYS, unhex } from './crypto.ts';

const REALM = 'api.example.com';
const SAID = {
  ledgerChannelId: unhex(LEDGER_CHANNEL_ID),
  expires: 1_900_000_000n,
  nonce: unhex('00112233445566778899aabbccddeeff'.repeat(2)),
};

function vector(name: string, publicKey: string, signature: Uint8Array, valid: boolean) {
  const preimage = sessionPreimage(SAID, REALM);
  const token = encodeSessionToken({ ...SAID, signature });
  return { name, publicKey, realm: REALM, preimage: hex(preimage), token: hex(token), valid };
}

const ecdsa = (privateKey: string, realm = REALM) =>
  signDigest(unhex(sha256Hex(sessionPreimage(SAID, realm))), privateKey);

export function sessionVectors() {
  const { payer, foreign, edSeed } = TEST_KEYS;
  const key = publicKeyOf(payer);
  const ed = signEd25519(sessionPreimage(SAID, REALM), edSeed);
  const claim = signedWire({
    name: '',
    profile: 'link',
    privateKey: payer,
    ledgerChannelId: LEDGER_CHANNEL_ID,
    sequence: 9,
    amount: 1_000_000n,
    timestampBits: TIMESTAMP_BITS,
  });
  return [
    { ...vector('secp256k1', key, ecdsa(payer), true), privateKey: payer },
    { ...vector('Ed25519', ed.publicKey, ed.signature, true), privateKey: edSeed },
    vector('secp256k1: high-S twin', key, highSTwin(ecdsa(payer)), false),
    vector('secp256k1: another realm', key, ecdsa(payer, 'example.org'), false),
    vector('secp256k1: foreign key', key, ecdsa(foreign), false),
    vector('secp256k1: a claim of the channel', key, claim.slice(CLAIM_SIGNATURE, CLAIM_TIMESTAMP), false),
  ];
}
