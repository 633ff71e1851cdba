/**
 * The payloads of method `xrpl`: a voucher is a claim in other words, with the ledger's own signature. Pure.
 */
import { createHash } from 'node:crypto';
import { encodeAccountID } from 'ripple-address-codec';
import { claimBytes } from '../../protocol/claim.ts';
import { DROPS_MAX, ED25519_KEY_PREFIX, LEDGER_CHANNEL_ID_BYTES, SIGNATURE_BYTES } from '../../protocol/layout.ts';
import { defaultChannelId } from '../channel/parse.ts';
import type { Channel } from '../channel/row.ts';

/** A signed transaction is some hundred bytes. */
const TRANSACTION_HEX_MAX = 4_096;
const SCALAR_BYTES = SIGNATURE_BYTES / 2;
/** 30 len 02 len r 02 len s, at most. */
const DER_HEX_MAX = 144;
const HEX = /^(?:[0-9a-fA-F]{2})+$/;
const ADDRESSES_MAX = 4_096;

/** What a client pays with. `channelId` is the ledger's id, and `amount` cumulative drops. */
export interface Voucher {
  action: 'voucher' | 'close';
  channelId: Uint8Array;
  /** The u64 by which the node knows the channel. */
  handle: bigint;
  amount: bigint;
  /** Hex: DER, or the 64 bytes of Ed25519. */
  signature: string;
}

/** A request to open a channel: the signed transaction that creates it, in hex, and the first claim where there is one. */
export interface OpenPayload {
  action: 'open';
  transaction: string;
  amount: string | undefined;
  signature: string | undefined;
}

/** Reads a payload, or says what is wrong with it. */
export function parsePayload(payload: Record<string, unknown>): Voucher | OpenPayload | string {
  const { action } = payload;
  if (action === 'open') {
    const { transaction, amount, signature } = payload;
    if (typeof transaction !== 'string' || transaction.length > TRANSACTION_HEX_MAX || !HEX.test(transaction))
      return 'payload.transaction: expected a signed transaction in hex';
    for (const [name, value] of Object.entries({ amount, signature }))
      if (value !== undefined && typeof value !== 'string') return `payload.${name}: expected a string`;
    return { action, transaction: transaction.toUpperCase(), amount, signature } as OpenPayload;
  }
  if (action !== 'voucher' && action !== 'close') return 'payload.action: expected voucher, open or close';
  const { channelId, amount, signature } = payload;
  if (typeof channelId !== 'string' || channelId.length !== 2 * LEDGER_CHANNEL_ID_BYTES || !HEX.test(channelId))
    return 'payload.channelId: expected 64 hex digits';
  if (typeof amount !== 'string' || !/^[1-9][0-9]{0,17}$/.test(amount) || BigInt(amount) > DROPS_MAX)
    return 'payload.amount: expected drops as a decimal string';
  if (typeof signature !== 'string' || signature.length > DER_HEX_MAX || !HEX.test(signature))
    return 'payload.signature: expected a signature in hex';
  const id = Buffer.from(channelId, 'hex');
  return { action, channelId: id, handle: defaultChannelId(id), amount: BigInt(amount), signature };
}

/** The 64 bytes of the wire for a signature in hex: Ed25519's as they are, ECDSA's from strict DER. Undefined for others. */
export function compactSignature(hex: string, publicKey: Uint8Array): Uint8Array | undefined {
  const bytes = Buffer.from(hex, 'hex');
  if (publicKey[0] === ED25519_KEY_PREFIX) return bytes.length === SIGNATURE_BYTES ? bytes : undefined;
  return compactFromDer(bytes);
}

/** Strict: minimal lengths and integers, positive, nothing after them. */
function compactFromDer(der: Buffer): Uint8Array | undefined {
  if (der[0] !== 0x30 || der[1] !== der.length - 2) return undefined;
  const compact = new Uint8Array(SIGNATURE_BYTES);
  const end = integer(der, 2, compact.subarray(0, SCALAR_BYTES));
  if (end === undefined || integer(der, end, compact.subarray(SCALAR_BYTES)) !== der.length) return undefined;
  return compact;
}

/** Reads the integer at `offset` into `target`, and returns where it ends. */
function integer(der: Buffer, offset: number, target: Uint8Array): number | undefined {
  const length = der[offset + 1]!;
  const start = offset + 2;
  const end = start + length;
  if (der[offset] !== 0x02 || !(length >= 1) || end > der.length || der[start]! >= 0x80) return undefined;
  const isPadded = der[start] === 0;
  // A zero stands only before a set top bit, and the number 0 is no scalar.
  if (isPadded && !(length > 1 && der[start + 1]! >= 0x80)) return undefined;
  const digits = der.subarray(isPadded ? start + 1 : start, end);
  if (digits.length > target.length) return undefined;
  target.set(digits, target.length - digits.length);
  return end;
}

/** A voucher as the claim that the node takes. An `xrpl` signature covers neither sequence nor timestamp. */
export function claimOf(voucher: Voucher, signature: Uint8Array, sequence: number, timestamp: number): Uint8Array {
  return claimBytes({ channelId: voucher.handle, sequence, amount: voucher.amount, signature, timestamp });
}

/** The ledger address of a key: base58 of RIPEMD-160 of SHA-256. */
export function addressOf(publicKey: Uint8Array): string {
  return encodeAccountID(createHash('ripemd160').update(createHash('sha256').update(publicKey).digest()).digest());
}

/** Checks the sources of credentials, and remembers the addresses of the last keys. */
export class Sources {
  readonly #addresses = new Map<string, string>();
  readonly #prefix: string;

  constructor(network: string) {
    this.#prefix = `did:pkh:xrpl:${network}:`;
  }

  /** Whether a source that was given is the address of the channel's key on this network. */
  isOf(source: string, { publicKey }: Pick<Channel, 'publicKey'>): boolean {
    return source === this.#prefix + this.#address(publicKey);
  }

  #address(publicKey: Uint8Array): string {
    const name = Buffer.from(publicKey).toString('latin1');
    let address = this.#addresses.get(name);
    if (address === undefined) {
      address = addressOf(publicKey);
      if (this.#addresses.size >= ADDRESSES_MAX) this.#addresses.delete(this.#addresses.keys().next().value!);
      this.#addresses.set(name, address);
    }
    return address;
  }
}
