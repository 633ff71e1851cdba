/** What is sent once more when shards move: the newest claim of each channel that waits, at its next holder, until it is answered. */
import { beforeEach, expect, test } from 'vitest';
import { CLAIM_AMOUNT, CLAIM_BYTES, CLAIM_CHANNEL_ID, CLAIM_SEQUENCE, SHARDS } from '../../../../protocol/index.ts';
import { LoadChannels } from '../../../../src/load/channels.ts';
import { Deal } from '../../../../src/load/cluster/deal.ts';
import { AGAIN_MS, Resends } from '../../../../src/load/cluster/resends.ts';
import { Outstanding } from '../../../../src/load/outstanding.ts';
import { Random } from '../../../../src/load/random.ts';
import { Recorder } from '../../../../src/load/recorder.ts';
import { ChannelPicker } from '../../../../src/load/skew.ts';
import { SignedSource } from '../../../../src/load/source.ts';

const CHANNELS = 40;
const PER_DATAGRAM = 4;
const channels = LoadChannels.derive(1, CHANNELS, 1);
const all = Array.from({ length: CHANNELS }, (_, channel) => channel);
const to = (node: number) => new Array<number>(SHARDS).fill(node);

let left: { socket: number; channel: number; amount: number; sequence: number }[];
let datagrams: number;
let isFull: boolean;
let moves: number;
let recorder: Recorder;
let outstanding: Outstanding;
let deal: Deal;
let resends: Resends;

beforeEach(() => {
  left = [];
  datagrams = 0;
  isFull = false;
  moves = 0;
  recorder = new Recorder(0);
  outstanding = new Outstanding(64, channels.queues, recorder);
  deal = new Deal(channels, 1);
  for (const channel of all) channels.setSigned(channel, 0);
  const link = {
    send(socket: number, slots: Uint32Array, count: number): boolean {
      if (isFull) return false;
      datagrams += 1;
      for (const slot of slots.subarray(0, count)) {
        const claim = new DataView(channels.arena.bytes.slice(slot, slot + CLAIM_BYTES).buffer);
        const channel = channels.find(claim.getBigUint64(CLAIM_CHANNEL_ID));
        const amount = Number(claim.getBigUint64(CLAIM_AMOUNT));
        left.push({ socket, channel, amount, sequence: claim.getUint32(CLAIM_SEQUENCE) });
      }
      return true;
    },
  };
  const picker = new ChannelPicker(CHANNELS, 1, 0, new Random(1, 'channels'));
  const signer = { name: 'native', batchMax: 16, sign() {} } as const;
  const source = new SignedSource(channels, picker, signer, new Random(1, 'stale'), PER_DATAGRAM);
  const parts = { channels, outstanding, source, deal, perDatagram: PER_DATAGRAM, onMoved: () => moves++ };
  resends = new Resends({ ...parts, link: link as never }, recorder);
});

/** A claim leaves. */
function claim(channel: number): void {
  channels.setSigned(channel, channels.signed(channel) + 1);
  outstanding.add(channel, channels.signed(channel), 1, 1, false);
}
const cover = (channel: number, amount: number) => outstanding.cover(channel, amount, true, 2);

test('after MOVED the newest claim is sent a little later, once each time until it is answered, as a copy of the first', () => {
  claim(3);
  claim(5);
  claim(3);
  resends.moved(3, 100);
  resends.moved(3, 101);
  resends.send(100);
  resends.send(100 + AGAIN_MS - 1);
  expect(left).toEqual([]);
  resends.send(100 + AGAIN_MS);
  expect(left).toEqual([{ socket: 0, channel: 3, amount: 2, sequence: 2 }]);
  resends.send(100 + AGAIN_MS);
  expect(left.length).toBe(1);
  resends.send(100 + 2 * AGAIN_MS);
  expect(left.length).toBe(2);
  cover(3, 2);
  resends.send(1_000);
  expect(left.length).toBe(2);
  expect(recorder.counts).toMatchObject({ moved: 2, resent: 2, datagrams: 2, sent: 0 });
  expect([moves, resends.claims]).toEqual([2, 2]);
});

test('a new map: what waits goes to the next holder at once, before what others wait for; what is answered does not', () => {
  deal.take(to(0));
  for (const channel of [1, 2, 3]) claim(channel);
  cover(2, 1);
  resends.moved(3, 100);
  resends.redealt([1, 2]);
  deal.take(to(1));
  resends.send(100);
  expect(left).toEqual([{ socket: 1, channel: 1, amount: 1, sequence: 0 }]);
  resends.send(100 + AGAIN_MS);
  expect(left.slice(1).map(({ channel }) => channel)).toEqual([3, 1]);
});

test('many channels: a batch at a time, in datagrams of one node each', () => {
  const nodes = Array.from({ length: SHARDS }, (_, shard) => shard % 2);
  for (const channel of all) claim(channel);
  deal.take(nodes);
  resends.redealt(all);
  for (let turn = 0; turn < 3; turn++) resends.send(10);
  expect(left.map(({ channel }) => channel).toSorted((a, b) => a - b)).toEqual(all);
  for (const { socket, channel } of left) expect(socket).toBe(deal.socketOf(channel));
  expect(datagrams).toBeLessThanOrEqual(CHANNELS / PER_DATAGRAM + 3);
  resends.send(10);
  expect(left.length).toBe(CHANNELS);
});

test('a full socket: the claim has its turn again, and is not counted', () => {
  claim(7);
  resends.redealt([7]);
  isFull = true;
  resends.send(10);
  expect([resends.claims, recorder.counts.resent]).toEqual([0, 0]);
  isFull = false;
  resends.send(10 + AGAIN_MS);
  expect(left.map(({ channel }) => channel)).toEqual([7]);
});

test('a claim that was answered out of turn keeps its number for the copy; one that nothing waits behind is not sent', () => {
  claim(4);
  claim(4);
  outstanding.answer(4, 1, 2, true, 2);
  expect(outstanding.waiting(4)).toBe(1);
  cover(4, 2);
  expect(outstanding.waiting(4)).toBe(-1);
  for (let number = 0; number < 100; number++) claim(9);
  expect(outstanding.waiting(9)).toBe(outstanding.next - 1);
});
