/**
 * Follows the map of a cluster in a run: deals the channels anew, and has what waits sent to their next nodes. Generator thread.
 *
 * Maps come between two turns, and are taken one after the other: a node that is new is given sockets first.
 */
import type { LoadChannels } from '../channels.ts';
import type { Generator } from '../generator.ts';
import { Random } from '../random.ts';
import type { LoadMap, LoadSettings } from '../settings.ts';
import type { SignedSource } from '../source.ts';
import { Deal } from './deal.ts';
import type { ClusterLink } from './link-cluster.ts';
import type { Resends } from './resends.ts';

export interface SteeringParts {
  generator: Pick<Generator, 'follow'>;
  link: ClusterLink;
  source: SignedSource;
  channels: LoadChannels;
  settings: Pick<LoadSettings, 'seed' | 'sockets' | 'zipf'>;
}

export class Steering {
  readonly #parts: SteeringParts;
  readonly #deal: Deal;
  readonly #resends: Resends;
  readonly #random: Random;
  #isDealt = false;
  /** Maps before this one are taken. */
  #taken: Promise<void> = Promise.resolve();

  private constructor(parts: SteeringParts) {
    const { generator, source, channels, settings } = parts;
    this.#parts = parts;
    this.#deal = new Deal(channels, settings.sockets);
    this.#resends = generator.follow(this.#deal, source);
    this.#random = new Random(settings.seed, 'channels');
  }

  /** Deals the channels by the first map, before anything is sent. */
  static async begin(parts: SteeringParts, map: LoadMap): Promise<Steering> {
    const steering = new Steering(parts);
    await steering.#take(map);
    return steering;
  }

  /** A fault of it ends the thread, as an exception in a turn does. */
  take(map: LoadMap): void {
    this.#taken = this.#taken.then(() => this.#take(map));
  }

  /** Resolves once all maps that came are taken. */
  end(): Promise<void> {
    return this.#taken;
  }

  async #take({ nodes, holders }: LoadMap): Promise<void> {
    const { link, source, settings } = this.#parts;
    const slots = await link.reach(nodes);
    const changed = this.#deal.take(holders.map((node) => slots[node] ?? -1));
    if (changed.length === 0 && this.#isDealt) return;
    this.#isDealt = true;
    source.picker = this.#deal.picker(settings.zipf, this.#random);
    this.#resends.redealt(changed);
  }
}
