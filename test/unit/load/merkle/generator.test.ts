/** Roots over loopback to a node that acknowledges each leaf whose frame is sound, and loses every third datagram. */
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ackBytes } from '../../../../protocol/ack.ts';
import { STATUS } from '../../../../protocol/layout.ts';
import { rootDigest } from '../../../../protocol/merkle.ts';
import { emptyFrameHead, frameLeafAt, frameRoot, readFrameHead } from '../../../../protocol/merkle-frame.ts';
import { Secp256k1Signer } from '../../../../src/client/keys/signer.ts';
import { LoadChannels } from '../../../../src/load/channels.ts';
import { MerkleGenerator, type MerkleOptions } from '../../../../src/load/merkle/generator.ts';
import { RootMaker } from '../../../../src/load/merkle/root-maker.ts';
import { nativeUdpFault } from '../../../../src/transport/udp-native.ts';
import { verifyDigest } from '../../../../src/verify/noble.ts';
import { treeHash } from '../../../../src/verify/tree-hash.ts';

const CHANNELS = 200;
const signer = new Secp256k1Signer(new Uint8Array(32).fill(7));
let socket: Socket;
let channels: LoadChannels;
let status: number;
let datagrams: number;
let isLossy: boolean;

beforeEach(async () => {
  channels = LoadChannels.ofKey(1, CHANNELS, signer.publicKey);
  [status, datagrams, isLossy] = [STATUS.COMMITTED, 0, false];
  socket = createSocket('udp4');
  socket.on('message', (bytes, source) => {
    datagrams += 1;
    if (!isLossy || datagrams % 3 !== 0) socket.send(acksOf(bytes), source.port, source.address);
  });
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
});
afterEach(() => socket.close());

function acksOf(bytes: Buffer): Buffer[] {
  const head = emptyFrameHead();
  expect(readFrameHead(bytes, 0, bytes.length, head)).toBe(true);
  const handles = Array.from({ length: head.count }, (_, leaf) => bytes.readBigUInt64BE(frameLeafAt(0, leaf)));
  const ids = handles.map((handle) => channels.table.read(channels.find(handle)).ledgerChannelId);
  const root = new Uint8Array(32);
  frameRoot(bytes, 0, head, Buffer.concat(ids), root, 0);
  const digest = rootDigest(root, head.leaves, head.sequence, bytes.subarray(12, 20));
  expect(verifyDigest(bytes.subarray(20, 84), digest, signer.publicKey)).toBe(true);
  return handles.map((channelId, leaf) => {
    const amount = bytes.readBigUInt64BE(frameLeafAt(0, leaf) + 8);
    return Buffer.from(ackBytes({ status, sequence: head.sequence, channelId, amount, timestamp: 0 }));
  });
}

async function load(options: Partial<MerkleOptions> = {}) {
  const ids = new Uint8Array(CHANNELS * 32);
  const handles = new Uint8Array(CHANNELS * 8);
  for (let channel = 0; channel < CHANNELS; channel++) {
    ids.set(channels.table.read(channel).ledgerChannelId, channel * 32);
    handles.set(ids.subarray(channel * 32, channel * 32 + 8), channel * 8);
  }
  const sign = (preimage: Uint8Array) => signer.signMessage(preimage);
  const maker = new RootMaker(ids, handles, { sequence: 0, amount: 0 }, treeHash(), sign);
  const target = { host: '127.0.0.1', port: socket.address().port };
  const paced = { target, sockets: 2, everyMs: 20, window: 1_000, warmupMs: 20, durationMs: 150, drainMs: 500 };
  const generator = await MerkleGenerator.open({ ...paced, ...options }, channels, maker);
  try {
    return await generator.run();
  } finally {
    generator.close();
  }
}

describe.skipIf(nativeUdpFault() !== undefined)('merkle generator', () => {
  it('sends a root in each interval, and counts what is acknowledged', async () => {
    const counts = await load();
    expect(counts.roots).toBeGreaterThanOrEqual(1);
    expect(counts.roots).toBeLessThanOrEqual(9);
    expect(counts.leaves).toBe(counts.frames * 50);
    expect(counts.bytes / counts.leaves).toBeLessThan(37.2);
    expect(counts.acknowledged).toBeGreaterThan(0);
    expect(counts.refused).toEqual({});
    expect(counts.latency.count).toBeGreaterThan(0);
    for (let channel = 0; channel < CHANNELS; channel++)
      expect(channels.acknowledged(channel)).toBe(channels.signed(channel));
  });

  it('goes on where datagrams are lost, within its window', async () => {
    isLossy = true;
    const counts = await load({ everyMs: 1, window: 256, drainMs: 10, durationMs: 300 });
    expect(counts.acknowledged).toBeGreaterThan(256);
  });

  it('counts refusals by their names', async () => {
    status = STATUS.ROOT_EXPOSURE;
    const counts = await load({ drainMs: 1 });
    expect(counts.acknowledged).toBe(0);
    expect(counts.refused.ROOT_EXPOSURE).toBeGreaterThan(0);
  });
});
