/**
 * Any bytes at the socket: no throw, no stall, and every claim accounted for. The invariant, at any instant:
 *
 *   received = committed + already + refused (by reason) + in the ring + held back
 *
 * and after a drain the last two are 0. Seeded; first through the steps, then over UDP at a running node.
 */
import { rmSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ClaimwireNode } from '../../dist/src/index.js';
import { CLAIM_BYTES, DATAGRAM_BYTES_MAX } from '../../protocol/layout.ts';
import { brieflyOrAtLength } from '../support/length.ts';
import { type Random, random } from '../support/random.ts';
import { claimOf, Rig, rigDefaults, sourceOf } from '../support/rig.ts';
import { openingOf, signedClaim, WirePeer } from '../support/wire.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'claimwire-hostile-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Up to 20 sound claims back to back, then damaged in one of many ways; or mere noise. */
function hostileDatagram(from: Random, claim: () => Uint8Array): Uint8Array {
  if (from.below(10) === 0) return from.bytes(from.below(from.below(50) === 0 ? 4_000 : 200));
  const claims = Buffer.concat(Array.from({ length: 1 + from.below(from.below(20) === 0 ? 20 : 3) }, claim));
  const bytes = new Uint8Array(claims);
  const kind = from.below(7);
  if (kind === 0)
    for (let flips = 1 + from.below(8); flips > 0; flips--) bytes[from.below(bytes.length)]! ^= 1 << from.below(8);
  else if (kind === 1) return bytes.subarray(0, from.below(bytes.length + 1));
  else if (kind === 2) bytes.fill([0, 0xff, 1, 2][from.below(4)]!, from.below(bytes.length), from.below(bytes.length));
  else if (kind === 3) bytes.copyWithin(from.below(bytes.length), from.below(bytes.length));
  else if (kind === 4) bytes[from.below(bytes.length / CLAIM_BYTES) * CLAIM_BYTES] = from.below(256);
  return bytes;
}

/** With C taking the plain claims (native-path-suites.test.ts) as many once more. */
const DATAGRAMS = brieflyOrAtLength(12_000, 100_000);

test(`${DATAGRAMS} hostile datagrams through the steps`, () => {
  const from = random(66);
  const rig = new Rig({ ringSlots: 32, batchMax: 16 });
  for (let id = 1n; id <= 30n; id++)
    rig.open({ channelId: id, profile: id % 2n === 0n ? 'link' : 'xrpl', capacity: 2n ** 60n });
  let tick = 0;
  let last = claimOf({ channelId: 1n, amount: 1n });
  const sound = () => {
    if (from.below(20) === 0) return last;
    // Rising on the whole, so that claims keep being new.
    tick += 10;
    const amount = from.below(50) === 0 ? from.u64() : BigInt(tick + from.below(2_000));
    last = claimOf({ channelId: BigInt(from.below(32)), amount, sequence: from.u32() }, from.below(10) > 0);
    return last;
  };
  for (let count = 0; count < DATAGRAMS; count++) {
    const source = sourceOf(`10.${from.below(3)}.0.1`, from.below(65_536));
    rig.datagram(hostileDatagram(from, sound), source);
    rig.now += from.below(3);
    const step = from.below(12);
    if (step < 3) rig.receive.step(rig.now);
    else if (step < 5) rig.verify.step();
    else if (step < 7) rig.commitTurn();
    else if (step < 8) rig.ackTurn();
    if (count % 5_000 === 0) {
      rig.turn();
      expect(rig.settled()).toBe(rig.counter('received'));
      expect(rig.ring.depth).toBe(0);
      expect(rig.receive.isHolding).toBe(false);
    } else if (count % 8 === 0) {
      const inside = rig.counter('received') - rig.settled();
      const published = rig.ring.depth;
      expect(inside).toBeGreaterThanOrEqual(published);
      expect(inside).toBeLessThanOrEqual(32 + 1_024);
    }
  }
  rig.turn();
  expect(rig.settled()).toBe(rig.counter('received'));
  const sent = rig.takeAcks();
  expect(rig.counter('acked')).toBe(sent.length);
  expect(sent.length).toBeLessThanOrEqual(rig.counter('received'));
  expect(rig.counter('datagrams')).toBe(DATAGRAMS);
  for (const reason of ['unknownType', 'cutFrame', 'emptyDatagram', 'unexpectedAck'] as const)
    expect(rig.counter(`dropped.${reason}`), reason).toBeGreaterThan(DATAGRAMS / 1_000);
  for (const reason of [
    'unknownChannel',
    'badSignature',
    'badAmount',
    'overCapacity',
    'overloaded',
    'badSequence',
  ] as const)
    expect(rig.counter(`refused.${reason}`), reason).toBeGreaterThan(100);
  for (const name of ['committed', 'already', 'deferred'] as const)
    expect(rig.counter(name), name).toBeGreaterThan(100);
  // Nothing but the stub's valid signatures ever moved a balance, and none passed its capacity.
  for (let row = 0; row < rig.table.rows; row++) {
    const { committed, capacity, signature } = rig.table.read(row);
    expect(committed).toBeLessThanOrEqual(capacity);
    expect(signature[0]! & 1).toBe(0);
  }
}, 120_000);

test('the largest datagram, all claims, is taken whole', () => {
  const rig = new Rig({ ringSlots: 1_024 });
  rig.open({ channelId: 1n });
  const count = Math.floor(DATAGRAM_BYTES_MAX / CLAIM_BYTES);
  const claims = Array.from({ length: count }, (_, index) => claimOf({ channelId: 1n, amount: BigInt(index + 1) }));
  rig.datagram(new Uint8Array(Buffer.concat(claims)), sourceOf('10.0.0.1', 9));
  rig.turn();
  expect(rig.counter('committed')).toBe(count);
  expect(rig.takeAcks()).toHaveLength(1);
});

const TO_A_NODE = brieflyOrAtLength(1_500, 4_000);
// What a node does does not depend on what the rig does, which runs these tests a second time with C.
test.skipIf(rigDefaults.path === 'native').each(['pipeline', 'lanes'] as const)(
  'a running node (%s) takes them too, and goes on',
  async (layout) => {
    const from = random(layout.length);
    const node = await ClaimwireNode.start({
      data: join(folder, layout),
      udp: { host: '127.0.0.1', port: 0 },
      layout,
      verifiers: 2,
      channelsMax: 64,
      segmentBytes: 1 << 20,
    });
    const peer = await WirePeer.to(node.udp);
    try {
      await node.openChannels(Array.from({ length: 10 }, (_, index) => openingOf(BigInt(index + 1))));
      const signed = Array.from({ length: 60 }, (_, index) => signedClaim(BigInt(1 + (index % 12)), BigInt(index + 1)));
      for (let count = 0; count < TO_A_NODE; count++) {
        const datagram = hostileDatagram(from, () => signed[from.below(signed.length)]!);
        await peer.send(datagram);
      }
      expect(await peer.ask(signedClaim(3n, 999_999n))).toMatchObject({ amount: 999_999n });
    } finally {
      peer.close();
    }
    const { counters } = (await node.stop()) as unknown as {
      counters: { received: number; committed: number; already: number; datagrams: number } & Record<
        'refused' | 'dropped',
        Record<string, number>
      >;
    };
    const refused = Object.values(counters.refused).reduce((sum, count) => sum + count, 0);
    expect(counters.datagrams).toBeGreaterThan(TO_A_NODE / 4);
    expect(counters.received).toBe(counters.committed + counters.already + refused);
    const again = await ClaimwireNode.start({
      data: join(folder, layout),
      udp: { host: '127.0.0.1', port: 0 },
      layout,
    });
    expect(again.channel(3n)!.committed).toBe(999_999n);
    await again.stop();
  },
  60_000,
);
