/**
 * C's loops for leaves of Merkle batches against the steps alone, in lock-step, as native-path.test.ts has it for claims: roots over
 * some channels, `link` and `xrpl`, whole and spoilt frames, repeated and old ones, with claims on their own and an operator between.
 */
import { afterAll, expect, test } from 'vitest';
import { GROUP_CLAIMS_MAX } from '../../src/path/commit-group.ts';
import type { CounterName } from '../../src/ring/counters.ts';
import { brieflyOrAtLength } from '../support/length.ts';
import { describeNative } from '../support/native-only.ts';
import { type Random, random } from '../support/random.ts';
import { claimOf, type RigOptions, sourceOf } from '../support/rig.ts';
import { framesOf, type Leaf } from '../support/root-frames.ts';
import { testSigner } from '../support/test-signer.ts';
import { byNative, TwinRigs, VERDICTS } from '../support/twin-rigs.ts';

const PAYER = testSigner(new Uint8Array(32).fill(7));
const CHANNELS = 150;
const LINKS = 110;
const SOURCES = [sourceOf('192.0.2.1', 4_000), sourceOf('192.0.2.1', 4_001), sourceOf('2001:db8::7', 4_000)];
for (let index = 0; index < 12; index++) SOURCES.push(sourceOf(`10.0.0.${index}`, 9));
const CAPACITIES = [900n, 2n ** 32n + 5n, 2n ** 40n, 2n ** 64n - 1n];
const WRAP = 2 ** 32;

function open(rigs: TwinRigs, count: number, of: (index: number) => { profile: 'link' | 'xrpl'; capacity: bigint }) {
  for (let index = 0; index < count; index++) {
    const channel = { channelId: BigInt(index + 1), publicKey: PAYER.publicKey, ...of(index) };
    rigs.both((rig) => rig.open(channel));
  }
}

/** What happens to both rigs: seeded, and by the state of the one without C. */
class Traffic {
  readonly #from: Random;
  readonly #rigs: TwinRigs;
  readonly #sent: Uint8Array[] = [];
  #sequence = 1;

  constructor(rigs: TwinRigs, from: Random) {
    this.#rigs = rigs;
    this.#from = from;
    open(rigs, CHANNELS, (index) => ({
      profile: index >= LINKS || index === 5 ? 'xrpl' : 'link',
      capacity: index % 20 === 0 ? CAPACITIES[from.below(CAPACITIES.length)]! : 2n ** 40n,
    }));
  }

  #amount(row: number, isPlain: boolean): bigint {
    const from = this.#from;
    const { committed } = this.#rigs.plain.table.read(row);
    const kind = isPlain ? -1 : from.below(20);
    if (kind === 0) return committed;
    if (kind === 1) return ((committed >> 32n) + 1n) << 32n;
    if (kind === 2) return committed + 2_000n;
    return committed + BigInt(1 + from.below(30));
  }

  #nextSequence(): number {
    const from = this.#from;
    if (from.below(10) === 0) return Math.max(0, this.#sequence - from.below(4));
    this.#sequence += 1 + from.below(2);
    return this.#sequence;
  }

  /** The frames of a root over some channels in a row, or over a few of them. */
  root(): void {
    const from = this.#from;
    const isSmall = from.below(3) === 0;
    const count = isSmall ? 1 + from.below(6) : 1 + from.below(CHANNELS);
    const first = isSmall ? from.below(16) : from.below(CHANNELS - count + 1);
    const isPlain = from.below(3) > 0;
    const leaves: Leaf[] = Array.from({ length: count }, (_, index) => ({
      channelId: BigInt(first + index + 1),
      amount: this.#amount(first + index, isPlain),
    }));
    for (const frame of framesOf(PAYER, leaves, { sequence: this.#nextSequence() })) {
      if (from.below(12) === 0) frame[20 + from.below(frame.length - 20)]! ^= 1;
      if (from.below(10) > 0) this.#send(frame);
      this.#keep(frame);
      if (from.below(6) === 0) this.claim();
    }
  }

  again(): void {
    if (this.#sent.length > 0) this.#send(this.#sent[this.#from.below(this.#sent.length)]!);
  }

  claim(): void {
    const from = this.#from;
    const row = from.below(from.below(2) === 0 ? 8 : CHANNELS);
    const { committed, rooted } = this.#rigs.plain.table.read(row);
    // Sometimes it covers a part of what leaves have paid.
    const isBelow = rooted !== undefined && from.below(2) === 0;
    const amount = isBelow ? rooted.committed + BigInt(1 + from.below(20)) : committed + BigInt(from.below(30));
    const claim = claimOf({ channelId: BigInt(row + 1), amount, sequence: this.#nextSequence() });
    claim[21] = from.below(8) === 0 ? from.below(VERDICTS.length) : 0;
    this.#send(claim);
  }

  operate(): void {
    const from = this.#from;
    const row = from.below(from.below(2) === 0 ? 4 : CHANNELS);
    const { committed } = this.#rigs.plain.table.read(row);
    const now = Math.floor(this.#rigs.plain.now / 1_000);
    const capacity = committed + BigInt(from.below(200));
    const changes = [{ capacity }, { open: false }, { expiresAt: now + from.below(3) }];
    const change = changes[from.below(6)] ?? { capacity: 2n ** 64n - 1n, open: true, expiresAt: 0 };
    this.#rigs.both((rig) => rig.table.change(row, change));
  }

  #keep(frame: Uint8Array): void {
    if (this.#sent.length < 16) this.#sent.push(frame);
    else this.#sent[this.#from.below(16)] = frame;
  }

  #send(bytes: Uint8Array): void {
    const from = this.#from;
    const source = SOURCES[from.below(from.below(3) === 0 ? SOURCES.length : 2)]!.slice();
    // The lowest byte is no part of a source: the claim's last byte is there.
    source[0] = (source[0]! & ~0xff) | from.below(256);
    this.#rigs.payload(bytes, 0, bytes.length, source);
  }
}

interface Scenario extends RigOptions {
  name: string;
  claimsMax?: number;
}
const SCENARIOS: Scenario[] = [
  { name: 'a usual ring' },
  { name: 'sequence numbers that wrap', firstSequence: WRAP - 700 },
  { name: 'a narrow ring', ringSlots: 64, firstSequence: WRAP - 50 },
  { name: 'syncs beside the thread', isOverlapping: true },
  { name: 'groups of a few', claimsMax: 37, isOverlapping: true },
  { name: 'written is enough, strangers in a part of the ring', durability: 'os', strangers: 0.5 },
];

describeNative('C beside the steps, for leaves', () => {
  const ROUNDS = brieflyOrAtLength(180, 2_000);
  const reached = new Set<CounterName>();

  test.each(SCENARIOS)('$name', ({ name, claimsMax, ...options }) => {
    const from = random(name.length);
    const rigs = new TwinRigs({ channelsMax: 256, ringSlots: 512, roots: { exposureMax: 1_500 }, ...options });
    if (claimsMax !== undefined) for (const rig of rigs.pair) rig.settings.set('groupClaims', claimsMax);
    const traffic = new Traffic(rigs, from);
    for (let round = 0; round < ROUNDS; round++) {
      rigs.pass(round % 50 === 0 ? 700 : 3);
      const kind = from.below(16);
      if (kind < 3) traffic.root();
      else if (kind === 3) traffic.again();
      else if (kind === 4) traffic.claim();
      else if (kind === 5) traffic.operate();
      else rigs.someStep(from);
      rigs.expectSame(`${name}, round ${round}`);
      if (round % 100 === 99) rigs.drain();
    }
    rigs.drain();
    rigs.expectSame(`${name}, in the end`);
    rigs.expectSameJournal();
    for (const counter of REACHED) if (rigs.native.counter(counter) > 0) reached.add(counter);
  });

  const REACHED: CounterName[] = ['committed', 'already', 'roots.failed', 'roots.repeated', 'roots.unanswered'];
  for (const name of ['badSignature', 'overCapacity', 'channelClosed', 'badSequence', 'rootExposure'] as const)
    REACHED.push(`refused.${name}`);

  afterAll(() => {
    // Otherwise C did too little, and the comparison above says nothing.
    expect([...reached].sort()).toEqual([...REACHED].sort());
    const { leavesEntered, leaves, leavesBesideASync } = byNative;
    expect(leavesEntered, 'entered').toBeGreaterThan(300);
    expect(leaves, 'staged').toBeGreaterThan(500);
    expect(leavesBesideASync, 'staged beside a sync').toBeGreaterThan(50);
  });
});

describeNative('leaves at the bounds of a group', () => {
  const roundOf = (rigs: TwinRigs, channels: number, amount: bigint, sequence: number, first = 1) => {
    const leaves = Array.from({ length: channels }, (_, index) => ({ channelId: BigInt(first + index), amount }));
    for (const frame of framesOf(PAYER, leaves, { sequence })) rigs.payload(frame, 0, frame.length, SOURCES[0]!);
    rigs.both((rig) => rig.receive.step(rig.now));
    while (rigs.both((rig) => rig.verify.step()) > 0);
  };

  test('all but the first of each frame go through C, for channels that had leaves, up to a full group and beyond', () => {
    const channels = GROUP_CLAIMS_MAX + 70;
    const rigs = new TwinRigs({ ringSlots: 8_192, channelsMax: 8_192, roots: {}, isOverlapping: true });
    open(rigs, channels, () => ({ profile: 'link', capacity: 2n ** 40n }));
    roundOf(rigs, channels, 7n, 1);
    rigs.drain();
    rigs.expectSame('the first leaves');
    const before = { ...byNative };
    roundOf(rigs, channels, 2n ** 33n, 2);
    expect(rigs.both((rig) => rig.commitTurn())).toBe(GROUP_CLAIMS_MAX);
    rigs.expectSame('a full group');
    expect(rigs.both((rig) => rig.commitTurn())).toBe(70);
    rigs.expectSame('the rest');
    // While the first group is at the disk, each is for more than what that one has.
    roundOf(rigs, 64, 2n ** 34n, 3);
    rigs.both((rig) => rig.commitTurn());
    rigs.drain();
    rigs.expectSame('in the end');
    rigs.expectSameJournal();
    expect(byNative.leavesEntered - before.leavesEntered).toBe(channels + 64);
    expect(byNative.leaves - before.leaves).toBe(channels + 64 - Math.ceil(channels / 64) - 1);
    expect(rigs.native.table.read(0).rooted?.leaf?.amount).toBe(2n ** 34n);
    expect(rigs.native.counter('committed')).toBe(2 * channels + 64);
  });

  test('what claims have paid before the first leaf stays what can be redeemed', () => {
    const rigs = new TwinRigs({ channelsMax: 64, roots: {} });
    open(rigs, 20, () => ({ profile: 'link', capacity: 1_000n }));
    for (let channelId = 1n; channelId <= 20n; channelId++) {
      const claim = claimOf({ channelId, amount: 5n });
      claim[21] = 0;
      rigs.payload(claim, 0, claim.length, SOURCES[0]!);
    }
    rigs.drain();
    roundOf(rigs, 20, 9n, 2);
    rigs.drain();
    rigs.expectSame('leaves for more than claims');
    expect(rigs.native.table.read(3)).toMatchObject({ committed: 9n, rooted: { committed: 5n } });
  });

  test('a leaf whose channel has a newer sequence is left to the steps, in the middle of its frame', () => {
    const rigs = new TwinRigs({ channelsMax: 64, roots: {} });
    open(rigs, 20, () => ({ profile: 'link', capacity: 1_000n }));
    roundOf(rigs, 20, 7n, 1);
    rigs.drain();
    roundOf(rigs, 3, 8n, 5, 10);
    rigs.drain();
    rigs.expectSame('a newer root');
    const before = byNative.leaves;
    roundOf(rigs, 20, 9n, 4);
    rigs.drain();
    rigs.expectSame('an older one');
    expect(byNative.leaves - before).toBe(8);
    expect(rigs.native.counter('refused.badSequence')).toBe(3);
  });
});
