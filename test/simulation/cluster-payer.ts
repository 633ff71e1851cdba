/**
 * A payer of a cluster: the client's own code (PayerCore over a RoutedLink), which learns from MOVED and from silence that its
 * channels have another holder, asks for the route, and pays there.
 */
import type { ControlAnswer } from '../../protocol/control.ts';
import type { PaymentChannel } from '../../src/client/channel.ts';
import type { DatagramSocket } from '../../src/client/links/datagram-socket.ts';
import { UdpLink } from '../../src/client/links/link-udp.ts';
import { newSendPath, PayerCore } from '../../src/client/payer-core.ts';
import { RoutedLink } from '../../src/client/route/routed-link.ts';
import { ClaimwireError } from '../../src/errors.ts';
import { type ClusterNode, nameOf, placeOf } from './cluster-node.ts';
import { WORLD_BEGINS } from './globals.ts';
import type { Network } from './network.ts';
import { newOwner, type Owner } from './scheduler.ts';
import type { ChannelTruth } from './truth.ts';
import type { World } from './world.ts';

const STEP_MAX = 1_000;
const BURST_MAX = 8;
const ASK_MS = 1;
const ASK_MS_MAX = 300;

interface Seat {
  readonly number: number;
  readonly network: Network;
  readonly node: ClusterNode | undefined;
}

export class ClusterPayer {
  readonly #world: World;
  readonly #seats: readonly Seat[];
  readonly #owner: Owner;
  readonly #truths: readonly ChannelTruth[];
  readonly #channels = new Map<ChannelTruth, PaymentChannel>();

  constructor(world: World, seats: readonly Seat[], number: number, truths: readonly ChannelTruth[]) {
    this.#world = world;
    this.#seats = seats;
    this.#truths = truths;
    this.#owner = newOwner(`payer ${number}`);
    world.scheduler.after(0, () => void this.#begin(), this.#owner);
  }

  async #begin(): Promise<void> {
    const { scheduler, chance } = this.#world;
    const owner = this.#owner;
    const clock = {
      now: () => WORLD_BEGINS + scheduler.now,
      after: (delayMs: number, callback: () => void) => scheduler.after(delayMs, callback, owner),
      afterInput: (callback: () => void) => void scheduler.after(0.001, callback, owner),
    };
    const limits = { clock, random: () => chance.fraction(), waitForNode: true, ackTimeoutMs: 10_000 };
    const link = await new RoutedLink({
      seeds: this.#seats.map(({ number }) => placeOf(nameOf(number))),
      open: async (address) => new UdpLink(this.#socket(address), clock),
      newPath: () => newSendPath(limits),
      usable: (place) => place,
      clock,
      random: limits.random,
    }).start();
    const nobody = () => {
      throw new Error('unused');
    };
    const core = new PayerCore(limits, { link, clock, state: undefined, keySigner: nobody, verifyEd25519: nobody });
    for (const truth of this.#truths) {
      const { channelId, ledgerChannelId, profile, signer } = truth;
      this.#channels.set(truth, core.channel({ channelId, ledgerChannelId, profile, key: signer }));
    }
  }

  #socket(address: string): DatagramSocket {
    const seat = this.#seats.find(({ number }) => placeOf(nameOf(number)) === address)!;
    let onMessage: (bytes: Uint8Array) => void = () => {};
    const port = seat.network.join(this.#owner, (bytes) => onMessage(bytes));
    return {
      peer: address,
      listen: (listener) => {
        onMessage = listener;
      },
      send: (bytes, offset, length, sent) => {
        seat.network.toNode(port, bytes.subarray(offset, offset + length), true);
        sent();
      },
      ask: () => this.#route(seat),
      async close() {
        onMessage = () => {};
      },
    };
  }

  /** What a node answers on a connection that is asked for the route; nothing comes of one that is down, or stands still. */
  #route(seat: Seat): Promise<ControlAnswer> {
    const { scheduler, chance } = this.#world;
    const unreachable = new ClaimwireError('NODE_UNREACHABLE', 'route: expected an answer, got none');
    return new Promise((resolve, reject) => {
      scheduler.after(ASK_MS_MAX, () => reject(unreachable));
      const { node } = seat;
      if (!node?.isReady) return;
      const answer = () => {
        const shown = node.route.shown as unknown as ControlAnswer | undefined;
        scheduler.after(chance.fraction() * ASK_MS, () => (shown ? resolve(shown) : reject(unreachable)), this.#owner);
      };
      scheduler.after(chance.fraction() * ASK_MS, answer, node.main);
    });
  }

  /** Some claims at once, as its own event. */
  ask(): void {
    const { chance, scheduler } = this.#world;
    const pay = () => {
      const truth = chance.of(this.#truths);
      for (let left = chance.between(1, BURST_MAX); left > 0; left--)
        this.#claim(truth, truth.asked + BigInt(chance.between(1, STEP_MAX)));
    };
    scheduler.after(0, pay, this.#owner);
  }

  /** Nothing goes wrong any more: asks for the highest amounts once more. */
  askForAll(): void {
    const again = () => {
      for (const truth of this.#truths) if (truth.asked > truth.floor) this.#claim(truth, truth.asked);
    };
    this.#world.scheduler.after(0, again, this.#owner);
  }

  #claim(truth: ChannelTruth, amount: bigint): void {
    const world = this.#world;
    const channel = this.#channels.get(truth);
    if (channel === undefined) return;
    truth.asked = amount;
    world.totals.asked++;
    world.trace.note(() => `asks ${truth.name} for ${amount}`);
    channel.claim(amount).then(
      (ack) => {
        if (ack.amount < amount)
          world.violated('a payment is covered by its ack', `${truth.name}: ${amount}, got ${ack.amount}`);
        if (ack.amount > truth.floor)
          world.violated('a payer is told only what is durable', `${truth.name}: ${ack.amount} of ${truth.floor}`);
        world.trace.note(() => `is told ${truth.name} has ${ack.amount}`);
      },
      (error: Error & { code?: string }) => {
        world.trace.note(() => `is refused ${truth.name} ${amount}: ${error.message}`);
        if (!['ACK_TIMEOUT', 'NODE_UNREACHABLE', 'PAYER_FULL', 'OVERLOADED'].includes(error.code ?? ''))
          world.violated('a payer of an open channel is not refused', `${truth.name}: ${error.code} ${error.message}`);
      },
    );
  }
}
