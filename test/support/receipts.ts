/** Receipts over amounts that a test sets, with a clock that it turns; and receipts with one thing in them altered. */
import { MERKLE_LEAVES_MAX } from '../../protocol/layout.ts';
import { climb } from '../../protocol/merkle.ts';
import { parseReceipt, type Receipt, receiptLeaf } from '../../protocol/receipt.ts';
import { Secp256k1Signer } from '../../src/client/keys/signer.ts';
import type { CommittedBatch } from '../../src/control/meter-control.ts';
import type { CommittedSource } from '../../src/meter/committed-source.ts';
import type { ReceiptSigner } from '../../src/receipts/receipt-key.ts';
import { Receipts } from '../../src/receipts/receipts.ts';
import { ManualClock } from './manual-clock.ts';
import type { Random } from './random.ts';

export const NODE_KEY = new Secp256k1Signer(new Uint8Array(32).fill(7));

export function ledgerIdOf(channelId: bigint): Uint8Array {
  const id = new Uint8Array(32).fill(0xc1);
  new DataView(id.buffer).setBigUint64(0, channelId);
  return id;
}

class FakeSource implements CommittedSource {
  readonly amounts = new Map<bigint, bigint>();
  readonly listeners = new Set<(batch: CommittedBatch) => void>();

  committed(channelId: bigint): bigint | undefined {
    return this.amounts.get(channelId);
  }
  ledgerChannelId(channelId: bigint): Uint8Array | undefined {
    return this.amounts.has(channelId) ? ledgerIdOf(channelId) : undefined;
  }
  onCommitted(listener: (batch: CommittedBatch) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }
  /** Amounts become durable, and whoever listens is told. */
  grow(...grown: (readonly [channelId: bigint, amount: bigint])[]): void {
    for (const [channelId, amount] of grown) this.amounts.set(channelId, amount);
    const batch = {
      length: grown.length,
      channelId: (at: number) => grown[at]![0],
      committed: (at: number) => grown[at]![1],
    };
    for (const listener of this.listeners) listener(batch);
  }
}

export function receiptRig(signer: ReceiptSigner = NODE_KEY) {
  const source = new FakeSource();
  const clock = new ManualClock();
  return { source, clock, receipts: new Receipts({ signer, source, clock }) };
}

/** Waits for what is to be done without the clock: a tree of the first questions, and a signature. */
export async function settled(): Promise<void> {
  for (let turn = 0; turn < 10; turn++) await Promise.resolve();
}

/** Each field of a receipt altered, and the root then left as it was or made to fit: what was altered, and the receipt. */
export function* altered(receipt: Receipt, chance: Random): Generator<[what: string, altered: Receipt]> {
  for (const [what, wrong] of alteredFields(receipt, chance)) {
    yield [what, wrong];
    const root = parseReceipt(wrong) && rootOf(wrong);
    if (root !== undefined && root !== receipt.root) yield [`${what}, with the root to it`, { ...wrong, root }];
  }
}

function rootOf({ ledgerChannelId, amount, leaf, leaves, path }: Receipt): string {
  const node = receiptLeaf(Buffer.from(ledgerChannelId, 'hex'), BigInt(amount));
  climb(node, 0, leaf, leaves, Buffer.from(path.join(''), 'hex'), 0);
  return Buffer.from(node).toString('hex').toUpperCase();
}

function* alteredFields(receipt: Receipt, chance: Random): Generator<[what: string, altered: Receipt]> {
  const digit = (hex: string) => {
    const at = chance.below(hex.length);
    const other = (Number.parseInt(hex[at]!, 16) ^ (1 + chance.below(15))).toString(16).toUpperCase();
    return hex.slice(0, at) + other + hex.slice(at + 1);
  };
  for (const field of ['ledgerChannelId', 'root', 'publicKey', 'signature'] as const)
    yield [field, { ...receipt, [field]: digit(receipt[field]) }];
  for (const by of [1n, -1n, 1n << 32n]) {
    const amount = BigInt.asUintN(64, BigInt(receipt.amount) + by);
    yield [`amount by ${by}`, { ...receipt, amount: String(amount) }];
  }
  for (const time of [receipt.time + 1, receipt.time - 1, 0]) yield [`time ${time}`, { ...receipt, time }];
  for (let leaf = 0; leaf < Math.min(receipt.leaves, 32); leaf++)
    if (leaf !== receipt.leaf) yield [`leaf ${leaf}`, { ...receipt, leaf }];
  for (const leaves of [1, receipt.leaves - 1, receipt.leaves + 1, 2 * receipt.leaves, MERKLE_LEAVES_MAX])
    if (leaves !== receipt.leaves) yield [`leaves ${leaves}`, { ...receipt, leaves }];
  const { path } = receipt;
  for (const at of path.keys()) yield [`path ${at}`, { ...receipt, path: path.with(at, digit(path[at]!)) }];
  yield ['path longer', { ...receipt, path: [...path, receipt.root] }];
  if (path.length > 0) yield ['path shorter', { ...receipt, path: path.slice(1) }];
  if (path.length > 1) yield ['path in another order', { ...receipt, path: path.toReversed() }];
}
