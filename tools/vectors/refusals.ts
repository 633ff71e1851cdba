/**
 * Vectors of what a node refuses, with the status it answers, and of datagrams that end early.
 *
 * Each claim case stands alone: the channel as the node knows it, the time, the wire bytes, the status.
 */
import { ackBytes } from '../../protocol/ack.ts';
import {
  CLAIM_AMOUNT,
  CLAIM_CHANNEL_ID,
  CLAIM_SEQUENCE,
  CLAIM_SIGNATURE,
  CLAIM_TIMESTAMP,
  DROPS_MAX,
  STATUS,
  type StatusName,
} from '../../protocol/layout.ts';
import { type ClaimInput, LEDGER_CHANNEL_ID, signedWire, TIMESTAMP_BITS } from './claims.ts';
import { ed25519Twin, hex, hex32, highSTwin, ORDER, publicKeyOf, signEd25519, TEST_KEYS, unhex } from './crypto.ts';

/** Unix seconds at which the cases are looked at. */
const NOW = 1_767_323_045;
const CAPACITY = 2_000_000n;

const XRPL: ClaimInput = {
  name: '',
  profile: 'xrpl',
  privateKey: TEST_KEYS.payer,
  ledgerChannelId: LEDGER_CHANNEL_ID,
  sequence: 9,
  amount: 1_000_000n,
  timestampBits: TIMESTAMP_BITS,
};
const LINK: ClaimInput = { ...XRPL, profile: 'link' };
const ED: ClaimInput = { ...XRPL, algorithm: 'ed25519', privateKey: TEST_KEYS.edSeed };

interface Known {
  publicKey: string;
  profile: 'xrpl' | 'link';
  capacity: bigint;
  committed: bigint;
  sequence: number;
  state: 'open' | 'closed';
  expiresAt: number;
}

function vector(name: string, status: StatusName, wire: Uint8Array, known: Partial<Known> = {}) {
  const channel = { profile: 'xrpl', capacity: CAPACITY, committed: 0n, sequence: 0, state: 'open', ...known };
  return {
    name,
    now: NOW,
    channel: {
      ledgerChannelId: LEDGER_CHANNEL_ID,
      publicKey: known.publicKey ?? publicKeyOf(TEST_KEYS.payer),
      profile: channel.profile,
      capacity: String(channel.capacity),
      committed: String(channel.committed),
      sequence: channel.sequence,
      state: channel.state,
      expiresAt: known.expiresAt ?? 0,
    },
    wire: hex(wire),
    status: STATUS[status],
    statusName: status,
  };
}

/** The claim's bytes with `value` (hex) written at `offset`: signed first, altered after. */
function altered(input: ClaimInput, offset: number, value: string): Uint8Array {
  const wire = signedWire(input);
  wire.set(unhex(value), offset);
  return wire;
}

function highS(input: ClaimInput): Uint8Array {
  const wire = signedWire(input);
  wire.set(highSTwin(wire.subarray(CLAIM_SIGNATURE, CLAIM_TIMESTAMP)), CLAIM_SIGNATURE);
  return wire;
}

function signatureVectors() {
  const s = CLAIM_SIGNATURE + 32;
  const otherChannel = { ...XRPL, ledgerChannelId: `${LEDGER_CHANNEL_ID.slice(0, 16)}${'0'.repeat(48)}` };
  return [
    vector('sound', 'COMMITTED', signedWire(XRPL)),
    vector('high-S twin of a sound signature', 'BAD_SIGNATURE', highS(XRPL)),
    vector('amount altered', 'BAD_SIGNATURE', altered(XRPL, CLAIM_AMOUNT, '00000000000f4241')),
    vector('foreign key', 'BAD_SIGNATURE', signedWire({ ...XRPL, privateKey: TEST_KEYS.foreign })),
    vector('signed for another channel of the same handle', 'BAD_SIGNATURE', signedWire(otherChannel)),
    vector('signed under the link profile', 'BAD_SIGNATURE', signedWire(LINK)),
    vector('r = 0', 'BAD_SIGNATURE', altered(XRPL, CLAIM_SIGNATURE, hex32(0n))),
    vector('s = 0', 'BAD_SIGNATURE', altered(XRPL, s, hex32(0n))),
    vector('r = n', 'BAD_SIGNATURE', altered(XRPL, CLAIM_SIGNATURE, hex32(ORDER))),
    vector('s = n', 'BAD_SIGNATURE', altered(XRPL, s, hex32(ORDER))),
    vector('signature all zero', 'BAD_SIGNATURE', altered(XRPL, CLAIM_SIGNATURE, '00'.repeat(64))),
    vector('signature all ones', 'BAD_SIGNATURE', altered(XRPL, CLAIM_SIGNATURE, 'ff'.repeat(64))),
    vector('xrpl: sequence altered, a hint', 'COMMITTED', altered(XRPL, CLAIM_SEQUENCE, 'ffffffff')),
    vector('xrpl: timestamp altered, a hint', 'COMMITTED', altered(XRPL, CLAIM_TIMESTAMP, '7ff8000000000000')),
  ];
}

function ruleVectors() {
  const at = (amount: bigint): Uint8Array => signedWire({ ...XRPL, amount });
  const zeroes = '00'.repeat(64);
  return [
    vector('amount 0', 'BAD_AMOUNT', at(0n)),
    vector('amount 10^17', 'COMMITTED', at(DROPS_MAX), { capacity: DROPS_MAX }),
    vector('amount 10^17 + 1', 'BAD_AMOUNT', at(DROPS_MAX + 1n), { capacity: DROPS_MAX }),
    vector('unknown channel', 'UNKNOWN_CHANNEL', altered(XRPL, CLAIM_CHANNEL_ID, '0000000000000001')),
    vector('unknown channel, amount 0', 'BAD_AMOUNT', signedWire({ ...XRPL, channelId: 1n, amount: 0n })),
    vector('closed', 'CHANNEL_CLOSED', at(1n), { state: 'closed' }),
    vector('expires this second', 'CHANNEL_CLOSED', at(1n), { expiresAt: NOW }),
    vector('closed, over capacity, badly signed', 'CHANNEL_CLOSED', altered(XRPL, CLAIM_SIGNATURE, zeroes), {
      state: 'closed',
      capacity: 1n,
    }),
    vector('amount = capacity', 'COMMITTED', at(CAPACITY)),
    vector('amount = capacity + 1', 'OVER_CAPACITY', at(CAPACITY + 1n)),
    vector('over capacity, badly signed', 'OVER_CAPACITY', altered(XRPL, CLAIM_SIGNATURE, zeroes), { capacity: 1n }),
    vector('the committed claim again', 'ALREADY', at(1_000_000n), { committed: 1_000_000n }),
    vector('an older claim', 'ALREADY', at(999_999n), { committed: 1_000_000n }),
    vector('an older amount, badly signed', 'ALREADY', altered(XRPL, CLAIM_SIGNATURE, zeroes), {
      committed: 1_000_000n,
    }),
    vector('one drop more than committed', 'COMMITTED', at(1_000_001n), { committed: 1_000_000n }),
  ];
}

function linkVectors() {
  const link = { profile: 'link' as const };
  return [
    vector('link: sound', 'COMMITTED', signedWire(LINK), link),
    vector('link: a gap is no fault', 'COMMITTED', signedWire({ ...LINK, sequence: 900 }), { ...link, sequence: 8 }),
    vector('link: sequence altered', 'BAD_SIGNATURE', altered(LINK, CLAIM_SEQUENCE, '0000000a'), link),
    vector('link: timestamp altered', 'BAD_SIGNATURE', altered(LINK, CLAIM_TIMESTAMP, '4279b7ca98f2e001'), link),
    vector('link: high-S twin', 'BAD_SIGNATURE', highS(LINK), link),
    vector('link: signed under the xrpl profile', 'BAD_SIGNATURE', signedWire(XRPL), link),
    vector('link: amount over 10^17', 'COMMITTED', signedWire({ ...LINK, amount: DROPS_MAX + 1n }), {
      ...link,
      capacity: DROPS_MAX + 1n,
    }),
    vector('link: amount 0', 'BAD_AMOUNT', signedWire({ ...LINK, amount: 0n }), link),
    vector('link: sequence stands still', 'BAD_SEQUENCE', signedWire(LINK), { ...link, committed: 1n, sequence: 9 }),
    vector('link: sequence falls', 'BAD_SEQUENCE', signedWire(LINK), { ...link, committed: 1n, sequence: 10 }),
    vector('link: sequence falls, badly signed', 'BAD_SIGNATURE', highS(LINK), {
      ...link,
      committed: 1n,
      sequence: 10,
    }),
  ];
}

function ed25519Vectors() {
  const { publicKey } = signEd25519(new Uint8Array(0), TEST_KEYS.edSeed);
  const xrpl = { publicKey };
  const link = { publicKey, profile: 'link' as const };
  const linkClaim: ClaimInput = { ...ED, profile: 'link' };
  const twin = (input: ClaimInput) => {
    const wire = signedWire(input);
    wire.set(ed25519Twin(wire.subarray(CLAIM_SIGNATURE, CLAIM_TIMESTAMP)), CLAIM_SIGNATURE);
    return wire;
  };
  const foreign = signedWire({ ...ED, privateKey: TEST_KEYS.edForeign });
  return [
    vector('Ed25519: sound', 'COMMITTED', signedWire(ED), xrpl),
    vector('Ed25519: S + L', 'BAD_SIGNATURE', twin(ED), xrpl),
    vector('Ed25519: amount altered', 'BAD_SIGNATURE', altered(ED, CLAIM_AMOUNT, '00000000000f4241'), xrpl),
    vector('Ed25519: foreign key', 'BAD_SIGNATURE', foreign, xrpl),
    vector('Ed25519: signature all zero', 'BAD_SIGNATURE', altered(ED, CLAIM_SIGNATURE, '00'.repeat(64)), xrpl),
    vector('Ed25519: signed by a secp256k1 key', 'BAD_SIGNATURE', signedWire(XRPL), xrpl),
    vector('secp256k1: signed by an Ed25519 key', 'BAD_SIGNATURE', signedWire(ED)),
    vector('Ed25519: signed under the link profile', 'BAD_SIGNATURE', signedWire(linkClaim), xrpl),
    vector('Ed25519: sequence altered, a hint', 'COMMITTED', altered(ED, CLAIM_SEQUENCE, 'ffffffff'), xrpl),
    vector('Ed25519: the committed claim again', 'ALREADY', signedWire(ED), { ...xrpl, committed: 1_000_000n }),
    vector('Ed25519, link: sound', 'COMMITTED', signedWire(linkClaim), link),
    vector('Ed25519, link: sequence altered', 'BAD_SIGNATURE', altered(linkClaim, CLAIM_SEQUENCE, '0000000a'), link),
    vector('Ed25519, link: S + L', 'BAD_SIGNATURE', twin(linkClaim), link),
  ];
}

export function refusalVectors() {
  return [...signatureVectors(), ...ruleVectors(), ...linkVectors(), ...ed25519Vectors()];
}

/** Datagrams, the whole frames in them, and how the walk ends. */
export function walkVectors() {
  const claim = hex(signedWire(XRPL));
  const ack = hex(ackBytes({ status: 0, sequence: 9, channelId: 1n, amount: 1_000_000n, timestamp: 0 }));
  const walk = (name: string, wire: string, frames: string, end: string) => ({ name, wire, frames, end });
  return [
    walk('empty', '', '', 'EMPTY'),
    walk('a claim', claim, 'c', 'WHOLE'),
    walk('15 claims', claim.repeat(15), 'c'.repeat(15), 'WHOLE'),
    walk('45 acks', ack.repeat(45), 'a'.repeat(45), 'WHOLE'),
    walk('claims and acks', claim + ack + claim, 'cac', 'WHOLE'),
    walk('a claim one byte short', claim.slice(0, -2), '', 'CUT_FRAME'),
    walk('an ack one byte short', ack.slice(0, -2), '', 'CUT_FRAME'),
    walk('a type byte alone', '01', '', 'CUT_FRAME'),
    walk('a claim, then a cut one', claim + claim.slice(0, 100), 'c', 'CUT_FRAME'),
    walk('an ack, then a cut claim', ack + claim.slice(0, -2), 'a', 'CUT_FRAME'),
    walk('type 0x00', `00${claim}`, '', 'UNKNOWN_TYPE'),
    walk('a reserved type after a claim', `${claim}03${claim}`, 'c', 'UNKNOWN_TYPE'),
    walk('heartbeat, to come', `04${'00'.repeat(16)}`, '', 'UNKNOWN_TYPE'),
    walk('gap request, to come', `05${'00'.repeat(16)}`, '', 'UNKNOWN_TYPE'),
    walk('a control message outside TCP', '8081a16100', '', 'UNKNOWN_TYPE'),
    walk('a claim and one byte more', `${claim}ff`, 'c', 'UNKNOWN_TYPE'),
  ];
}
