/**
 * The model's books for leaves of signed roots: which amounts a key has signed as leaves and which as ordinary claims, and what
 * follows for a node. A leaf that counts can be proven, also after a crash; an ordinary claim stays what redeems; and no key owes
 * more by leaves alone than the operator allows.
 */
import { sha256 } from '@noble/hashes/sha2.js';
import { MERKLE_LEAF_AMOUNT, MERKLE_SIGNATURE, MERKLE_TIMESTAMP, SIGNATURE_BYTES } from '../../protocol/layout.ts';
import { rootPreimage } from '../../protocol/merkle.ts';
import { emptyFrameHead, frameLeafAt, frameRoot, readFrameHead } from '../../protocol/merkle-frame.ts';
import { leafProofHolds } from '../../src/channel/leaf-proof.ts';
import { type Channel, redeemable } from '../../src/channel/row.ts';
import { LeafProofs } from '../../src/journal/leaf-proofs.ts';
import { SimulatedFiles } from './files.ts';
import { DATA } from './life.ts';
import type { SimulatedNode } from './node.ts';
import type { ChannelTruth } from './truth.ts';
import type { World } from './world.ts';

/** A disk on which nothing goes wrong: who looks on changes nothing. */
export const QUIET = { before() {}, room: (_path: string, bytes: number) => bytes, duration: () => 0, hangs: () => 0 };

export interface DeliveredLeaf {
  channelId: bigint;
  amount: bigint;
  sequence: number;
}

export class RootBooks {
  readonly #world: World;
  readonly #truths: ReadonlyMap<bigint, ChannelTruth>;
  readonly #head = emptyFrameHead();
  #node: SimulatedNode | undefined;
  #proofs!: LeafProofs;

  constructor(world: World, truths: ReadonlyMap<bigint, ChannelTruth>) {
    this.#world = world;
    this.#truths = truths;
  }

  /** The leaves of a whole frame. */
  leaves(bytes: Uint8Array, offset: number, size: number): DeliveredLeaf[] {
    const head = this.#head;
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    readFrameHead(bytes, offset, offset + size, head);
    return Array.from({ length: head.count }, (_, index) => {
      const at = frameLeafAt(offset, index);
      const { sequence } = head;
      return { channelId: view.getBigUint64(at), amount: view.getBigUint64(at + MERKLE_LEAF_AMOUNT), sequence };
    });
  }

  /** Whether a frame leads to a root that the one key of its channels has signed. */
  isSigned(bytes: Uint8Array, offset: number, size: number): boolean {
    const truths = this.leaves(bytes, offset, size).map(({ channelId }) => this.#truths.get(channelId));
    const ids = new Uint8Array(32 * truths.length);
    for (const [index, truth] of truths.entries()) {
      if (truth === undefined || truth.signer !== truths[0]!.signer) return false;
      ids.set(truth.ledgerChannelId, 32 * index);
    }
    const head = this.#head;
    const root = new Uint8Array(32);
    if (!readFrameHead(bytes, offset, offset + size, head)) return false;
    frameRoot(bytes, offset, head, ids, root, 0);
    const timestamp = bytes.slice(offset + MERKLE_TIMESTAMP, offset + MERKLE_TIMESTAMP + 8);
    const digest = sha256(rootPreimage(root, head.leaves, head.sequence, timestamp));
    const signature = bytes.subarray(offset + MERKLE_SIGNATURE, offset + MERKLE_SIGNATURE + SIGNATURE_BYTES);
    return this.#world.signatures.isDigestSigned(signature, digest, truths[0]!.signer.publicKey);
  }

  /** A channel with leaves has moved, or was recovered: what it says is what was signed, and can be redeemed and proven. */
  judge(node: SimulatedNode, truth: ChannelTruth, channel: Channel): void {
    const { rooted, committed } = channel;
    if (rooted === undefined) return;
    const world = this.#world;
    const own = redeemable(channel);
    const leaf = rooted.leaf?.amount ?? 0n;
    const where = () => `${truth.name}: ${committed} by a claim of ${own.committed} and a leaf of ${leaf}`;
    const most = leaf > own.committed ? leaf : own.committed;
    if (committed !== most) world.violated('what is committed is a claim or a leaf', where());
    if (own.committed > 0n && !truth.raised.has(own.committed)) {
      if (!truth.ordinary.has(own.committed)) world.violated('only an ordinary claim redeems', where());
      if (!world.signatures.isRedeemable(own)) world.violated('what is committed has its redeemable claim', where());
    }
    // What an operator has removed by force, and opened again, begins anew; a journal may bring its leaves back.
    if (own.committed < truth.redeemable && !truth.wasRemoved)
      world.violated('a leaf never overwrites what redeems', where());
    if (leaf < truth.leaf && !truth.wasRemoved) world.violated('a leaf that counted is never lost', where());
    truth.redeemable = own.committed;
    truth.leaf = leaf;
    if (leaf === 0n) return;
    if (!truth.leaves.has(leaf)) world.violated('only leaves that were signed count', where());
    const proof = this.#proofsOf(node).of(channel);
    world.totals.proofs++;
    const { signatures } = world;
    const verifiers = {
      secp256k1: (signature: Uint8Array, digest: Uint8Array, publicKey: Uint8Array) =>
        signatures.isDigestSigned(signature, digest, publicKey),
      ed25519: () => false,
    };
    if (proof === undefined || proof.amount !== leaf || !leafProofHolds(proof, verifiers))
      world.violated('a leaf that counts can be proven', where());
  }

  /** After every event: no key owes more by leaves alone than is allowed. */
  judgeExposure(node: SimulatedNode): void {
    const { table } = node;
    // The claims that covered leaves are gone.
    if (this.#world.hasForgotten) return;
    const { exposureMax } = this.#world.plan;
    const owed = new Map<string, bigint>();
    for (let row = 0; row < table.rows; row++) {
      if (!table.isRooted(row) || table.isRemoved(row)) continue;
      const channel = table.read(row);
      if (channel.profile === 'link' || this.#truths.get(channel.channelId)?.wasRemoved === true) continue;
      const key = String(channel.publicKey);
      const sum = (owed.get(key) ?? 0n) + channel.committed - redeemable(channel).committed;
      owed.set(key, sum);
      if (sum > BigInt(exposureMax))
        this.#world.violated('exposure is never passed', `row ${row}: its key owes ${sum} of ${exposureMax}`);
    }
  }

  #proofsOf(node: SimulatedNode): LeafProofs {
    if (this.#node !== node) {
      this.#node = node;
      const { disk, scheduler } = this.#world;
      const files = new SimulatedFiles(disk, QUIET, scheduler);
      this.#proofs = new LeafProofs({ table: node.table, sides: node.stores.sides, files, data: DATA, exposureMax: 0 });
    }
    return this.#proofs;
  }
}
