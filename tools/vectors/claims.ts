/**
 * Vectors of sound claims and acks: every field, what is signed, and the wire bytes.
 */
import { ackBytes } from '../../protocol/ack.ts';
import { claimBytes } from '../../protocol/claim.ts';
import { linkDigest, linkPreimage, xrplDigest, xrplPreimage } from '../../protocol/digest.ts';
import {
  CLAIM_SIGNATURE,
  CLAIM_TIMESTAMP,
  DROPS_MAX,
  type ProfileName,
  STATUS,
  type StatusName,
  U64_MAX,
} from '../../protocol/layout.ts';
import { derOf, hex, publicKeyOf, signDigest, signEd25519, TEST_KEYS, unhex } from './crypto.ts';

export interface ClaimInput {
  name: string;
  profile: ProfileName;
  /** By default secp256k1. */
  algorithm?: 'ed25519';
  privateKey: string;
  ledgerChannelId: string;
  /** By default the first 8 bytes of the ledger channel id. */
  channelId?: bigint;
  sequence: number;
  amount: bigint;
  /** The f64's 16 hex digits: a NaN has many forms, and every one must survive. */
  timestampBits: string;
}

/** 2026-01-02T03:04:05.678Z as a f64 of milliseconds. */
export const TIMESTAMP_BITS = '4279b7ca98f2e000';
export const LEDGER_CHANNEL_ID = '5db01b7ffed6b67e6b0414ded11e051d2ee2b7619ce0eaa6286d67a3a4d5bdb3';

/** Wire bytes with the signature left zero: it is computed over these. */
function unsigned(input: ClaimInput): Uint8Array {
  const wire = claimBytes({
    channelId: input.channelId ?? BigInt(`0x${input.ledgerChannelId.slice(0, 16)}`),
    sequence: input.sequence,
    amount: input.amount,
    signature: new Uint8Array(64),
    timestamp: 0,
  });
  wire.set(unhex(input.timestampBits), CLAIM_TIMESTAMP);
  return wire;
}

/** A signed claim's wire bytes. */
export function signedWire(input: ClaimInput): Uint8Array {
  const wire = unsigned(input);
  const isXrpl = input.profile === 'xrpl';
  const id = unhex(input.ledgerChannelId);
  const signature =
    input.algorithm === 'ed25519'
      ? signEd25519((isXrpl ? xrplPreimage : linkPreimage)(id, wire), input.privateKey).signature
      : signDigest((isXrpl ? xrplDigest : linkDigest)(id, wire), input.privateKey);
  wire.set(signature, CLAIM_SIGNATURE);
  return wire;
}

type ClaimVector = ReturnType<typeof claimVector>;

function claimVector(input: ClaimInput) {
  const wire = signedWire(input);
  const id = unhex(input.ledgerChannelId);
  const xrpl = input.profile === 'xrpl';
  const signature = wire.subarray(CLAIM_SIGNATURE, CLAIM_TIMESTAMP);
  return {
    name: input.name,
    profile: input.profile,
    algorithm: 'secp256k1',
    privateKey: input.privateKey,
    publicKey: publicKeyOf(input.privateKey),
    ...described(input, wire),
    preimage: hex(xrpl ? xrplPreimage(id, wire) : linkPreimage(id, wire)),
    digest: hex(xrpl ? xrplDigest(id, wire) : linkDigest(id, wire)),
    signature: hex(signature),
    der: derOf(signature),
    wire: hex(wire),
  };
}

function described(input: ClaimInput, wire: Uint8Array) {
  return {
    ledgerChannelId: input.ledgerChannelId,
    channelId: String(BigInt(`0x${hex(wire.subarray(1, 9))}`)),
    sequence: input.sequence,
    amount: String(input.amount),
    timestampBits: input.timestampBits,
  };
}

function edVector(input: ClaimInput) {
  const wire = signedWire(input);
  const preimage = (input.profile === 'xrpl' ? xrplPreimage : linkPreimage)(unhex(input.ledgerChannelId), wire);
  const { publicKey, signature } = signEd25519(preimage, input.privateKey);
  return {
    name: input.name,
    profile: input.profile,
    algorithm: 'ed25519',
    privateKey: input.privateKey,
    publicKey,
    ...described(input, wire),
    preimage: hex(preimage),
    signature: hex(signature),
    wire: hex(wire),
  };
}

/** Two claims as xrpl.js signs them; what is written out here was made by that library, not by this project. */
const XRPL_JS = [
  {
    name: 'xrpl.js, one XRP',
    privateKey: 'baa795362c6e48b9722325d0dcbd5a1e2cd4935c6cb12816daec50f87487bf84',
    ledgerChannelId: LEDGER_CHANNEL_ID,
    amount: 1_000_000n,
    digest: 'fa66093aa143edbc705df728d0c3f247f7a1d0fcc71e00323eccbcfa6b7eddb1',
    signature:
      '7a942607efb90c9d38769330b3b540f7d83b3a38e7a621a59c9b6a51f3116d23' +
      '3bc45db3e6ca873dcac00ee6753fd982f9328a7bd3231b314c7195cad2b4f5a3',
  },
  {
    name: 'xrpl.js, one drop',
    privateKey: 'd5ac9128c7e49a3e733f2e0b6e4047fa910062f7b1aa020397905cd33047a80f',
    ledgerChannelId: 'd4edb9530232ef171b8a71d2d99fdcfc696cdcd5eb127c0e1806b2c9535df80a',
    amount: 1n,
    digest: '4cdf828f41411704915e702a999ee31fd10e25e383f98b3231146ccf98046ca4',
    signature:
      '0d1ed9b0e2643ac68bebde440fad3c3cf919038024d4cb3bdf40ef55cb7f7eed' +
      '5e9c292c659c0e1d84e944d7f3aaabd74e3f93dec254afb19cca9b191bd0cc6c',
  },
];

function xrplJsVectors(): ClaimVector[] {
  return XRPL_JS.map(({ digest, signature, ...input }) => {
    const vector = claimVector({ ...input, profile: 'xrpl', sequence: 1, timestampBits: TIMESTAMP_BITS });
    if (vector.digest !== digest || vector.signature !== signature)
      throw new Error(`${input.name}: expected ${digest} ${signature}, got ${vector.digest} ${vector.signature}`);
    return vector;
  });
}

export function claimVectors() {
  const base = { privateKey: TEST_KEYS.payer, ledgerChannelId: LEDGER_CHANNEL_ID, timestampBits: TIMESTAMP_BITS };
  const xrpl = { ...base, profile: 'xrpl' as const };
  const link = { ...base, profile: 'link' as const };
  const inputs: ClaimInput[] = [
    { ...xrpl, name: 'xrpl, least amount, sequence 0', sequence: 0, amount: 1n },
    { ...xrpl, name: 'xrpl, most drops there can be, last sequence', sequence: 0xffff_ffff, amount: DROPS_MAX },
    { ...xrpl, name: 'xrpl, amount over 2^53', sequence: 7, amount: 2n ** 53n + 1n },
    { ...xrpl, name: 'xrpl, own handle', channelId: U64_MAX, sequence: 2, amount: 5n },
    {
      ...xrpl,
      name: 'xrpl, NaN with a payload as timestamp',
      sequence: 3,
      amount: 6n,
      timestampBits: '7ff4dead0000beef',
    },
    // Found by trying amounts: DER drops the zero byte, and keeps or adds one before a set top bit.
    { ...xrpl, name: 'xrpl, r begins 00 0x', sequence: 4, amount: 562n },
    { ...xrpl, name: 'xrpl, r begins 00 8x', sequence: 4, amount: 867n },
    { ...xrpl, name: 'xrpl, s begins 00 0x', sequence: 4, amount: 348n },
    { ...xrpl, name: 'xrpl, s begins 00 8x', sequence: 4, amount: 451n },
    { ...link, name: 'link, least amount, first sequence', sequence: 1, amount: 1n },
    { ...link, name: 'link, largest amount, last sequence', sequence: 0xffff_ffff, amount: U64_MAX },
    {
      ...link,
      name: 'link, NaN with a payload as timestamp',
      sequence: 2,
      amount: 2n,
      timestampBits: 'fff8000000000001',
    },
    { ...link, name: 'link, minus zero as timestamp', sequence: 3, amount: 3n, timestampBits: '8000000000000000' },
  ];
  const ed = { algorithm: 'ed25519', privateKey: TEST_KEYS.edSeed, sequence: 1, amount: 1_000_000n } as const;
  const edInputs: ClaimInput[] = [
    { ...xrpl, ...ed, name: 'xrpl, Ed25519' },
    { ...link, ...ed, name: 'link, Ed25519' },
  ];
  return [...xrplJsVectors(), ...inputs.map(claimVector), ...edInputs.map(edVector)];
}

/** An ack of every status, and one of a status this version does not know. */
export function ackVectors() {
  const channelId = BigInt(`0x${LEDGER_CHANNEL_ID.slice(0, 16)}`);
  const amounts: Record<StatusName, bigint> = {
    COMMITTED: 2n ** 53n + 1n,
    ALREADY: 1_000_000n,
    UNKNOWN_CHANNEL: 0n,
    BAD_SIGNATURE: 1_000_000n,
    OVER_CAPACITY: DROPS_MAX,
    CHANNEL_CLOSED: 1_000_000n,
    BAD_AMOUNT: U64_MAX,
    OVERLOADED: 0n,
    BAD_SEQUENCE: 1_000_000n,
    MOVED: 7n,
    ROOT_EXPOSURE: 1_000_000n,
  };
  const known = (Object.keys(STATUS) as StatusName[]).map((name) => ({
    name: name as string,
    status: STATUS[name] as number,
    amount: amounts[name],
  }));
  return [...known, { name: 'STATUS_255', status: 255, amount: U64_MAX }].map(({ name, status, amount }) => {
    const sequence = 0xffff_fff0 + (status & 0x0f);
    const wire = ackBytes({ status, sequence, channelId, amount, timestamp: 0 });
    wire.set(unhex(TIMESTAMP_BITS), 24);
    const fields = { sequence, channelId: String(channelId), amount: String(amount), timestampBits: TIMESTAMP_BITS };
    return { name, status, ...fields, wire: hex(wire) };
  });
}
