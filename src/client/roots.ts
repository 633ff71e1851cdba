/**
 * One signature for many claims (protocol/README.md, "Merkle batches"): what channels of one key ask for within an interval becomes the
 * leaves of a tree, of which the root is signed and sent with them. Payer's thread.
 *
 * A key has one counter of sequences for all its roots, and at each node at most one root at the signer: with a slow one, as a hardware module is, the next
 * root gathers meanwhile. Nothing is kept of a root that was sent: what is lost goes into the next one, with the newest amount.
 */
import {
  LEDGER_CHANNEL_ID_BYTES,
  MERKLE_BLOCK_LEAVES,
  MERKLE_FRAME_BYTES_MAX,
  MERKLE_HASH_BYTES,
  MERKLE_LEAF_AMOUNT,
  MERKLE_LEAF_BYTES,
  MERKLE_LEAVES_MAX,
} from '../../protocol/layout.ts';
import { blocksOf, buildTree, rootPreimage, type TreeHash } from '../../protocol/merkle.ts';
import { writeFrame } from '../../protocol/merkle-frame.ts';
import { invalid } from './claim-errors.ts';
import type { Clock } from './clock.ts';
import type { Flow } from './flow.ts';
import type { Signer } from './keys/secp256k1-signer.ts';
import type { PeerLink } from './links/peer-link.ts';
import { signRoot } from './root-signature.ts';
import { isUpTo } from './waiter-queue.ts';

/** Merkle batches instead of one signature for each claim; for keys with many channels, at a node that takes them (`--roots`). */
export interface RootsOptions {
  /** How long claims gather before a root is signed, milliseconds. Default 10. */
  everyMs?: number;
  /** The most leaves of a root, 1 to 65,536 (the default). */
  leavesMax?: number;
  /**
   * How far leaves of a channel may be over its best ordinary claim, drops, before an ordinary claim follows by itself. By default the
   * payer finds that out from the node's answers ROOT_EXPOSURE.
   */
  exposure?: bigint;
}

const EVERY_MS_DEFAULT = 10;

/** What a root is asked of: throws INPUT_INVALID. */
export function rootsOptions(options: RootsOptions): Required<Omit<RootsOptions, 'exposure'>> {
  const { everyMs = EVERY_MS_DEFAULT, leavesMax = MERKLE_LEAVES_MAX, exposure = 0n } = options;
  if (!(everyMs >= 0 && everyMs <= 60_000)) throw invalid(`roots.everyMs: expected 0..60000, got ${everyMs}`);
  if (!(Number.isInteger(leavesMax) && leavesMax >= 1 && leavesMax <= MERKLE_LEAVES_MAX))
    throw invalid(`roots.leavesMax: expected 1..${MERKLE_LEAVES_MAX}, got ${leavesMax}`);
  if (typeof exposure !== 'bigint' || exposure < 0n) throw invalid(`roots.exposure: expected drops, got ${exposure}`);
  return { everyMs, leavesMax };
}

/** What comes of a flow that was added; it is no longer in signing then. */
export interface RootsParts {
  readonly link: PeerLink;
  readonly clock: Clock;
  readonly hash: TreeHash;
  /** Its leaf was sent, or, where `isSent` is false, could not be: the link asks for it. `amount` is undefined where nobody waited any more. */
  readonly rooted: (flow: Flow, amount: bigint | undefined, isSent: boolean) => void;
  readonly failed: (flow: Flow, error: Error) => void;
}

/** What waits of one key at one node. */
interface Line {
  readonly signer: Signer;
  readonly path: Flow['path'];
  readonly waiting: Set<Flow>;
  isUnderWay: boolean;
}

interface Batch {
  readonly flows: Flow[];
  readonly amounts: bigint[];
  /** As they are sent: handle and amount of each. */
  readonly wire: Uint8Array;
  readonly levels: Uint8Array[];
  readonly sequence: number;
  readonly timestamp: Uint8Array;
  readonly drafted: number;
}

export class Roots {
  /** Roots signed. */
  signed = 0;
  readonly #parts: RootsParts;
  readonly #everyMs: number;
  readonly #leavesMax: number;
  readonly #exposure: bigint | undefined;
  readonly #keys = new Map<string, { sequence: number }>();
  readonly #lines = new Map<Flow['path'], Map<string, Line>>();
  readonly #frame = new Uint8Array(MERKLE_FRAME_BYTES_MAX);
  #closed = false;

  constructor(options: RootsOptions, parts: RootsParts) {
    const { everyMs, leavesMax } = rootsOptions(options);
    this.#parts = parts;
    this.#everyMs = everyMs;
    this.#leavesMax = leavesMax;
    this.#exposure = options.exposure;
  }

  /** Lets the flow use roots, with the counter of its key. Throws INPUT_INVALID where its signer cannot sign one. */
  join(flow: Flow): void {
    const { signer } = flow.identity;
    if (signer.signMessage === undefined && signer.signDigests === undefined)
      throw invalid('roots: expected a signer with signMessage or signDigests, got one with neither');
    const id = keyId(signer);
    const key = this.#keys.get(id) ?? { sequence: 0 };
    this.#keys.set(id, key);
    if (flow.lastSequence > key.sequence) key.sequence = flow.lastSequence;
    flow.roots = {
      key,
      isLeaf: false,
      ordinary: flow.committed,
      exposure: this.#exposure,
      isCovering: false,
      cover: undefined,
    };
  }

  /** Whether the newest amount may be a leaf: not where an ordinary claim is asked for, or the exposure would be passed. */
  takes({ roots, newestAmount }: Flow): boolean {
    if (roots === undefined || roots.isCovering) return false;
    return roots.exposure === undefined || newestAmount - roots.ordinary <= roots.exposure;
  }

  /** Puts the newest amount of a flow that is not in signing into the next root; until then it holds room in the window of its path. */
  add(flow: Flow): void {
    flow.signing = flow.path.window;
    flow.drafted = undefined;
    flow.path.window.used += 1;
    const lines = this.#lines.get(flow.path) ?? new Map<string, Line>();
    this.#lines.set(flow.path, lines);
    const { signer } = flow.identity;
    const id = keyId(signer);
    const line = lines.get(id) ?? { signer, path: flow.path, waiting: new Set(), isUnderWay: false };
    lines.set(id, line);
    line.waiting.add(flow);
    if (!line.isUnderWay) this.#soon(line);
  }

  /** Drops what waits. */
  close(): void {
    this.#closed = true;
    this.#lines.clear();
  }

  #soon(line: Line): void {
    line.isUnderWay = true;
    this.#parts.clock.after(this.#everyMs, () => this.#sign(line));
  }

  async #sign(line: Line): Promise<void> {
    if (this.#closed) return;
    const batch = this.#take(line);
    if (batch !== undefined) {
      const { levels, flows, sequence, timestamp } = batch;
      const preimage = rootPreimage(levels.at(-1)!.subarray(0, MERKLE_HASH_BYTES), flows.length, sequence, timestamp);
      let signature: Uint8Array | Error;
      try {
        signature = await signRoot(line.signer, preimage);
      } catch (error) {
        signature = error instanceof Error ? error : invalid(`signer: expected an Error, got ${typeof error}`);
      }
      if (this.#closed) return;
      if (signature instanceof Error) this.#fail(batch.flows, signature);
      else this.#send(batch, signature);
    }
    line.isUnderWay = false;
    if (line.waiting.size > 0) this.#soon(line);
    else this.#lines.get(line.path)?.delete(keyId(line.signer));
  }

  /** The tree over what waits now, at most as many as a root may have. */
  #take({ waiting }: Line): Batch | undefined {
    const flows: Flow[] = [];
    for (const flow of waiting) {
      if (flows.length === this.#leavesMax) break;
      waiting.delete(flow);
      if (flow.outstanding && this.takes(flow)) flows.push(flow);
      else {
        done(flow);
        this.#parts.rooted(flow, undefined, false);
      }
    }
    if (flows.length === 0) return undefined;
    const { key } = flows[0]!.roots!;
    for (const { lastSequence } of flows) if (lastSequence > key.sequence) key.sequence = lastSequence;
    key.sequence = (key.sequence + 1) >>> 0;
    const ids = new Uint8Array(flows.length * LEDGER_CHANNEL_ID_BYTES);
    const wire = new Uint8Array(flows.length * MERKLE_LEAF_BYTES);
    const view = new DataView(wire.buffer);
    for (const [index, flow] of flows.entries()) {
      ids.set(flow.identity.ledgerChannelId, index * LEDGER_CHANNEL_ID_BYTES);
      view.setBigUint64(index * MERKLE_LEAF_BYTES, flow.identity.channelId);
      view.setBigUint64(index * MERKLE_LEAF_BYTES + MERKLE_LEAF_AMOUNT, flow.newestAmount);
      flow.drafted = flow.newestAmount;
      flow.draftedSequence = key.sequence;
      flow.waiters.markSent(key.sequence, true);
    }
    const hashes = new Uint8Array(flows.length * MERKLE_HASH_BYTES);
    this.#parts.hash.leaves(ids, 0, wire, 0, key.sequence, flows.length, hashes, 0);
    const levels = buildTree(hashes, flows.length, this.#parts.hash);
    const drafted = this.#parts.clock.now();
    const timestamp = new Uint8Array(8);
    new DataView(timestamp.buffer).setFloat64(0, drafted);
    const amounts = flows.map(({ newestAmount }) => newestAmount);
    return { flows, amounts, wire, levels, sequence: key.sequence, timestamp, drafted };
  }

  #send(batch: Batch, signature: Uint8Array): void {
    this.signed += 1;
    const { flows, amounts, sequence, drafted, ...tree } = batch;
    const leaves = flows.length;
    const now = this.#parts.clock.now();
    for (let block = 0; block < blocksOf(leaves); block++) {
      const size = writeFrame({ ...tree, leaves, sequence, signature }, block, this.#frame, 0);
      const isSent = this.#parts.link.sendFrame!(this.#frame, 0, size);
      const end = Math.min(leaves, (block + 1) * MERKLE_BLOCK_LEAVES);
      for (let index = block * MERKLE_BLOCK_LEAVES; index < end; index++) {
        const flow = flows[index]!;
        done(flow);
        flow.adoptLeaf(amounts[index]!, sequence, drafted, now);
        this.#parts.rooted(flow, amounts[index], isSent);
      }
    }
  }

  #fail(flows: readonly Flow[], error: Error): void {
    for (const flow of flows) {
      done(flow);
      this.#parts.failed(flow, error);
    }
  }
}

/** The node has said how far leaves of the channel may go, with `amount` of its answer ROOT_EXPOSURE: an ordinary claim is to follow. */
export function learnExposure(flow: Flow, amount: bigint): void {
  const { roots } = flow;
  if (roots === undefined) return;
  const left = amount > roots.ordinary ? amount - roots.ordinary : 0n;
  // The key's channels share a limit too: the most that was ever left is the channel's own.
  if (roots.exposure === undefined || left > roots.exposure) roots.exposure = left;
  roots.isCovering = true;
}

/**
 * Takes an ack of this sequence, which says that something is durable: while an ordinary claim is waited for no leaf is sent, so from its
 * sequence on the ack is of that claim, or of a later ordinary one.
 */
export function learnCover({ roots }: Flow, sequence: number): void {
  if (roots?.cover === undefined || !isUpTo(roots.cover.sequence, sequence)) return;
  if (roots.cover.amount > roots.ordinary) roots.ordinary = roots.cover.amount;
  roots.cover = undefined;
  roots.isCovering = false;
}

function done(flow: Flow): void {
  if (flow.signing !== undefined) flow.signing.used -= 1;
  flow.signing = undefined;
  flow.drafted = undefined;
  flow.draftedSequence = undefined;
}

export function keyId({ publicKey }: Signer): string {
  return String.fromCharCode(...publicKey);
}
