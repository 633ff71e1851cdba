/**
 * Cases of transports that are streams: `u32 length ‖ payload`, however the bytes come, and what ends a connection.
 */
import { expect } from 'vitest';
import { COMMITTED } from '../../support/wire-client.ts';
import { framed } from '../../support/wire-tcp.ts';
import { packed } from './ack-cases.ts';
import type { ConformanceCase } from './cases.ts';
import type { Stage } from './stage.ts';

/** Long before a node would close a connection for being idle. */
const CLOSE_MS_MAX = 10_000;

/** Byte by byte, so that every boundary of header, frame and payload falls between two reads. */
async function byteByByte(stage: Stage): Promise<void> {
  const wire = await stage.streamWire();
  const channel = await stage.open();
  const bytes = packed([1n, 2n, 3n].map((amount) => framed(channel.claim(amount, stage.fresh()))));
  for (const byte of bytes) await wire.write(Uint8Array.of(byte));
  await stage.expectAnswer(wire, channel.claim(4n, stage.fresh()), COMMITTED, 4n);
  await stage.expectAmount(channel, 4n);
}

/** Two hundred payloads of one claim in one write; and two claims split at each byte between two writes. */
async function anyCut(stage: Stage): Promise<void> {
  const wire = await stage.streamWire();
  const channel = await stage.open();
  let amount = 0n;
  const next = () => framed(channel.claim(++amount, stage.fresh()));
  await wire.write(packed(Array.from({ length: 200 }, next)));
  for (let cut = 1; cut < 194; cut++) {
    const two = packed([next(), next()]);
    await wire.write(two.subarray(0, cut));
    await new Promise(setImmediate);
    await wire.write(two.subarray(cut));
  }
  await stage.expectAnswer(wire, channel.claim(++amount, stage.fresh()), COMMITTED, amount);
  await stage.expectAmount(channel, amount);
}

/** A length that is none ends that connection, after what came before it was answered, and no other. */
async function badLengths(stage: Stage): Promise<void> {
  const bystander = await stage.streamWire();
  const channel = await stage.open();
  const hidden = await stage.open();
  let amount = 0n;
  for (const length of [0, 65_537, 2 ** 31, 2 ** 32 - 1]) {
    const wire = await stage.streamWire();
    await stage.expectAnswer(wire, channel.claim(++amount, stage.fresh()), COMMITTED, amount);
    const header = new Uint8Array(4);
    new DataView(header.buffer).setUint32(0, length);
    await wire.write(packed([header, framed(hidden.claim(1n, stage.fresh()))]));
    await expect.poll(() => wire.isOpen, { timeout: CLOSE_MS_MAX }).toBe(false);
    await stage.expectAnswer(bystander, channel.claim(++amount, stage.fresh()), COMMITTED, amount);
  }
  await stage.expectAmount(hidden, 0n);
}

/** A connection that ends within a frame: nothing of that frame is taken, and what came before it is. */
async function cutConnections(stage: Stage): Promise<void> {
  const channel = await stage.open();
  const hidden = await stage.open();
  const whole = framed(hidden.claim(1n, stage.fresh()));
  for (let length = 1; length < whole.length; length += 3) {
    const wire = await stage.streamWire();
    await stage.expectAnswer(wire, channel.claim(BigInt(length), stage.fresh()), COMMITTED, BigInt(length));
    await wire.write(whole.subarray(0, length));
    wire.close();
    await wire.closed;
  }
  await stage.expectAnswer(await stage.wire(), channel.claim(1_000n, stage.fresh()), COMMITTED, 1_000n);
  await stage.expectAmount(hidden, 0n);
}

const appliesTo = ({ connectStream }: { connectStream?: unknown }) => connectStream !== undefined;

export const STREAM_CASES: readonly ConformanceCase[] = [
  { name: 'a stream byte by byte', run: byteByByte, appliesTo },
  { name: 'a stream cut into any chunks', run: anyCut, appliesTo },
  { name: 'a length out of range ends the connection', run: badLengths, appliesTo },
  { name: 'a connection cut within a frame', run: cutConnections, appliesTo },
];
