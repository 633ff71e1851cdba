/** The audit of frames: signed by the registered key, or a failure that says why. */
import { generateKeyPairSync, sign as signEd25519 } from 'node:crypto';
import { sha256 } from '@noble/hashes/sha2.js';
import { getPublicKey, sign } from '@noble/secp256k1';
import { expect, test } from 'vitest';
import '../../../src/verify/noble.ts';
import { claimBytes } from '../../../protocol/claim.ts';
import { type Channel, packedRows } from '../../../src/channel/row.ts';
import { auditSignatures, ChannelKeys } from '../../../src/journal/audit.ts';
import { FrameAudit } from '../../../src/journal/audit-frames.ts';
import { JournalGroup } from '../../../src/journal/group.ts';
import { MemoryFiles } from '../../support/memory-files.ts';
import { signedFrames } from '../../support/signed-roots.ts';
import { LANE, openWriter, TIME } from './fixtures.ts';

const SECRET = new Uint8Array(32).fill(7);
const ed = generateKeyPairSync('ed25519');
const KEYS = [
  getPublicKey(SECRET),
  Uint8Array.of(0xed, ...Buffer.from(ed.publicKey.export({ format: 'jwk' }).x!, 'base64url')),
];
const SIGNS = [
  (preimage: Uint8Array) => sign(sha256(preimage), SECRET, { prehash: false }),
  (preimage: Uint8Array) => new Uint8Array(signEd25519(null, preimage, ed.privateKey)),
];

/** Channels 1 to 70 of the first key, 101 to 103 of the second. */
function keysOf(): ChannelKeys {
  const keys = new ChannelKeys();
  const ids = [...Array.from({ length: 70 }, (_, index) => index + 1), 101, 102, 103];
  for (const id of ids) keys.add(packedRows([channelOf(BigInt(id), KEYS[id > 100 ? 1 : 0]!)]));
  return keys;
}

const idOf = (channelId: bigint) => new Uint8Array(32).fill(Number(channelId));

function channelOf(channelId: bigint, publicKey: Uint8Array): Channel {
  const terms = { capacity: 9n, profile: 'link' as const, state: 'open' as const, expiresAt: 0 };
  const unused = { committed: 0n, sequence: 0, timestampBits: 0n, signature: new Uint8Array(64) };
  return { channelId, ledgerChannelId: idOf(channelId), publicKey, ...terms, ...unused };
}

const leavesOf = (...ids: number[]) =>
  ids.map((id) => ({ channelId: BigInt(id), ledgerChannelId: idOf(BigInt(id)), amount: BigInt(id) }));
const fault = (frame: Uint8Array) => {
  const keys = keysOf();
  return new FrameAudit((...copied) => keys.copy(...copied)).fault(frame, 0, frame.length);
};

test('frames of either curve are signed; altered ones, and those of several keys or of none, are not', () => {
  const [frame] = signedFrames(leavesOf(1, 2, 3), 5, SIGNS[0]) as [Uint8Array];
  const [other] = signedFrames(leavesOf(101, 102), 5, SIGNS[1]) as [Uint8Array];
  expect([fault(frame), fault(other)]).toEqual([undefined, undefined]);
  for (const [at, bits] of [
    [84 + 15, 1],
    [9, 1],
    [15, 1],
    [25, 1],
  ] as const)
    expect(fault(frame.with(at, frame[at]! ^ bits))).toMatch(/expected a root signed by the registered key/);
  expect(fault(signedFrames(leavesOf(1, 2, 3), 5, SIGNS[1])[0]!)).toMatch(/expected a root signed/);
  expect(fault(signedFrames(leavesOf(1, 101), 5, SIGNS[0])[0]!)).toMatch(/leaves of one key, got several/);
  expect(fault(signedFrames(leavesOf(1, 99), 5, SIGNS[0])[0]!)).toMatch(/a leaf of none/);
});

test('an audit checks each frame once, beside the records', async () => {
  const files = new MemoryFiles();
  const writer = openWriter(files, { hasFrames: true, segmentBytes: 2 << 20 });
  const ids = Array.from({ length: 70 }, (_, index) => index + 1);
  const [first, second] = signedFrames(leavesOf(...ids), 5, SIGNS[0]) as [Uint8Array, Uint8Array];
  const group = new JournalGroup(20);
  const leaf = claimBytes({ channelId: 1n, sequence: 5, amount: 1n, signature: new Uint8Array(64), timestamp: TIME });
  leaf[0] = 0x03;
  const [good, bad] = [group.addFrame(first, 0, first.length), group.addFrame(second.with(99, 1), 0, second.length)];
  for (const index of [0, 1, 63]) group.acceptLeaf(group.append(leaf, 0), good, index);
  group.acceptLeaf(group.append(leaf, 0), bad, 2);
  writer.commit(group, TIME);
  const report = await auditSignatures({ directory: LANE, files, keys: keysOf(), workers: 1, check: async () => [] });
  expect(report).toMatchObject({ checked: 2, frames: 2, badSignatures: 1, unknownChannels: 0 });
  expect(report.failures).toMatchObject([{ group: 1, record: 3, channelId: 67n }]);
});
