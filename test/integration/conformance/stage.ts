/**
 * What a case has to hand: a node of its transport, fresh channels, wires, and the node's own figures. Test's thread; the
 * node runs compiled code in threads of its own.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { expect } from 'vitest';
import { type NodeOptions, type ServingNode, serve } from '../../../dist/src/index.js';
import { storeUnderTest } from '../../support/store-under-test.ts';
import { type ClaimFields, type Profile, ThrowawayChannel } from '../../support/throwaway-claims.ts';
import { ALREADY, OVERLOADED, type StreamWire, type Wire, type WireAck } from '../../support/wire-client.ts';
import { RECEIPT_KEY } from './receipt-key.ts';
import type { TransportEntry } from './transports.ts';

/** An answer that takes this long is taken for lost, and the claim is sent again; on a whole machine none does. */
const AGAIN_MS = 2_000;
/** A claim not answered by then never will be. */
const ANSWER_MS_MAX = 15_000;

interface Opening {
  profile?: Profile;
  capacity?: bigint;
  expiresAt?: number;
}

function expectOpen(wire: Wire): void {
  if (!wire.isOpen) throw new Error('expected the wire to stay open, got it closed by the node');
}

/** Keys cost more than claims do, and each stage has a node of its own: they all take the same channels, in this order. */
const known = new Map<string, ThrowawayChannel>();
function channelOf(channelId: bigint, profile: Profile, keyOf = channelId): ThrowawayChannel {
  const name = `${profile} ${channelId} ${keyOf}`;
  const channel = known.get(name) ?? new ThrowawayChannel(channelId, profile, keyOf);
  known.set(name, channel);
  return channel;
}
let sequences = 0;

export class Stage {
  readonly entry: TransportEntry;
  readonly #folder: string;
  readonly #options: NodeOptions;
  /** What a case wanted beside them. */
  #more: NodeOptions = {};
  #serving: ServingNode;
  readonly #wires = new Set<Wire>();
  #channelIds = 0n;

  static async start(entry: TransportEntry): Promise<Stage> {
    const folder = mkdtempSync(join(tmpdir(), 'claimwire-conformance-'));
    const all = {
      data: folder,
      udp: { host: '127.0.0.1', port: 0 },
      http: { host: '127.0.0.1', port: 0 },
      verifiers: 2,
      channelsMax: 4_096,
      receiptKey: RECEIPT_KEY,
      ...storeUnderTest.options(folder),
      ...entry.options,
    };
    return new Stage(entry, folder, all, await serve(all));
  }

  private constructor(entry: TransportEntry, folder: string, options: NodeOptions, serving: ServingNode) {
    this.entry = entry;
    this.#folder = folder;
    this.#options = options;
    this.#serving = serving;
  }

  get address(): string | undefined {
    return this.entry.address(this.#serving.node);
  }

  /** A channel nobody has used. */
  async open(opening: Opening = {}): Promise<ThrowawayChannel> {
    return (await this.openMany(1, opening))[0]!;
  }
  async openMany(count: number, { profile = 'xrpl', capacity = 10n ** 17n, expiresAt = 0 }: Opening = {}) {
    const channels = Array.from({ length: count }, () => channelOf(++this.#channelIds, profile));
    await this.openThese(channels, { capacity, expiresAt });
    return channels;
  }
  /** Channels nobody has used, with the key of the first. */
  async openOfOneKey(count: number, profile: Profile): Promise<ThrowawayChannel[]> {
    const first = this.#channelIds + 1n;
    const channels = Array.from({ length: count }, () => channelOf(++this.#channelIds, profile, first));
    await this.openThese(channels, { capacity: 10n ** 17n, expiresAt: 0 });
    return channels;
  }
  async openThese(
    channels: readonly ThrowawayChannel[],
    fields: { capacity: bigint; expiresAt: number },
  ): Promise<void> {
    const openings = channels.map(({ channelId, ledgerChannelId, publicKey, profile }) => ({
      channelId,
      ledgerChannelId,
      publicKey,
      profile,
      ...fields,
    }));
    const { opened } = await this.#serving.node.openChannels(openings);
    expect(opened).toBe(channels.length);
  }
  /** A channel no node knows. */
  unopened(): ThrowawayChannel {
    return channelOf(++this.#channelIds, 'xrpl');
  }
  async closeChannel(channel: ThrowawayChannel): Promise<void> {
    await this.#serving.node.closeChannel(channel.channelId);
  }

  /** A connection of its own; closed when the case is over. */
  async wire(): Promise<Wire> {
    return this.keep(await this.entry.connect(this.address!));
  }
  async streamWire(): Promise<StreamWire> {
    return this.keep(await this.entry.connectStream!(this.address!));
  }
  /** Looked at and closed when the case ends. */
  keep<W extends Wire>(wire: W): W {
    this.#wires.add(wire);
    return wire;
  }

  /** The answer to a claim: the ack that carries its sequence, so that must be the claim's alone on this wire. */
  async ask(wire: Wire, claim: Uint8Array): Promise<WireAck> {
    const sequence = new DataView(claim.buffer, claim.byteOffset).getUint32(9);
    const from = wire.inbox.acks.length;
    for (let end = performance.now() + ANSWER_MS_MAX; performance.now() < end; ) {
      expectOpen(wire);
      await wire.send(claim);
      const ack = await wire.inbox.first((ack) => ack.sequence === sequence, AGAIN_MS, from);
      if (ack !== undefined) return ack;
    }
    throw new Error(`expected an answer to claim ${sequence}, got none among ${wire.inbox.acks.length}`);
  }

  /** Asks, and expects this answer, with the claim's own fields beside it. */
  async expectAnswer(wire: Wire, claim: Uint8Array, status: number, amount: bigint): Promise<void> {
    const view = new DataView(claim.buffer, claim.byteOffset);
    expect(await this.ask(wire, claim)).toEqual({
      status,
      amount,
      sequence: view.getUint32(9),
      channelId: view.getBigUint64(1),
      timestampBits: view.getBigUint64(85),
    });
  }

  /**
   * Expects COMMITTED or ALREADY with the claim's amount or more, from whichever claim of the channel.
   * @param isSent else it is sent first
   * @param from how many acks came before the claim was sent, and are not looked at
   */
  async expectDurable(wire: Wire, claim: Uint8Array, isSent = false, from = 0): Promise<void> {
    const view = new DataView(claim.buffer, claim.byteOffset);
    const [channelId, amount] = [view.getBigUint64(1), view.getBigUint64(13)];
    const covers = (ack: WireAck) => ack.status <= ALREADY && ack.channelId === channelId && ack.amount >= amount;
    // Not looked at: sent again at once.
    const isTurnedAway = (ack: WireAck) => ack.status === OVERLOADED && ack.channelId === channelId;
    let looked = from;
    for (let end = performance.now() + ANSWER_MS_MAX; performance.now() < end; ) {
      expectOpen(wire);
      if (!isSent) await wire.send(claim);
      isSent = false;
      const ack = await wire.inbox.first((ack) => covers(ack) || isTurnedAway(ack), AGAIN_MS, looked);
      if (ack !== undefined && covers(ack)) return;
      looked = wire.inbox.acks.length;
    }
    throw new Error(`expected ${amount} of channel ${channelId} to become durable, got no such ack`);
  }

  /** Fields of a claim that no other claim has, so that its answer is known by them. */
  fresh(fields: ClaimFields = {}): ClaimFields {
    const sequence = ++sequences;
    return { sequence, timestampBits: 0x4278_0000_0000_0000n | BigInt(sequence), ...fields };
  }

  /** Committed amount by handle, as the admin interface tells it. */
  async amounts(): Promise<Map<bigint, bigint>> {
    const response = await fetch(`http://${this.#serving.http}/channels?limit=10000`);
    expect(response.status).toBe(200);
    const rows = (await response.json()) as { channelId: string; committed: string }[];
    return new Map(rows.map(({ channelId, committed }) => [BigInt(channelId), BigInt(committed)]));
  }
  async expectAmount(channel: ThrowawayChannel, amount: bigint): Promise<void> {
    const response = await fetch(`http://${this.#serving.http}/channels/${channel.channelId}`);
    const { committed } = (await response.json()) as { committed: string };
    expect(committed).toBe(String(amount));
  }

  /** A counter, `a.b` as in /stats. */
  counter(name: string): number {
    const counters = this.#serving.node.stats().counters as Record<string, number | Record<string, number>>;
    const [group, reason] = name.split('.') as [string, string | undefined];
    const value = reason === undefined ? counters[group] : (counters[group] as Record<string, number>)[reason];
    if (typeof value !== 'number') throw new Error(`expected a counter ${name}, got ${typeof value}`);
    return value;
  }
  /** Waits for what a thread is about to count. */
  async expectCounter(name: string, atLeast: number): Promise<void> {
    await expect.poll(() => this.counter(name), { timeout: ANSWER_MS_MAX }).toBeGreaterThanOrEqual(atLeast);
  }

  /** Nothing came that no node may send. */
  expectNoFaults(): void {
    expect([...this.#wires].flatMap(({ inbox }) => inbox.faults)).toEqual([]);
  }
  closeWires(): void {
    for (const wire of this.#wires) wire.close();
    this.#wires.clear();
  }

  /** The same data folder under a node started anew, with these options more. */
  async restart(more: NodeOptions = {}): Promise<void> {
    await this.#serving.stop();
    this.#more = more;
    this.#serving = await serve({ ...this.#options, ...more });
  }
  /** Started anew with these options more, unless it runs with them. */
  async runWith(more: NodeOptions = {}): Promise<void> {
    if (!isDeepStrictEqual(more, this.#more)) await this.restart(more);
  }
  async stop(): Promise<void> {
    await this.#serving.stop();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
