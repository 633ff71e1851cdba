/**
 * The cost of reading, writing and answering one claim, beside JSON doing the same: what bench:codec and the report measure.
 *
 * Main thread. Decoding does what the receive path does: walk a datagram of 15 claims, copy each into a 128-byte slot of
 * shared memory, read every field there as u32 halves. The work is checked against BigInt arithmetic after each repeat.
 */
import { writeAck } from '../../protocol/ack.ts';
import {
  type Claim,
  claimAmountHigh,
  claimAmountLow,
  claimBytes,
  claimChannelHigh,
  claimChannelLow,
  claimSequence,
  claimTimestampHigh,
  claimTimestampLow,
  copyClaim,
  encodeClaim,
} from '../../protocol/claim.ts';
import { type FrameSink, WALK_WHOLE, walkFrames } from '../../protocol/frames.ts';
import { ACK_BYTES, ACKS_PER_DATAGRAM_MAX, CLAIM_BYTES, CLAIMS_PER_DATAGRAM_MAX } from '../../protocol/layout.ts';
import { assert } from '../../src/errors.ts';
import { SLOT_BYTES } from '../../src/ring/arena.ts';

/** 64 datagrams of claims are 87 KiB: too much for one cache line or one branch pattern to decide the figure. */
const DATAGRAMS = 64;
/** Of one pass. */
export const CLAIMS = DATAGRAMS * CLAIMS_PER_DATAGRAM_MAX;
/** A power of two. These are 512 KiB of slots, as many as a busy ring touches. */
const SLOTS = 4096;
const WARM_PASSES = 200;
/** Divides every number of passes, even the 50 of JSON with --quick. */
const BATCHES = 25;
const WASM_PAGE_BYTES = 65_536;

/** Claims with fields of full width. The generator only has to be the same on every run. */
export function sampleClaims(): Claim[] {
  let state = 0x9e37_79b9_7f4a_7c15n;
  const next = (): bigint => {
    state = BigInt.asUintN(64, state * 6_364_136_223_846_793_005n + 1_442_695_040_888_963_407n);
    return state;
  };
  return Array.from({ length: CLAIMS }, () => ({
    channelId: next(),
    sequence: Number(next() >> 32n),
    amount: next() >> 8n,
    signature: Uint8Array.from({ length: 64 }, () => Number(next() >> 56n)),
    timestamp: Number(next() >> 24n),
  }));
}

/** The receive path's half of the work: copies a claim into a slot, then reads every field there. */
class SlotSink implements FrameSink {
  readonly #slots = new DataView(
    new WebAssembly.Memory({
      initial: (SLOTS * SLOT_BYTES) / WASM_PAGE_BYTES,
      maximum: (SLOTS * SLOT_BYTES) / WASM_PAGE_BYTES,
      shared: true,
    }).buffer,
  );
  #source: DataView = new DataView(new ArrayBuffer(0));
  #slot = 0;
  checksum = 0;

  datagram(bytes: Uint8Array): void {
    this.#source = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    assert(walkFrames(bytes, 0, bytes.length, this) === WALK_WHOLE, 'the datagram holds whole claims');
  }

  claim(_bytes: Uint8Array, offset: number): void {
    const slots = this.#slots;
    const slot = this.#slot * SLOT_BYTES;
    copyClaim(this.#source, offset, slots, slot);
    const channel = claimChannelHigh(slots, slot) ^ claimChannelLow(slots, slot);
    const amount = claimAmountHigh(slots, slot) ^ claimAmountLow(slots, slot);
    const timestamp = claimTimestampHigh(slots, slot) ^ claimTimestampLow(slots, slot);
    this.checksum = (this.checksum + (channel ^ amount ^ timestamp ^ claimSequence(slots, slot))) | 0;
    this.#slot = (this.#slot + 1) & (SLOTS - 1);
  }

  ack(): void {
    throw new Error('no ack was sent');
  }
}

/** The same sum by BigInt from the objects: if it differs, the bench did not do the work that it claims. */
function expectedChecksum(claims: readonly Claim[], passes: number): number {
  const bits = new DataView(new ArrayBuffer(8));
  const fold = (value: bigint): number => Number(value >> 32n) ^ Number(value & 0xffff_ffffn);
  let sum = 0;
  for (const { channelId, sequence, amount, timestamp } of claims) {
    bits.setFloat64(0, timestamp);
    sum = (sum + (fold(channelId) ^ fold(amount) ^ fold(bits.getBigUint64(0)) ^ sequence)) | 0;
  }
  return Math.imul(sum, passes);
}

/**
 * Nanoseconds per unit, of `units` of work in one pass: the median of BATCHES batches after a warm-up, so that an occasional
 * preemption does not count.
 */
function perUnitNs(passes: number, units: number, pass: () => void): number {
  for (let warm = 0; warm < WARM_PASSES; warm++) pass();
  const batches: number[] = [];
  for (let batch = 0; batch < BATCHES; batch++) {
    const start = process.hrtime.bigint();
    for (let index = 0; index < passes / BATCHES; index++) pass();
    batches.push(Number(process.hrtime.bigint() - start) / ((passes / BATCHES) * units));
  }
  return batches.sort((left, right) => left - right)[BATCHES >> 1]!;
}

export function decodeNs(claims: readonly Claim[], passes: number): { ns: number; checksum: number } {
  const datagrams = Array.from({ length: DATAGRAMS }, (_, index) => {
    const start = index * CLAIMS_PER_DATAGRAM_MAX;
    return new Uint8Array(Buffer.concat(claims.slice(start, start + CLAIMS_PER_DATAGRAM_MAX).map(claimBytes)));
  });
  const sink = new SlotSink();
  const ns = perUnitNs(passes, CLAIMS, () => {
    for (let index = 0; index < DATAGRAMS; index++) sink.datagram(datagrams[index]!);
  });
  const expected = expectedChecksum(claims, passes + WARM_PASSES);
  assert(sink.checksum === expected, `checksum ${expected} of the fields read, got ${sink.checksum}`);
  return { ns, checksum: sink.checksum };
}

export function encodeNs(claims: readonly Claim[], passes: number): { ns: number; checksum: number } {
  const view = new DataView(new ArrayBuffer(CLAIM_BYTES * CLAIMS));
  const ns = perUnitNs(passes, CLAIMS, () => {
    for (let index = 0; index < CLAIMS; index++) encodeClaim(view, index * CLAIM_BYTES, claims[index]!);
  });
  const expected = Buffer.concat(claims.map(claimBytes));
  assert(Buffer.compare(expected, new Uint8Array(view.buffer)) === 0, 'the claims lie encoded one after another');
  return { ns, checksum: sumOf(new Uint8Array(view.buffer)) };
}

export function ackNs(passes: number): { ns: number; checksum: number } {
  const view = new DataView(new ArrayBuffer(ACK_BYTES * ACKS_PER_DATAGRAM_MAX));
  let sequence = 0;
  const ns = perUnitNs(passes, CLAIMS, () => {
    for (let index = 0; index < CLAIMS; index++) {
      sequence = (sequence + 1) >>> 0;
      const offset = (index % ACKS_PER_DATAGRAM_MAX) * ACK_BYTES;
      writeAck(view, offset, 0, sequence, index, sequence, 0, sequence, 0x4279_b7ca, sequence);
    }
  });
  assert(sequence === CLAIMS * (passes + WARM_PASSES), 'every ack was written');
  return { ns, checksum: sumOf(new Uint8Array(view.buffer)) };
}

/** The peer: the same fields as JSON text, with u64 as strings (a JSON number is not exact) and the signature in hex. */
export function jsonDecodeNs(claims: readonly Claim[], passes: number): { ns: number; checksum: number } {
  const texts = claims.map(({ channelId, sequence, amount, signature, timestamp }) => {
    const hex = Buffer.from(signature).toString('hex');
    return JSON.stringify({ channelId: `${channelId}`, sequence, amount: `${amount}`, signature: hex, timestamp });
  });
  let checksum = 0;
  const ns = perUnitNs(passes, CLAIMS, () => {
    for (let index = 0; index < CLAIMS; index++) checksum = (checksum + JSON.parse(texts[index]!).sequence) | 0;
  });
  return { ns, checksum };
}

function sumOf(bytes: Uint8Array): number {
  return bytes.reduce((sum, byte) => (Math.imul(sum, 31) + byte) | 0, 0);
}

/** The floor: the same bytes, copied a datagram at a time. */
export function memcpyNs(passes: number): { ns: number; checksum: number } {
  const bytes = CLAIM_BYTES * CLAIMS_PER_DATAGRAM_MAX;
  const source = Uint8Array.from({ length: bytes * DATAGRAMS }, (_, index) => index);
  const target = new Uint8Array(source.length);
  const parts = Array.from({ length: DATAGRAMS }, (_, index) => source.subarray(index * bytes, (index + 1) * bytes));
  const ns = perUnitNs(passes, CLAIMS, () => {
    for (let index = 0; index < DATAGRAMS; index++) target.set(parts[index]!, index * bytes);
  });
  assert(Buffer.compare(source, target) === 0, 'every byte was copied');
  return { ns, checksum: sumOf(target) };
}
