/**
 * Every leaf that a journal or a checkpoint has is provable after a kill, wherever it comes.
 */
import { describe, expect, test } from 'vitest';
import { claimBytes } from '../../../protocol/claim.ts';
import { CLAIM_AMOUNT } from '../../../protocol/layout.ts';
import { buildTree, checkProof } from '../../../protocol/merkle.ts';
import { emptyFrameHead, readFrameHead } from '../../../protocol/merkle-frame.ts';
import { type Channel, ROW_BYTES, redeemable } from '../../../src/channel/row.ts';
import { ChannelTable } from '../../../src/channel/table.ts';
import { JournalGroup } from '../../../src/journal/group.ts';
import { Journals } from '../../../src/journal/lane-journals.ts';
import { decodeLeaf, LEAF_ENTRY_BYTES_MAX, LEAVES_TABLE, writeLeaf } from '../../../src/journal/leaf-entry.ts';
import { LeafProofs } from '../../../src/journal/leaf-proofs.ts';
import { segmentName } from '../../../src/journal/segment.ts';
import { JournalWriter } from '../../../src/journal/writer.ts';
import { ChannelStore } from '../../../src/registry/channel-store.ts';
import { Arena } from '../../../src/ring/arena.ts';
import { nodeSystem } from '../../../src/system/system.ts';
import { MemoryFiles } from '../../support/memory-files.ts';
import { MemoryRegistry } from '../../support/memory-registry.ts';
import { MemorySideTables } from '../../support/memory-side-tables.ts';
import { hashVerifies, signedFrames } from '../../support/signed-roots.ts';

const DATA = '/data';
const KEY = Uint8Array.from(Buffer.from('0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798', 'hex'));
const idOf = (channelId: bigint) => {
  const id = new Uint8Array(32).fill(7);
  new DataView(id.buffer).setBigUint64(0, channelId);
  return id;
};
const leafOf = (channelId: bigint, amount: bigint) => ({ channelId, ledgerChannelId: idOf(channelId), amount });

/** A node's store as far as its threads, with a writer in place of these; what is on its disk outlives it. */
class Started {
  readonly table: ChannelTable;
  readonly store: ChannelStore;
  readonly proofs: LeafProofs;
  readonly #journals: Journals;
  readonly #writer: JournalWriter;

  private constructor(disk: Disk, roots: boolean) {
    const { files, registry, sides } = disk;
    const system = { ...nodeSystem, files };
    const shape = { kernelBytes: 0, rings: 1, ringSlots: 16, ackSlots: 16, threads: 1, channelsMax: 512 };
    this.table = new ChannelTable(Arena.create(shape));
    this.store = new ChannelStore(this.table, registry, async () => {});
    this.proofs = new LeafProofs({ table: this.table, sides, files, data: DATA, exposureMax: 0 });
    this.store.leaves = this.proofs;
    if (roots) this.proofs.makeRows();
    registry.forEachRow((row) => void this.store.load(row, new DataView(row.buffer, row.byteOffset), 0));
    this.store.indexRemoved();
    this.proofs.load();
    const onLeaf = this.proofs.replay.bind(this.proofs);
    const options = { data: DATA, lanes: 1, segmentBytes: 2 << 20, blockBytes: 4_096, cut: false };
    this.#journals = Journals.replay({ ...options, hasFrames: roots, onLeaf }, registry, this.table, system);
    this.#writer = new JournalWriter({ ...this.#journals.starts[0]!, ...system, groupClaimsMax: 128 });
  }

  static async on(disk: Disk, roots = true): Promise<Started> {
    const node = new Started(disk, roots);
    await node.checkpoint();
    node.store.freeRemoved();
    return node;
  }

  async open(...channelIds: bigint[]): Promise<void> {
    await this.store.open(
      channelIds.map((channelId) => ({
        channelId,
        ledgerChannelId: idOf(channelId),
        publicKey: KEY,
        capacity: 1_000_000n,
        profile: 'link' as const,
        expiresAt: 0,
      })),
    );
  }

  async checkpoint(): Promise<void> {
    await this.store.checkpoint();
    await this.#journals.release([this.#writer.segment]);
  }

  /** Commits these leaves of frames, and then claims on their own, as one group. */
  commit(
    frames: readonly { frame: Uint8Array; leaves: readonly number[] }[],
    claims: readonly Uint8Array[] = [],
  ): void {
    const group = new JournalGroup(128);
    for (const { frame, leaves } of frames) {
      const index = group.addFrame(frame, 0, frame.length);
      for (const leaf of leaves) {
        const record = new Uint8Array(93);
        record.set(frame.subarray(84 + 16 * leaf, 84 + 16 * leaf + 8), 1);
        record.set(frame.subarray(8, 12), 9);
        record.set(frame.subarray(84 + 16 * leaf + 8, 84 + 16 * leaf + 16), CLAIM_AMOUNT);
        record.set(frame.subarray(12, 20), 85);
        record[0] = 0x03;
        group.acceptLeaf(group.append(record, 0), index, leaf);
      }
    }
    for (const claim of claims) group.append(claim, 0);
    this.#writer.commit(group, 0);
    const rows = this.proofs.makeRows();
    for (let record = 0; record < group.count; record++) {
      const at = group.recordOffset(record);
      const row = this.table.find(group.view.getUint32(at + 1), group.view.getUint32(at + 5));
      if (!group.isLeaf(record)) this.table.commit(row, group.view, at);
      else {
        rows.mark(row);
        rows.commitLeaf(row, group.view, at, 0, group.segment, group.frameOffset(record), group.leafOf(record));
      }
    }
  }

  get segment(): number {
    return this.#writer.segment;
  }

  channel(channelId: bigint): Channel {
    return this.store.get(channelId)!;
  }

  /** What is provable of a channel; 0n where nothing is. Fails where the proof does not hold. */
  proven(channelId: bigint): bigint {
    const proof = this.proofs.of(this.channel(channelId));
    if (proof === undefined) return 0n;
    expect(checkProof(proof, hashVerifies)).toBe(true);
    expect([proof.ledgerChannelId, proof.publicKey]).toEqual([idOf(channelId), KEY]);
    return proof.amount;
  }
}

interface Disk {
  files: MemoryFiles;
  registry: MemoryRegistry;
  sides: MemorySideTables;
}

function newDisk(): Disk {
  const files = new MemoryFiles();
  files.mkdirSync(DATA);
  return { files, registry: new MemoryRegistry(), sides: new MemorySideTables() };
}

function claimOf(channelId: bigint, amount: bigint): Uint8Array {
  const signature = new Uint8Array(64).fill(Number(amount & 0xffn));
  return claimBytes({ channelId, sequence: 3, amount, signature, timestamp: 5 });
}

describe('a leaf that was acknowledged', () => {
  const channels = Array.from({ length: 100 }, (_, index) => BigInt(index + 1));
  const framesOf = (amount: bigint, sequence: number) =>
    signedFrames(
      channels.map((channelId) => leafOf(channelId, amount + channelId)),
      sequence,
    );

  test('is provable before a checkpoint, after it, and after a kill at either time', async () => {
    const disk = newDisk();
    let node = await Started.on(disk);
    await node.open(...channels);
    const frames = framesOf(500n, 1);
    node.commit([
      { frame: frames[0]!, leaves: [0, 1, 63] },
      { frame: frames[1]!, leaves: [35] },
    ]);
    const provable = () => [1n, 2n, 64n, 100n, 3n].map((channelId) => node.proven(channelId));
    const expected = [501n, 502n, 564n, 600n, 0n];
    expect(provable()).toEqual(expected);
    // Killed: the journal has them.
    node = await Started.on(disk);
    expect(provable()).toEqual(expected);
    expect(node.channel(64n)).toMatchObject({
      committed: 564n,
      rooted: { committed: 0n, leaf: { amount: 564n, place: { segment: 0 } } },
    });
    // Killed again: the checkpoint of the start has them, and the journal is gone.
    node = await Started.on(disk);
    expect(provable()).toEqual(expected);
    expect(node.channel(64n)).toMatchObject({
      committed: 564n,
      rooted: { leaf: { amount: 564n, place: { segment: 0 } } },
    });
    // A newer one, of which the side table knows nothing yet.
    node.commit([{ frame: framesOf(700n, 2)[0]!, leaves: [1] }]);
    expect(provable()).toEqual([501n, 702n, 564n, 600n, 0n]);
    await node.checkpoint();
    expect(provable()).toEqual([501n, 702n, 564n, 600n, 0n]);
  });

  test('never becomes the claim to redeem, whatever kill comes between', async () => {
    const disk = newDisk();
    let node = await Started.on(disk);
    await node.open(1n, 2n);
    const leaf = (amount: bigint, sequence: number) => [
      { frame: signedFrames([leafOf(1n, amount)], sequence)[0]!, leaves: [0] },
    ];
    // The claim covers less than is committed; both are of one group.
    node.commit(leaf(300n, 4), [claimOf(1n, 120n), claimOf(2n, 77n)]);
    const expected = (committed: bigint) => {
      const channel = node.channel(1n);
      expect(channel.committed).toBe(committed);
      expect(redeemable(channel)).toMatchObject({
        committed: 120n,
        sequence: 3,
        signature: new Uint8Array(64).fill(120),
      });
      expect(node.channel(2n)).toMatchObject({ committed: 77n });
      expect(node.channel(2n).rooted).toBeUndefined();
    };
    expected(300n);
    for (let start = 0; start < 3; start++) {
      node = await Started.on(disk);
      expected(300n);
    }
    node.commit(leaf(400n, 5));
    await node.checkpoint();
    node = await Started.on(disk);
    expected(400n);
    node.commit([], [claimOf(1n, 500n)]);
    node = await Started.on(disk);
    expect(node.channel(1n)).toMatchObject({ committed: 500n, rooted: { committed: 500n, leaf: { amount: 400n } } });
    expect(node.proven(1n)).toBe(400n);
  });

  test('is kept once: its channel goes on with claims after the segment with its frame has gone', async () => {
    const disk = newDisk();
    const node = await Started.on(disk);
    await node.open(1n, 2n, 3n);
    for (const id of [1n, 3n]) node.commit([{ frame: signedFrames([leafOf(id, 9n)], 1)[0]!, leaves: [0] }]);
    for (let amount = 1n; node.segment === 1; amount++) node.commit([], [claimOf(2n, amount)]);
    await node.checkpoint();
    expect(disk.files.existsSync(`/data/journal/0/${segmentName(1)}`)).toBe(false);
    node.commit([], [claimOf(1n, 20n)]);
    await node.checkpoint();
    expect([node.proven(1n), node.channel(1n).committed]).toEqual([9n, 20n]);
    // A newer leaf is in the journal again.
    node.commit([{ frame: signedFrames([leafOf(1n, 30n)], 4)[0]!, leaves: [0] }]);
    expect(node.proven(1n)).toBe(30n);
    await node.checkpoint();
    expect((await Started.on(disk)).proven(1n)).toBe(30n);
  });

  test('is kept by the next checkpoint where it comes while one is written', async () => {
    const disk = newDisk();
    const node = await Started.on(disk);
    await node.open(1n, 2n);
    const leaf = (amount: bigint, sequence: number) =>
      node.commit([{ frame: signedFrames([leafOf(1n, amount)], sequence)[0]!, leaves: [0] }]);
    leaf(9n, 1);
    const commit = disk.sides.commit.bind(disk.sides);
    disk.sides.commit = async (changes) => {
      disk.sides.commit = commit;
      leaf(30n, 2);
      await commit(changes);
    };
    await node.checkpoint();
    expect(node.channel(1n).rooted?.leaf).toMatchObject({ amount: 30n, place: { segment: 1 } });
    for (let amount = 1n; node.segment === 1; amount++) node.commit([], [claimOf(2n, amount)]);
    await node.checkpoint();
    expect(disk.files.existsSync(`/data/journal/0/${segmentName(1)}`)).toBe(false);
    expect(node.proven(1n)).toBe(30n);
    expect((await Started.on(disk)).proven(1n)).toBe(30n);
  });

  test('is kept by a node that no longer takes roots', async () => {
    const disk = newDisk();
    let node = await Started.on(disk);
    await node.open(1n);
    node.commit([{ frame: signedFrames([leafOf(1n, 9n)], 1)[0]!, leaves: [0] }]);
    for (let start = 0; start < 2; start++) {
      node = await Started.on(disk, false);
      expect(node.proven(1n)).toBe(9n);
    }
  });

  test('whose frame cannot be read stops the checkpoint, and stays in the journal', async () => {
    const disk = newDisk();
    const node = await Started.on(disk);
    await node.open(1n);
    node.commit([{ frame: signedFrames([leafOf(1n, 9n)], 1)[0]!, leaves: [0] }]);
    const { readSync } = disk.files;
    disk.files.readSync = () => 0;
    await expect(node.store.checkpoint()).rejects.toMatchObject({ code: 'JOURNAL_FAILED' });
    disk.files.readSync = readSync;
    await node.checkpoint();
    expect((await Started.on(disk)).proven(1n)).toBe(9n);
  });

  test('of a channel that is removed is forgotten once its row is free; a channel without leaves is written as ever', async () => {
    const disk = newDisk();
    let node = await Started.on(disk);
    await node.open(1n, 2n);
    node.commit([{ frame: signedFrames([leafOf(1n, 9n)], 1)[0]!, leaves: [0] }], [claimOf(2n, 5n)]);
    await node.checkpoint();
    const versions: number[] = [];
    disk.registry.forEachRow((row) => void versions.push(row[0]!));
    expect([versions, ROW_BYTES]).toEqual([[3, 1], 176]);
    await node.store.remove([1n], true);
    node = await Started.on(disk);
    await node.open(3n);
    expect(node.channel(3n).rooted).toBeUndefined();
    // The entry goes with the next leaf that is kept.
    node.commit([{ frame: signedFrames([leafOf(3n, 4n)], 2)[0]!, leaves: [0] }]);
    await node.checkpoint();
    expect([...disk.sides.entries(LEAVES_TABLE)].map(([id]) => id)).toEqual([idOf(3n)]);
  });
});

test('an entry that is none is refused with a code', () => {
  const leaves = [1n, 2n, 3n].map((id) => leafOf(id, 5n));
  const bytes = Buffer.from(signedFrames(leaves, 1)[0]!);
  const head = emptyFrameHead();
  expect(readFrameHead(bytes, 0, bytes.length, head)).toBe(true);
  const levels = buildTree(new Uint8Array(96), 3);
  const out = Buffer.alloc(LEAF_ENTRY_BYTES_MAX);
  const entry = new Uint8Array(out.subarray(0, writeLeaf({ bytes, at: 0, head, levels }, 0, out, 0)));
  expect(decodeLeaf(idOf(1n), entry)).toMatchObject({
    channelId: 1n,
    proof: {
      amount: 5n,
      sequence: 1,
      index: 0,
      leaves: 3,
      path: new Uint8Array([...levels[0]!.subarray(32, 64), ...levels[1]!.subarray(32)]),
    },
  });
  const bad = [entry.subarray(0, 10), entry.subarray(0, -1), entry.with(0, 2), entry.with(8, 3), entry.with(4, 2)];
  for (const bytes of bad) expect(() => decodeLeaf(idOf(1n), bytes)).toThrow(/expected a leaf and its path/);
});
