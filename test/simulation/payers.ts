/**
 * Payers: the client's own code (PayerCore: sessions, retransmission, windows, back-off) over a socket and a clock of the world.
 * Each has some of the channels, asks for more and more, dies now and then, and begins again where it was.
 */

import { CLAIM_SEQUENCE, FRAME_MERKLE, MERKLE_SEQUENCE } from '../../protocol/layout.ts';
import type { PaymentChannel } from '../../src/client/channel.ts';
import type { Clock } from '../../src/client/clock.ts';
import type { DatagramSocket } from '../../src/client/links/datagram-socket.ts';
import { TcpLink } from '../../src/client/links/link-tcp.ts';
import { UdpLink } from '../../src/client/links/link-udp.ts';
import { PayerCore } from '../../src/client/payer-core.ts';
import { ConnectionPool } from '../../src/client/pool/pool.ts';
import type { RootsOptions } from '../../src/client/roots.ts';
import { WORLD_BEGINS } from './globals.ts';
import type { Network } from './network.ts';
import { newOwner, type Owner } from './scheduler.ts';
import { connecting } from './streams.ts';
import type { ChannelTruth } from './truth.ts';
import type { World } from './world.ts';

const NODE = 'tcp://192.0.2.1:9393';
const BURST_MAX = 8;
const STEP_MAX = 1_000;
const LIVES = 5;
/** How long the last payments may take once nothing goes wrong any more: virtual milliseconds. */
const CALM_MS_MAX = 60_000;
const PAUSE_MS = 5;
const EVENTS_MAX = 1_000_000;

/** What a payer keeps over its death: an account of its own. */
interface Account {
  readonly truth: ChannelTruth;
  channel: PaymentChannel;
  /** Highest amount it ever asked for. */
  asked: bigint;
  sequence: number;
}

class SimulatedPayer {
  readonly accounts: Account[];
  readonly #world: World;
  readonly #network: Network;
  #owner!: Owner;
  #lives = 0;
  readonly #number: number;
  /** Over connections, and not by datagrams. */
  readonly #usesTcp: boolean;
  /** Of the roots that it has signed, over all its lives. */
  #rootSequence = 0;
  /** Payments that are not decided yet. */
  waiting = 0;

  constructor(world: World, network: Network, number: number, truths: readonly ChannelTruth[]) {
    this.#world = world;
    this.#network = network;
    this.#number = number;
    this.#usesTcp = world.strikes('tcp');
    this.accounts = truths.map((truth) => ({ truth, asked: 0n, sequence: 0 }) as unknown as Account);
    this.begin();
  }

  /** A new process with the same channels. */
  begin(): void {
    const world = this.#world;
    const { scheduler, chance } = world;
    const owner = newOwner(`payer ${this.#number}.${++this.#lives}`);
    this.#owner = owner;
    this.waiting = 0;
    let onMessage: (bytes: Uint8Array) => void = () => {};
    const port = this.#network.join(owner, (bytes) => onMessage(bytes));
    const socket: DatagramSocket = {
      peer: 'node',
      listen: (listener) => {
        onMessage = listener;
      },
      send: (bytes, offset, length, sent) => {
        const datagram = bytes.subarray(offset, offset + length);
        this.#learnSequence(datagram);
        this.#network.toNode(port, datagram, true);
        sent();
      },
      async close() {},
    };
    const clock = {
      now: () => WORLD_BEGINS + scheduler.now,
      after: (delayMs: number, callback: () => void) => scheduler.after(delayMs, callback, owner),
      afterInput: (callback: () => void) => void scheduler.after(0.001, callback, owner),
    };
    const link = this.#usesTcp ? this.#tcpLink(clock, owner) : new UdpLink(socket, clock);
    const limits = { clock, random: () => chance.fraction(), waitForNode: true, window: chance.of([4, 64, 1_024]) };
    const nobody = () => {
      throw new Error('unused');
    };
    const core = new PayerCore(
      { ...limits, ackTimeoutMs: chance.of([50, 400, 10_000]), ...this.#roots() },
      { link, clock, state: undefined, keySigner: nobody, verifyEd25519: nobody },
    );
    for (const account of this.accounts) {
      const { channelId, ledgerChannelId, profile, signer } = account.truth;
      const bytes = account.channel?.lastClaim();
      if (bytes !== undefined)
        account.sequence = new DataView(bytes.buffer, bytes.byteOffset).getUint32(CLAIM_SEQUENCE);
      account.sequence = Math.max(account.sequence, this.#rootSequence);
      const known = { committed: account.asked, lastSequence: account.sequence };
      account.channel = core.channel({ channelId, ledgerChannelId, profile, key: signer, ...known });
    }
  }

  /** Some lives sign roots, by datagrams, to a node that takes them. */
  #roots(): { roots?: RootsOptions } {
    const { plan, chance } = this.#world;
    if (!plan.roots || this.#usesTcp || !chance.is(plan.odds.roots)) return {};
    const everyMs = chance.of([0, 1, 10]);
    const leavesMax = chance.of([1, 2, 65_536]);
    return {
      roots: chance.is(0.5) ? { everyMs, leavesMax } : { everyMs, leavesMax, exposure: BigInt(plan.exposureMax) },
    };
  }

  /** What a process that follows reads from its state file. */
  #learnSequence(datagram: Uint8Array): void {
    if (datagram[0] !== FRAME_MERKLE) return;
    const sequence = new DataView(datagram.buffer, datagram.byteOffset).getUint32(MERKLE_SEQUENCE);
    this.#rootSequence = Math.max(this.#rootSequence, sequence);
  }

  #tcpLink(clock: Clock, owner: Owner): TcpLink {
    const connect = connecting(this.#world, this.#network, owner);
    const random = () => this.#world.chance.fraction();
    return new TcpLink(new ConnectionPool({ to: NODE, clock, random, connect }), true);
  }

  /** Ends its process; what was asked for is asked for again by the next. */
  die(): void {
    this.#owner.isDead = true;
    this.#world.happened('payer.death', () => this.#owner.name);
    this.begin();
  }

  /** Some claims at once, as its own event. */
  ask(): number {
    const { chance } = this.#world;
    const count = chance.between(1, BURST_MAX);
    this.#world.scheduler.after(
      0,
      () => {
        const account = chance.of(this.accounts);
        for (let each = 0; each < count; each++) {
          if (chance.is(0.02)) this.#question(account);
          // A drop too much.
          if (chance.is(0.01)) this.#claim(account, account.truth.now.capacity + 1n);
          this.#pay(account, account.asked + BigInt(chance.between(1, STEP_MAX)));
        }
      },
      this.#owner,
    );
    return count;
  }

  #pay(account: Account, amount: bigint): void {
    const { capacity } = account.truth.now;
    // Mostly it keeps to what it has locked.
    const wanted = amount > capacity && capacity > account.asked && this.#world.chance.is(0.9) ? capacity : amount;
    if (wanted > capacity && capacity > 0n && this.#world.chance.is(0.9)) return;
    if (wanted <= capacity) account.asked = wanted;
    this.#claim(account, wanted);
  }

  #claim(account: Account, amount: bigint): void {
    const { truth } = account;
    this.#world.totals.asked++;
    this.#world.trace.note(() => `asks ${truth.name} for ${amount}`);
    this.waiting++;
    const owner = this.#owner;
    account.channel.claim(amount).then(
      (ack) => {
        if (owner === this.#owner) this.waiting--;
        if (ack.amount < amount)
          this.#world.violated('a payment is covered by its ack', `${truth.name}: ${amount}, got ${ack.amount}`);
        this.#world.trace.note(() => `is told ${truth.name} has ${ack.amount}`);
      },
      (error: Error) => {
        if (owner === this.#owner) this.waiting--;
        this.#world.trace.note(() => `is refused ${truth.name} ${amount}: ${error.message}`);
      },
    );
  }

  #question({ channel, truth }: Account): void {
    const amount = BigInt(this.#world.chance.between(1, STEP_MAX));
    channel.isDurable(amount).then(
      (isThere) => {
        if (isThere && truth.floor < amount && !truth.wasRemoved && !this.#world.hasForgotten)
          this.#world.violated('a node says only what it holds', `${truth.name}: ${amount} of ${truth.floor}`);
      },
      () => {},
    );
  }

  /** Nothing goes wrong any more: asks for the highest amounts once more. */
  askForAll(): void {
    this.#world.scheduler.after(
      0,
      () => {
        for (const account of this.accounts) {
          const { state, capacity } = account.truth.now;
          if (state === 'open' && account.asked > 0n && account.asked <= capacity) this.#claim(account, account.asked);
        }
      },
      this.#owner,
    );
  }
}

export class Payers {
  readonly #world: World;
  readonly payers: SimulatedPayer[];

  constructor(world: World, network: Network, truths: readonly ChannelTruth[]) {
    this.#world = world;
    const { payers } = world.plan;
    this.payers = Array.from(
      { length: Math.min(payers, truths.length) },
      (_, number) =>
        new SimulatedPayer(
          world,
          network,
          number,
          truths.filter((_truth, index) => index % Math.min(payers, truths.length) === number),
        ),
    );
  }

  /** Asks for claims at the pace of the plan, until there are as many as it wants. */
  begin(): void {
    const { scheduler, plan, chance } = this.#world;
    // Some lives' worth, of which many end before their time.
    const pauseMs = ((plan.lifeMs + 40) * LIVES * (BURST_MAX / 2)) / plan.claims;
    const next = () => {
      if (this.#world.totals.asked >= plan.claimsMax) return;
      scheduler.after(
        chance.spread(0, pauseMs),
        () => {
          if (scheduler.now >= this.#world.pausedUntil) {
            const payer = chance.of(this.payers);
            if (this.#world.strikes('payerDeath') && chance.is(0.1)) payer.die();
            payer.ask();
          }
          next();
        },
        scheduler.world,
      );
    };
    next();
  }

  get isDone(): boolean {
    return this.#world.totals.asked >= this.#world.plan.claimsMax;
  }
  get isSilent(): boolean {
    return this.payers.every(({ waiting }) => waiting === 0);
  }

  /** Once all faults have stopped: every payer's newest amount has to be committed, where its channel takes claims. */
  async finish(isExpired: (truth: ChannelTruth) => boolean): Promise<void> {
    const { scheduler } = this.#world;
    const until = scheduler.now + CALM_MS_MAX;
    const isLeft = ({ truth, asked }: Account) => {
      const { state, capacity } = truth.now;
      return state === 'open' && !isExpired(truth) && asked <= capacity && truth.floor < asked;
    };
    const left = () => this.payers.flatMap(({ accounts }) => accounts.filter(isLeft));
    // A payer may give up sooner than its datagrams are sent again.
    while (scheduler.now < until && (left().length > 0 || !this.isSilent)) {
      const pause = scheduler.now + PAUSE_MS;
      for (const payer of this.payers) payer.askForAll();
      await scheduler.run(() => scheduler.now >= pause, EVENTS_MAX);
      await scheduler.run(() => this.isSilent || scheduler.now >= until, EVENTS_MAX);
    }
    for (const { truth, asked } of left())
      this.#world.violated(
        'once faults stop, every newest amount commits',
        `${truth.name}: asked for ${asked}, has ${truth.floor}`,
      );
  }
}
