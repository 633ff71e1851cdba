/**
 * Keys parsed for node:crypto, a bounded number per owner: parsing costs as much as several verifications.
 */
import type { KeyObject } from 'node:crypto';

/** About 1 KiB each. */
const KEYS_MAX = 4_096;

export class KeyObjects {
  readonly #keys = new Map<string, KeyObject | null>();
  readonly #parse: (publicKey: Uint8Array) => KeyObject;

  /** @param parse may throw: the key then counts as one that verifies nothing */
  constructor(parse: (publicKey: Uint8Array) => KeyObject) {
    this.#parse = parse;
  }

  /** The key of 33 bytes, or null where they are no key. */
  get(publicKey: Uint8Array): KeyObject | null {
    const name = Buffer.from(publicKey).toString('latin1');
    let key = this.#keys.get(name);
    if (key === undefined) {
      key = this.#parsed(publicKey);
      if (this.#keys.size >= KEYS_MAX) this.#keys.delete(this.#keys.keys().next().value!);
      this.#keys.set(name, key);
    }
    return key;
  }

  #parsed(publicKey: Uint8Array): KeyObject | null {
    try {
      return this.#parse(publicKey);
    } catch {
      return null;
    }
  }
}
