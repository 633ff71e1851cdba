/** The load's roots, made a piece at a time: each frame leads to the root that was signed, root after root. */
import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { MERKLE_FRAME_BYTES_MAX } from '../../../../protocol/layout.ts';
import { blocksOf, portableTreeHash, rootPreimage } from '../../../../protocol/merkle.ts';
import {
  emptyFrameHead,
  frameLeafAt,
  frameRoot,
  readFrameHead,
  writeFrame,
} from '../../../../protocol/merkle-frame.ts';
import { type MadeRoot, RootMaker, type SignRoot } from '../../../../src/load/merkle/root-maker.ts';
import { treeHash } from '../../../../src/verify/tree-hash.ts';

const sign = (preimage: Uint8Array): Uint8Array => createHash('sha512').update(preimage).digest();

function makerOf(leaves: number, signRoot: SignRoot = sign) {
  const ids = new Uint8Array(leaves * 32);
  const handles = new Uint8Array(leaves * 8);
  for (let leaf = 0; leaf < leaves; leaf++) {
    ids.set(createHash('sha256').update(`${leaf}`).digest(), leaf * 32);
    handles.set(ids.subarray(leaf * 32, leaf * 32 + 8), leaf * 8);
  }
  return { ids, maker: new RootMaker(ids, handles, { sequence: 5, amount: 100 }, treeHash(), signRoot) };
}

function check(root: MadeRoot, ids: Uint8Array): void {
  const frame = new Uint8Array(MERKLE_FRAME_BYTES_MAX);
  const head = emptyFrameHead();
  for (let block = 0; block < blocksOf(root.leaves); block++) {
    const size = writeFrame(root, block, frame, 0);
    expect(readFrameHead(frame, 0, size, head)).toBe(true);
    const led = new Uint8Array(32);
    frameRoot(frame, 0, head, ids.subarray(block * 2_048), led, 0, portableTreeHash);
    const signature = sign(rootPreimage(led, root.leaves, root.sequence, frame.slice(12, 20)));
    expect(Buffer.compare(signature, frame.subarray(20, 84))).toBe(0);
    const view = new DataView(frame.buffer);
    for (let leaf = 0; leaf < head.count; leaf++)
      expect(view.getBigUint64(frameLeafAt(0, leaf) + 8)).toBe(BigInt(root.amount));
  }
}

describe('root maker', () => {
  it.each([1, 63, 64, 65, 1_000, 1_024, 1_100, 2_049])('of %i leaves', (leaves) => {
    const { ids, maker } = makerOf(leaves);
    for (let made = 1; made <= 3; made++) {
      while (maker.step());
      const root = maker.take()!;
      expect([root.sequence, root.amount]).toEqual([5 + made, 100 + made]);
      // The next one is made while this one is being sent.
      while (maker.step());
      check(root, ids);
    }
    expect(maker.signed).toBe(4);
  });

  it('waits for a slow signer, and passes on why it failed', async () => {
    const waiting: { resolve: (signature: Uint8Array) => void; reject: (error: Error) => void }[] = [];
    const { ids, maker } = makerOf(70, () => new Promise((resolve, reject) => waiting.push({ resolve, reject })));
    while (maker.step());
    expect([waiting.length, maker.take()]).toEqual([1, undefined]);
    waiting[0]!.reject(new Error('token lost'));
    await new Promise((resolve) => setImmediate(resolve));
    expect(() => maker.step()).toThrow('token lost');
    expect(ids.length).toBe(70 * 32);
  });
});
