/** A train of datagrams, handed to C in one go as far as its claims are plain, is received as its datagrams one by one are. */
import { expect, test } from 'vitest';
import { CLAIM_BYTES } from '../../../protocol/layout.ts';
import { describeNative } from '../../support/native-only.ts';
import { random } from '../../support/random.ts';
import { claimOf, Rig, sourceOf } from '../../support/rig.ts';

const ALICE = sourceOf('127.0.0.1', 5001);
const CHANNELS = 5n;
const COUNTED = [
  'datagrams',
  'received',
  'already',
  'committed',
  'verified',
  'deferred',
  'refused.unknownChannel',
  'dropped.unexpectedAck',
  'dropped.unknownType',
  'dropped.cutFrame',
] as const;

function rigWithChannels(): Rig {
  const rig = new Rig({ path: 'native', ringSlots: 64 });
  for (let channelId = 1n; channelId <= CHANNELS; channelId++)
    rig.open({ channelId, ...(channelId === CHANNELS && { profile: 'link' as const }) });
  return rig;
}

/** As NativeUdp hands a message over (transport/udp-native.ts). */
function handOver(rig: Rig, bytes: Uint8Array, segment: number, isTrain: boolean): void {
  rig.receive.now = rig.now;
  let done = isTrain ? rig.receive.train(bytes, 0, bytes.length, segment, ALICE) : 0;
  expect(done % CLAIM_BYTES).toBe(0);
  while (done < bytes.length) {
    const length = Math.min(segment - (done % segment), bytes.length - done);
    const view = new DataView(bytes.buffer, bytes.byteOffset);
    rig.receive.payload(bytes, view, done, length, ALICE);
    done += length;
  }
}

describeNative('trains', () => {
  test('of plain claims, old ones, copies, unknown channels and other frames: the same answers, counters and balances', () => {
    const from = random(3);
    const [whole, single] = [rigWithChannels(), rigWithChannels()];
    let wholly = 0;
    for (let train = 1; train <= 300; train++) {
      const perDatagram = 1 + from.below(15);
      const claims = Array.from({ length: 1 + from.below(3 * perDatagram) }, (_, index) => {
        const odd = train % 3 === 0 && from.below(6) === 0;
        const channelId = BigInt(1 + from.below(Number(CHANNELS) + (odd ? 2 : -1)));
        // Of its own, since both filters draw the bits that they look at.
        const signature = from.bytes(64);
        signature[0]! &= 0xfe;
        const bytes = claimOf({
          channelId,
          signature,
          amount: BigInt(train * 50 + (odd ? -60 : index)),
          sequence: train,
          timestamp: train * 50 + index,
        });
        if (odd && from.below(2) === 0) bytes[0] = from.below(256);
        return bytes;
      });
      if (from.below(4) === 0) claims.push(claims[0]!);
      const bytes = new Uint8Array(Buffer.concat(claims));
      const received = whole.ring.next;
      handOver(whole, bytes, perDatagram * CLAIM_BYTES, true);
      handOver(single, bytes, perDatagram * CLAIM_BYTES, false);
      if (((whole.ring.next - received) >>> 0) * CLAIM_BYTES === bytes.length) wholly++;
      whole.turn();
      single.turn();
      expect(whole.takeAcks()).toEqual(single.takeAcks());
    }
    expect(wholly).toBeGreaterThan(100);
    for (const name of COUNTED) expect([name, whole.counter(name)]).toEqual([name, single.counter(name)]);
    expect(whole.counter('refused.unknownChannel')).toBeGreaterThan(10);
    for (let row = 0; row < Number(CHANNELS); row++) expect(whole.table.read(row)).toEqual(single.table.read(row));
  });

  test('a datagram of which a part was taken counts once', () => {
    const rig = rigWithChannels();
    const claims = [1n, 2n, 3n, 4n].map((amount) => claimOf({ channelId: 1n, amount }));
    claims[1]![0] = 0xee;
    handOver(rig, new Uint8Array(Buffer.concat(claims)), 2 * CLAIM_BYTES, true);
    expect(rig.counter('datagrams')).toBe(2);
    expect(rig.counter('received')).toBe(3);
  });

  test('a train longer than the room in the ring: what has room enters, the rest is refused', () => {
    for (const taken of [0, 1, 15, 16, 17, 31, 40]) {
      const rig = rigWithChannels();
      const claims = Array.from({ length: 64 + 9 }, (_, index) =>
        claimOf({ channelId: 1n, amount: BigInt(index + 1) }),
      );
      const bytes = new Uint8Array(Buffer.concat(claims));
      for (let claim = 0; claim < taken; claim++)
        rig.datagram(claimOf({ channelId: 2n, amount: BigInt(claim + 1) }), ALICE);
      rig.receive.now = rig.now;
      const admitted = rig.receive.train(bytes, 0, bytes.length, 15 * CLAIM_BYTES, ALICE) / CLAIM_BYTES;
      expect([taken, admitted]).toEqual([taken, 64 - taken]);
      handOver(rig, bytes.slice(admitted * CLAIM_BYTES), 15 * CLAIM_BYTES, true);
      expect(rig.counter('refused.overloaded')).toBe(73 - admitted);
    }
  });
});
