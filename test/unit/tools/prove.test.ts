/** `claimwire prove`: what it prints checks offline, and whatever is altered does not. */
import { generateKeyPairSync, sign as signEd25519 } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sha256 } from '@noble/hashes/sha2.js';
import { getPublicKey, sign } from '@noble/secp256k1';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { buildTree, type LeafProof, leafHash, portableTreeHash, rootPreimage } from '../../../protocol/merkle.ts';
import { type LeafProofJson, leafProofJson } from '../../../src/channel/leaf-proof.ts';
import { upperHex } from '../../../src/channel/parse.ts';
import type { Channel } from '../../../src/channel/row.ts';
import '../../../src/verify/noble.ts';
import { run } from '../../../tools/prove.ts';
import { type FakeAdmin, startFakeAdmin } from '../../support/fake-node.ts';

const SECRET = new Uint8Array(32).fill(7);
const PUBLIC = getPublicKey(SECRET);
const ID = new Uint8Array(32).fill(9);
const TIMESTAMP = new Uint8Array(8).fill(5);

/** A proof of leaf 1 of three, signed as `make` does. */
function proofOf(publicKey: Uint8Array, make: (preimage: Uint8Array) => Uint8Array): LeafProof {
  const hashes = Buffer.concat([8, 9, 10].map((byte) => leafHash(new Uint8Array(32).fill(byte), 4, 77n)));
  const [, level, root] = buildTree(new Uint8Array(hashes), 3, portableTreeHash) as [
    Uint8Array,
    Uint8Array,
    Uint8Array,
  ];
  const signature = make(rootPreimage(root, 3, 4, TIMESTAMP));
  const path = Buffer.concat([hashes.subarray(0, 32), level.subarray(32, 64)]);
  const head = { sequence: 4, timestamp: TIMESTAMP, leaves: 3, index: 1 };
  return { ...head, publicKey, ledgerChannelId: ID, amount: 77n, path, signature };
}
const PROOF = proofOf(PUBLIC, (preimage) => sign(sha256(preimage), SECRET, { prehash: false }));

const folder = mkdtempSync(join(tmpdir(), 'claimwire-prove-'));
const file = join(folder, 'proof.json');
let out = '';
let errors = '';
beforeEach(() => {
  out = errors = '';
  vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
    out += text;
    return true;
  });
  vi.spyOn(process.stderr, 'write').mockImplementation((text) => {
    errors += text;
    return true;
  });
});
afterEach(() => {
  vi.restoreAllMocks();
  rmSync(file, { force: true });
});

async function check(proof: unknown, ...args: string[]): Promise<number> {
  writeFileSync(file, JSON.stringify(proof));
  return run(['--check', file, ...args]);
}

test('a proof holds, by either curve, and says of whom it is', async () => {
  expect(await check(leafProofJson(9n, PROOF), '--key', upperHex(PUBLIC))).toBe(0);
  expect(out).toMatch(
    /^holds: the key 02.+ has promised 77 drops on ledger channel 0909.+, by leaf 1 of 3 under sequence 4\n$/,
  );
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  const point = Buffer.from(publicKey.export({ format: 'jwk' }).x!, 'base64url');
  const ed = proofOf(
    Uint8Array.of(0xed, ...point),
    (preimage) => new Uint8Array(signEd25519(null, preimage, privateKey)),
  );
  expect(await check(leafProofJson(9n, ed), '--json')).toBe(0);
  expect(JSON.parse(out.split('\n').at(-2)!)).toMatchObject({ holds: true, amount: '77' });
});

test('of another key, or with another signature, it does not hold', async () => {
  expect(await check(leafProofJson(9n, PROOF), '--key', `03${'11'.repeat(32)}`)).toBe(1);
  expect(errors).toMatch(/does not hold: expected a proof of the key 0311/);
  expect(await check(leafProofJson(9n, { ...PROOF, signature: PROOF.signature.with(9, 1) }))).toBe(1);
  expect(errors).toMatch(/expected a root signed by/);
});

test('whatever is altered is refused, or does not hold', async () => {
  const json = leafProofJson(9n, PROOF);
  const changes: Partial<Record<keyof LeafProofJson, unknown>>[] = [
    { amount: '78' },
    { ledgerChannelId: '0A'.repeat(32) },
    { sequence: 5 },
    { timestamp: '06'.repeat(8) },
    { leaves: 4 },
    { index: 0 },
    { index: 3 },
    { path: json.path.slice(1) },
    { path: json.path.toReversed() },
    { root: '00'.repeat(32) },
    { type: 'claimwire/leaf-proof/2' },
    { leaves: 65_537 },
    { path: 'x' },
    { more: 1 } as object,
  ];
  for (const change of changes)
    expect(await check({ ...json, ...change }).catch(() => 2), JSON.stringify(change)).not.toBe(0);
  // The root that the altered leaf leads to is not the one that was signed.
  const altered = leafProofJson(9n, { ...PROOF, amount: 78n });
  expect(await check(altered)).toBe(1);
});

test('a node is asked for it by holders of a token', async () => {
  const admin: FakeAdmin = await startFakeAdmin();
  try {
    const channel = { channelId: 9n, ledgerChannelId: ID, publicKey: PUBLIC, profile: 'xrpl' } as Channel;
    admin.node.rows.set(9n, channel);
    admin.node.rows.set(8n, { ...channel, channelId: 8n });
    admin.node.leafProof = ({ channelId }) => (channelId === 9n ? PROOF : undefined);
    const address = ['--http', admin.url, '--token-file', admin.tokenFile];
    expect(await run(['9', ...address])).toBe(0);
    expect(JSON.parse(out)).toEqual(leafProofJson(9n, PROOF));
    await expect(run(['8', ...address])).rejects.toThrow(
      /expected one that a leaf of a signed root has paid, got none/,
    );
    expect((await fetch(`${admin.url}/channels/9/proof`)).status).toBe(401);
  } finally {
    await admin.close();
  }
});

test('asks for one ID or a file, and of a folder one that a node has made', async () => {
  await expect(run(['1', '--data', join(folder, 'none')])).rejects.toThrow(/expected the data folder of a node/);
  await expect(run(['x', '--data', folder])).rejects.toThrow(/ID: expected/);
  await expect(run(['--check', file, '--data', folder])).rejects.toMatchObject({ code: 'USAGE' });
  await expect(run([])).rejects.toMatchObject({ code: 'USAGE' });
  await expect(run(['1', '--check', file])).rejects.toMatchObject({ code: 'USAGE' });
  await expect(run(['1', '--key', '02'])).rejects.toMatchObject({ code: 'USAGE' });
});
