/**
 * Signs receipts: at most once an interval, the root of a tree over channels that were asked for and channels that have grown. Main
 * thread, beside the claim path: it reads amounts that are durable already, and takes the committed feed's word for which have grown.
 *
 * It works while somebody asks. The first question is answered at once; then there is a tree an interval, and after some seconds
 * without a question no more, and the claim path marks no rows for it. Channels that grow are in the tree as far as there is room;
 * whoever asks for one that is not in a tree waits for the next, which has it.
 */
import type { Receipt } from '../../protocol/receipt.ts';
import type { CommittedBatch } from '../control/meter-control.ts';
import type { ReceiptControl } from '../control/receipt-control.ts';
import { ClaimwireError } from '../errors.ts';
import type { CommittedSource } from '../meter/committed-source.ts';
import type { Clock } from '../system/system.ts';
import type { ReceiptSigner } from './receipt-key.ts';
import { ReceiptTree } from './receipt-tree.ts';

/** Between two trees. A signature of noble's is 0.5 ms: ten of them a second are half a per cent of this thread. */
export const INTERVAL_MS = 100;
/** Without a question for so many intervals, no more trees are made. */
const IDLE_INTERVALS = 100;
/**
 * Questions that wait for one tree, some 10,000 a second. A leaf, its share of the nodes above it and its receipt are some 10 µs of
 * this thread, so who asks as fast as that takes a tenth of it.
 */
export const ASKED_MAX = 1_024;
/**
 * Channels of a tree that have grown and were not asked for: some 0.5 ms of this thread an interval, half a per cent, however many
 * claims come. `buildUs` would show if they took more.
 */
export const GROWN_MAX = 128;
/** Trees kept for the next to ask; each has at most 300 KB. */
const TREES_MAX = 8;
/** Answers in a second, those from a tree that is kept among them: some 10 µs each. */
export const ANSWERS_PER_SECOND_MAX = 10_000;

export interface ReceiptsOptions {
  signer: ReceiptSigner;
  source: CommittedSource;
  clock: Pick<Clock, 'wall' | 'monotonic' | 'every'>;
}

interface Question {
  readonly channelId: bigint;
  /** Undefined: what is committed when the tree is made. */
  readonly amount: bigint | undefined;
  readonly since: number;
  resolve(receipt: Receipt): void;
  reject(error: unknown): void;
}

export class Receipts implements ReceiptControl {
  readonly #options: ReceiptsOptions;
  #waiting: Question[] = [];
  readonly #grown = new Set<bigint>();
  /** The newest first. */
  readonly #trees: ReceiptTree[] = [];
  #intervals = 0;
  #endInterval: (() => void) | undefined;
  #endFeed = () => {};
  #signing: Promise<void> | undefined;
  #isStopped = false;
  #second = 0;
  #answers = 0;
  readonly #figures = { roots: 0, leaves: 0, given: 0, notYet: 0, busy: 0, failed: 0, leftOut: 0, buildUs: 0 };

  constructor(options: ReceiptsOptions) {
    this.#options = options;
  }

  /** Counters, for /stats. */
  get figures(): Readonly<Record<string, number | string>> {
    return { publicKey: Buffer.from(this.#options.signer.publicKey).toString('hex').toUpperCase(), ...this.#figures };
  }

  /** See ReceiptControl. */
  async receipt(channelId: bigint, amount?: bigint): Promise<Receipt> {
    if (this.#isStopped) throw stopping();
    const committed = this.#options.source.committed(channelId);
    if (committed === undefined) throw unknown(channelId);
    this.#admit();
    for (const tree of this.#trees) {
      const known = tree.receipt(channelId, amount ?? committed);
      if (known === undefined) continue;
      this.#figures.given++;
      this.#intervals = 0;
      return known;
    }
    if (this.#waiting.length >= ASKED_MAX) throw this.#busy();
    return await new Promise((resolve, reject) => {
      this.#waiting.push({ channelId, amount, since: this.#options.clock.monotonic(), resolve, reject });
      this.#begin();
    });
  }

  /** Signs nothing more; who waits is told. The key is closed. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#rest();
    for (const { reject } of this.#waiting.splice(0)) reject(stopping());
    await this.#signing;
    await this.#options.signer.close?.();
  }

  /** Throws NODE_BUSY over the rate. */
  #admit(): void {
    const second = Math.floor(this.#options.clock.monotonic() / 1_000);
    if (second !== this.#second) this.#answers = 0;
    this.#second = second;
    if (++this.#answers > ANSWERS_PER_SECOND_MAX) throw this.#busy();
  }

  #busy(): ClaimwireError {
    this.#figures.busy++;
    return new ClaimwireError(
      'NODE_BUSY',
      'receipt: expected fewer questions at a time, got too many; ask again shortly',
    );
  }

  #begin(): void {
    this.#intervals = 0;
    if (this.#endInterval !== undefined) return;
    this.#endInterval = this.#options.clock.every(INTERVAL_MS, () => this.#interval());
    this.#endFeed = this.#options.source.onCommitted((batch) => this.#noteGrown(batch));
    // Those who ask in the same turn share the first tree.
    queueMicrotask(() => this.#makeTree());
  }

  #interval(): void {
    if (this.#waiting.length === 0 && ++this.#intervals > IDLE_INTERVALS) this.#rest();
    else this.#makeTree();
  }

  #rest(): void {
    this.#endInterval?.();
    this.#endInterval = undefined;
    this.#endFeed();
    this.#endFeed = () => {};
    this.#grown.clear();
  }

  #noteGrown(batch: CommittedBatch): void {
    for (let index = 0; index < batch.length; index++) {
      if (this.#grown.size >= GROWN_MAX) {
        this.#figures.leftOut += batch.length - index;
        return;
      }
      this.#grown.add(batch.channelId(index));
    }
  }

  #makeTree(): void {
    // A token may take longer than an interval; who asks meanwhile is in the tree after it.
    if (this.#signing !== undefined) return;
    const { clock, signer } = this.#options;
    const began = clock.monotonic();
    const tree = new ReceiptTree();
    const asked = this.#takeAsked(tree, began);
    for (const channelId of this.#grown) this.#addCommitted(tree, channelId);
    this.#grown.clear();
    if (tree.size === 0) return;
    // The clock is read after the amounts: they were durable by then.
    const preimage = tree.close(signer.publicKey, Math.floor(clock.wall()));
    this.#figures.buildUs += Math.round((clock.monotonic() - began) * 1_000);
    this.#signing = this.#sign(tree, preimage, asked).finally(() => {
      this.#signing = undefined;
    });
  }

  /** Puts the channels that were asked for into the tree, where what was asked for is durable. */
  #takeAsked(tree: ReceiptTree, now: number): (Question & { amount: bigint })[] {
    const asked: (Question & { amount: bigint })[] = [];
    for (const question of this.#waiting.splice(0)) {
      const { channelId, since, reject } = question;
      const committed = this.#options.source.committed(channelId);
      const { amount = committed } = question;
      if (committed === undefined || amount === undefined) reject(unknown(channelId));
      else if (amount <= committed) {
        tree.add(channelId, amount, this.#options.source.ledgerChannelId(channelId)!);
        asked.push({ ...question, amount });
      } else if (now - since < INTERVAL_MS) this.#waiting.push(question);
      else {
        this.#figures.notYet++;
        reject(notYet(channelId, amount));
      }
    }
    return asked;
  }

  #addCommitted(tree: ReceiptTree, channelId: bigint): void {
    const { source } = this.#options;
    const committed = source.committed(channelId);
    // It may have been removed since it grew.
    if (committed !== undefined) tree.add(channelId, committed, source.ledgerChannelId(channelId)!);
  }

  /** Never rejects. */
  async #sign(
    tree: ReceiptTree,
    preimage: Uint8Array,
    asked: readonly (Question & { amount: bigint })[],
  ): Promise<void> {
    const { signer } = this.#options;
    try {
      tree.sign(signer.publicKey, await signer.signMessage(preimage));
    } catch (error) {
      this.#figures.failed++;
      for (const { reject } of asked) reject(error);
      return;
    }
    this.#figures.roots++;
    this.#figures.leaves += tree.size;
    this.#trees.unshift(tree);
    this.#trees.length = Math.min(this.#trees.length, TREES_MAX);
    for (const { channelId, amount, resolve } of asked) {
      this.#figures.given++;
      resolve(tree.receipt(channelId, amount)!);
    }
  }
}

function unknown(channelId: bigint): ClaimwireError {
  return new ClaimwireError('CHANNEL_UNKNOWN', `receipt: expected one of this node's channels, got ${channelId}`);
}

/** Says nothing of what is committed: whoever asks learns one bit, as by a claim. */
function notYet(channelId: bigint, amount: bigint): ClaimwireError {
  const message = `receipt: expected an amount of channel ${channelId} that is durable, got ${amount}, which is not yet; ask again later`;
  return new ClaimwireError('RECEIPT_NOT_YET', message, { channelId: String(channelId), amount: String(amount) });
}

function stopping(): ClaimwireError {
  return new ClaimwireError('NODE_STOPPING', 'receipt: expected a running node, got one that is stopping');
}
