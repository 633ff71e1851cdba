/**
 * Charges a request to its channel, and gives back what was charged for nothing. Main thread.
 *
 * A charge is durable before anything of what it pays for goes out. Where its request may begin before that, the charge is
 * reserved: the meter has taken the drops, and the commit runs while the service works.
 */
import type { Channel } from '../channel/row.ts';
import type { ChargeResult, MeterControl } from '../control/meter-control.ts';
import { ClaimwireError } from '../errors.ts';
import type { GatewayCounters } from './counters.ts';
import { MOVED, short, unpaid } from './refusals.ts';
import { type Payment, refused, type Unpaid, type Verdict } from './verdict.ts';
import type { Voucher } from './voucher.ts';

/** A charge that was asked for; `reserved` is what it brings its channel to at most, where it will be made. */
interface Begun {
  made: Promise<ChargeResult>;
  reserved: bigint | undefined;
}

export class Charging {
  readonly #meter: MeterControl;
  readonly #counters: GatewayCounters;
  readonly #notFound: () => string;

  /** @param notFound why a channel may be unknown here */
  constructor(meter: MeterControl, counters: GatewayCounters, notFound: () => string) {
    this.#meter = meter;
    this.#counters = counters;
    this.#notFound = notFound;
  }

  /** Charges a channel whose voucher is in the node's books. It pays up to its amount, whatever else is committed. */
  async byVoucher(payment: Payment, voucher: Voucher, mayReserve: boolean): Promise<Verdict> {
    const { made, reserved } = this.#begin(payment, mayReserve);
    const settled = this.#madeByVoucher(made, payment, voucher);
    if (reserved === undefined || reserved > voucher.amount) return (await settled) ?? { kind: 'paid', payment };
    payment.settled = settled;
    return { kind: 'paid', payment };
  }

  async #madeByVoucher(made: Promise<ChargeResult>, payment: Payment, voucher: Voucher): Promise<Unpaid | undefined> {
    const { channel, drops } = payment;
    const fault = await this.#made(made, payment);
    if (fault !== undefined) return fault;
    if (payment.spent > voucher.amount) {
      // Another request of this channel was charged meanwhile.
      await this.refund(payment, drops);
      return short(voucher, payment.spent - drops, drops, channel);
    }
    this.#counters.paidByVoucher++;
    return undefined;
  }

  /**
   * Charges a channel whose payer streams claims. They go another way than its requests, so that a request may be here
   * before the claim that pays it: then it waits for it.
   */
  bySession(payment: Payment, waitMs: number, mayReserve: boolean): Promise<Verdict> | Verdict {
    const { made, reserved } = this.#begin(payment, mayReserve);
    if (reserved !== undefined) {
      payment.settled = this.#madeBySession(made, payment);
      return { kind: 'paid', payment };
    }
    const soon = made.catch((error) => {
      if (!(error instanceof ClaimwireError) || error.code !== 'PAYMENT_REQUIRED') throw error;
      const { channel, drops, key } = payment;
      return this.#meter.charge(channel.channelId, drops, { key, signal: AbortSignal.timeout(waitMs) });
    });
    return this.#madeBySession(soon, payment).then((fault) => fault ?? { kind: 'paid', payment });
  }

  #madeBySession(made: Promise<ChargeResult>, payment: Payment): Promise<Unpaid | undefined> {
    return made.then(
      (result) => {
        const fault = this.#note(result, payment);
        if (fault === undefined) this.#counters.paidBySession++;
        return fault;
      },
      (error) => this.fault(error, payment.channel, payment.drops),
    );
  }

  #begin({ channel, drops, key }: Payment, mayReserve: boolean): Begun {
    const begun: Begun = { made: undefined!, reserved: undefined };
    const onReserved = (spent: bigint) => {
      begun.reserved = spent;
    };
    const options = { key, wait: false, onReserved: mayReserve ? onReserved : undefined };
    begun.made = this.#meter.charge(channel.channelId, drops, options);
    return begun;
  }

  /** Waits until a charge is durable; returns why it was not made. */
  async #made(made: Promise<ChargeResult>, payment: Payment): Promise<Unpaid | undefined> {
    let result: ChargeResult;
    try {
      result = await made;
    } catch (error) {
      return this.fault(error, payment.channel, payment.drops);
    }
    return this.#note(result, payment);
  }

  /** The charge is durable. Says where it had been so before, for another request. */
  #note(result: ChargeResult, payment: Payment): Unpaid | undefined {
    const { channel, drops, key, proof } = payment;
    if (result.repeated) return { kind: 'repeated', key: key!, proof, channel };
    this.#counters.drops += drops;
    payment.spent = result.spent;
    return undefined;
  }

  /** More for the same request, while it streams: charged to its channel as soon as claims cover it, or PAYMENT_REQUIRED. */
  async more(payment: Payment, drops: bigint, signal: AbortSignal): Promise<void> {
    const result = await this.#meter.charge(payment.channel.channelId, drops, { signal });
    this.#counters.drops += drops;
    payment.drops += drops;
    payment.spent = result.spent;
  }

  /** Gives back what was charged for nothing. `key` makes it once. */
  async refund(payment: Payment, drops: bigint): Promise<void> {
    if (drops <= 0n) return;
    const key = payment.key === undefined ? undefined : `${payment.key}-r`;
    await this.#meter.charge(payment.channel.channelId, -drops, { key });
    payment.drops -= drops;
    this.#counters.drops -= drops;
  }

  /** What a charge or a claim that failed means to who asked for it. */
  fault(error: unknown, channel: Channel, price: bigint): Unpaid {
    if (error instanceof DOMException && error.name === 'TimeoutError') return unpaid(channel, price);
    if (!(error instanceof ClaimwireError)) throw error;
    switch (error.code) {
      case 'PAYMENT_REQUIRED':
        return unpaid(channel, price);
      case 'CHARGE_CONFLICT':
        return refused('verification-failed', 'this credential has paid another price');
      case 'CHANNEL_UNKNOWN':
        return refused('session/channel-not-found', this.#notFound());
      case 'MOVED':
        return MOVED;
      case 'NODE_BUSY':
      case 'NODE_STOPPING':
        return { kind: 'busy' };
      default:
        throw error;
    }
  }
}
