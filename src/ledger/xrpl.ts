/**
 * What the XRP Ledger needs to redeem a channel's best claim: signature, addresses, times, the unsigned transaction.
 *
 * Pure functions, any thread. The ledger's rules: a Signature is strict DER or Ed25519's 64 bytes, in hex; Balance and
 * Amount are drops as decimal strings; a time is in seconds since 2000-01-01; any transaction that touches an expired
 * channel closes it and pays the payee nothing.
 */
import { isValidClassicAddress, isValidXAddress } from 'ripple-address-codec';
import { ED25519_KEY_PREFIX, SIGNATURE_BYTES } from '../../protocol/layout.ts';
import { isoTime, upperHex } from '../channel/parse.ts';
import { type Channel, hasClaim, redeemable } from '../channel/row.ts';
import { ClaimwireError } from '../errors.ts';

/** Unix seconds at 2000-01-01T00:00:00Z. */
export const RIPPLE_EPOCH = 946_684_800;
const SCALAR_BYTES = SIGNATURE_BYTES / 2;
/** Redeem at least this long before expiry: time for fee spikes, a server that is behind, and a second try. */
const EXPIRY_WARNING_SECONDS = 24 * 3600;
/** Half of the order of secp256k1. A signature has a second form with a larger s, which the ledger refuses. */
const HALF_ORDER = 0x7fff_ffff_ffff_ffff_ffff_ffff_ffff_ffff_5d57_6e73_57a4_501d_dfe9_2f46_681b_20a0n;
/** Order of Ed25519's group. Here the second form has an s of at least this, and is refused too. */
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
type RedeemableField = 'ledgerChannelId' | 'publicKey' | 'committed' | 'signature' | 'profile' | 'expiresAt' | 'rooted';
/** What redeeming needs of a channel. The ledger knows no leaves of signed roots: what they have paid is left out. */
export type Redeemable = Pick<Channel, RedeemableField>;

/** What `redeemAdvice` says of a channel. */
export interface RedeemAdvice {
  worthRedeeming: boolean;
  /** For people: why it is not, or what to watch out for. */
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
export function notRedeemable(row: Redeemable): string | undefined {
  const channel = redeemable(row);
  if (channel.profile !== 'xrpl') return `its profile is ${channel.profile}, which the ledger does not know`;
  if (channel.committed === 0n) return 'nothing is committed';
  if (!hasClaim(channel)) return 'what is committed was paid out by the ledger already';
  return undefined;
}

/**
 * The transaction that redeems a channel's best claim.
 * @throws ClaimwireError INPUT_INVALID for a channel with nothing to redeem, a signature the ledger refuses (high s), or a
 *   mistyped address
 */
export function paymentChannelClaim(redemption: { account: string; channel: Redeemable }): PaymentChannelClaim {
  const { account } = redemption;
  const channel = redeemable(redemption.channel);
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

/** The signature as a transaction has it. Throws where the ledger would refuse its form. */
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
 * Whether redeeming pays. The ledger's earlier payouts are not known here, so the whole committed amount counts.
 * `feeDrops` is what the transaction will cost, `now` Unix seconds.
 */
export function redeemAdvice(row: Redeemable, { feeDrops, now }: { feeDrops: bigint; now: number }): RedeemAdvice {
  const channel = redeemable(row);
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
  if (seconds < 120) return `${seconds} s`;
  return seconds < 7200 ? `${Math.floor(seconds / 60)} min` : `${Math.floor(seconds / 3600)} h`;
}
