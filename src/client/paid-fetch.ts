/**
 * A fetch that pays: it answers 402 with a voucher of a payment channel, up to a bound that it never passes
 * (protocol/GATEWAY.md). User's thread.
 *
 * A server may lie about what it was paid. It can not make this sign more than `budget` in all, nor more than `priceMax` at
 * once, and it is only signed for the realm that was dialed.
 */
import { CLAIM_AMOUNT, CLAIM_BYTES, CLAIM_SIGNATURE, SIGNATURE_BYTES, U64_MAX } from '../../protocol/layout.ts';
import { encodeSessionToken, SESSION_SCHEME, sessionPreimage } from '../../protocol/session.ts';
import { ClaimwireError } from '../errors.ts';
import { type KeyPair, keySigner } from './keys/key-file.ts';
import { signClaim } from './keys/sign-claim.ts';
import type { Signer } from './keys/signer.ts';

/** What a paying fetch pays from, and how much. Amounts in drops. */
export interface PaidFetchOptions {
  /** 32 bytes, or 64 hex digits. */
  ledgerChannelId: Uint8Array | string;
  key: KeyPair | Signer;
  /** The most that is signed for in all, above `signed`. */
  budget: bigint;
  /** The most that one request may cost; default the budget. */
  priceMax?: bigint;
  /** What was signed for on this channel before, default 0. Keep PaidFetch.signed over restarts. */
  signed?: bigint;
  /** The gateway's name, where it is not the host of the URL. */
  realm?: string;
  /** Default globalThis.fetch. */
  fetch?: typeof globalThis.fetch;
}

/** A fetch that pays. */
export interface PaidFetch {
  (input: string | URL, init?: RequestInit): Promise<Response>;
  /** Highest amount signed on the channel: no more can be claimed. */
  readonly signed: bigint;
}

/** A challenge as its parameters. */
type Parameters = Record<string, string>;

/** A challenge may have expired, and a request of another client may have been charged meanwhile. */
const ATTEMPTS_MAX = 3;
const CHALLENGES_MAX = 1_024;
const HEADER_CHARACTERS_MAX = 32 << 10;

/**
 * A fetch that pays from a channel. It rejects with ClaimwireError PAYMENT_REQUIRED where a request costs more than it may
 * spend; every other answer, a 402 that paying did not help included, is returned as it is. Bodies must be such that can be sent twice:
 * no streams. Where the first answer is not 402, nothing is paid.
 */
export function paidFetch(options: PaidFetchOptions): PaidFetch {
  const payer = new FetchPayer(options);
  const call = (input: string | URL, init?: RequestInit) => payer.fetch(new URL(input), init ?? {});
  return Object.defineProperty(call, 'signed', { get: () => payer.signed }) as PaidFetch;
}

class FetchPayer {
  signed: bigint;
  readonly #options: PaidFetchOptions;
  readonly #signer: Signer;
  readonly #ledgerChannelId: Uint8Array;
  readonly #limit: bigint;
  /** What all requests so far have cost, as far as it is known: the next voucher adds to it. */
  #owed: bigint;
  /** Prices that could not be signed for, by the amount of their voucher, which a higher one may cover yet. */
  readonly #unsigned = new Map<bigint, bigint>();
  #underWay = 0;
  /** The next challenge of a resource, from its last answer. */
  readonly #challenges = new Map<string, Parameters>();

  constructor(options: PaidFetchOptions) {
    const { budget, signed = 0n, key } = options;
    if (budget <= 0n || signed < 0n || signed + budget > U64_MAX)
      throw new ClaimwireError('INPUT_INVALID', `budget: expected 1..2^64-1 drops, got ${budget}`);
    this.#options = options;
    this.#signer = 'privateKey' in key ? keySigner(key) : key;
    this.#ledgerChannelId = idOf(options.ledgerChannelId);
    this.signed = signed;
    this.#owed = signed;
    this.#limit = signed + budget;
  }

  async fetch(url: URL, init: RequestInit): Promise<Response> {
    if (init.body instanceof ReadableStream)
      throw new ClaimwireError('INPUT_INVALID', 'body: expected one that can be sent twice, got a stream');
    const send = this.#options.fetch ?? globalThis.fetch;
    const resource = `${init.method ?? 'GET'} ${url.origin}${url.pathname}`;
    let challenge = this.#challenges.get(resource);
    this.#challenges.delete(resource);
    for (let attempt = 0; ; attempt++) {
      const headers = new Headers(init.headers);
      const price = challenge === undefined ? 0n : this.#priceOf(challenge, url);
      this.#owed += price;
      this.#underWay++;
      let response: Response;
      try {
        if (challenge !== undefined) headers.set('authorization', await this.#paidBy(challenge, price));
        response = await send(url, { ...init, headers });
      } finally {
        this.#underWay--;
      }
      const next = paymentOf(response);
      if (response.ok && next !== undefined) this.#remember(resource, next);
      // It was not served: what is owed is what the server says, where that is less.
      if (!response.ok && next !== undefined && this.#underWay === 0) this.#believe(next, price);
      if (response.status !== 402 || next === undefined || attempt === ATTEMPTS_MAX - 1) return response;
      await response.body?.cancel();
      challenge = next;
    }
  }

  /** The price that a challenge asks; throws where it is not to be paid. */
  #priceOf(challenge: Parameters, url: URL): bigint {
    const { realm = url.hostname, priceMax = this.#options.budget } = this.#options;
    if (challenge.realm !== realm)
      throw refusal(`realm: expected ${realm}, got ${challenge.realm}; name it with the option realm if it is right`);
    const amount = requestOf(challenge).amount;
    const price = typeof amount === 'string' && /^[1-9][0-9]{0,18}$/.test(amount) ? BigInt(amount) : undefined;
    if (price === undefined) throw refusal(`amount: expected drops, got ${JSON.stringify(amount)}`);
    if (price > priceMax) throw refusal(`price: expected at most ${priceMax} drops, got ${price}`);
    if (this.#owed + price > this.#limit)
      throw refusal(`budget: expected at most ${this.#limit} drops signed in all, got ${this.#owed + price}`);
    return price;
  }

  /** A voucher of what is owed now. Where it cannot be signed, the price is no longer owed, unless later vouchers cover it. */
  async #paidBy(challenge: Parameters, price: bigint): Promise<string> {
    const amount = this.#owed;
    try {
      return await this.#voucher(challenge, amount);
    } catch (error) {
      this.#unsigned.set(amount, price);
      for (let last = this.#unsigned.get(this.#owed); last !== undefined; last = this.#unsigned.get(this.#owed)) {
        this.#unsigned.delete(this.#owed);
        this.#owed -= last;
      }
      throw error;
    }
  }

  async #voucher(challenge: Parameters, amount: bigint): Promise<string> {
    const claim = new Uint8Array(CLAIM_BYTES);
    new DataView(claim.buffer).setBigUint64(CLAIM_AMOUNT, amount);
    await signClaim(this.#signer, claim, this.#ledgerChannelId, 'xrpl');
    const compact = claim.subarray(CLAIM_SIGNATURE, CLAIM_SIGNATURE + SIGNATURE_BYTES);
    if (amount > this.signed) this.signed = amount;
    for (const covered of this.#unsigned.keys()) if (covered <= amount) this.#unsigned.delete(covered);
    const isEd25519 = this.#signer.publicKey[0] === 0xed;
    const payload = {
      action: 'voucher',
      channelId: hex(this.#ledgerChannelId),
      amount: String(amount),
      signature: isEd25519 ? hex(compact) : hex(derOf(compact)),
    };
    return `Payment ${Buffer.from(JSON.stringify({ challenge, payload })).toString('base64url')}`;
  }

  /** What the server says was charged on this channel counts where it is not more than was signed for. */
  #believe(challenge: Parameters, price: bigint): void {
    const { channelId, methodDetails } = requestOf(challenge) as Record<string, unknown> & {
      methodDetails?: { cumulativeAmount?: unknown };
    };
    const said = methodDetails?.cumulativeAmount;
    this.#unsigned.clear();
    const isOurs = typeof channelId === 'string' && channelId.toUpperCase() === hex(this.#ledgerChannelId);
    if (isOurs && typeof said === 'string' && /^[0-9]{1,19}$/.test(said) && BigInt(said) <= this.signed)
      this.#owed = BigInt(said);
    else this.#owed -= price;
  }

  #remember(resource: string, challenge: Parameters): void {
    if (this.#challenges.size >= CHALLENGES_MAX) this.#challenges.delete(this.#challenges.keys().next().value!);
    this.#challenges.set(resource, challenge);
  }
}

/** What the token of a session is made of. */
export interface SessionOptions {
  /** The WWW-Authenticate of a 402. */
  challenge: string;
  /** The host that was dialed: the token is good nowhere else. */
  realm: string;
  ledgerChannelId: Uint8Array | string;
  key: KeyPair | Signer;
}

/**
 * The Authorization with which a payer that streams claims over UDP buys until the nonce ends. Rejects with INPUT_INVALID where
 * the challenge has no session, or another realm.
 */
export async function sessionAuthorization(options: SessionOptions): Promise<string> {
  const { challenge, realm, ledgerChannelId, key } = options;
  const session = parametersOf(challenge, SESSION_SCHEME);
  const nonce = Buffer.from(session?.nonce ?? '', 'base64url');
  const expires = Math.floor(Date.parse(session?.expires ?? '') / 1_000);
  if (nonce.length !== 32 || !(expires > 0) || session?.realm !== realm)
    throw new ClaimwireError('INPUT_INVALID', `challenge: expected a ${SESSION_SCHEME} of ${realm}, got another`);
  const signer = 'privateKey' in key ? keySigner(key) : key;
  if (signer.signMessage === undefined)
    throw new ClaimwireError(
      'INPUT_INVALID',
      'key: expected a signer that signs messages, got one without signMessage',
    );
  const said = { ledgerChannelId: idOf(ledgerChannelId), expires: BigInt(expires), nonce };
  const token = encodeSessionToken({ ...said, signature: await signer.signMessage(sessionPreimage(said, realm)) });
  return `${SESSION_SCHEME} ${Buffer.from(token).toString('base64url')}`;
}

/** The challenge of method xrpl in an answer. */
function paymentOf(response: Response): Parameters | undefined {
  const challenge = parametersOf(response.headers.get('www-authenticate') ?? '', 'Payment');
  return challenge?.method === 'xrpl' && challenge.intent === 'session' ? challenge : undefined;
}

/** The parameters of a scheme's first challenge. */
function parametersOf(header: string, scheme: string): Parameters | undefined {
  if (header.length > HEADER_CHARACTERS_MAX) return undefined;
  const start = new RegExp(`(?:^|,\\s*)${scheme}\\s+`, 'i').exec(header);
  if (start === null) return undefined;
  const parameters: Parameters = {};
  const parameter = /\s*([\w-]+)="((?:[^"\\]|\\.)*)"\s*(?:,|$)/y;
  parameter.lastIndex = start.index + start[0].length;
  for (let found = parameter.exec(header); found !== null; found = parameter.exec(header))
    parameters[found[1]!.toLowerCase()] = found[2]!.replace(/\\(.)/g, '$1');
  return parameters;
}

function requestOf(challenge: Parameters): Record<string, unknown> {
  try {
    const request: unknown = JSON.parse(Buffer.from(challenge.request ?? '', 'base64url').toString());
    return typeof request === 'object' && request !== null ? (request as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}

/** Strict DER of r‖s. */
function derOf(compact: Uint8Array): Uint8Array {
  const integers = [compact.subarray(0, 32), compact.subarray(32)].flatMap((scalar) => {
    const digits = scalar.subarray(scalar.findIndex((byte) => byte !== 0));
    const body = digits[0]! >= 0x80 ? [0, ...digits] : [...digits];
    return [0x02, body.length, ...body];
  });
  return Uint8Array.of(0x30, integers.length, ...integers);
}

function idOf(id: Uint8Array | string): Uint8Array {
  const bytes = typeof id === 'string' ? Buffer.from(id, 'hex') : id;
  if (bytes.length === 32) return bytes;
  throw new ClaimwireError('INPUT_INVALID', `ledgerChannelId: expected 32 bytes, got ${bytes.length}`);
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex').toUpperCase();
}

function refusal(message: string): ClaimwireError {
  return new ClaimwireError('PAYMENT_REQUIRED', message);
}
