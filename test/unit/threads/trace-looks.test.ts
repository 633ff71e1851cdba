/** Looks at rings from beside: a claim's way is seen step by step, and what was not seen is counted, not made up. */
import { beforeEach, expect, test } from 'vitest';
import { claimBytes } from '../../../protocol/claim.ts';
import { ChannelTable, HOT_COMMITTED_LOW } from '../../../src/channel/table.ts';
import { Arena } from '../../../src/ring/arena.ts';
import { ClaimRing, cursorWord } from '../../../src/ring/claim-ring.ts';
import {
  SLOT_ROW,
  SLOT_SOURCE,
  SLOT_VERDICT,
  VERDICT_INVALID,
  VERDICT_SUPERSEDED,
  VERDICT_VALID,
} from '../../../src/ring/slot.ts';
import { TraceLooks } from '../../../src/threads/trace-looks.ts';
import { sourceHead } from '../../../src/transport/source.ts';
import { sourceOf } from '../../support/rig.ts';

const SIZE = 16;
const OURS = 2n ** 63n + 5n;
const OTHER = 7n;
let arena: Arena;
let table: ChannelTable;
let rings: ClaimRing[];
let looks: TraceLooks;

beforeEach(() => {
  arena = Arena.create({ kernelBytes: 0, rings: 2, ringSlots: SIZE, ackSlots: 32, threads: 1, channelsMax: 4 });
  // Cursors that wrap within a few slots.
  for (const ring of [0, 1]) for (const line of [0, 1, 2]) Atomics.store(arena.ints, cursorWord(arena, ring, line), -3);
  table = new ChannelTable(arena);
  for (const channelId of [OTHER, OURS])
    table.insert({
      channelId,
      ledgerChannelId: new Uint8Array(32),
      publicKey: new Uint8Array(33).fill(2),
      capacity: 1_000n,
      profile: 'xrpl',
      expiresAt: 0,
      committed: 0n,
      sequence: 0,
      timestampBits: 0n,
      signature: new Uint8Array(64),
      state: 'open',
    });
  rings = [0, 1].map((ring) => new ClaimRing(arena, ring));
  looks = new TraceLooks(arena, table, 1, 1_000);
});

/** Fills and publishes the next slot of a ring; returns its position. */
function receive(ring: ClaimRing, channelId: bigint, amount: bigint, source = sourceOf('192.0.2.7', 4_096)): number {
  const slot = ring.tryNext();
  const position = ring.next;
  arena.words.set(source, (slot + SLOT_SOURCE) >>> 2);
  const claim = claimBytes({ channelId, sequence: 9, amount, signature: new Uint8Array(64), timestamp: 0 });
  arena.bytes.set(claim, slot);
  arena.words[(slot + SLOT_ROW) >>> 2] = channelId === OURS ? 1 : 0;
  ring.push();
  ring.publish();
  return position;
}
function judge(ring: ClaimRing, position: number, verdict = VERDICT_VALID): void {
  Atomics.store(arena.ints, (ring.slot(position) + SLOT_VERDICT) >>> 2, verdict);
}
function commit(ring: ClaimRing, position: number, amount: number): void {
  arena.words[table.hot(1) + HOT_COMMITTED_LOW] = amount;
  ring.release((position + 1) >>> 0);
}

test('a claim is seen to come, to be judged and to be durable, with times of the looks', () => {
  const ring = rings[1]!;
  expect(looks.look(1_000.2)).toEqual([]);
  receive(ring, OTHER, 5n);
  const position = receive(ring, OURS, 70n);
  expect(looks.look(1_000.4)).toEqual([]);
  judge(ring, position);
  expect(looks.look(1_000.9)).toEqual([]);
  commit(ring, position, 70);
  expect(looks.look(1_001.1)).toEqual([
    {
      channelId: String(OURS),
      lane: 1,
      amount: '70',
      sequence: 9,
      from: 'udp 192.0.2.7:4096',
      outcome: 'committed',
      at: 1_000.4,
      verifyUs: 500,
      doneUs: 700,
      resolutionUs: 500,
    },
  ]);
  expect(looks.look(1_001.3)).toEqual([]);
  expect(looks).toMatchObject({ slots: 2, missedSlots: 0, looks: 5 });
});

test.each([
  ['badSignature', VERDICT_INVALID, 0],
  ['superseded', VERDICT_SUPERSEDED, 70],
  ['refused', VERDICT_VALID, 10],
  ['committed', VERDICT_VALID, 80],
  ['passed', 0, 70],
  ['refused', 0, 0],
] as const)('outcome %s: verdict %i, %i drops committed', (outcome, verdict, committed) => {
  const ring = rings[0]!;
  const position = receive(ring, OURS, 70n);
  looks.look(1_000.1);
  if (verdict !== 0) judge(ring, position, verdict);
  commit(ring, position, committed);
  expect(looks.look(1_000.2)).toMatchObject([{ outcome, lane: 0 }]);
});

test('a claim that came and went between two looks is told once, with what its slot still says', () => {
  const ring = rings[0]!;
  const position = receive(ring, OURS, 70n);
  judge(ring, position);
  commit(ring, position, 70);
  expect(looks.look(1_000.5)).toMatchObject([{ outcome: 'committed', verifyUs: null, doneUs: 0, resolutionUs: 500 }]);
});

test('slots that may be in use again are missed, counted, and never told as something else', () => {
  const ring = rings[0]!;
  for (let claim = 0; claim < SIZE + 4; claim++) {
    const position = receive(ring, OURS, BigInt(claim));
    judge(ring, position);
    commit(ring, position, claim);
  }
  const told = looks.look(1_001);
  expect(told).toHaveLength(SIZE / 2);
  expect(told.at(-1)).toMatchObject({ amount: String(SIZE + 3) });
  expect(looks).toMatchObject({ slots: SIZE / 2, missedSlots: SIZE / 2 + 4 });
});

test('a slot that is being filled with a claim of another channel is missed', () => {
  const position = receive(rings[0]!, OTHER, 70n);
  arena.words[(rings[0]!.slot(position) + SLOT_ROW) >>> 2] = 1;
  expect(looks.look(1_000.1)).toEqual([]);
  expect(looks.missedSlots).toBe(1);
});

test('the verdict of a slot that is used again is not taken for that of the claim before', () => {
  const ring = rings[0]!;
  const position = receive(ring, OURS, 70n);
  looks.look(1_000.1);
  commit(ring, position, 70);
  for (let claim = 0; claim < SIZE; claim++) {
    const next = receive(ring, OTHER, 1n);
    judge(ring, next, VERDICT_INVALID);
    ring.release((next + 1) >>> 0);
  }
  expect(looks.look(1_000.2)).toMatchObject([{ amount: '70', outcome: 'passed', verifyUs: null }]);
});

test('each transport has its own name', () => {
  const ring = rings[0]!;
  const froms = [sourceOf('2001:db8::1', 5), Uint32Array.of(sourceHead(1, 80), 0, 0, 0xffff_0000, 0x0100_007f)];
  const local = Uint32Array.of(sourceHead(2, 0), 0, 0, 0, 0);
  for (const source of [...froms, local]) {
    const position = receive(ring, OURS, 3n, source);
    judge(ring, position);
    commit(ring, position, 3);
  }
  expect(looks.look(1_001).map(({ from }) => from)).toEqual([
    'udp [2001:db8:0:0:0:0:0:1]:5',
    'tcp 127.0.0.1:80',
    'local',
  ]);
});
