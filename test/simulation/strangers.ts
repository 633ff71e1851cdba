/** Whoever else sends to the node: forgers, who know channels and amounts; eavesdroppers, who send again what they heard; junk. */
import { claimBytes } from '../../protocol/claim.ts';
import { CLAIM_BYTES, CLAIMS_PER_DATAGRAM_MAX, FRAME_MERKLE } from '../../protocol/layout.ts';
import type { Network } from './network.ts';
import { newOwner } from './scheduler.ts';
import type { ChannelTruth } from './truth.ts';
import type { World } from './world.ts';

const HEARD_MAX = 64;

export class Strangers {
  readonly #world: World;
  readonly #network: Network;
  readonly #truths: readonly ChannelTruth[];
  readonly #port: number;
  readonly #heard: Uint8Array[] = [];

  constructor(world: World, network: Network, truths: readonly ChannelTruth[]) {
    this.#world = world;
    this.#network = network;
    this.#truths = truths;
    this.#port = network.join(newOwner('stranger'), () => {});
  }

  /** Hears what payers send. */
  hear(bytes: Uint8Array): void {
    if (this.#heard.length < HEARD_MAX) this.#heard.push(bytes.slice());
    else this.#heard[this.#world.chance.random.below(HEARD_MAX)] = bytes.slice();
  }

  begin(): void {
    this.#world.repeat(this.#world.plan.lifeMs / 10, () => {
      if (this.#world.strikes('hostile')) this.#attack();
    });
  }

  #attack(): void {
    const { chance } = this.#world;
    const draw = chance.random.below(4);
    if (draw === 0) this.#forge();
    else if (draw === 1 && this.#heard.length > 0) {
      this.#world.happened('hostile.replay');
      this.#network.toNode(this.#port, chance.of(this.#heard), false);
    } else if (draw === 2) {
      this.#world.happened('hostile.junk');
      this.#network.toNode(this.#port, chance.random.bytes(chance.random.below(200)), false);
    } else {
      this.#world.happened('hostile.unknown-channel');
      this.#send(chance.random.u64() | 1n, 5n);
    }
  }

  /** More than the channel has committed, under a signature that nobody made, or that belongs to less. */
  #forge(): void {
    const { chance } = this.#world;
    this.#world.happened('hostile.forgery');
    const truth = chance.of(this.#truths);
    if (this.#heard.length === 0 || chance.is(0.5)) {
      this.#send(truth.channelId, truth.floor + BigInt(chance.between(1, 5_000)));
      return;
    }
    const heard = chance.of(this.#heard);
    if (heard[0] === FRAME_MERKLE) {
      const forged = heard.slice();
      forged[4 + chance.random.below(forged.length - 4)]! ^= 1 << chance.random.below(8);
      this.#world.happened('root.forged');
      this.#network.toNode(this.#port, forged, false);
      return;
    }
    const claim = heard.slice(0, CLAIM_BYTES);
    if (claim.length === CLAIM_BYTES) claim[20]! ^= 1 << chance.random.below(8);
    this.#network.toNode(this.#port, claim, false);
  }

  #send(channelId: bigint, amount: bigint): void {
    const { chance } = this.#world;
    const count = chance.between(1, CLAIMS_PER_DATAGRAM_MAX);
    const claims = Array.from({ length: count }, (_, index) =>
      claimBytes({
        channelId,
        sequence: chance.random.u32(),
        amount: amount + BigInt(index),
        signature: chance.random.bytes(64),
        timestamp: 1,
      }),
    );
    this.#network.toNode(this.#port, Buffer.concat(claims), false);
  }
}
