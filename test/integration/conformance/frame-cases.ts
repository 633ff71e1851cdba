/**
 * Cases of the walk: where a payload's frames end, and that what stands before the end stands.
 */
import { expect } from 'vitest';
import { random } from '../../support/random.ts';
import { CLAIM_SIZE } from '../../support/throwaway-claims.ts';
import { COMMITTED, UNKNOWN_CHANNEL, type Wire } from '../../support/wire-client.ts';
import { packed } from './ack-cases.ts';
import type { ConformanceCase } from './cases.ts';
import type { Stage } from './stage.ts';

/** Types of the frame range that are none yet; and bytes no frame begins with. 0x80 at the front is a control message. */
const NO_TYPES_YET = [0x03, 0x04, 0x05, 0x7f];
const NEVER_TYPES = [0x00, 0x81, 0xff];

/** Sends a payload whose first claim must be answered, and nothing of whose rest. */
async function expectOnlyFirst(stage: Stage, wire: Wire, first: Uint8Array, rest: Uint8Array): Promise<void> {
  const before = wire.inbox.acks.length;
  const payload = packed([first, rest]);
  await wire.send(payload);
  await stage.expectDurable(wire, first);
  const acks = wire.inbox.acks.slice(before);
  const { channelId } = fieldsOf(first);
  expect(acks.every((ack) => ack.channelId === channelId)).toBe(true);
}
function fieldsOf(claim: Uint8Array) {
  const view = new DataView(claim.buffer, claim.byteOffset);
  return { channelId: view.getBigUint64(1), sequence: view.getUint32(9) };
}

async function unknownTypes(stage: Stage): Promise<void> {
  const wire = await stage.wire();
  const channel = await stage.open();
  const hidden = await stage.open();
  const before = stage.counter('dropped.unknownType');
  let amount = 0n;
  for (const type of [...NO_TYPES_YET, ...NEVER_TYPES, 0x80]) {
    const behind = packed([Uint8Array.of(type), hidden.claim(++amount, stage.fresh())]);
    await expectOnlyFirst(stage, wire, channel.claim(amount, stage.fresh()), behind);
  }
  for (const type of NO_TYPES_YET) {
    await wire.send(packed([Uint8Array.of(type), hidden.claim(++amount, stage.fresh())]));
    await stage.expectDurable(wire, channel.claim(amount, stage.fresh()));
  }
  await stage.expectCounter('dropped.unknownType', before + 2 * NO_TYPES_YET.length + NEVER_TYPES.length + 1);
  expect(wire.isOpen).toBe(true);
  expect(wire.inbox.acks.some(({ channelId }) => channelId === hidden.channelId)).toBe(false);
  await stage.expectAmount(hidden, 0n);
}

/** The specification's "other": dropped and counted, whatever the transport, and the wire goes on. */
async function neitherFramesNorControl(stage: Stage): Promise<void> {
  const wire = await stage.wire();
  const channel = await stage.open();
  const hidden = await stage.open();
  let amount = 0n;
  for (const type of NEVER_TYPES) {
    await wire.send(packed([Uint8Array.of(type), hidden.claim(++amount, stage.fresh())]));
    await stage.expectDurable(wire, channel.claim(amount, stage.fresh()));
  }
  expect(wire.isOpen).toBe(true);
  await stage.expectAmount(hidden, 0n);
}

async function cutFrames(stage: Stage): Promise<void> {
  const wire = await stage.wire();
  const channel = await stage.open();
  const hidden = await stage.open();
  const before = stage.counter('dropped.cutFrame');
  const cut = hidden.claim(1n, stage.fresh());
  for (let length = 1; length < CLAIM_SIZE; length++) {
    const first = channel.claim(BigInt(length), stage.fresh());
    await expectOnlyFirst(stage, wire, first, cut.subarray(0, length));
    await wire.send(cut.subarray(0, length));
  }
  await stage.expectDurable(wire, channel.claim(BigInt(CLAIM_SIZE), stage.fresh()));
  await stage.expectCounter('dropped.cutFrame', before + 2 * (CLAIM_SIZE - 1));
  expect(wire.isOpen).toBe(true);
  await stage.expectAmount(hidden, 0n);
}

/** What a node says is no business of a node's: skipped, whole, and the claims around it stand. */
async function acksAtTheNode(stage: Stage): Promise<void> {
  const wire = await stage.wire();
  const channels = await stage.openMany(3);
  const before = stage.counter('dropped.unexpectedAck');
  const ack = new Uint8Array(32).fill(2);
  const claims = channels.map((channel) => channel.claim(3n, stage.fresh()));
  await wire.send(packed([ack, claims[0]!, ack, ack, claims[1]!, claims[2]!, ack]));
  for (const channel of channels) {
    await expect
      .poll(() => wire.inbox.acks.find(({ channelId }) => channelId === channel.channelId), { timeout: 15_000 })
      .toMatchObject({ status: COMMITTED, amount: 3n });
  }
  expect(stage.counter('dropped.unexpectedAck')).toBe(before + 4);
}

async function largestPayload(stage: Stage): Promise<void> {
  const wire = await stage.wire();
  const channel = await stage.open();
  const count = Math.floor(stage.entry.payloadBytesMax / CLAIM_SIZE);
  const claims = Array.from({ length: count - 1 }, (_, index) => channel.claim(BigInt(index + 1), stage.fresh()));
  const stranger = stage.unopened();
  // The last claim of all is answered, so nothing before it was cut.
  const last = stranger.claim(1n, stage.fresh());
  const full = packed([...claims, last, new Uint8Array(stage.entry.payloadBytesMax % CLAIM_SIZE).fill(1)]);
  expect(full.length).toBe(stage.entry.payloadBytesMax);
  await wire.send(full);
  const isLast = ({ channelId }: { channelId: bigint }) => channelId === stranger.channelId;
  expect(await wire.inbox.first(isLast, 15_000)).toMatchObject({ status: UNKNOWN_CHANNEL });
  await stage.expectDurable(wire, claims.at(-1)!);
  await stage.expectAmount(channel, BigInt(claims.length));
}

/** Any bytes, and the honest payer beside them is served. */
async function noise(stage: Stage): Promise<void> {
  let wire = await stage.wire();
  const honest = await stage.wire();
  const channel = await stage.open();
  const from = random(2_026);
  for (let amount = 1n; amount <= 60n; amount++) {
    const bytes = from.bytes(1 + from.below(300));
    // Never a control message, which a stream answers in its own way.
    if (bytes[0] === 0x80) bytes[0] = 0x01;
    if (!wire.isOpen) wire = await stage.wire();
    await wire.send(bytes);
    await stage.expectAnswer(honest, channel.claim(amount, stage.fresh()), COMMITTED, amount);
  }
}

export const FRAME_CASES: readonly ConformanceCase[] = [
  { name: 'an unknown frame type ends the walk', run: unknownTypes },
  { name: 'a payload that is neither frames nor control is dropped', run: neitherFramesNorControl },
  { name: 'a cut frame ends the walk, wherever it is cut', run: cutFrames },
  { name: 'acks sent to the node are skipped', run: acksAtTheNode },
  { name: 'the largest payload is taken whole', run: largestPayload },
  { name: 'random payloads', run: noise },
];
