/**
 * A service that charges one channel of a simulated cluster, and keeps its own records. With keys it asks again until it is answered;
 * without, a charge that was not answered may have been made or not.
 */
import type { ChargeResult } from '../../src/control/meter-control.ts';
import type { Random } from './random.ts';

const PATIENCE_MS = 150;
const RETRY_MS = 20;

interface ChargedWorld {
  readonly now: number;
  readonly chance: Random;
  readonly tables: { readonly faults: string[] };
  readonly nodes: ReadonlyMap<string, ChargedNode>;
  holder(channelId: bigint): ChargedNode | undefined;
  after(delayMs: number): Promise<void>;
}

interface ChargedNode {
  charge(channelId: bigint, drops: bigint, key: string | undefined): Promise<ChargeResult>;
}

export class Charger {
  /** Drops of charges that were answered, each key once. */
  answered = 0n;
  /** Drops of charges without a key that were not answered; those of the key that is asked for. */
  unknown = 0n;
  repeated = 0;
  isStopped = false;
  readonly #world: ChargedWorld;
  readonly #payer: { readonly channelId: bigint; readonly sent: bigint };
  readonly #hasKeys: boolean;
  #number = 0;
  #drops = 1n;
  #isWaiting = false;
  /** A key that was answered is asked for again, some time later. */
  #done: { key: string; drops: bigint } | undefined;

  constructor(world: ChargedWorld, payer: { readonly channelId: bigint; readonly sent: bigint }, hasKeys: boolean) {
    this.#world = world;
    this.#payer = payer;
    this.#hasKeys = hasKeys;
  }

  get channelId(): bigint {
    return this.#payer.channelId;
  }

  step(): void {
    if (this.#isWaiting || this.isStopped) return;
    this.#isWaiting = true;
    void (this.#hasKeys ? this.#chargeKey() : this.#chargeOnce()).finally(() => {
      this.#isWaiting = false;
    });
  }

  async #chargeOnce(): Promise<void> {
    const drops = BigInt(1 + this.#world.chance.below(3));
    const result = await this.#ask(drops, undefined);
    if (result === 'unknown') this.unknown += drops;
    else if (result !== 'refused') this.#take(result, drops);
  }

  async #chargeKey(): Promise<void> {
    const { chance } = this.#world;
    if (this.#done !== undefined && chance.below(4) === 0) {
      const { key, drops } = this.#done;
      const again = await this.#ask(drops, key);
      if (typeof again === 'string') return;
      if (again.repeated) this.repeated++;
      else this.#fault(`the key ${key} was charged twice`);
      return;
    }
    const key = `charge-${this.#number}`;
    this.unknown = this.#drops;
    const result = await this.#ask(this.#drops, key);
    if (typeof result === 'string') return;
    this.unknown = 0n;
    this.#take(result, this.#drops);
    this.#done = { key, drops: this.#drops };
    this.#number++;
    this.#drops = BigInt(1 + chance.below(3));
  }

  async #ask(drops: bigint, key: string | undefined): Promise<ChargeResult | 'refused' | 'unknown'> {
    const { chance, nodes } = this.#world;
    const all = [...nodes.values()];
    const node = chance.below(8) === 0 ? all[chance.below(all.length)] : this.#world.holder(this.channelId);
    const asked = (node?.charge(this.channelId, drops, key) ?? Promise.reject({ code: 'MOVED' })).catch(
      ({ code, message, stack }: Error & { code?: string }) => {
        const isMade = code === undefined || code.startsWith('STORE_');
        if (code === undefined || code === 'CHARGE_CONFLICT') this.#fault(stack ?? message);
        return isMade ? ('unknown' as const) : ('refused' as const);
      },
    );
    const answer = await Promise.race([asked, this.#world.after(PATIENCE_MS).then(() => 'unknown' as const)]);
    if (typeof answer === 'string') await this.#world.after(RETRY_MS);
    return answer;
  }

  #take({ spent, committed }: ChargeResult, drops: bigint): void {
    this.answered += drops;
    if (spent < this.answered) this.#fault(`spent ${spent}, answered were charges of ${this.answered}`);
    if (spent > committed) this.#fault(`spent ${spent} of ${committed}`);
  }

  /** @param spent what the database says at the end, when nothing is under way */
  expectSpent(spent: bigint, committed: bigint): void {
    if (spent < this.answered || spent > this.answered + this.unknown)
      this.#fault(`spent ${spent} at the end, answered ${this.answered}, not answered ${this.unknown}`);
    if (spent > committed) this.#fault(`spent ${spent} of ${committed} at the end`);
  }

  #fault(text: string): void {
    this.#world.tables.faults.push(`${this.#world.now} channel ${this.channelId}: ${text}`);
  }
}
