/**
 * Issues challenges and knows its own again, without storing any: the id is an HMAC over all that a challenge says. The same
 * secret makes the nonces of session tokens. Main thread.
 */
import { createHmac, createSecretKey, type KeyObject, timingSafeEqual } from 'node:crypto';
import { SESSION_NONCE_BYTES, SESSION_SCHEME } from '../../protocol/session.ts';
import type { System } from '../system/system.ts';
import { bindingText, type Challenge, challengeText, jsonOf, requestText } from './scheme.ts';

/** Who asks for money, and where. */
export interface Merchant {
  /** The name that clients know the gateway by: its host name. */
  realm: string;
  /** The payee, a classic address. */
  recipient: string;
  /** The ledger's network, as the payer's source names it: mainnet, testnet, devnet, or a number. */
  network: string;
}

export interface ChallengeOptions {
  merchant: Merchant;
  /** At least 32 bytes. Gateways with the same one know each other's challenges. */
  secret: Uint8Array;
  /** How long a challenge may be answered. */
  challengeSeconds: number;
  /** How long a session token may live, from its nonce on. */
  sessionSeconds: number;
  system: Pick<System, 'random' | 'clock'>;
}

/** A challenge's value for WWW-Authenticate, and its id. */
export interface IssuedChallenge {
  id: string;
  text: string;
}

const MAC_BYTES = 16;
const NONCE_RANDOM_BYTES = SESSION_NONCE_BYTES - MAC_BYTES - 4;
const REFERENCE_BYTES = 16;
/** References are taken from random bytes drawn so many at a time: one system call for all of these. */
const REFERENCES_DRAWN = 128;
const U32_MAX = 0xffff_ffff;

export class Challenges {
  readonly #options: ChallengeOptions;
  readonly #key: KeyObject;
  #random: Buffer = Buffer.alloc(0);
  #randomAt = 0;
  /** The text of the last expiry, by its second. */
  #expires = { second: Number.NaN, text: '' };
  #session = { second: Number.NaN, text: '' };

  constructor(options: ChallengeOptions) {
    this.#options = options;
    this.#key = createSecretKey(options.secret);
  }

  get merchant(): Merchant {
    return this.#options.merchant;
  }

  /** @param channelId 64 hex digits, or empty; `cumulative` is what was charged on it */
  issue(price: bigint, channelId: string, cumulative: bigint): IssuedChallenge {
    const { realm, recipient, network } = this.#options.merchant;
    const details = { network, reference: this.#reference(), cumulativeAmount: String(cumulative) };
    const request = requestText({ amount: String(price), channelId, recipient, ...details });
    const challenge = { realm, method: 'xrpl', intent: 'session', request, expires: this.#expiresText() };
    const id = this.#mac(bindingText(challenge)).toString('base64url');
    return { id, text: challengeText({ id, ...challenge }) };
  }

  /** Why a challenge that a client sent back is not one of ours for a resource of this price, or `undefined`. */
  fault(challenge: Challenge, price: bigint): string | undefined {
    const { merchant } = this.#options;
    // The text is compared, of which an id has one, since charges are known by it.
    const id = Buffer.from(challenge.id);
    const expected = Buffer.from(this.#mac(bindingText(challenge)).toString('base64url'));
    if (id.length !== expected.length || !timingSafeEqual(id, expected)) return 'it was not issued by this server';
    if (challenge.realm !== merchant.realm || challenge.method !== 'xrpl' || challenge.intent !== 'session')
      return 'it asks for another payment';
    const expires = Date.parse(challenge.expires ?? '');
    if (!(expires > this.#options.system.clock.wall())) return 'it has expired';
    const request = jsonOf(challenge.request);
    if (request?.amount !== String(price)) return 'it asks another price than this resource has';
    if (request.recipient !== merchant.recipient) return 'it asks for another recipient';
    return undefined;
  }

  /** The challenge of the session scheme. One nonce serves everybody for a second: who signs it says who they are. */
  sessionText(): string {
    const second = this.#second();
    if (second !== this.#session.second) {
      const expires = Math.min(second + this.#options.sessionSeconds, U32_MAX);
      const nonce = Buffer.alloc(SESSION_NONCE_BYTES);
      nonce.writeUInt32BE(expires);
      this.#options.system.random(NONCE_RANDOM_BYTES).copy(nonce, 4);
      this.#nonceMac(nonce).copy(nonce, 4 + NONCE_RANDOM_BYTES);
      const until = new Date(expires * 1_000).toISOString();
      const { realm } = this.#options.merchant;
      const text = `${SESSION_SCHEME} realm="${realm}", nonce="${nonce.toString('base64url')}", expires="${until}"`;
      this.#session = { second, text };
    }
    return this.#session.text;
  }

  /** When a nonce of ours ends, in Unix seconds; undefined for any other 32 bytes. */
  nonceEnd(nonce: Uint8Array): number | undefined {
    const bytes = Buffer.from(nonce.buffer, nonce.byteOffset, nonce.length);
    if (bytes.length !== SESSION_NONCE_BYTES) return undefined;
    const mac = bytes.subarray(4 + NONCE_RANDOM_BYTES);
    return timingSafeEqual(mac, this.#nonceMac(bytes)) ? bytes.readUInt32BE() : undefined;
  }

  /** Another prefix than a challenge can have, whose realm has no line end: neither can be passed off as the other. */
  #nonceMac(nonce: Buffer): Buffer {
    const said = nonce.subarray(0, 4 + NONCE_RANDOM_BYTES).toString('hex');
    return this.#mac(`session\n${this.#options.merchant.realm}\n${said}`).subarray(0, MAC_BYTES);
  }

  #mac(text: string): Buffer {
    return createHmac('sha256', this.#key).update(text).digest();
  }

  #second(): number {
    return Math.floor(this.#options.system.clock.wall() / 1_000);
  }

  #expiresText(): string {
    const second = this.#second();
    if (second !== this.#expires.second) {
      const expires = (second + this.#options.challengeSeconds) * 1_000;
      this.#expires = { second, text: new Date(expires).toISOString() };
    }
    return this.#expires.text;
  }

  #reference(): string {
    if (this.#randomAt >= this.#random.length) {
      this.#random = this.#options.system.random(REFERENCE_BYTES * REFERENCES_DRAWN);
      this.#randomAt = 0;
    }
    const start = this.#randomAt;
    this.#randomAt += REFERENCE_BYTES;
    return this.#random.toString('hex', start, this.#randomAt);
  }
}
