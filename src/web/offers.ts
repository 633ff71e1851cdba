/** The rate of offers: a bucket for all of them, and one for each address (IPv6: one /64). Web process. */
import { AddressNames } from '../transport/tcp-admission.ts';

const PER_ADDRESS_SHARE = 4;
/** What may come at once, in seconds of the rate. */
const BURST_SECONDS = 2;
/** Addresses are forgotten together at this number, so that a flood from many cannot make it grow. */
const ADDRESSES_MAX = 4_096;

interface Bucket {
  left: number;
  filledAt: number;
}

export class OfferRate {
  readonly #perSecond: number;
  readonly #all: Bucket;
  readonly #names = new AddressNames();
  readonly #addresses = new Map<string, Bucket>();

  constructor(perSecond: number) {
    this.#perSecond = perSecond;
    this.#all = { left: perSecond * BURST_SECONDS, filledAt: 0 };
  }

  /** Whether an offer may be answered, which uses up a place. `now` is in milliseconds, of any origin. */
  pass(address: string, now: number): boolean {
    const rate = this.#perSecond / PER_ADDRESS_SHARE;
    const name = this.#names.of(address);
    let own = this.#addresses.get(name);
    if (own === undefined) {
      if (this.#addresses.size >= ADDRESSES_MAX) this.#addresses.clear();
      own = { left: rate * BURST_SECONDS, filledAt: now };
      this.#addresses.set(name, own);
    }
    fill(own, rate, now);
    fill(this.#all, this.#perSecond, now);
    if (own.left < 1 || this.#all.left < 1) return false;
    own.left--;
    this.#all.left--;
    return true;
  }
}

function fill(bucket: Bucket, perSecond: number, now: number): void {
  const more = (Math.max(0, now - bucket.filledAt) * perSecond) / 1_000;
  bucket.left = Math.min(perSecond * BURST_SECONDS, bucket.left + more);
  bucket.filledAt = now;
}
