/**
 * From a channel's best claim to what the XRP Ledger takes: signatures, addresses, times, the unsigned transaction.
 *
 * Pure functions, any thread. Facts: a Signature is strict DER in hex, or Ed25519's 64 bytes in hex; Balance and Amount are drops as decimal strings; a
 * time is in seconds since 2000-01-01; whatever touches an expired channel closes it and pays the payee nothing.
 */
import { isValidClassicAddress, isValidXAddress } from 'ripple-address-codec';
import { ED25519_KEY_PREFIX, SIGNATURE_BYTES } from '../../protocol/layout.ts';
import { isoTime, upperHex } from '../channel/parse.ts';
import type { Channel } from '../channel/row.ts';
import { ClaimwireError } from '../errors.ts';

/** Unix seconds at 2000-01-01T00:00:00Z. */
const RIPPLE_EPOCH = 946_684_800;
const SCALAR_BYTES = SIGNATURE_BYTES / 2;
/** Redeem at least this long before expiry: room for fee spikes, a node that is behind, and a second try. */
const EXPIRY_WARNING_SECONDS = 24 * 3600;
/** Half of the order of secp256k1: a larger s is the twin the ledger refuses. */
const HALF_ORDER = 0x7fff_ffff_ffff_ffff_ffff_ffff_ffff_ffff_5d57_6e73_57a4_501d_dfe9_2f46_681b_20a0n;
/** Order of Ed25519's group: s at or over it is a second form of a signature, which the ledger refuses too. */
const ED25519_ORDER = 0x1000_0000_0000_0000_0000_0000_0000_0000_14de_f9de_a2f7_9cd6_5812_631a_5cf5_d3edn;

/** An unsigned PaymentChannelClaim; the payee's wallet adds Fee, Sequence and LastLedgerSequence and signs it. */
export interface PaymentChannelClaim {
  TransactionType: 'PaymentChannelClaim';
  /** The payee, a classic address. */
  Account: string;
  Channel: string;
  /** Drops, cumulative: what the payee has received once this is validated. */
  Balance: string;
  /** Drops the payer signed. */
  Amount: string;
  /** Strict DER, or for a PublicKey beginning ED the 64 bytes; upper-case hex. */
  Signature: string;
  PublicKey: string;
  /** No tfClose: that would hand the rest of the channel back to the payer at once. */
  Flags: 0;
}

/** The parts of a channel a redemption needs. */
export type Redeemable = Pick<
  Channel,
  'ledgerChannelId' | 'publicKey' | 'committed' | 'signature' | 'profile' | 'expiresAt'
>;

/** What `redeemAdvice` says of a channel. */
export interface RedeemAdvice {
  worthRedeeming: boolean;
  /** For people: why not, or what to mind. */
  warnings: string[];
}

function bad(field: string, expected: string, actual: string): never {
  throw new ClaimwireError('INPUT_INVALID', `${field}: expected ${expected}, got ${actual}`, { field });
}

/** Compact r‖s as strict DER, upper-case hex: minimal integers, a 00 before a set top bit. */
export function derFromCompact(compact: Uint8Array): string {
  if (compact.length !== SIGNATURE_BYTES) bad('signature', `${SIGNATURE_BYTES} bytes`, String(compact.length));
  const integers = [compact.subarray(0, SCALAR_BYTES), compact.subarray(SCALAR_BYTES)].map((scalar, index) => {
    const first = scalar.findIndex((byte) => byte !== 0);
    if (first < 0) bad('signature', `${'rs'[index]} above 0`, '0');
    const digits = scalar.subarray(first);
    const body = digits[0]! >= 0x80 ? [0, ...digits] : [...digits];
    return [0x02, body.length, ...body];
  });
  const body = integers.flat();
  return upperHex(Uint8Array.from([0x30, body.length, ...body]));
}

/** Strict DER (hex, any case) back to compact r‖s. Throws INPUT_INVALID for anything the ledger would not take. */
export function compactFromDer(der: string): Uint8Array {
  if (!/^([0-9a-fA-F]{2}){8,72}$/.test(der))
    bad('signature', '8 to 72 bytes of DER in hex', `${der.length} characters`);
  const bytes = Uint8Array.from(Buffer.from(der, 'hex'));
  if (bytes[0] !== 0x30) bad('signature', 'a DER sequence, 30', upperHex(bytes.subarray(0, 1)));
  if (bytes[1] !== bytes.length - 2) bad('signature', `${bytes.length - 2} bytes in the sequence`, String(bytes[1]));
  const compact = new Uint8Array(SIGNATURE_BYTES);
  let offset = 2;
  for (const [index, name] of ['r', 's'].entries()) {
    const length = bytes[offset + 1] ?? 0;
    const end = offset + 2 + length;
    if (bytes[offset] !== 0x02 || length === 0 || end > bytes.length) bad('signature', `a DER integer ${name}`, 'none');
    let start = offset + 2;
    if (bytes[start]! >= 0x80) bad('signature', `a positive ${name}`, 'a negative one');
    if (bytes[start] === 0) {
      if (length === 1) bad('signature', `${name} above 0`, '0');
      if (bytes[start + 1]! < 0x80) bad('signature', `${name} without padding`, 'a needless 00');
      start++;
    }
    if (end - start > SCALAR_BYTES) bad('signature', `${name} of at most ${SCALAR_BYTES} bytes`, String(end - start));
    compact.set(bytes.subarray(start, end), (index + 1) * SCALAR_BYTES - (end - start));
    offset = end;
  }
  if (offset !== bytes.length) bad('signature', 'nothing after s', `${bytes.length - offset} bytes`);
  return compact;
}

/** A classic address (r…), checked down to its checksum. Throws INPUT_INVALID. */
export function parseAddress(text: string, field: string): string {
  if (isValidClassicAddress(text)) return text;
  const hint = isValidXAddress(text) ? 'an X-address; give the classic one and mind its tag' : JSON.stringify(text);
  return bad(field, 'a classic XRP Ledger address like rHb9CJAWyB4rj91VRWn96DkukG4bwdtyTh', hint);
}

/** Unix seconds as the ledger counts: seconds since 2000-01-01. */
export function rippleTime(unixSeconds: number): number {
  return unixSeconds - RIPPLE_EPOCH;
}

/** Why a channel has nothing the ledger would pay for, or `undefined`. */
export function notRedeemable(channel: Redeemable): string | undefined {
  if (channel.profile !== 'xrpl') return `its profile is ${channel.profile}, which the ledger does not know`;
  if (channel.committed === 0n) return 'nothing is committed';
  return undefined;
}

/**
 * The transaction that redeems a channel's best claim.
 * @throws ClaimwireError INPUT_INVALID for a channel with nothing to redeem, a signature the ledger refuses (high s), or a
 *   mistyped address
 */
export function paymentChannelClaim({
  account,
  channel,
}: {
  account: string;
  channel: Redeemable;
}): PaymentChannelClaim {
  const ledgerChannelId = upperHex(channel.ledgerChannelId);
  const reason = notRedeemable(channel);
  if (reason !== undefined) bad(`channel ${ledgerChannelId}`, 'a claim to redeem', reason);
  const drops = channel.committed.toString();
  return {
    TransactionType: 'PaymentChannelClaim',
    Account: parseAddress(account, 'account'),
    Channel: ledgerChannelId,
    Balance: drops,
    Amount: drops,
    Signature: ledgerSignature(channel, ledgerChannelId),
    PublicKey: upperHex(channel.publicKey),
    Flags: 0,
  };
}

/** The signature as a transaction carries it; none that the ledger would refuse for its form. */
function ledgerSignature({ publicKey, signature }: Redeemable, ledgerChannelId: string): string {
  const scalar = signature.subarray(SCALAR_BYTES);
  if (publicKey[0] === ED25519_KEY_PREFIX) {
    // Little-endian, unlike ECDSA's.
    const s = BigInt(`0x${upperHex(Uint8Array.from(scalar).reverse())}`);
    if (s >= ED25519_ORDER) bad(`channel ${ledgerChannelId}`, "s below the group's order", 'a larger one');
    return upperHex(signature);
  }
  const s = BigInt(`0x${upperHex(scalar)}`);
  if (s > HALF_ORDER) bad(`channel ${ledgerChannelId}`, 'a signature with low s', 'one with high s');
  return derFromCompact(signature);
}

/**
 * Whether redeeming pays. What the ledger has paid out before is not known here, so all that is committed counts.
 * `feeDrops` is what the transaction will cost, `now` Unix seconds.
 */
export function redeemAdvice(channel: Redeemable, { feeDrops, now }: { feeDrops: bigint; now: number }): RedeemAdvice {
  const warnings: string[] = [];
  const expired = channel.expiresAt !== 0 && channel.expiresAt <= now;
  const expiry = isoTime(channel.expiresAt);
  if (expired)
    warnings.push(`expired at ${expiry}: a transaction that touches the channel now closes it and pays nothing`);
  else if (channel.expiresAt !== 0 && channel.expiresAt - now < EXPIRY_WARNING_SECONDS)
    warnings.push(
      `expires at ${expiry}, in ${duration(channel.expiresAt - now)}: redeem now, a late claim pays nothing`,
    );
  const profitable = channel.committed > feeDrops;
  if (!profitable)
    warnings.push(`the fee of ${feeDrops} drops is not below the ${channel.committed} drops it would bring`);
  return { worthRedeeming: profitable && !expired && notRedeemable(channel) === undefined, warnings };
}

function duration(seconds: number): string {
  return seconds < 120
    ? `${seconds} s`
    : seconds < 7200
      ? `${Math.floor(seconds / 60)} min`
      : `${Math.floor(seconds / 3600)} h`;
}
