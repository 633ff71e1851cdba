/**
 * Judges a node by what is true: after every event what moved, at every ack what it says, at every start what is there, at every
 * clean end what was counted. Whatever it finds ends the seed.
 */
import { decodeAck } from '../../protocol/ack.ts';
import { type FrameSink, walkFrames } from '../../protocol/frames.ts';
import { CLAIM_AMOUNT, CLAIM_BYTES, CLAIM_CHANNEL_ID, CLAIM_SEQUENCE, STATUS } from '../../protocol/layout.ts';
import {
  FLAG_OPEN,
  HOT_EXPIRES_AT,
  HOT_FLAGS,
  HOT_SEQUENCE,
  HOT_TIMESTAMP_LOW,
  highHalf,
  joined,
  lowHalf,
} from '../../src/channel/table.ts';
import { readCounters } from '../../src/ring/counters.ts';
import { sourcePort } from '../../src/transport/source.ts';
import type { SimulatedNode } from './node.ts';
import { RootBooks } from './root-books.ts';
import type { ChannelTruth, Terms } from './truth.ts';
import type { World } from './world.ts';

export class Oracle {
  readonly truths = new Map<bigint, ChannelTruth>();
  /** Called with acks that leave, by port. */
  onAcks: (port: number, bytes: Uint8Array) => void = () => {};
  readonly #world: World;
  readonly #roots: RootBooks;
  /** `port:channel` of claims that came to a node, and `port:channel:sequence` of those that were not valid. */
  readonly #claimed = new Set<string>();
  readonly #invalid = new Set<string>();
  /** Committed amounts of this life, as last seen, by row; and the sequence and timestamp of their claims. */
  #seen: bigint[] = [];
  #stamps: number[] = [];

  constructor(world: World) {
    this.#world = world;
    this.#roots = new RootBooks(world, this.truths);
  }

  /** A datagram is handed to the node. */
  delivered(bytes: Uint8Array, port: number, isHonest: boolean): void {
    const node = this.#world.node!;
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const sink: FrameSink = {
      ack: () => {},
      claim: (_bytes, offset) => {
        const channelId = view.getBigUint64(offset + CLAIM_CHANNEL_ID);
        this.#claimed.add(`${port}:${channelId}`);
        const truth = this.truths.get(channelId);
        const isQuestion = view.getUint32(offset + CLAIM_SEQUENCE) === 0;
        // A damaged claim may have a question's sequence, and be valid all the same.
        const isValid =
          truth !== undefined &&
          (isHonest ? !isQuestion : this.#isValid(truth, bytes.subarray(offset, offset + CLAIM_BYTES)));
        if (!isValid) this.#invalid.add(`${port}:${channelId}:${view.getUint32(offset + CLAIM_SEQUENCE)}`);
        else if (this.#admits(node, truth, view.getBigUint64(offset + CLAIM_AMOUNT))) {
          truth.admissible.add(view.getBigUint64(offset + CLAIM_AMOUNT));
          truth.ordinary.add(view.getBigUint64(offset + CLAIM_AMOUNT));
        }
      },
      merkle: (_bytes, offset, size) => {
        const leaves = this.#roots.leaves(bytes, offset, size);
        // A question may be a leaf as well.
        const isValid = isHonest ? leaves[0]!.sequence !== 0 : this.#roots.isSigned(bytes, offset, size);
        for (const { channelId, amount, sequence } of leaves) {
          const truth = this.truths.get(channelId);
          this.#claimed.add(`${port}:${channelId}`);
          this.#world.totals.leaves++;
          if (!isValid || truth === undefined) this.#invalid.add(`${port}:${channelId}:${sequence}`);
          else if (this.#admits(node, truth, amount)) {
            truth.admissible.add(amount);
            truth.leaves.add(amount);
          }
        }
      },
    };
    walkFrames(bytes, 0, bytes.length, sink);
  }

  #isValid({ signer, ledgerChannelId, profile }: ChannelTruth, claim: Uint8Array): boolean {
    return this.#world.signatures.isValid(claim, 0, { publicKey: signer.publicKey, ledgerChannelId, profile });
  }

  /** Whether the channel takes a valid claim of this amount now, by its row and the rules' clock. */
  #admits({ table, control }: SimulatedNode, { channelId }: ChannelTruth, amount: bigint): boolean {
    const row = table.find(highHalf(channelId), lowHalf(channelId));
    if (row < 0) return false;
    const hot = table.hot(row);
    const expiresAt = table.words[hot + HOT_EXPIRES_AT]!;
    if ((table.words[hot + HOT_FLAGS]! & FLAG_OPEN) === 0) return false;
    if (expiresAt !== 0 && control.advanceClock(0) >= expiresAt) return false;
    table.loadCapacity(hot);
    return amount <= joined(table.capacityHigh, table.capacityLow);
  }

  /** After every event: balances only grow, up to the capacity, by claims that reached the node, and have their signatures. */
  look(): void {
    const { node } = this.#world;
    if (node === undefined || node.isDead) return;
    const { table } = node;
    for (let row = 0; row < table.rows; row++) {
      const hot = table.hot(row);
      // A removed channel's row may be another's in the next life, and its balance is worth nothing.
      const committed = table.isRemoved(row) ? 0n : joined(table.committedHigh(hot), table.committedLow(hot));
      const before = this.#seen[row] ?? 0n;
      const stamp = table.words[hot + HOT_SEQUENCE]! ^ table.words[hot + HOT_TIMESTAMP_LOW]!;
      const hasSameClaim = this.#stamps[row] === stamp;
      this.#stamps[row] = stamp;
      if (committed === before) {
        if (committed > 0n && !hasSameClaim)
          this.#world.violated('an amount that is committed is not committed again', `row ${row}: ${committed}`);
        continue;
      }
      const isKnown = this.#seen[row] !== undefined;
      this.#seen[row] = committed;
      if (table.isRemoved(row)) continue;
      const channel = table.read(row);
      const truth = this.truths.get(channel.channelId);
      const where = () => `row ${row}, ${truth?.name}: ${before} → ${committed} of ${channel.capacity}`;
      this.#world.trace.note(() => `committed ${where()}`);
      if (truth === undefined) {
        this.#world.violated('only channels that were opened have rows', where());
        continue;
      }
      if (committed < before) this.#world.violated('a committed amount never falls', where());
      // A capacity that is being lowered is in force already, and is taken back where a group has passed it.
      const { isChanging, terms } = truth;
      if (committed > channel.capacity && !(isChanging && terms.some(({ capacity }) => committed <= capacity)))
        this.#world.violated('a committed amount never passes its capacity', where());
      this.#roots.judge(node, truth, channel);
      if (truth.raised.has(committed)) continue;
      if (truth.now.state === 'closed' && !truth.isChanging && isKnown)
        this.#world.violated('a channel that was closed takes nothing more', where());
      if (!truth.admissible.has(committed))
        this.#world.violated('only claims that were admissible are committed', where());
      if (channel.rooted === undefined && !this.#world.signatures.isRedeemable(channel))
        this.#world.violated('what is committed has its redeemable claim', where());
    }
    if (this.#world.plan.roots) this.#roots.judgeExposure(node);
    for (const ring of node.rings)
      if (ring.depth > ring.size) this.#world.violated('queues are bounded', `ring of ${ring.size} has ${ring.depth}`);
  }

  /** An ack leaves the node. */
  acked(
    node: SimulatedNode,
    packet: { bytes: Uint8Array; view: DataView; length: number },
    words: Uint32Array,
    at: number,
  ): void {
    const port = sourcePort(words[at]!);
    for (let offset = 0; offset < packet.length; offset += 32) {
      node.sentAcks++;
      const ack = decodeAck(packet.view, offset);
      const truth = this.truths.get(ack.channelId);
      const where = () =>
        `${truth?.name ?? ack.channelId} to port ${port}: ${JSON.stringify(ack, (_, value) => (typeof value === 'bigint' ? String(value) : value))}`;
      this.#world.trace.note(() => `ack ${ack.status} ${truth?.name} ${ack.amount} to ${port}`);
      this.#world.trace.digest(Number(ack.amount & 0xffff_ffffn) ^ (ack.status << 24) ^ port);
      if (!this.#claimed.has(`${port}:${ack.channelId}`))
        this.#world.violated('acks only answer what was sent', where());
      if (ack.status === STATUS.COMMITTED || ack.status === STATUS.ALREADY) this.#ackedDurable(node, truth, ack, where);
      else if (ack.status === STATUS.BAD_SIGNATURE && !this.#invalid.has(`${port}:${ack.channelId}:${ack.sequence}`))
        this.#world.violated('a valid claim is never refused for its signature', where());
    }
    this.onAcks(port, packet.bytes.slice(0, packet.length));
  }

  #ackedDurable(
    node: SimulatedNode,
    truth: ChannelTruth | undefined,
    { status, amount }: { status: number; amount: bigint },
    where: () => string,
  ) {
    if (truth === undefined) {
      this.#world.violated('only what was claimed is acknowledged', where());
      return;
    }
    const row = node.table.find(highHalf(truth.channelId), lowHalf(truth.channelId));
    const { committed } = row < 0 ? { committed: 0n } : node.table.read(row);
    if (amount > committed)
      this.#world.violated('only what is committed is acknowledged', `${where()}, committed ${committed}`);
    if (status === STATUS.COMMITTED && !truth.admissible.has(amount))
      this.#world.violated('only admissible claims are acknowledged', where());
    truth.raiseFloor(amount);
  }

  /** A start has replayed everything: what was acknowledged or answered is there, and nothing that nobody did. */
  recovered(node: SimulatedNode): void {
    this.#seen = [];
    this.#stamps = [];
    for (const truth of this.truths.values()) {
      const channel = node.store.get(truth.channelId);
      const found: Terms =
        channel === undefined
          ? { state: 'none', capacity: 0n, expiresAt: 0 }
          : { state: channel.state, capacity: channel.capacity, expiresAt: channel.expiresAt };
      const isThere = truth.terms.find((terms) => isSame(terms, found));
      const { committed } = channel ?? { committed: 0n };
      const where = () =>
        `${truth.name}: found ${show(found)} with ${committed}, of ${truth.terms.map(show)}, floor ${truth.floor}`;
      this.#world.trace.note(() => `recovered ${where()}`);
      if (isThere === undefined) {
        this.#world.violated('what the operator was answered is durable', where());
        return;
      }
      truth.isChanging = false;
      truth.terms = [isThere];
      if (channel === undefined) {
        if (truth.now.state === 'removed') truth.wasRemoved = true;
        truth.forget();
        continue;
      }
      if (committed < truth.floor) this.#world.violated('what was acknowledged is recovered', where());
      if (committed > channel.capacity) this.#world.violated('a committed amount never passes its capacity', where());
      this.#roots.judge(node, truth, channel);
      if (committed === 0n || truth.raised.has(committed)) continue;
      if (!truth.admissible.has(committed)) this.#world.violated('only what was claimed is recovered', where());
      if (channel.rooted === undefined && !this.#world.signatures.isRedeemable(channel))
        this.#world.violated('what is recovered has its redeemable claim', where());
    }
  }

  /** The start has written down what it replayed. */
  ready(node: SimulatedNode): void {
    for (const truth of this.truths.values()) truth.raiseFloor(node.store.get(truth.channelId)?.committed ?? 0n);
  }

  /** No claim is on its way: everything received was committed, refused or covered. */
  drained(node: SimulatedNode): void {
    const counters = readCounters(node.arena) as Record<string, number> & { refused: Record<string, number> };
    const { received, committed, already, superseded, datagrams, acked } = counters;
    const refused = Object.values(counters.refused).reduce((sum, count) => sum + count, 0);
    const text = JSON.stringify({ received, committed, already, superseded, refused, datagrams, acked });
    if (received !== committed! + already! + superseded! + refused)
      this.#world.violated('received = committed + already + superseded + refused', text);
    if (datagrams !== node.delivered) this.#world.violated('every datagram is counted', `${node.delivered}, ${text}`);
    if (acked !== node.sentAcks) this.#world.violated('every ack is counted', `${node.sentAcks}, ${text}`);
  }

  /** At any end: what the node has counted so far. */
  ended(node: SimulatedNode): void {
    const { received, committed, refused } = readCounters(node.arena) as Record<string, number> & {
      refused: Record<string, number>;
    };
    if (refused.overloaded! > 0) this.#world.happened('ring.full');
    if (refused.rootExposure! > 0) this.#world.happened('root.over-exposure');
    if (node.rings.some((ring) => ring.received < this.#world.plan.firstSequence)) this.#world.happened('ring.wrapped');
    this.#world.totals.received += received!;
    this.#world.totals.committed += committed!;
  }

  /** A loss of power under durability `os`. */
  forget(): void {
    this.#world.hasForgotten = true;
    for (const truth of this.truths.values()) truth.forget();
  }
}

function isSame(left: Terms, right: Terms): boolean {
  const isGone = (terms: Terms) => terms.state === 'none' || terms.state === 'removed';
  if (isGone(left) || isGone(right)) return isGone(left) && isGone(right);
  return left.state === right.state && left.capacity === right.capacity && left.expiresAt === right.expiresAt;
}

function show({ state, capacity, expiresAt }: Terms): string {
  return `${state} ${capacity} until ${expiresAt}`;
}
