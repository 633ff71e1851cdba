/**
 * A data folder that an earlier tree was killed over (fixtures/data-folder-1): opened by this one, every acknowledged amount
 * and signature there, paid on, restarted, and the same with a torn end. Runs the compiled code, since threads cannot
 * run TypeScript.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, expect, test } from 'vitest';
import { ClaimwireNode, type NodeOptions } from '../../dist/src/index.js';
import { claimBytes } from '../../protocol/claim.ts';
import { CLAIM_SIGNATURE, SIGNATURE_BYTES, STATUS } from '../../protocol/layout.ts';
import type { Channel } from '../../src/channel/row.ts';
import { Ed25519Signer, Secp256k1Signer } from '../../src/client/keys/signer.ts';
import { recoverJournal } from '../../src/journal/walk.ts';
import { claimwire } from '../support/node-process.ts';
import { WirePeer } from '../support/wire.ts';

const FIXTURE = join(import.meta.dirname, '../fixtures/data-folder-1');
const EXPECTED = JSON.parse(readFileSync(join(FIXTURE, 'expected.json'), 'utf8')) as {
  channelId: string;
  committed: string;
  signature: string;
}[];
const ROOT = mkdtempSync(join(tmpdir(), 'claimwire-old-folder-'));
afterAll(() => rmSync(ROOT, { recursive: true, force: true }));
const running = new Set<ClaimwireNode>();
afterEach(async () => {
  await Promise.all([...running].map((node) => node.stop()));
  running.clear();
});

let folders = 0;
function unpacked(): string {
  const folder = mkdtempSync(join(ROOT, `${folders++}-`));
  execFileSync('tar', ['-xzf', join(FIXTURE, 'folder.tar.gz'), '-C', folder]);
  return join(folder, 'data');
}
const segmentsOf = (data: string, lane: number) =>
  readdirSync(join(data, 'journal', String(lane)))
    .filter((name) => name.endsWith('.seg'))
    .sort()
    .map((name) => join(data, 'journal', String(lane), name));

async function start(data: string, options: NodeOptions = {}): Promise<ClaimwireNode> {
  const settings = { segmentBytes: 1 << 20, checkpointSeconds: 86_400, channelsMax: 256, keyCacheBytes: 32 << 20 };
  const udp = { host: '127.0.0.1', port: 0 };
  const node = await ClaimwireNode.start({ data, udp, layout: 'lanes', lanes: 2, ...settings, ...options });
  running.add(node);
  return node;
}

async function stop(node: ClaimwireNode): Promise<void> {
  running.delete(node);
  await node.stop();
}

const held = (node: ClaimwireNode) =>
  EXPECTED.map(({ channelId }) => {
    const { committed, signature } = node.channel(BigInt(channelId))!;
    return { channelId, committed: String(committed), signature: Buffer.from(signature).toString('hex').toUpperCase() };
  });

/** The keys of make.mjs: constant bytes, two of three channels secp256k1. */
function signerOf(index: number): Secp256k1Signer | Ed25519Signer {
  const seed = new Uint8Array(32).fill(index + 101);
  return index % 3 === 2 ? new Ed25519Signer(seed) : new Secp256k1Signer(seed);
}

/** Pays every channel 500 more; what they hold then. */
async function payOn(node: ClaimwireNode): Promise<typeof EXPECTED> {
  const peers = await Promise.all(EXPECTED.map(() => WirePeer.to(node.udp)));
  const paid = await Promise.all(
    EXPECTED.map(async ({ channelId, committed }, index) => {
      const amount = BigInt(committed) + 500n;
      const { ledgerChannelId, profile } = node.channel(BigInt(channelId)) as Channel;
      const claim = claimBytes({
        channelId: BigInt(channelId),
        sequence: 1_000,
        amount,
        signature: new Uint8Array(64),
        timestamp: 1,
      });
      signerOf(index).signClaim(claim, 0, ledgerChannelId, profile);
      const ack = await peers[index]!.ack((found) => found.amount === amount, claim);
      expect([STATUS.COMMITTED, STATUS.ALREADY]).toContain(ack.status);
      const signature = claim.subarray(CLAIM_SIGNATURE, CLAIM_SIGNATURE + SIGNATURE_BYTES);
      return { channelId, committed: String(amount), signature: Buffer.from(signature).toString('hex').toUpperCase() };
    }),
  );
  for (const peer of peers) peer.close();
  return paid;
}

test.each([
  ['two lanes', {}],
  ['one lane, blocks of 512', { lanes: 1, journalBlockBytes: 512 }],
  ['a pipeline', { layout: 'pipeline', lanes: undefined }],
] as const)(
  'every amount and signature is there, is paid on, and outlives restarts (%s)',
  async (_, options) => {
    const data = unpacked();
    // Both lanes' journals hold amounts that the registry does not.
    for (const lane of [0, 1])
      expect(recoverJournal(join(data, 'journal', String(lane)), () => {}, { sync: false }).claims).toBeGreaterThan(20);
    const verify = await claimwire('journal', 'verify', data, '--signatures');
    expect([verify.code, verify.stdout.match(/, 0 bad, 0 of unknown channels/g)?.length]).toEqual([0, 2]);

    const node = await start(data, options as NodeOptions);
    expect(held(node)).toEqual(EXPECTED);
    const paid = await payOn(node);
    expect(held(node)).toEqual(paid);
    // While it is still in the journal alone: what a kill at this moment would leave.
    const killed = join(mkdtempSync(join(ROOT, 'killed-')), 'data');
    execFileSync('cp', ['-r', data, killed]);
    await stop(node);
    for (const folder of [data, killed]) {
      const again = await start(folder);
      expect(held(again)).toEqual(paid);
      await stop(again);
    }
  },
  90_000,
);

test('a torn end of that tree, on sectors of 512 bytes: everything before it is there', async () => {
  const data = unpacked();
  const torn = segmentsOf(data, 0)[0]!;
  const bytes = readFileSync(torn);
  const { bytes: length } = recoverJournal(join(data, 'journal', '0'), () => {}, { sync: false });
  expect(length).toBeGreaterThan(0);
  let end = bytes.length;
  while (bytes[end - 1] === 0) end--;
  // The first sector of a group that was being written.
  bytes.copy(bytes, Math.ceil(end / 512) * 512, 512, 552);
  writeFileSync(torn, bytes);
  const node = await start(data);
  expect(held(node)).toEqual(EXPECTED);
  expect(existsSync(join(data, 'journal', '0', 'torn-2', '000000000002.seg'))).toBe(true);
});

test('its prepared segments are not written to: their groups would share blocks', async () => {
  const data = unpacked();
  const node = await start(data);
  await payOn(node);
  for (const lane of [0, 1])
    for (const path of segmentsOf(data, lane)) {
      const bytes = readFileSync(path);
      const isOld = bytes.readUInt32LE(4) === 1;
      // Version 1 has nothing behind its header; version 2 begins in the second block.
      expect(
        bytes.subarray(512, isOld ? bytes.length : 4_096).every((byte) => byte === 0),
        path,
      ).toBe(true);
    }
});
