/** A cache of keys parsed for node:crypto, since parsing costs as much as several verifications. */
import type { KeyObject } from 'node:crypto';

/** About 1 KiB each. */
const KEYS_MAX = 4_096;

export class KeyObjects {
  readonly #keys = new Map<string, KeyObject | null>();
  readonly #parse: (publicKey: Uint8Array) => KeyObject;

  /** @param parse may throw; then nothing is valid under the key */
  constructor(parse: (publicKey: Uint8Array) => KeyObject) {
    this.#parse = parse;
  }

  /** The key of these 33 bytes, or null where they are no key. */
  get(publicKey: Uint8Array): KeyObject | null {
    const name = Buffer.from(publicKey).toString('latin1');
    let key = this.#keys.get(name);
    if (key === undefined) {
      try {
        key = this.#parse(publicKey);
      } catch {
        key = null;
      }
      if (this.#keys.size >= KEYS_MAX) this.#keys.delete(this.#keys.keys().next().value!);
      this.#keys.set(name, key);
    }
    return key;
  }
}
