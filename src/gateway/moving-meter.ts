/**
 * The meter of a gateway in a cluster: a refund follows its channel, where that has gone to another node since it was charged.
 *
 * Main thread. A charge is made here or answered MOVED, and then the whole request goes to the holder (forwarding.ts). But what
 * was charged here may have to be given back after the shard has moved. The holder alone can do that: it is asked for it, with a
 * key, so that it is done once however often it is asked.
 */
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ChargeResult, MeterControl } from '../control/meter-control.ts';
import { ClaimwireError } from '../errors.ts';
import type { Logger } from '../log.ts';

/** A takeover takes two seconds, and a failover of the database some more. */
const TRIES_MAX = 40;
const PAUSE_MS = 250;
/** The holder is not known yet, does not answer, or has no time. */
const PASSING = ['MOVED', 'NODE_UNREACHABLE', 'NODE_BUSY', 'NODE_STOPPING'];

/** Refunds at whichever node holds the channel. */
export type RefundAtHolder = (
  channelId: bigint,
  drops: bigint,
  key: string,
) => Promise<Pick<ChargeResult, 'spent' | 'committed' | 'repeated'>>;

export class MovingMeter implements MeterControl {
  readonly #meter: MeterControl;
  readonly #refundAtHolder: RefundAtHolder;
  readonly #logger: Pick<Logger, 'error'>;
  readonly #pauseMs: number;

  /** @param pauseMs between two tries; for tests */
  constructor(
    meter: MeterControl,
    refundAtHolder: RefundAtHolder,
    logger: Pick<Logger, 'error'>,
    pauseMs: number = PAUSE_MS,
  ) {
    this.#meter = meter;
    this.#refundAtHolder = refundAtHolder;
    this.#logger = logger;
    this.#pauseMs = pauseMs;
  }

  charge(...[channelId, drops, options]: Parameters<MeterControl['charge']>): Promise<ChargeResult> {
    const charged = this.#meter.charge(channelId, drops, options);
    if (drops >= 0n) return charged;
    return charged.catch((error: unknown) => {
      if (!isOneOf(error, ['MOVED'])) throw error;
      return this.#follow(channelId, drops, options?.key ?? randomUUID());
    });
  }

  spent(channelId: bigint): bigint {
    return this.#meter.spent(channelId);
  }
  waitForAmount(...asked: Parameters<MeterControl['waitForAmount']>): Promise<bigint> {
    return this.#meter.waitForAmount(...asked);
  }
  onCommitted(...asked: Parameters<MeterControl['onCommitted']>): () => void {
    return this.#meter.onCommitted(...asked);
  }
  submit(...asked: Parameters<MeterControl['submit']>): ReturnType<MeterControl['submit']> {
    return this.#meter.submit(...asked);
  }

  async #follow(channelId: bigint, drops: bigint, key: string): Promise<ChargeResult> {
    for (let left = TRIES_MAX; ; left--) {
      try {
        return { channelId, drops, ...(await this.#refundAtHolder(channelId, drops, key)) };
      } catch (error) {
        if (left > 1 && isOneOf(error, PASSING)) {
          await sleep(this.#pauseMs);
          continue;
        }
        const remedy = `give them back with claimwire charge ${channelId} ${-drops} --refund --key ${key}`;
        this.#logger.error(
          `gateway: refund of ${-drops} drops on channel ${channelId}, which another node holds now: ${(error as Error).message}; ${remedy}`,
        );
        throw error;
      }
    }
  }
}

function isOneOf(error: unknown, codes: readonly string[]): boolean {
  return error instanceof ClaimwireError && codes.includes(error.code);
}
