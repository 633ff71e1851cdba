/**
 * Every kernel on ring slots in place, against the reference on a copy of the arena: digests of both profiles, the end
 * of the ring and of the sequence numbers, slots that are judged already, and row numbers that lead nowhere.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { claimBytes } from '../../protocol/claim.ts';
import { linkDigest, xrplDigest } from '../../protocol/digest.ts';
import {
  CLAIM_AMOUNT,
  CLAIM_CHANNEL_ID,
  CLAIM_SEQUENCE,
  CLAIM_SIGNATURE,
  CLAIM_TIMESTAMP,
} from '../../protocol/layout.ts';
import { ChannelTable } from '../../src/channel/table.ts';
import { Arena, type ArenaShape, SLOT_BYTES } from '../../src/ring/arena.ts';
import { ClaimRing } from '../../src/ring/claim-ring.ts';
import { SLOT_ROW, SLOT_VERDICT, VERDICT_INVALID, VERDICT_PENDING, VERDICT_VALID } from '../../src/ring/slot.ts';
import { ReferenceBackend } from '../../src/verify/reference-backend.ts';
import { bytes32, isKey, ORDER, publicKey, scalar, sign } from '../support/curve.ts';
import { KERNELS, KernelProcesses } from '../support/kernel-process.ts';
import { random } from '../support/random.ts';

const RING_SLOTS = 512;
const CHANNELS_MAX = 64;
const SHAPE: ArenaShape = {
  kernelBytes: 0,
  rings: 1,
  ringSlots: RING_SLOTS,
  ackSlots: 8,
  threads: 1,
  channelsMax: CHANNELS_MAX,
};
const CHANNELS = 40;
const KEYS = 12;
/** Channels whose keys are no points: the last two. */
const BROKEN = 2;
/** Rows that were never opened, that end in other regions of the arena, and that end outside of it. */
const HOSTILE_ROWS = [
  CHANNELS,
  CHANNELS_MAX,
  CHANNELS_MAX + 1,
  1_000,
  70_000,
  2 ** 25,
  2 ** 27 - 1,
  2 ** 31,
  2 ** 32 - 1,
];
/** The sequence numbers' end and the ring's, the ring's middle, and a start where slots and numbers agree. */
const FIRST_SEQUENCES = [2 ** 32 - 200, 2 ** 32 - 1, 257, 0];
/** Call sizes around the kernel's batch and its number of elements, together the whole ring. */
const COUNTS = [1, 2, 3, 4, 5, 8, 9, 16, 63, 64, 65, 128, 129, 0, 15];

const from = random(77);
const privateKeys = Array.from({ length: KEYS }, () => (scalar(from.bytes(32)) % (ORDER - 1n)) + 1n);
const keys = privateKeys.map(publicKey);
/** Keys that have a table from the start, by its kind; the others have none. So a batch holds claims of every kind. */
const TABLES = [0, 1, 2, 3].map((kind) => new Uint8Array(Buffer.concat(keys.filter((_, index) => index % 5 === kind))));

interface Channel {
  ledgerChannelId: Uint8Array;
  signer: bigint;
  profile: 'xrpl' | 'link';
}

function openChannels(table: ChannelTable): Channel[] {
  return Array.from({ length: CHANNELS }, (_, row) => {
    const key = keys[row % KEYS]!.slice();
    if (row >= CHANNELS - BROKEN) {
      do key.set(from.bytes(32), 1);
      while (isKey(key));
    }
    const channel = {
      ledgerChannelId: from.bytes(32),
      signer: privateKeys[row % KEYS]!,
      profile: row % 2 === 0 ? ('xrpl' as const) : ('link' as const),
    };
    const { ledgerChannelId, profile } = channel;
    table.insert({
      channelId: BigInt(row),
      ledgerChannelId,
      publicKey: key,
      capacity: 1n << 60n,
      committed: 0n,
      sequence: 0,
      timestampBits: 0n,
      signature: new Uint8Array(64),
      profile,
      state: 'open',
      expiresAt: 0,
    });
    return channel;
  });
}

function signedClaim({ ledgerChannelId, signer, profile }: Channel, channelId: bigint): Uint8Array {
  const fields = { channelId, sequence: from.u32(), amount: from.u64(), timestamp: from.u32() };
  const claim = claimBytes({ ...fields, signature: new Uint8Array(64) });
  const digest = (profile === 'link' ? linkDigest : xrplDigest)(ledgerChannelId, claim);
  claim.set(sign(digest, signer), CLAIM_SIGNATURE);
  return claim;
}

const flip = (at: number, bytes: number) => (claim: Uint8Array) => {
  claim[at + from.below(bytes)]! ^= 1 << from.below(8);
};
/** What is done to a signed claim. Beside the signature itself, an xrpl one covers the amount alone. */
const CHANGES: Readonly<Record<string, (claim: Uint8Array) => void>> = {
  nothing: () => {},
  'nothing else': () => {},
  'the channel id': flip(CLAIM_CHANNEL_ID, 8),
  'the sequence': flip(CLAIM_SEQUENCE, 4),
  'the amount': flip(CLAIM_AMOUNT, 8),
  'the timestamp': flip(CLAIM_TIMESTAMP, 8),
  r: flip(CLAIM_SIGNATURE, 32),
  s: flip(CLAIM_SIGNATURE + 32, 32),
  'high s': (claim) => {
    const s = scalar(claim.subarray(CLAIM_SIGNATURE + 32, CLAIM_TIMESTAMP));
    claim.set(bytes32(ORDER - s), CLAIM_SIGNATURE + 32);
  },
  'no signature': (claim) => claim.fill(0, CLAIM_SIGNATURE, CLAIM_TIMESTAMP),
};
const CHANGE_NAMES = Object.keys(CHANGES);

interface Round {
  /** The arena before, and as it must be afterwards: the same but for the verdicts. */
  before: Uint8Array;
  after: Uint8Array;
  calls: [number, number][];
  counts: { valid: number; invalid: number; hostile: number; judgedBefore: number };
}

/** Fills the ring from a sequence number on; the reference makes the expected verdicts. */
function round(firstSequence: number): Round {
  const arena = Arena.create(SHAPE);
  const ring = new ClaimRing(arena, 0);
  const table = new ChannelTable(arena);
  const channels = openChannels(table);
  const reference = new ReferenceBackend(arena, ring, table);
  const counts = { valid: 0, invalid: 0, hostile: 0, judgedBefore: 0 };
  const expected: number[] = [];
  for (let index = 0; index < RING_SLOTS; index++) {
    const slot = ring.slot((firstSequence + index) >>> 0);
    const row = from.below(CHANNELS);
    const claim = signedClaim(channels[row]!, BigInt(row));
    CHANGES[CHANGE_NAMES[from.below(CHANGE_NAMES.length)]!]!(claim);
    arena.bytes.set(from.bytes(SLOT_BYTES), slot);
    arena.bytes.set(claim, slot);
    const isHostile = index % 8 === 3;
    const isJudged = index % 10 === 7;
    arena.words[(slot + SLOT_ROW) >>> 2] = isHostile ? HOSTILE_ROWS[from.below(HOSTILE_ROWS.length)]! : row;
    // 77 stands for any verdict but the pending one.
    const verdict = isJudged ? [VERDICT_VALID, VERDICT_INVALID, 77][from.below(3)]! : VERDICT_PENDING;
    arena.ints[(slot + SLOT_VERDICT) >>> 2] = verdict;
    if (isJudged) counts.judgedBefore++;
    else if (isHostile) counts.hostile++;
    expected.push(verdict || (isHostile ? VERDICT_INVALID : 0));
  }
  const before = arena.bytes.slice();
  for (const [index, verdict] of expected.entries()) {
    const sequence = (firstSequence + index) >>> 0;
    if (verdict === VERDICT_PENDING) {
      reference.verifySlots(sequence, 1);
      counts[ring.verdict(sequence) === VERDICT_VALID ? 'valid' : 'invalid']++;
    } else arena.ints[(ring.slot(sequence) + SLOT_VERDICT) >>> 2] = verdict;
  }
  let sequence = firstSequence;
  const calls = COUNTS.map((count): [number, number] => {
    const call: [number, number] = [sequence, count];
    sequence = (sequence + count) >>> 0;
    return call;
  });
  return { before, after: arena.bytes.slice(), calls, counts };
}

/** Slots of which any byte is not as expected, and whether anything outside of the slots is. */
function differences(after: Uint8Array, expected: Uint8Array): string[] {
  const { offset, bytes } = Arena.create(SHAPE).plan.slots;
  const wrong: string[] = [];
  const isSame = (start: number, end: number) =>
    Buffer.compare(after.subarray(start, end), expected.subarray(start, end)) === 0;
  for (let slot = offset; slot < offset + bytes; slot += SLOT_BYTES) {
    if (isSame(slot, slot + SLOT_BYTES)) continue;
    const verdict = slot + SLOT_VERDICT;
    wrong.push(`slot ${(slot - offset) / SLOT_BYTES}: expected ${expected[verdict]}, got ${after[verdict]}`);
  }
  if (!isSame(0, offset) || !isSame(offset + bytes, expected.length)) wrong.push('bytes outside of the slots');
  return wrong;
}

let kernels: KernelProcesses;
let rounds: Round[];
beforeAll(async () => {
  kernels = await KernelProcesses.start();
  rounds = FIRST_SEQUENCES.map(round);
}, 600_000);
afterAll(() => kernels?.stop());

it('the slots are what the tests say of them', () => {
  expect(COUNTS.reduce((sum, count) => sum + count)).toBe(RING_SLOTS);
  for (const { counts } of rounds) {
    expect(counts.valid).toBeGreaterThan(100);
    expect(counts.invalid).toBeGreaterThan(150);
    expect(counts.hostile).toBeGreaterThan(40);
    expect(counts.judgedBefore).toBe(51);
  }
});

describe.each(FIRST_SEQUENCES.map((sequence, index) => ({ sequence, index })))(
  'from sequence $sequence',
  ({ index }) => {
    it.for(KERNELS)('%s judges as the reference does, and touches verdicts only', async (name, context) => {
      const kernel = kernels.get(name, context);
      const { before, after, calls } = rounds[index]!;
      expect(differences(await kernel.slots(SHAPE, before, calls, TABLES), after)).toEqual([]);
    });

    it.for(KERNELS)('%s in one call, and again when all is judged', async (name, context) => {
      const kernel = kernels.get(name, context);
      const { before, after, calls } = rounds[index]!;
      const first = calls[0]![0];
      const once = await kernel.slots(SHAPE, before, [[first, RING_SLOTS]], TABLES);
      expect(differences(once, after)).toEqual([]);
      expect(differences(await kernel.slots(SHAPE, after, [[first, RING_SLOTS], ...calls], TABLES), after)).toEqual([]);
    });

    it.for(KERNELS)('%s one by one', async (name, context) => {
      const kernel = kernels.get(name, context);
      const { before, after, calls } = rounds[index]!;
      const alone = Array.from({ length: RING_SLOTS }, (_, at): [number, number] => [(calls[0]![0] + at) >>> 0, 1]);
      expect(differences(await kernel.slots(SHAPE, before, alone, TABLES), after)).toEqual([]);
    });
  },
);
