/**
 * Up to which amount a channel's vouchers have paid. A claim by UDP is no secret, nor is one that was redeemed on the ledger:
 * whoever has read one could show it here as a voucher, and have what the channel's own payer streams charged for requests
 * of somebody else. So an amount that did not come by a voucher first is no voucher's. Main thread.
 */

/** An entry that was forgotten costs its payer what refunds had left over. */
const CHANNELS_MAX = 65_536;

export class VoucherMarks {
  readonly #amounts = new Map<bigint, bigint>();
  readonly #channelsMax: number;

  constructor(channelsMax = CHANNELS_MAX) {
    this.#channelsMax = channelsMax;
  }

  /** A voucher of `amount` was the first claim of it. */
  note(channelId: bigint, amount: bigint): void {
    const before = this.of(channelId);
    this.#amounts.delete(channelId);
    this.#amounts.set(channelId, amount > before ? amount : before);
    if (this.#amounts.size > this.#channelsMax) this.#amounts.delete(this.#amounts.keys().next().value!);
  }

  of(channelId: bigint): bigint {
    return this.#amounts.get(channelId) ?? 0n;
  }
}
