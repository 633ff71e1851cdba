/**
 * Datagrams from two payers, and steps between them in any order: every claim is settled in the end, nothing stays in the ring, no row
 * falls or passes its capacity, and acks name claims that were sent. An input is records: what to do, a length, bytes.
 */
import assert from 'node:assert/strict';
import { decodeClaim } from '../../../protocol/claim.ts';
import { CLAIM_BYTES } from '../../../protocol/layout.ts';
import { claimOf, Rig, sourceOf } from '../../support/rig.ts';
import type { Target } from '../target.ts';

const CHANNELS = 4;
const CAPACITY = 1n << 40n;
const SOURCES = [sourceOf('10.0.0.1', 4_000), sourceOf('2001:db8::1', 4_001)];
const RECORD_HEADER_BYTES = 3;

export const target: Target = {
  bytesMax: 2_500,
  seeds: () => {
    const claim = (channelId: bigint, amount: bigint, isValid = true) => claimOf({ channelId, amount }, isValid);
    const link = claimOf({ channelId: 4n, amount: 9n, sequence: 3 });
    return [
      record(0, claim(1n, 5n)),
      record(0, claim(1n, 5n), claim(1n, 6n), claim(2n, CAPACITY + 1n), claim(9n, 1n)),
      new Uint8Array([...record(0x11, claim(3n, 7n, false)), ...record(0xf1, claim(3n, 8n), link)]),
      new Uint8Array([...record(0xff, claim(1n, 5n)), ...record(0x10, claim(1n, 5n)), ...record(0xf0, claim(1n, 4n))]),
      record(0xf0, Uint8Array.of(2, ...new Uint8Array(31)), Uint8Array.of(7), claim(1n, 1n).subarray(0, 30)),
    ];
  },
  run(bytes) {
    const rig = new Rig({ ringSlots: 8, channelsMax: 8, batchMax: 4, strangers: 0.5 });
    const rows: number[] = [];
    for (let id = 1; id <= CHANNELS; id++)
      rows.push(rig.open({ channelId: BigInt(id), capacity: CAPACITY, profile: id === CHANNELS ? 'link' : 'xrpl' }));
    let claimsSent = 0;
    const committed = rows.map(() => 0n);
    const look = () => {
      for (const [index, row] of rows.entries()) {
        const now = rig.table.read(row).committed;
        assert(now >= committed[index]! && now <= CAPACITY, `row ${row}: ${now} after ${committed[index]}`);
        committed[index] = now;
      }
      assert(rig.counter('received') >= rig.settled(), 'no claim is settled twice');
    };
    for (let at = 0; at + RECORD_HEADER_BYTES <= bytes.length; ) {
      const what = bytes[at]!;
      const length = Math.min((bytes[at + 1]! << 8) | bytes[at + 2]!, bytes.length - at - RECORD_HEADER_BYTES);
      const datagram = bytes.slice(at + RECORD_HEADER_BYTES, at + RECORD_HEADER_BYTES + length);
      at += RECORD_HEADER_BYTES + length;
      claimsSent += Math.floor(length / CLAIM_BYTES);
      rig.datagram(datagram, SOURCES[what & 1]!);
      rig.now += what & 2;
      if (what & 0x10) rig.receive.step(rig.now);
      if (what & 0x20) rig.verify.step();
      if (what & 0x40) rig.commitTurn();
      if (what & 0x80) rig.ackTurn();
      look();
    }
    rig.turn();
    look();
    assert.equal(rig.settled(), rig.counter('received'), 'every claim is settled');
    assert(rig.counter('received') <= claimsSent);
    assert.equal(rig.ring.depth, 0);
    assert.equal(rig.receive.isHolding, false);
    assert(rig.takeAcks().length <= rig.counter('received'), 'an ack is the answer to a claim');
    const durable = new Map<bigint, bigint>();
    for (const claim of rig.journaled().map((record) => decodeClaim(new DataView(record.buffer), 0)))
      durable.set(claim.channelId, claim.amount);
    for (const [index, amount] of committed.entries())
      assert.equal(durable.get(BigInt(index + 1)) ?? 0n, amount, 'the journal ends with what is committed');
  },
};

function record(what: number, ...parts: Uint8Array[]): Uint8Array {
  const bytes = Buffer.concat(parts);
  return new Uint8Array([what, bytes.length >> 8, bytes.length & 0xff, ...bytes]);
}
