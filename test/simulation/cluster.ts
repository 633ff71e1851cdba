/**
 * A seed of a cluster, from empty tables to its end: two or three nodes over one store, that are killed, stand still, are cut off
 * from the store, leave and come back; payers that follow their channels. Then everything is calm, and has to come out right.
 */
import { decodeAck } from '../../protocol/ack.ts';
import { type FrameSink, walkFrames } from '../../protocol/frames.ts';
import { CLAIM_AMOUNT, CLAIM_BYTES, CLAIM_CHANNEL_ID, STATUS } from '../../protocol/layout.ts';
import { shardOfChannel } from '../../protocol/shard.ts';
import { readCounters } from '../../src/ring/counters.ts';
import { sourcePort } from '../../src/transport/source.ts';
import type { Packet } from '../../src/transport/transport.ts';
import { ClusterNode, type ClusterWatchers, nameOf } from './cluster-node.ts';
import { ClusterPayer } from './cluster-payer.ts';
import { DatabaseLink, WatchedTables } from './database-link.ts';
import { Network } from './network.ts';
import { ChannelTruth } from './truth.ts';
import type { World } from './world.ts';

const EVENTS_MAX = 3_000_000;
/** Of all that is asked for: takeovers take long, and what is between them shows little. */
const CLAIMS_PART = 3;
const CAPACITY = 10_000_000n;
const TROUBLE_MS = 300;
const PAY_MS = 120;
const DOWN_MS = 400;
const CALM_MS_MAX = 60_000;

/** A node's place: its lives, its way to the store, and its network. */
interface Seat {
  readonly number: number;
  readonly link: DatabaseLink;
  readonly network: Network;
  node: ClusterNode | undefined;
}

export class ClusterRun implements ClusterWatchers {
  readonly #world: World;
  readonly #tables: WatchedTables;
  readonly #truths: readonly ChannelTruth[];
  readonly #byId = new Map<bigint, ChannelTruth>();
  readonly #seats: readonly Seat[];
  readonly #payers: readonly ClusterPayer[];
  /** Committed amounts as last seen, by the node's life and the channel. */
  #seen = new WeakMap<ClusterNode, Map<bigint, bigint>>();
  readonly #claimed = new Set<string>();
  readonly #claims: number;

  constructor(world: World) {
    const { plan, scheduler, chance } = world;
    this.#world = world;
    this.#claims = Math.ceil(plan.claimsMax / CLAIMS_PART);
    this.#tables = new WatchedTables(world);
    this.#truths = Array.from(
      { length: plan.channels },
      (_, number) => new ChannelTruth(number, chance.is(0.3) ? 'link' : 'xrpl', world.signatures.signer(number)),
    );
    for (const truth of this.#truths) this.#byId.set(truth.channelId, truth);
    this.#seats = Array.from({ length: plan.nodes }, (_, number) => {
      const link = new DatabaseLink(world, this.#tables);
      const onDelivered = (bytes: Uint8Array, port: number) => this.#delivered(number, bytes, port);
      const network = new Network(world, onDelivered, () => this.#seats[number]!.node);
      return { number, link, network, node: undefined };
    });
    const payers = Math.min(plan.payers, plan.channels);
    const share = (number: number) => this.#truths.filter((_, index) => index % payers === number);
    this.#payers = Array.from(
      { length: payers },
      (_, number) => new ClusterPayer(world, this.#seats, number, share(number)),
    );
    scheduler.afterEvent = () => this.#look();
    for (const seat of this.#seats) scheduler.after(chance.spread(0, 50), () => this.#begin(seat), scheduler.world);
  }

  async toItsEnd(): Promise<void> {
    const world = this.#world;
    const { scheduler } = world;
    await this.#openAll();
    world.repeat(TROUBLE_MS, () => this.#trouble());
    world.repeat(PAY_MS, () => {
      if (world.totals.asked < this.#claims) world.chance.of(this.#payers).ask();
    });
    await scheduler.run(() => world.totals.asked >= this.#claims, EVENTS_MAX);
    world.isCalm = true;
    const until = scheduler.now + CALM_MS_MAX;
    const isLeft = (truth: ChannelTruth) => truth.asked > truth.floor;
    while (scheduler.now < until && this.#truths.some(isLeft)) {
      const pause = scheduler.now + 200;
      for (const payer of this.#payers) payer.askForAll();
      await scheduler.run(() => scheduler.now >= pause, EVENTS_MAX);
    }
    for (const truth of this.#truths.filter(isLeft))
      world.violated(
        'once faults stop, every newest amount commits',
        `${truth.name}: ${truth.asked}, has ${truth.floor}`,
      );
    // What the store alone has covers all that was acknowledged.
    for (const { node } of this.#seats) node?.kill();
    await scheduler.run(() => this.#seats.every(({ node }) => node?.isReady), EVENTS_MAX);
    for (const truth of this.#truths) {
      const holder = this.#holder(truth);
      const committed = holder?.store.get(truth.channelId)?.committed;
      if (holder?.isReady && (committed ?? -1n) < truth.floor)
        world.violated('what was acknowledged is recovered', `${truth.name}: ${committed}, floor ${truth.floor}`);
    }
  }

  async #openAll(): Promise<void> {
    const { scheduler } = this.#world;
    const open = () => {
      for (const truth of this.#truths) {
        const holder = this.#holder(truth);
        if (truth.now.state !== 'none' || truth.isChanging || !holder?.isReady || !holder.route.holds(truth.channelId))
          continue;
        const { channelId, ledgerChannelId, signer, profile } = truth;
        const opening = {
          channelId,
          ledgerChannelId,
          publicKey: signer.publicKey,
          profile,
          capacity: CAPACITY,
          expiresAt: 0,
        };
        truth.isChanging = true;
        scheduler.after(
          0,
          () => {
            holder.store.open([opening]).then(
              ({ opened, unchanged }) => {
                truth.isChanging = false;
                if (opened + unchanged > 0) truth.terms = [{ state: 'open', capacity: CAPACITY, expiresAt: 0 }];
              },
              () => {
                truth.isChanging = false;
              },
            );
          },
          holder.main,
        );
      }
    };
    while (this.#truths.some(({ now }) => now.state === 'none')) {
      open();
      const pause = scheduler.now + 50;
      await scheduler.run(() => scheduler.now >= pause, EVENTS_MAX);
    }
  }

  #begin(seat: Seat): void {
    const world = this.#world;
    if (seat.node !== undefined) return;
    world.totals.lives++;
    world.trace.note(() => `${nameOf(seat.number)} begins`);
    seat.node = new ClusterNode(world, seat.number, seat.link, this);
  }

  #trouble(): void {
    const world = this.#world;
    const { chance, scheduler } = world;
    const seat = chance.of(this.#seats);
    const { node, link } = seat;
    if (node === undefined) return;
    const spellMs = chance.spread(100, 1_000);
    if (world.strikes('clusterKills')) {
      world.happened('cluster.killed', () => node.name);
      world.totals.crashes++;
      node.kill();
    } else if (node.isReady && world.strikes('clusterStops')) {
      world.happened('cluster.stopped', () => node.name);
      node.stop();
    } else if (world.strikes('clusterStandsStill')) {
      world.happened('cluster.stands-still', () => `${node.name} for ${spellMs.toFixed(0)} ms`);
      node.standStill(scheduler.now + spellMs);
    } else if (world.strikes('clusterCutsOff')) {
      world.happened('cluster.cut-off', () => `${node.name} for ${spellMs.toFixed(0)} ms`);
      link.isCutOff = true;
      scheduler.after(spellMs, () => (link.isCutOff = false), scheduler.world);
    }
    if (world.strikes('partition')) seat.network.part();
    if (world.strikes('clusterMoves')) this.#move(chance.of(this.#truths));
  }

  /** The operator moves the shard of a channel, and some beside it. */
  #move(truth: ChannelTruth): void {
    const { chance, scheduler } = this.#world;
    const holder = this.#holder(truth);
    const shard = shardOfChannel(truth.channelId);
    const to = nameOf(chance.of(this.#seats).number);
    if (!holder?.isReady || holder.name === to) return;
    const call = () => {
      try {
        holder.member!.move([shard, (shard + 1) % 1_024], to);
      } catch {
        // The other one is dead, or not known to live.
      }
    };
    scheduler.after(0, call, holder.main);
  }

  #holder({ channelId }: ChannelTruth): ClusterNode | undefined {
    const { node: name } = this.#tables.shards[shardOfChannel(channelId)]!;
    return this.#seats.find(({ node }) => node?.name === name)?.node;
  }

  ended(node: ClusterNode): void {
    const world = this.#world;
    const { scheduler, chance } = world;
    const { received, committed } = readCounters(node.arena) as Record<string, number>;
    world.totals.received += received!;
    world.totals.committed += committed!;
    world.trace.note(() => `${node.name} has ended`);
    const seat = this.#seats.find((each) => each.node === node)!;
    seat.node = undefined;
    scheduler.after(chance.spread(1, DOWN_MS), () => this.#begin(seat), scheduler.world);
  }

  /** All that was acknowledged of a shard is known to who begins to serve it: later claims would hide what it lacks. */
  serves(node: ClusterNode, shards: ReadonlySet<number>): void {
    const world = this.#world;
    for (const truth of this.#truths) {
      const shard = shardOfChannel(truth.channelId);
      // One that was taken over while it stood still may begin to serve as it wakes up: the fence refuses what it writes.
      if (!shards.has(shard) || this.#tables.shards[shard]!.node !== node.name || truth.now.state === 'none') continue;
      const channel = node.store.get(truth.channelId);
      world.trace.note(() => `${node.name} serves ${truth.name} from ${channel?.committed}, floor ${truth.floor}`);
      if ((channel?.committed ?? -1n) < truth.floor)
        world.violated(
          'what was acknowledged, the next holder has',
          `${truth.name}: ${channel?.committed} of ${truth.floor}`,
        );
      if (channel !== undefined && channel.committed > 0n && !world.signatures.isRedeemable(channel))
        world.violated('what is recovered has its redeemable claim', truth.name);
    }
  }

  #delivered(number: number, bytes: Uint8Array, port: number): void {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const sink: FrameSink = {
      ack: () => {},
      claim: (_bytes, offset) => {
        const channelId = view.getBigUint64(offset + CLAIM_CHANNEL_ID);
        this.#claimed.add(`${number}:${port}:${channelId}`);
        const truth = this.#byId.get(channelId);
        const claim = bytes.subarray(offset, offset + CLAIM_BYTES);
        const { publicKey } = truth?.signer ?? {};
        if (truth === undefined || publicKey === undefined) return;
        const { ledgerChannelId, profile } = truth;
        if (this.#world.signatures.isValid(claim, 0, { publicKey, ledgerChannelId, profile }))
          truth.admissible.add(view.getBigUint64(offset + CLAIM_AMOUNT));
      },
    };
    walkFrames(bytes, 0, bytes.length, sink);
  }

  acked(node: ClusterNode, packet: Packet, words: Uint32Array, at: number): void {
    const world = this.#world;
    const port = sourcePort(words[at]!);
    const seat = this.#seats.find((each) => each.node === node)!;
    for (let offset = 0; offset < packet.length; offset += 32) {
      const ack = decodeAck(packet.view, offset);
      const truth = this.#byId.get(ack.channelId);
      const where = () => `${node.name}, ${truth?.name}: status ${ack.status}, ${ack.amount}`;
      world.trace.note(() => `ack ${ack.status} ${truth?.name} ${ack.amount} to ${port}`);
      world.trace.digest(Number(ack.amount & 0xffff_ffffn) ^ (ack.status << 24) ^ port);
      if (!this.#claimed.has(`${seat.number}:${port}:${ack.channelId}`))
        world.violated('acks only answer what was sent', where());
      if (ack.status === STATUS.MOVED) world.happened('cluster.moved');
      if (ack.status === STATUS.COMMITTED && !truth?.admissible.has(ack.amount))
        world.violated('only admissible claims are acknowledged', where());
      if (ack.status === STATUS.COMMITTED || ack.status === STATUS.ALREADY) truth?.raiseFloor(ack.amount);
    }
    seat.network.toPeer(port, packet.bytes.slice(0, packet.length));
  }

  /** After every event: what a node serves only grows, by claims that it was sent. */
  #look(): void {
    const world = this.#world;
    for (const { node } of this.#seats) {
      if (!node?.isReady) continue;
      const seen = this.#seen.get(node) ?? new Map<bigint, bigint>();
      this.#seen.set(node, seen);
      for (const truth of this.#truths) {
        const channel = node.route.holds(truth.channelId) ? node.store.get(truth.channelId) : undefined;
        if (channel === undefined) continue;
        const { committed } = channel;
        const before = seen.get(truth.channelId) ?? 0n;
        if (committed === before) continue;
        seen.set(truth.channelId, committed);
        world.trace.note(() => `${node.name} has ${truth.name}: ${before} → ${committed}`);
        const where = () => `${node.name}, ${truth.name}: ${before} → ${committed} of ${channel.capacity}`;
        if (committed < before) world.violated('a committed amount never falls', where());
        if (committed > channel.capacity) world.violated('a committed amount never passes its capacity', where());
        if (!truth.admissible.has(committed)) world.violated('only claims that were admissible are committed', where());
        if (!world.signatures.isRedeemable(channel))
          world.violated('what is committed has its redeemable claim', where());
      }
    }
  }
}
