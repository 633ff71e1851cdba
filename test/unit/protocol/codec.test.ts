/**
 * The codec against a slow twin that knows nothing of DataView: fields as lists of bytes, put together by hand.
 */
import { describe, expect, it } from 'vitest';
import * as ackCodec from '../../../protocol/ack.ts';
import * as claimCodec from '../../../protocol/claim.ts';
import { linkPreimage, xrplDigest, xrplPreimage } from '../../../protocol/digest.ts';
import * as layout from '../../../protocol/layout.ts';
import { type Random, random } from '../../support/random.ts';

const U32_EDGES = [0, 1, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff];
const U64_EDGES = [0n, 1n, 0xffff_ffffn, 2n ** 32n, 2n ** 53n + 1n, 2n ** 63n, 10n ** 17n, 2n ** 64n - 1n];
/** Zero, minus zero, a date, infinities, least and greatest, quiet and signalling NaNs with payloads. */
const F64_EDGES = [
  ...[0n, 0x8000_0000_0000_0000n, 0x4279_b7ca_98f2_e000n, 0x7ff0_0000_0000_0000n, 0xfff0_0000_0000_0000n],
  ...[1n, 0x7fef_ffff_ffff_ffffn, 0x7ff8_0000_0000_0000n, 0x7ff4_dead_0000_beefn, 0xffff_ffff_ffff_ffffn],
];

/** `value` as `size` big-endian bytes: the slow twin of every integer on the wire. */
function slow(value: bigint | number, size: number): number[] {
  const result: number[] = [];
  for (let rest = BigInt(value), index = 0; index < size; index++, rest /= 256n) result.unshift(Number(rest % 256n));
  return result;
}

interface Sample {
  channelId: bigint;
  sequence: number;
  amount: bigint;
  timestampBits: bigint;
  signature: Uint8Array;
}

function samples(rng: Random): Sample[] {
  const make = (index: number): Sample => ({
    channelId: U64_EDGES[index] ?? rng.u64(),
    sequence: U32_EDGES[index] ?? rng.u32(),
    amount: U64_EDGES[U64_EDGES.length - 1 - index] ?? rng.u64(),
    timestampBits: F64_EDGES[index] ?? rng.u64(),
    signature: rng.bytes(64),
  });
  return Array.from({ length: 300 }, (_, index) => make(index));
}

const slowClaim = (s: Sample): number[] => [
  ...[1, ...slow(s.channelId, 8), ...slow(s.sequence, 4), ...slow(s.amount, 8)],
  ...[...s.signature, ...slow(s.timestampBits, 8)],
];
const slowAck = (s: Sample, status: number): number[] => [
  ...[2, status, 0, 0, ...slow(s.sequence, 4), ...slow(s.channelId, 8)],
  ...[...slow(s.amount, 8), ...slow(s.timestampBits, 8)],
];

const high = (value: bigint): number => Number(value >> 32n);
const low = (value: bigint): number => Number(value & 0xffff_ffffn);

/** The double that has these bits; a NaN may lose its payload on the way. */
function double(bits: bigint): number {
  return new DataView(Uint8Array.from(slow(bits, 8)).buffer).getFloat64(0);
}

/** A buffer of 0xEE with a view that begins off any alignment, to see what is written and what is not. */
function field(size: number, lead: number): { bytes: Uint8Array; view: DataView } {
  const bytes = new Uint8Array(lead + size + 16).fill(0xee);
  return { bytes, view: new DataView(bytes.buffer, 3) };
}

describe('layout', () => {
  it('lays fields end to end and fits datagrams into an MTU', () => {
    expect(layout.CLAIM_CHANNEL_ID).toBe(1);
    expect(layout.CLAIM_SEQUENCE).toBe(layout.CLAIM_CHANNEL_ID + 8);
    expect(layout.CLAIM_AMOUNT).toBe(layout.CLAIM_SEQUENCE + 4);
    expect(layout.CLAIM_SIGNATURE).toBe(layout.CLAIM_AMOUNT + 8);
    expect(layout.CLAIM_TIMESTAMP).toBe(layout.CLAIM_SIGNATURE + layout.SIGNATURE_BYTES);
    expect(layout.CLAIM_BYTES).toBe(layout.CLAIM_TIMESTAMP + 8);
    expect(layout.ACK_SEQUENCE).toBe(layout.ACK_RESERVED + 2);
    expect(layout.ACK_CHANNEL_ID).toBe(layout.ACK_SEQUENCE + 4);
    expect(layout.ACK_AMOUNT).toBe(layout.ACK_CHANNEL_ID + 8);
    expect(layout.ACK_TIMESTAMP).toBe(layout.ACK_AMOUNT + 8);
    expect(layout.ACK_BYTES).toBe(layout.ACK_TIMESTAMP + 8);
    // IPv6 header 40, UDP header 8. An ack is smaller than the claim it answers: no amplification.
    const payloadMax = 1500 - 40 - 8;
    expect(layout.CLAIMS_PER_DATAGRAM_MAX * layout.CLAIM_BYTES).toBeLessThanOrEqual(payloadMax);
    expect(layout.ACKS_PER_DATAGRAM_MAX).toBe(Math.floor(payloadMax / layout.ACK_BYTES));
    expect(layout.ACK_BYTES).toBeLessThan(layout.CLAIM_BYTES);
  });

  it('names every status, and one it does not know by its number', () => {
    for (const [name, status] of Object.entries(layout.STATUS)) expect(layout.statusName(status)).toBe(name);
    expect(layout.statusName(99)).toBe('STATUS_99');
  });
});

describe('claim', () => {
  it('is written and read as the slow twin says, at any offset, touching nothing else', () => {
    for (const [index, sample] of samples(random(1)).entries()) {
      const offset = index % 9;
      const { bytes, view } = field(layout.CLAIM_BYTES, 3 + offset);
      claimCodec.encodeClaim(view, offset, { ...sample, timestamp: 0 });
      view.setUint32(offset + layout.CLAIM_TIMESTAMP, high(sample.timestampBits));
      view.setUint32(offset + layout.CLAIM_TIMESTAMP + 4, low(sample.timestampBits));
      const expected = new Uint8Array(bytes.length).fill(0xee);
      expected.set(slowClaim(sample), 3 + offset);
      expect(bytes).toEqual(expected);

      expect(claimCodec.claimChannelHigh(view, offset)).toBe(high(sample.channelId));
      expect(claimCodec.claimChannelLow(view, offset)).toBe(low(sample.channelId));
      expect(claimCodec.claimSequence(view, offset)).toBe(sample.sequence);
      expect(claimCodec.claimAmountHigh(view, offset)).toBe(high(sample.amount));
      expect(claimCodec.claimAmountLow(view, offset)).toBe(low(sample.amount));
      expect(claimCodec.claimTimestampHigh(view, offset)).toBe(high(sample.timestampBits));
      expect(claimCodec.claimTimestampLow(view, offset)).toBe(low(sample.timestampBits));
      const { timestampBits, ...fields } = sample;
      expect(claimCodec.decodeClaim(view, offset)).toEqual({ ...fields, timestamp: double(timestampBits) });
    }
  });

  it('comes back from its bytes whole, and its signature is a copy', () => {
    for (const sample of samples(random(2))) {
      const { timestampBits, ...fields } = sample;
      const claim = { ...fields, timestamp: double(timestampBits) };
      const bytes = claimCodec.claimBytes(claim);
      const read = claimCodec.decodeClaim(new DataView(bytes.buffer), 0);
      bytes.fill(0);
      expect(read).toEqual(claim);
    }
  });

  it('is copied byte for byte, between any offsets, touching nothing else', () => {
    const rng = random(5);
    for (let round = 0; round < 200; round++) {
      const source = rng.bytes(93 + 16);
      const [from, to] = [rng.below(16), rng.below(16)];
      const { bytes, view } = field(layout.CLAIM_BYTES, 3 + to);
      claimCodec.copyClaim(new DataView(source.buffer), from, view, to);
      const expected = new Uint8Array(bytes.length).fill(0xee);
      expected.set(source.subarray(from, from + 93), 3 + to);
      expect(bytes).toEqual(expected);
    }
  });

  it('refuses what does not fit the wire, before a byte is written', () => {
    const sound = { channelId: 1n, sequence: 1, amount: 1n, signature: new Uint8Array(64), timestamp: 0 };
    const faults = [
      { channelId: -1n },
      { channelId: 2n ** 64n },
      { amount: -1n },
      { amount: 2n ** 64n },
      { sequence: -1 },
      { sequence: 2 ** 32 },
      { sequence: 1.5 },
      { sequence: Number.NaN },
      { signature: new Uint8Array(63) },
      { signature: new Uint8Array(65) },
    ];
    for (const fault of faults) {
      const { bytes, view } = field(layout.CLAIM_BYTES, 3);
      expect(() => claimCodec.encodeClaim(view, 0, { ...sound, ...fault }), JSON.stringify(Object.keys(fault))).toThrow(
        /expected .*, got /,
      );
      expect(bytes.every((byte) => byte === 0xee)).toBe(true);
    }
    expect(() => claimCodec.decodeClaim(new DataView(new ArrayBuffer(93)), 0)).toThrow(
      'expected 0x01 (claim), got 0x0',
    );
  });
});

describe('ack', () => {
  it('is written from halves and from an object as the slow twin says, bit for bit', () => {
    for (const [index, sample] of samples(random(3)).entries()) {
      const { channelId, amount, timestampBits, sequence } = sample;
      const offset = index % 9;
      const { bytes, view } = field(layout.ACK_BYTES, 3 + offset);
      const halves = [high(channelId), low(channelId), high(amount), low(amount)] as const;
      const time = [high(timestampBits), low(timestampBits)] as const;
      ackCodec.writeAck(view, offset, index & 0xff, sequence, ...halves, ...time);
      const expected = new Uint8Array(bytes.length).fill(0xee);
      expected.set(slowAck(sample, index & 0xff), 3 + offset);
      expect(bytes).toEqual(expected);

      const ack = { status: index & 0xff, sequence, channelId, amount, timestamp: double(timestampBits) };
      expect(ackCodec.decodeAck(view, offset)).toEqual(ack);
      if (!Number.isNaN(ack.timestamp)) expect([...ackCodec.ackBytes(ack)]).toEqual(slowAck(sample, index & 0xff));
    }
  });

  it('refuses what does not fit the wire', () => {
    const sound = { status: 0, sequence: 1, channelId: 1n, amount: 1n, timestamp: 0 };
    const faults = [{ status: 256 }, { status: -1 }, { sequence: 2 ** 32 }, { channelId: -1n }, { amount: 2n ** 64n }];
    for (const fault of faults) expect(() => ackCodec.ackBytes({ ...sound, ...fault })).toThrow(/expected .*, got /);
    expect(() => ackCodec.decodeAck(new DataView(new ArrayBuffer(32)), 0)).toThrow('expected 0x02 (ack), got 0x0');
  });
});

describe('preimages', () => {
  it('are what the specification spells out, wherever the claim lies', () => {
    const rng = random(4);
    for (const sample of samples(rng)) {
      const id = rng.bytes(32);
      const claim = slowClaim(sample);
      const shifted = Uint8Array.from([...rng.bytes(5), ...claim]);
      const clm = [0x43, 0x4c, 0x4d, 0, ...id, ...slow(sample.amount, 8)];
      const link = [...Buffer.from('claimwire/link/1'), ...id, ...claim.slice(0, 21), ...claim.slice(85, 93)];
      expect([...xrplPreimage(id, shifted, 5)]).toEqual(clm);
      expect([...linkPreimage(id, shifted, 5)]).toEqual(link);
    }
  });

  it('insist on a whole ledger channel id', () => {
    for (const size of [0, 31, 33])
      for (const make of [xrplPreimage, linkPreimage, xrplDigest])
        expect(() => make(new Uint8Array(size), new Uint8Array(93))).toThrow(`expected 32 bytes, got ${size}`);
  });
});
