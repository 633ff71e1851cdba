/**
 * Vectors of the TCP transport: what `resume` signs, control messages as bytes and as JSON, and streams taken apart.
 */
import {
  type ControlReply,
  type ControlRequest,
  PROTOCOL_VERSION,
  refuseControl,
  resumePreimage,
} from '../../protocol/control.ts';
import { encodeControl } from '../../protocol/control-codec.ts';
import { CLAIM_SIGNATURE, CLAIM_TIMESTAMP } from '../../protocol/layout.ts';
import { ackVectors, type ClaimInput, LEDGER_CHANNEL_ID, signedWire, TIMESTAMP_BITS } from './claims.ts';
import { hex, highSTwin, publicKeyOf, sha256Hex, signDigest, signEd25519, TEST_KEYS, unhex } from './crypto.ts';

const NONCE = '000102030405060708090a0b0c0d0e0f';
const OTHER_NONCE = 'f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff';
const CHANNEL_ID = String(BigInt(`0x${LEDGER_CHANNEL_ID.slice(0, 16)}`));
const CLAIM: ClaimInput = {
  name: '',
  profile: 'xrpl',
  privateKey: TEST_KEYS.payer,
  ledgerChannelId: LEDGER_CHANNEL_ID,
  sequence: 9,
  amount: 1_000_000n,
  timestampBits: TIMESTAMP_BITS,
};

// --- resume ---

const preimageFor = (nonce: string) => resumePreimage(unhex(LEDGER_CHANNEL_ID), unhex(nonce));

/** A signature offered for `resume` on the connection whose nonce is NONCE. */
function resumeVector(name: string, publicKey: string, signature: Uint8Array, valid: boolean) {
  const preimage = preimageFor(NONCE);
  const fields = { ledgerChannelId: LEDGER_CHANNEL_ID, nonce: NONCE, preimage: hex(preimage) };
  const digest = publicKey.startsWith('ed') ? {} : { digest: sha256Hex(preimage) };
  return { name, publicKey, ...fields, ...digest, signature: hex(signature), valid };
}

const signedEcdsa = (privateKey: string, nonce = NONCE) => signDigest(unhex(sha256Hex(preimageFor(nonce))), privateKey);

export function resumeVectors() {
  const { payer, foreign, edSeed } = TEST_KEYS;
  const key = publicKeyOf(payer);
  const sound = signedEcdsa(payer);
  const ed = signEd25519(preimageFor(NONCE), edSeed);
  const edOverDigest = signEd25519(unhex(sha256Hex(preimageFor(NONCE))), edSeed);
  return [
    { ...resumeVector('secp256k1', key, sound, true), privateKey: payer },
    { ...resumeVector('Ed25519', ed.publicKey, ed.signature, true), privateKey: edSeed },
    resumeVector('secp256k1: high-S twin', key, highSTwin(sound), false),
    resumeVector('secp256k1: another connection', key, signedEcdsa(payer, OTHER_NONCE), false),
    resumeVector('secp256k1: foreign key', key, signedEcdsa(foreign), false),
    resumeVector('secp256k1: a claim of the channel', key, claimSignature(), false),
    resumeVector('Ed25519: over the digest', ed.publicKey, edOverDigest.signature, false),
  ];
}

function claimSignature(): Uint8Array {
  return signedWire(CLAIM).slice(CLAIM_SIGNATURE, CLAIM_TIMESTAMP);
}

// --- control messages ---

const upper = (text: string) => text.toUpperCase();
const TOKEN = 'c1'.repeat(32);
const OPENING = {
  ledgerChannelId: upper(LEDGER_CHANNEL_ID),
  publicKey: upper(publicKeyOf(TEST_KEYS.payer)),
  capacity: '18014398509481985',
  profile: 'link' as const,
  expiresAt: '2030-01-31T00:00:00Z',
  channelId: CHANNEL_ID,
};

const REQUESTS: ControlRequest[] = [
  { id: 1, type: 'hello', client: 'example/1', versions: [PROTOCOL_VERSION] },
  { id: 2, type: 'status', channelId: CHANNEL_ID },
  { id: 3, type: 'resume', channelId: CHANNEL_ID, signature: upper(hex(signedEcdsa(TEST_KEYS.payer))) },
  { id: 4, type: 'open', token: TOKEN, channel: OPENING },
  { id: 5, type: 'close', token: TOKEN, channelId: '18446744073709551615' },
  { id: 6, type: 'route' },
  { id: 0xffff_ffff, type: 'stats', token: TOKEN },
];

const BEST_CLAIM = {
  channelId: CHANNEL_ID,
  committed: String(CLAIM.amount),
  sequence: CLAIM.sequence,
  timestamp: upper(TIMESTAMP_BITS),
  signature: upper(hex(claimSignature())),
};
const STATUS = { profile: 'xrpl', capacity: '100000000000000000', expiresAt: null };
const HELLO = {
  version: PROTOCOL_VERSION,
  server: 'claimwire/0.1.0',
  nonce: upper(NONCE),
  profiles: ['xrpl', 'link'],
  transports: { udp: 9393, tcp: 9393 },
  limits: { payloadBytes: 65_536, controlBytes: 4_096, controlOutstanding: 16, controlPerSecond: 64, idleMs: 60_000 },
};

/** Node 1 holds shards 0 to 511, node 2 all others but the last, which nobody holds. */
const ROUTE = {
  version: '12',
  node: 'node-1',
  shards: [512, 0, 511, 1, 1, -1],
  nodes: [
    { name: 'node-1', places: ['udp://192.0.2.1:9393', 'tcp://192.0.2.1:9393'] },
    { name: 'node-2', places: ['udp://192.0.2.2:9393', 'tcp://192.0.2.2:9393'] },
  ],
};

const REPLIES: [string, ControlReply][] = [
  ['hello', { id: 1, ok: true, ...HELLO }],
  ['status, open', { id: 2, ok: true, state: 'open', ...STATUS }],
  ['status, expired', { id: 2, ok: true, state: 'expired', ...STATUS, expiresAt: '2026-01-02T03:04:05Z' }],
  ['status, unknown', { id: 2, ok: true, state: 'unknown' }],
  ['resume', { id: 3, ok: true, ...BEST_CLAIM }],
  [
    'resume, nothing committed',
    { id: 3, ok: true, ...BEST_CLAIM, committed: '0', sequence: 0, timestamp: '0'.repeat(16), signature: null },
  ],
  ['open', { id: 4, ok: true, opened: true, channelId: CHANNEL_ID }],
  ['hello, of a cluster', { id: 1, ok: true, ...HELLO, cluster: { node: 'node-1', version: '12' } }],
  ['route', { id: 6, ok: true, ...ROUTE }],
  ['moved', { ...refuseControl(2, 'MOVED', 'channel 7: expected one of this node, got another'), version: '12' }],
  ['no cluster', refuseControl(6, 'NO_CLUSTER', 'route: expected a node of a cluster, got one that is alone')],
  ['refused', refuseControl(3, 'UNAUTHORIZED', "signature: expected the channel key's, got another")],
];

/** Requests of other bytes or another form: how they are taken. What the payload is, then the request or the refusal. */
function oddRequests() {
  const status = [0xa4, ...text('type'), 0xa6, ...text('status'), 0xa9, ...text('channelId'), 0xa1, 0x37];
  const withId = (...id: number[]) => [0x83, 0xa2, ...text('id'), ...id, ...status];
  const taken = { id: 7, type: 'status', channelId: '7' };
  const refused = (id: number, code: string) => ({ refusal: { id, code } });
  const packed = (fields: object) => [...encodeControl(fields as never).subarray(1)];
  const whole = packed(taken);
  // 8 bytes are the field's name and the header of its string.
  const longer = (length: number) => packed({ ...taken, more: 'x'.repeat(length - whole.length - 8) });
  const odd: [string, number[], object][] = [
    ['an id of 64 bits', withId(0xcf, 0, 0, 0, 0, 0, 0, 0, 7), { request: taken }],
    ['a map and strings of longer headers', longHeaders(), { request: taken }],
    ['a field nobody knows', packed({ ...taken, more: [1, { deep: null }] }), { request: taken }],
    ['a value at the sixth level', packed({ ...taken, more: [[[[1]]]] }), { request: taken }],
    ['no bytes', [], refused(0, 'MALFORMED')],
    ['an array', [0x93, 1, 2, 3], refused(0, 'MALFORMED')],
    ['an id of 2^32', withId(0xcf, 0, 0, 0, 1, 0, 0, 0, 0), refused(0, 'MALFORMED')],
    ['an id that is a float', withId(0xcb, 0x3f, 0xf8, 0, 0, 0, 0, 0, 0), refused(0, 'MALFORMED')],
    ['no id', packed({ type: 'status', channelId: '7' }), refused(0, 'MALFORMED')],
    ['no type', packed({ id: 7 }), refused(7, 'MALFORMED')],
    ['a type that is a number', packed({ id: 7, type: 1 }), refused(7, 'MALFORMED')],
    ['an unknown type', packed({ id: 7, type: 'nothing' }), refused(7, 'UNKNOWN_TYPE')],
    ['a handle that is a number', packed({ ...taken, channelId: 7 }), refused(7, 'MALFORMED')],
    ['a handle with a leading zero', packed({ ...taken, channelId: '07' }), refused(7, 'MALFORMED')],
    ['a handle of 2^64', packed({ ...taken, channelId: '18446744073709551616' }), refused(7, 'MALFORMED')],
    ['a signature that is too short', packed({ ...taken, type: 'resume', signature: 'AB' }), refused(7, 'MALFORMED')],
    ['17 versions', packed({ id: 7, type: 'hello', client: '', versions: Array(17).fill(1) }), refused(7, 'MALFORMED')],
    ['cut', whole.slice(0, -1), refused(7, 'MALFORMED')],
    ['a byte more', [...whole, 0xc0], refused(7, 'MALFORMED')],
    ['an extension behind the id', [0x82, 0xa2, ...text('id'), 7, 0xa1, 0x78, 0xd4, 1, 0], refused(7, 'MALFORMED')],
    ['an extension before the id', [0x82, 0xa1, 0x78, 0xd4, 1, 0, 0xa2, ...text('id'), 7], refused(0, 'MALFORMED')],
    ['a value at the seventh level', packed({ ...taken, more: [[[[[1]]]]] }), refused(7, 'MALFORMED')],
    ['4,097 bytes', longer(4_097), refused(7, 'MALFORMED')],
    ['4,096 bytes', longer(4_096), { request: taken }],
  ];
  return odd.map(([name, bytes, taking]) => ({ name, payload: `80${hex(Uint8Array.from(bytes))}`, ...taking }));
}

const text = (value: string): number[] => [...Buffer.from(value)];

function longHeaders(): number[] {
  const string = (value: string) => [0xda, 0, value.length, ...text(value)];
  const fields = [string('id'), [7], string('type'), string('status'), string('channelId'), string('7')];
  return [0xdf, 0, 0, 0, 3, ...fields.flat()];
}

export function controlVectors() {
  const requests = REQUESTS.map((request) => ({
    name: request.type,
    payload: hex(encodeControl(request)),
    request,
  }));
  const replies = REPLIES.map(([name, reply]) => ({ name, payload: hex(encodeControl(reply)), reply }));
  return [...requests, ...oddRequests(), ...replies];
}

// --- streams ---

/** Streams of bytes, the messages in them, and where the stream ends: between messages, inside one, or at a bad length. */
export function streamVectors() {
  const claim = hex(signedWire(CLAIM));
  const ask = hex(encodeControl(REQUESTS[1]!));
  const reply = hex(encodeControl(REPLIES[1]![1]));
  const { wire: ack } = ackVectors()[0]!;
  const framed = (payload: string) => (payload.length / 2).toString(16).padStart(8, '0') + payload;
  const stream = (name: string, bytes: string, messages: string[], end: string) => ({
    name,
    stream: bytes,
    messages,
    end,
  });
  return [
    stream('nothing', '', [], 'BOUNDARY'),
    stream('a claim', framed(claim), ['c'], 'BOUNDARY'),
    stream('two messages, three claims', framed(claim) + framed(claim + claim), ['c', 'cc'], 'BOUNDARY'),
    stream(
      'claims around a control message',
      framed(claim) + framed(ask) + framed(claim),
      ['c', 'control', 'c'],
      'BOUNDARY',
    ),
    stream(
      'a peer that pays and is paid: claims, acks, a request and a reply',
      framed(claim) + framed(ack + ack) + framed(ask) + framed(reply) + framed(claim + ack),
      ['c', 'aa', 'control', 'control', 'ca'],
      'BOUNDARY',
    ),
    stream('a frame that is cut by its message', framed(claim.slice(0, -2)) + framed(claim), ['', 'c'], 'BOUNDARY'),
    stream('a claim, then a type that nobody knows', framed(`${claim}03`) + framed(claim), ['c', 'c'], 'BOUNDARY'),
    stream('messages of neither kind', framed('00') + framed('ff01') + framed(claim), ['', '', 'c'], 'BOUNDARY'),
    stream('a header that is cut', `${framed(claim)}000000`, ['c'], 'INSIDE'),
    stream('a message that is cut', framed(claim).slice(0, -2), [], 'INSIDE'),
    stream('the largest length, and one byte', '0001000001', [], 'INSIDE'),
    stream('a length of 0', `${framed(claim)}00000000${framed(claim)}`, ['c'], 'LENGTH_ZERO'),
    stream('a length of 65,537', `${framed(claim)}00010001${claim}`, ['c'], 'LENGTH_OVER_MAX'),
    stream('a length of 2^32 - 1', 'ffffffff', [], 'LENGTH_OVER_MAX'),
  ];
}
