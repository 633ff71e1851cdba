/**
 * The throw-away signer of every kernel on ring slots, against libsecp256k1: complete, different, low-s signatures over
 * digests of both profiles, in the slots asked for and nowhere else.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { claimBytes } from '../../protocol/claim.ts';
import { linkDigest, xrplDigest } from '../../protocol/digest.ts';
import { CLAIM_BYTES, CLAIM_SIGNATURE, CLAIM_TIMESTAMP } from '../../protocol/layout.ts';
import { ChannelTable } from '../../src/channel/table.ts';
import { Arena, type ArenaShape } from '../../src/ring/arena.ts';
import { ClaimRing } from '../../src/ring/claim-ring.ts';
import { SLOT_ROW } from '../../src/ring/slot.ts';
import { bytes32, isValid, ORDER, publicKey, scalar } from '../support/curve.ts';
import { KERNELS, KernelProcesses } from '../support/kernel-process.ts';
import { random } from '../support/random.ts';

const RING_SLOTS = 512;
const SHAPE: ArenaShape = { kernelBytes: 0, rings: 1, ringSlots: RING_SLOTS, ackSlots: 8, threads: 1, channelsMax: 64 };
const CHANNELS = 60;
/** Rows of keys; the signer is not given the last one. */
const KEYS = 13;
const FIRST_SEQUENCE = 2 ** 32 - 200;
/** Around the kernel's batch and its vector's elements; what is left of the ring stays as it is. */
const COUNTS = [1, 2, 7, 8, 9, 0, 127, 128, 129, 64];

const from = random(4_711);
/** Of each channel; every third has it begin with its handle. */
const ledgerIds = Array.from({ length: CHANNELS }, () => from.bytes(32));
const handleOf = (row: number) => (row % 3 === 0 ? new DataView(ledgerIds[row]!.buffer).getBigUint64(0) : BigInt(row));
const scalars = () => Array.from({ length: KEYS }, () => bytes32((scalar(from.bytes(32)) % (ORDER - 1n)) + 1n));
const privateKeys = scalars();
const nonces = scalars();
const publicKeys = privateKeys.map((key) => publicKey(scalar(key)));
const joined = (list: Uint8Array[]) => new Uint8Array(Buffer.concat(list));
const given = {
  privateKeys: joined(privateKeys.slice(0, KEYS - 1)),
  nonceSeeds: joined(nonces.slice(0, KEYS - 1)),
};

interface Claim {
  at: number;
  digest: Uint8Array;
  key: Uint8Array;
}

function openChannels(table: ChannelTable): void {
  for (let row = 0; row < CHANNELS; row++)
    table.insert({
      channelId: handleOf(row),
      ledgerChannelId: ledgerIds[row]!,
      publicKey: publicKeys[row % KEYS]!,
      capacity: 1n << 60n,
      committed: 0n,
      sequence: 0,
      timestampBits: 0n,
      signature: new Uint8Array(64),
      profile: row % 2 === 0 ? 'xrpl' : 'link',
      state: 'open',
      expiresAt: 0,
    });
}

/** A ring full of claims without signatures; of the slots in COUNTS, what has to be signed, by call. */
function fillRing(): { bytes: Uint8Array; calls: [number, number][]; claims: Claim[][] } {
  const arena = Arena.create(SHAPE);
  const ring = new ClaimRing(arena, 0);
  const table = new ChannelTable(arena);
  openChannels(table);
  let sequence = FIRST_SEQUENCE;
  const calls = COUNTS.map((count): [number, number] => {
    const first = sequence;
    sequence = (sequence + count) >>> 0;
    return [first, count];
  });
  const claims = calls.map(([first, count]) =>
    Array.from({ length: count }, (_, index) => {
      const at = ring.slot((first + index) >>> 0);
      const row = from.below(CHANNELS);
      const fields = { channelId: handleOf(row), sequence: from.u32(), amount: from.u64(), timestamp: from.u32() };
      arena.bytes.set(claimBytes({ ...fields, signature: from.bytes(64) }), at);
      const claim = arena.bytes.subarray(at, at + CLAIM_BYTES);
      const digest = (row % 2 === 0 ? xrplDigest : linkDigest)(ledgerIds[row]!, claim).slice();
      const isHostile = from.below(10) === 0;
      arena.words[(at + SLOT_ROW) >>> 2] = isHostile ? 2 ** 32 - 1 - from.below(2) * 2 ** 31 : row;
      const isSignable = !isHostile && row % KEYS < KEYS - 1;
      return isSignable ? [{ at, digest, key: publicKeys[row % KEYS]! }] : [];
    }).flat(),
  );
  return { bytes: arena.bytes.slice(), calls, claims };
}

let kernels: KernelProcesses;
beforeAll(async () => {
  kernels = await KernelProcesses.start();
}, 60_000);
afterAll(() => kernels?.stop());

describe.each(KERNELS)('%s', (name) => {
  it('signs every claim that has a key, and touches nothing else', async (context) => {
    const kernel = kernels.get(name, context);
    const { bytes, calls, claims } = fillRing();
    const { bytes: after, counts } = await kernel.sign(SHAPE, bytes, given, calls);
    expect(counts).toEqual(claims.map((list) => list.length));
    const all = claims.flat();
    expect(all.length).toBeGreaterThan(300);
    const signatureOf = ({ at }: Claim) => after.slice(at + CLAIM_SIGNATURE, at + CLAIM_TIMESTAMP);
    const wrong = all.filter((claim) => !isValid({ ...claim, signature: signatureOf(claim) }));
    expect(wrong).toEqual([]);
    expect(new Set(all.map((claim) => Buffer.from(signatureOf(claim)).toString('hex'))).size).toBe(all.length);
    for (const { at } of all)
      bytes.set(after.subarray(at + CLAIM_SIGNATURE, at + CLAIM_TIMESTAMP), at + CLAIM_SIGNATURE);
    expect(Buffer.compare(after, bytes)).toBe(0);
  });

  it('refuses nonces that are not as many as the keys, and scalars that are 0', async (context) => {
    const kernel = kernels.get(name, context);
    const bytes = new Uint8Array();
    const isRefused = (keys: Uint8Array, nonceSeeds: Uint8Array, message: RegExp) =>
      expect(kernel.sign(SHAPE, bytes, { privateKeys: keys, nonceSeeds }, [])).rejects.toThrow(message);
    const { privateKeys: keys, nonceSeeds: seeds } = given;
    const zeros = new Uint8Array(keys.length);
    const order = joined([...nonces.slice(0, KEYS - 2), bytes32(ORDER)]);
    await isRefused(keys, seeds.subarray(32), /as many of nonce/);
    await isRefused(keys.subarray(32), seeds, /as many of nonce/);
    await isRefused(keys.subarray(1), seeds.subarray(1), /32 bytes of key/);
    await isRefused(bytes, bytes, /32 bytes of key/);
    await isRefused(zeros, seeds, /not 0 modulo/);
    await isRefused(keys, zeros, /not 0 modulo/);
    await isRefused(order, seeds, /not 0 modulo/);
    await isRefused(keys, order, /not 0 modulo/);
  });
});
