/**
 * C's claim path against the steps alone, in lock-step: both have the same traffic, clock, verdicts and operator, in any
 * order of steps, and everything observable is compared after each step (support/twin-rigs.ts).
 */
import { afterAll, expect, test } from 'vitest';
import { claimBytes } from '../../protocol/claim.ts';
import { ACK_BYTES, CLAIM_BYTES } from '../../protocol/layout.ts';
import { GROUP_CLAIMS_MAX } from '../../src/path/commit-group.ts';
import { ATTACK_FAILURES } from '../../src/path/stranger-room.ts';
import type { CounterName } from '../../src/ring/counters.ts';
import { brieflyOrAtLength } from '../support/length.ts';
import { describeNative } from '../support/native-only.ts';
import { type Random, random } from '../support/random.ts';
import { claimOf, type RigOptions, sourceOf } from '../support/rig.ts';
import { byNative, TwinRigs, VERDICTS } from '../support/twin-rigs.ts';

const HANDLES = Array.from({ length: 40 }, (_, index) => (index % 3 === 0 ? BigInt(index) : BigInt(index) << 57n));
const OPENED_FIRST = 24;
const CAPACITIES = [50_000n, 2n ** 32n - 1n, 2n ** 32n, 2n ** 33n, 2n ** 64n - 1n, 10n ** 17n, 10n ** 17n + 5n];
const EXTREMES = [
  0n,
  1n,
  10n ** 17n,
  10n ** 17n + 1n,
  2n ** 32n - 1n,
  2n ** 32n,
  2n ** 32n + 1n,
  2n ** 63n,
  2n ** 64n - 1n,
];
const SOURCES = [sourceOf('192.0.2.1', 4_000), sourceOf('192.0.2.1', 4_001), sourceOf('2001:db8::7', 4_000)];
SOURCES.push(sourceOf('2001:db8::8', 4_000), sourceOf('192.0.2.2', 4_000));
for (let index = 0; index < 8; index++) SOURCES.push(sourceOf(`10.0.0.${index}`, 9));

/** What happens to both rigs: seeded, and by the state of the one without C. */
class Traffic {
  readonly #from: Random;
  readonly #rigs: TwinRigs;
  readonly #sent: Uint8Array[] = [];
  /** One claim in so many is not found valid. */
  readonly #validPerOther: number;
  #opened = 0;

  constructor(rigs: TwinRigs, from: Random, validPerOther: number) {
    this.#validPerOther = validPerOther;
    this.#rigs = rigs;
    this.#from = from;
    while (this.#opened < OPENED_FIRST) this.open();
  }

  open(): void {
    const from = this.#from;
    const key = Uint8Array.from({ length: 33 }, (_, index) =>
      index === 0 ? [2, 3, 0xed][from.below(3)]! : this.#opened,
    );
    const expiresAt = from.below(6) === 0 ? Math.floor(this.#rigs.plain.now / 1_000) + from.below(200) : 0;
    const channel = {
      channelId: HANDLES[this.#opened++]!,
      publicKey: key,
      profile: from.below(4) === 0 ? ('link' as const) : ('xrpl' as const),
      capacity: CAPACITIES[from.below(CAPACITIES.length)]!,
      expiresAt,
    };
    this.#rigs.both((rig) => rig.open(channel));
  }

  /** The operator at work between two payloads. */
  operate(): void {
    const from = this.#from;
    if (from.below(8) === 0 && this.#opened < HANDLES.length - 4) {
      this.open();
      return;
    }
    const row = from.below(this.#opened);
    const { committed, state } = this.#rigs.plain.table.read(row);
    const now = Math.floor(this.#rigs.plain.now / 1_000);
    const grown = committed + BigInt(from.below(1_000)) * (from.below(3) === 0 ? 2n ** 30n : 1n);
    const capacity = grown < 2n ** 64n ? grown : 2n ** 64n - 1n;
    const changes = [
      { capacity },
      { capacity: 2n ** 64n - 1n },
      { open: state === 'closed' },
      { open: true },
      { expiresAt: from.below(2) === 0 ? 0 : now + from.below(4) },
      { expiresAt: 0, open: true, capacity },
    ];
    const change = changes[from.below(changes.length)]!;
    this.#rigs.both((rig) => rig.table.change(row, change));
  }

  claim(): Uint8Array {
    const from = this.#from;
    const kind = from.below(24);
    if ((kind === 0 || kind === 8) && this.#sent.length > 0) return this.#again();
    const row = from.below(from.below(3) === 0 ? this.#opened : 6);
    const { channelId, committed, capacity, sequence } = this.#rigs.plain.table.read(row);
    let amount = committed + BigInt(1 + from.below(40));
    if (kind === 1) amount = committed;
    else if (kind === 2) amount = committed - BigInt(from.below(3));
    else if (kind === 3) amount = capacity + BigInt(from.below(3) - 1);
    else if (kind === 4 && from.below(3) === 0) amount = EXTREMES[from.below(EXTREMES.length)]!;
    else if (kind === 5 && from.below(4) === 0) amount = (((committed >> 32n) + 1n) << 32n) | BigInt(from.below(3));
    else if (kind === 6 && from.below(8) === 0) amount = from.u64();
    const signature = from.bytes(64);
    // The filter has few cells, so that claims share one without being copies.
    if (from.below(3) === 0) signature.fill(from.below(3), 1);
    signature[0] = from.below(this.#validPerOther) === 0 ? from.below(VERDICTS.length) : 0;
    const claim = claimBytes({
      channelId: kind === 7 ? HANDLES.at(-1 - from.below(4))! : channelId,
      sequence: from.below(8) === 0 ? sequence : (sequence + 1 + from.below(3)) % 2 ** 32,
      amount: BigInt.asUintN(64, amount < 0n ? 0n : amount),
      signature,
      timestamp: 0,
    });
    // Any bits, for the last byte of a claim shares a word with its source.
    claim.set(from.bytes(8), 85);
    if (this.#sent.length < 64) this.#sent.push(claim);
    else this.#sent[from.below(64)] = claim;
    return claim;
  }

  /** A claim again; sometimes with a new timestamp, as a payer sends it, or with another byte changed, which is no copy. */
  #again(): Uint8Array {
    const from = this.#from;
    const claim = this.#sent.at(-1 - from.below(Math.min(this.#sent.length, 8)))!.slice();
    const pick = from.below(4);
    if (pick < 2) claim.set(from.bytes(8), 85);
    else if (pick === 2) claim[22 + from.below(63)]! ^= 1;
    return claim;
  }

  /** Claims back to back, sometimes with other bytes between them, within a buffer that holds claims around them. */
  payload(claimsMax: number): void {
    const from = this.#from;
    const frames: Uint8Array[] = [];
    for (let count = from.below(40) === 0 ? 0 : 1 + from.below(claimsMax); count > 0; count--)
      frames.push(this.claim());
    if (from.below(6) === 0 && frames.length > 0) frames.push(frames[from.below(frames.length)]!);
    const damage = from.below(30);
    if (damage === 0) frames.splice(from.below(frames.length + 1), 0, Uint8Array.of(2, ...from.bytes(ACK_BYTES - 1)));
    else if (damage === 1) frames.splice(from.below(frames.length + 1), 0, Uint8Array.of(from.below(256)));
    else if (damage === 2) frames.push(this.claim().subarray(0, from.below(CLAIM_BYTES)));
    const bytes = new Uint8Array(Buffer.concat([from.bytes(from.below(9)), ...frames, this.claim(), this.claim()]));
    const offset = bytes.length - 2 * CLAIM_BYTES - frames.reduce((sum, { length }) => sum + length, 0);
    const source = SOURCES[from.below(from.below(4) === 0 ? SOURCES.length : 3)]!.slice();
    // The lowest byte is no part of a source: the claim's last byte is there.
    source[0] = (source[0]! & ~0xff) | from.below(256);
    this.#rigs.payload(bytes, offset, bytes.length - 2 * CLAIM_BYTES - offset, source);
  }
}

interface Scenario extends RigOptions {
  name: string;
  claimsMax?: number;
  packetsLeft?: number;
}
const WRAP = 2 ** 32;
const SCENARIOS: Scenario[] = [
  { name: 'a usual ring' },
  { name: 'sequence numbers that wrap', ringSlots: 16, firstSequence: WRAP - 700 },
  { name: 'a ring of one slot', ringSlots: 1, firstSequence: WRAP - 50 },
  { name: 'a ring of two', ringSlots: 2, firstSequence: WRAP - 50 },
  { name: 'a ring of four, syncs beside the thread', ringSlots: 4, firstSequence: WRAP - 50, isOverlapping: true },
  { name: 'syncs beside the thread', ringSlots: 64, isOverlapping: true },
  {
    name: 'syncs beside the thread, a wide ring that wraps',
    ringSlots: 512,
    firstSequence: WRAP - 900,
    isOverlapping: true,
  },
  { name: 'written is enough', durability: 'os', ringSlots: 32 },
  { name: 'hardly any room for acks', ackSlots: 4, ringSlots: 64, packetsLeft: 2 },
  { name: 'strangers in a part of a ring', ringSlots: 64, strangers: 0.5 },
  { name: 'large payloads', ringSlots: 1_024, claimsMax: 120 },
];

describeNative('C beside the steps', () => {
  const rounds = 800;
  const SEEDS = brieflyOrAtLength(2, 4);
  const reached = new Set<CounterName>();

  test.each(SCENARIOS)('$name', ({ name, claimsMax = 15, packetsLeft = Number.POSITIVE_INFINITY, ...options }) => {
    for (let seed = 1; seed <= SEEDS; seed++) {
      const from = random(seed * 1_000 + name.length);
      // The filters compare other signature bytes in each run.
      const rigs = new TwinRigs({ channelsMax: 64, ...options }, seed * 7);
      for (const rig of rigs.pair) rig.transport.packetsLeft = packetsLeft;
      const traffic = new Traffic(rigs, from, seed === 1 ? 6 : 60);
      for (let round = 0; round < rounds; round++) {
        rigs.pass(round % 50 === 0 ? 700 : 3);
        const kind = from.below(20);
        if (kind < 5) traffic.payload(claimsMax);
        else if (kind === 5) traffic.operate();
        else rigs.someStep(from);
        rigs.expectSame(`${name}, seed ${seed}, round ${round}`);
        if (round % 100 === 99) rigs.drain();
      }
      rigs.drain();
      rigs.expectSame(`${name}, seed ${seed}, in the end`);
      rigs.expectSameJournal();
      for (const counter of REACHED) if (rigs.native.counter(counter) > 0) reached.add(counter);
    }
  });

  const REACHED: CounterName[] = [
    'superseded',
    'committed',
    'already',
    'deferred',
    'linkGaps',
    'dropped.emptyDatagram',
  ];
  for (const name of ['unknownChannel', 'badSignature', 'overCapacity', 'channelClosed', 'badAmount'] as const)
    REACHED.push(`refused.${name}`);
  REACHED.push('refused.overloaded', 'refused.badSequence', 'dropped.unknownType', 'dropped.cutFrame');
  REACHED.push('dropped.unexpectedAck', 'dropped.ackRingFull', 'strangers.heldBack');

  afterAll(() => {
    // Otherwise C did too little, and the comparison above says nothing.
    expect([...reached].sort()).toEqual([...REACHED].sort());
    expect(byNative.admitted).toBeGreaterThan(SEEDS * 1_250);
    expect(byNative.staged).toBeGreaterThan(SEEDS * 750);
    expect(byNative.besideASync).toBeGreaterThan(SEEDS * 125);
  });
});

describeNative('groups at their bound', () => {
  /** `count` claims, the n-th by `claim`, in payloads of hundreds. */
  const send = (rigs: TwinRigs, count: number, claim: (index: number) => Uint8Array) => {
    for (let first = 0; first < count; first += 500) {
      const size = Math.min(500, count - first);
      const bytes = new Uint8Array(Buffer.concat(Array.from({ length: size }, (_, index) => claim(first + index))));
      rigs.payload(bytes, 0, bytes.length, SOURCES[(first / 500) % SOURCES.length]!);
    }
    rigs.both((rig) => rig.receive.step(rig.now));
    while (rigs.both((rig) => rig.verify.step()) > 0);
  };
  const opened = (options: RigOptions, channels: number) => {
    const rigs = new TwinRigs({ ringSlots: 16_384, channelsMax: 8_192, ...options });
    for (let id = 1n; id <= channels; id++) rigs.both((rig) => rig.open({ channelId: id, capacity: 2n ** 40n }));
    return rigs;
  };

  test('a group of as many channels as it holds, and one claim more', () => {
    const rigs = opened({}, 5_000);
    send(rigs, GROUP_CLAIMS_MAX + 1, (index) => claimOf({ channelId: BigInt(index + 1), amount: 7n }));
    expect(rigs.both((rig) => rig.commitTurn())).toBe(GROUP_CLAIMS_MAX);
    rigs.expectSame('a full group');
    expect(rigs.both((rig) => rig.commitTurn())).toBe(1);
    rigs.drain();
    rigs.expectSame('after it');
    rigs.expectSameJournal();
    expect(rigs.native.counter('groupCommits')).toBe(2);
  });

  test('a group at the disk that as many claims again join', () => {
    const rigs = opened({ isOverlapping: true }, 5_000);
    const claim = (amount: bigint) => (index: number) => {
      const bytes = claimOf({ channelId: BigInt((index % 4_096) + 1), amount });
      // It is no copy of the claim in flight, since its signature differs.
      bytes[40] = Number(amount);
      return bytes;
    };
    send(rigs, GROUP_CLAIMS_MAX, claim(90n));
    rigs.both((rig) => rig.commitTurn());
    const before = byNative.besideASync;
    send(rigs, GROUP_CLAIMS_MAX, claim(80n));
    expect(rigs.both((rig) => rig.commitTurn())).toBe(GROUP_CLAIMS_MAX);
    expect(byNative.besideASync - before).toBe(GROUP_CLAIMS_MAX);
    rigs.expectSame('joined');
    rigs.both((rig) => rig.files.endSync());
    rigs.drain();
    rigs.expectSame('in the end');
    rigs.expectSameJournal();
    expect(rigs.native.counter('committed')).toBe(2 * GROUP_CLAIMS_MAX);
  });

  test('a channel that everybody claims on: one record, an ack a source, and again for one long not seen', () => {
    const rigs = opened({}, 1);
    const claim = (index: number) => claimOf({ channelId: 1n, amount: BigInt(1 + ((index * 7) % 3_001)) });
    for (let round = 0; round < 40; round++) {
      const bytes = new Uint8Array(Buffer.concat(Array.from({ length: 60 }, (_, index) => claim(round * 60 + index))));
      rigs.payload(bytes, 0, bytes.length, SOURCES[round % SOURCES.length]!);
    }
    rigs.drain();
    rigs.expectSame('one channel');
    rigs.expectSameJournal();
    expect(rigs.native.counter('journalRecords')).toBe(1);
    expect(rigs.native.counter('acked')).toBe(40);
  });

  test.each([
    { of: 'while no signature fails', failures: 0, part: 896 },
    { of: 'under an attack', failures: ATTACK_FAILURES, part: 512 },
  ])('known pairs go through C past the part of strangers $of, who are left to the steps', ({ failures, part }) => {
    const rigs = opened({ ringSlots: 1_024, strangers: 0.5 }, 1_100);
    const known = (amount: bigint) => (index: number) => claimOf({ channelId: BigInt(index + 1), amount });
    send(rigs, 100, known(1n));
    send(rigs, failures, (index) => claimOf({ channelId: BigInt(index + 101), amount: 3n }, false));
    rigs.drain();
    const before = { ...byNative };
    send(rigs, 1_000, (index) => claimOf({ channelId: BigInt(index + 101), amount: 5n }));
    // Below the watch line C takes strangers as well; from there to the end of their part the steps do.
    expect(byNative.admitted - before.admitted).toBe(part / 2);
    expect(rigs.both((rig) => rig.receive.room)).toBe(1_024 - part);
    send(rigs, 100, known(2n));
    expect(byNative.admitted - before.admitted).toBe(part / 2 + 100);
    rigs.drain();
    rigs.expectSame('strangers');
    expect(rigs.native.counter('strangers.heldBack')).toBe(1_000 - part);
  });

  test('plain claims alone go through C, every one, to the last slot and the last drop', () => {
    const before = { ...byNative };
    const count = 2_048;
    const rigs = opened({ ringSlots: count, firstSequence: WRAP - 1_000 }, 100);
    send(rigs, count, (index) => {
      const amount = index === count - 1 ? 2n ** 40n : BigInt(index + 1);
      return claimOf({ channelId: BigInt((index % 100) + 1), amount });
    });
    expect(rigs.both((rig) => rig.receive.room)).toBe(0);
    rigs.drain();
    expect([byNative.admitted - before.admitted, byNative.staged - before.staged]).toEqual([count, count]);
    rigs.expectSame('plain');
  });
});
