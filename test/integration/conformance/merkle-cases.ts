/**
 * Cases of Merkle batches: each frame is judged alone, an altered one moves nothing, ordinary claims cover leaves, and under `xrpl` leaves
 * stay within the exposure.
 */
import { expect } from 'vitest';
import type { ThrowawayChannel } from '../../support/throwaway-claims.ts';
import { type Leaf, type RootFields, rootFrames } from '../../support/throwaway-roots.ts';
import {
  ALREADY,
  BAD_SIGNATURE,
  COMMITTED,
  ROOT_EXPOSURE,
  type Wire,
  type WireAck,
} from '../../support/wire-client.ts';
import type { ConformanceCase } from './cases.ts';
import type { Stage } from './stage.ts';

const EXPOSURE = 100n;
const options = { roots: true, rootExposureDrops: Number(EXPOSURE) };

/** Sends a frame, again where it was lost, until the channel has an answer to this root; a refusal may be the last one for a while. */
async function answerTo(wire: Wire, frame: Uint8Array, channel: ThrowawayChannel, sequence: number): Promise<WireAck> {
  const isAnswer = (ack: WireAck) => ack.channelId === channel.channelId && ack.sequence === sequence;
  for (let tries = 0; tries < 8; tries++) {
    await wire.send(frame);
    const ack = await wire.inbox.first(isAnswer, 2_000);
    if (ack !== undefined) return ack;
  }
  throw new Error(`expected an answer of channel ${channel.channelId} to root ${sequence}, got none`);
}

/** One leaf, and its answer with the leaf's own fields beside it. */
async function expectLeaf(
  stage: Stage,
  wire: Wire,
  [channel, amount]: Leaf,
  status: number,
  answered: bigint,
): Promise<void> {
  const fields = stage.fresh() as RootFields;
  const [frame] = rootFrames([[channel, amount]], fields);
  const ack = await answerTo(wire, frame!, channel, fields.sequence);
  expect(ack).toEqual({ status, amount: answered, channelId: channel.channelId, ...fields });
}

async function eachAlone(stage: Stage): Promise<void> {
  const wire = await stage.wire();
  const channels = await stage.openOfOneKey(130, 'link');
  const fields = stage.fresh() as RootFields;
  const frames = rootFrames(
    channels.map((channel, index) => [channel, BigInt(index + 1)]),
    fields,
  );
  expect(frames.map(({ length }) => length)).toEqual([1_172, 1_172, 148]);
  // The last one first, and the second one never.
  for (const block of [2, 0])
    for (const [index, channel] of channels.slice(block * 64, block * 64 + 64).entries()) {
      const ack = await answerTo(wire, frames[block]!, channel, fields.sequence);
      const amount = BigInt(block * 64 + index + 1);
      expect(ack).toEqual({ status: ack.status, amount, channelId: channel.channelId, ...fields });
      expect(ack.status).toBeLessThanOrEqual(ALREADY);
    }
  for (const index of [0, 63, 128, 129]) await stage.expectAmount(channels[index]!, BigInt(index + 1));
  for (const index of [64, 127]) await stage.expectAmount(channels[index]!, 0n);
}

async function altered(stage: Stage): Promise<void> {
  const wire = await stage.wire();
  const channels = await stage.openOfOneKey(70, 'link');
  const foreign = await stage.open({ profile: 'link' });
  const leaves = channels.map((channel): Leaf => [channel, 9n]);
  // A bit of the signature, a leaf's amount, the timestamp, the number of leaves, a leaf's handle, a hash of the path.
  for (const at of [83, 84 + 15, 19, 7, 84 + 16 + 7, 84 + 64 * 16]) {
    const [frame] = rootFrames(leaves, stage.fresh() as RootFields);
    frame![at]! ^= 1;
    await wire.send(frame!);
  }
  // Signed by another key than the channels'.
  const [stolen] = rootFrames([[foreign, 9n], ...leaves], stage.fresh() as RootFields);
  stolen!.copyWithin(84, 84 + 16, 84 + 32);
  await wire.send(stolen!);
  const fields = stage.fresh() as RootFields;
  const [sound] = rootFrames([[channels[0]!, 5n]], fields);
  expect((await answerTo(wire, sound!, channels[0]!, fields.sequence)).status).toBe(COMMITTED);
  await stage.expectAmount(channels[0]!, 5n);
  for (const channel of channels.slice(1, 4)) await stage.expectAmount(channel, 0n);
  expect(wire.inbox.acks.every(({ status }) => status === BAD_SIGNATURE || status <= ALREADY)).toBe(true);
  expect(wire.isOpen).toBe(true);
}

async function covered(stage: Stage): Promise<void> {
  const wire = await stage.wire();
  const [channel] = (await stage.openOfOneKey(1, 'link')) as [ThrowawayChannel];
  await expectLeaf(stage, wire, [channel, 50n], COMMITTED, 50n);
  await expectLeaf(stage, wire, [channel, 50n], ALREADY, 50n);
  await stage.expectAnswer(wire, channel.claim(50n, stage.fresh()), COMMITTED, 50n);
  await stage.expectAnswer(wire, channel.claim(50n, stage.fresh()), ALREADY, 50n);
  await expectLeaf(stage, wire, [channel, 49n], ALREADY, 49n);
  await expectLeaf(stage, wire, [channel, 51n], COMMITTED, 51n);
  await stage.expectAmount(channel, 51n);
}

async function exposed(stage: Stage): Promise<void> {
  const wire = await stage.wire();
  const [channel, other] = (await stage.openOfOneKey(2, 'xrpl')) as [ThrowawayChannel, ThrowawayChannel];
  await expectLeaf(stage, wire, [channel, 101n], ROOT_EXPOSURE, EXPOSURE);
  await expectLeaf(stage, wire, [channel, 80n], COMMITTED, 80n);
  // The key's channels share the limit.
  await expectLeaf(stage, wire, [other, 21n], ROOT_EXPOSURE, 20n);
  await expectLeaf(stage, wire, [other, 20n], COMMITTED, 20n);
  await expectLeaf(stage, wire, [channel, 81n], ROOT_EXPOSURE, 80n);
  await stage.expectAnswer(wire, channel.claim(80n, stage.fresh()), COMMITTED, 80n);
  await expectLeaf(stage, wire, [channel, 160n], COMMITTED, 160n);
  await stage.expectAmount(channel, 160n);
  await stage.expectAmount(other, 20n);
}

export const MERKLE_CASES: readonly ConformanceCase[] = [
  { name: 'Merkle batches: each frame is judged alone, in any order', run: eachAlone, options },
  { name: 'Merkle batches: what is altered moves nothing', run: altered, options },
  { name: 'Merkle batches: an ordinary claim covers what leaves have paid', run: covered, options },
  { name: 'Merkle batches: xrpl channels of a key stay within the exposure', run: exposed, options },
];
