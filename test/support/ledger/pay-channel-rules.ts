/**
 * The rules of payment channels: PaymentChannelCreate, PaymentChannelFund and PaymentChannelClaim, in the order in which
 * rippled's PayChan.cpp asks its questions. `preflight…` look at the transaction alone; the others at the ledger.
 */
import { type AccountEntry, type ChannelEntry, channelIndex, type Transaction } from './entries.ts';
import type { LedgerRules, Sandbox } from './sandbox.ts';
import { verify } from './signatures.ts';

const TF_RENEW = 0x10000;
const TF_CLOSE = 0x20000;
const TF_UNIVERSAL = 0x80000000;

/** Drops of an amount in XRP; undefined for another currency. */
function drops(amount: unknown): bigint | undefined {
  return typeof amount === 'string' ? BigInt(amount) : undefined;
}

function isPositive(amount: unknown): boolean {
  return (drops(amount) ?? 0n) > 0n;
}

function isKey(key: string | undefined): boolean {
  return key !== undefined && /^(02|03|ED)[0-9A-F]{64}$/.test(key);
}

export function preflightCreate(tx: Transaction): string {
  if (!isPositive(tx.Amount)) return 'temBAD_AMOUNT';
  if (tx.Account === tx.Destination) return 'temDST_IS_SRC';
  return isKey(tx.PublicKey) ? 'tesSUCCESS' : 'temMALFORMED';
}

export function preflightFund(tx: Transaction): string {
  return isPositive(tx.Amount) ? 'tesSUCCESS' : 'temBAD_AMOUNT';
}

export function preflightClaim(
  tx: Transaction,
  { isClaimSigned = isSigned }: Pick<LedgerRules, 'isClaimSigned'>,
): string {
  const { Balance, Amount, Signature, PublicKey } = tx;
  if (Balance !== undefined && !isPositive(Balance)) return 'temBAD_AMOUNT';
  if (Amount !== undefined && !isPositive(Amount)) return 'temBAD_AMOUNT';
  if (Balance !== undefined && Amount !== undefined && BigInt(Balance) > BigInt(Amount)) return 'temBAD_AMOUNT';
  const flags = (tx.Flags ?? 0) >>> 0;
  if (flags & ~(TF_RENEW | TF_CLOSE | TF_UNIVERSAL)) return 'temINVALID_FLAG';
  if (flags & TF_RENEW && flags & TF_CLOSE) return 'temMALFORMED';
  if (Signature === undefined) return 'tesSUCCESS';
  if (PublicKey === undefined || Balance === undefined || !isKey(PublicKey)) return 'temMALFORMED';
  // Even the owner's, who needs none, must be right where there is one.
  return isClaimSigned(tx.Channel!, Amount ?? Balance, Signature, PublicKey) ? 'tesSUCCESS' : 'temBAD_SIGNATURE';
}

/** Strict DER with a low s, or Ed25519: ripple-keypairs refuses everything else, by an exception or by its answer. */
export function isSigned(channel: string, amount: string, signature: string, publicKey: string): boolean {
  const message = `434C4D00${channel}${BigInt(amount).toString(16).padStart(16, '0')}`;
  try {
    return verify(message, signature, publicKey);
  } catch {
    return false;
  }
}

export function create(box: Sandbox, tx: Transaction): string {
  const source = box.account(tx.Account)!;
  const amount = BigInt(tx.Amount!);
  const reserve = box.reserve(source.OwnerCount + 1);
  if (BigInt(source.Balance) < reserve) return 'tecINSUFFICIENT_RESERVE';
  if (BigInt(source.Balance) < reserve + amount) return 'tecUNFUNDED';
  if (box.account(tx.Destination!) === undefined) return 'tecNO_DST';
  if (tx.CancelAfter !== undefined && box.parentCloseTime >= tx.CancelAfter) return 'tecEXPIRED';
  box.put({
    LedgerEntryType: 'PayChannel',
    Account: tx.Account,
    Destination: tx.Destination!,
    Amount: tx.Amount!,
    Balance: '0',
    PublicKey: tx.PublicKey!,
    SettleDelay: tx.SettleDelay!,
    ...(tx.CancelAfter !== undefined && { CancelAfter: tx.CancelAfter }),
    ...(tx.SourceTag !== undefined && { SourceTag: tx.SourceTag }),
    ...(tx.DestinationTag !== undefined && { DestinationTag: tx.DestinationTag }),
    OwnerNode: '0',
    DestinationNode: '0',
    Flags: 0,
    PreviousTxnID: '',
    PreviousTxnLgrSeq: 0,
    index: channelIndex(tx.Account, tx.Destination!, tx.Sequence),
  });
  box.put({ ...credited(source, -amount), OwnerCount: source.OwnerCount + 1 });
  return 'tesSUCCESS';
}

export function fund(box: Sandbox, tx: Transaction): string {
  const channel = box.channel(tx.Channel!);
  if (channel === undefined) return 'tecNO_ENTRY';
  if (hasExpired(box, channel)) return close(box, channel);
  if (channel.Account !== tx.Account) return 'tecNO_PERMISSION';
  let next = channel;
  if (tx.Expiration !== undefined) {
    const earliest = Math.min(box.parentCloseTime + channel.SettleDelay, channel.Expiration ?? Number.MAX_SAFE_INTEGER);
    if (tx.Expiration < earliest) return 'temBAD_EXPIRATION';
    next = { ...next, Expiration: tx.Expiration };
  }
  const source = box.account(tx.Account)!;
  const amount = BigInt(tx.Amount!);
  const reserve = box.reserve(source.OwnerCount);
  if (BigInt(source.Balance) < reserve) return 'tecINSUFFICIENT_RESERVE';
  if (BigInt(source.Balance) < reserve + amount) return 'tecUNFUNDED';
  if (box.account(channel.Destination) === undefined) return 'tecNO_DST';
  box.put({ ...next, Amount: String(BigInt(channel.Amount) + amount) });
  box.put(credited(source, -amount));
  return 'tesSUCCESS';
}

export function claim(box: Sandbox, tx: Transaction): string {
  const channel = box.channel(tx.Channel!);
  if (channel === undefined) return 'tecNO_TARGET';
  if (hasExpired(box, channel)) return close(box, channel);
  const isOwner = channel.Account === tx.Account;
  if (!isOwner && channel.Destination !== tx.Account) return 'tecNO_PERMISSION';
  let next = channel;
  if (tx.Balance !== undefined) {
    const refusal = refusedPayout(box, channel, tx);
    if (refusal !== undefined) return refusal;
    const paid = BigInt(tx.Balance) - BigInt(channel.Balance);
    next = { ...next, Balance: tx.Balance };
    box.put(next);
    box.put(credited(box.account(channel.Destination)!, paid));
  }
  const flags = tx.Flags ?? 0;
  if (flags & TF_RENEW) {
    if (!isOwner) return 'tecNO_PERMISSION';
    const { Expiration: _, ...renewed } = next;
    next = renewed;
  }
  if (flags & TF_CLOSE) {
    if (!isOwner || next.Balance === next.Amount) return close(box, next);
    const settled = (box.parentCloseTime + channel.SettleDelay) >>> 0;
    if (next.Expiration === undefined || next.Expiration > settled) next = { ...next, Expiration: settled };
  }
  box.put(next);
  return 'tesSUCCESS';
}

/** Why a claim's Balance is not paid out, or undefined. */
function refusedPayout(box: Sandbox, channel: ChannelEntry, tx: Transaction): string | undefined {
  if (tx.Account === channel.Destination && tx.Signature === undefined) return 'temBAD_SIGNATURE';
  if (tx.Signature !== undefined && tx.PublicKey !== channel.PublicKey) return 'temBAD_SIGNER';
  const wanted = BigInt(tx.Balance!);
  if (wanted > BigInt(channel.Amount) || wanted <= BigInt(channel.Balance)) return 'tecUNFUNDED_PAYMENT';
  return box.account(channel.Destination) === undefined ? 'tecNO_DST' : undefined;
}

/** Any transaction that touches an expired channel closes it, whoever sends it, and does nothing else. */
function hasExpired(box: Sandbox, channel: ChannelEntry): boolean {
  return [channel.CancelAfter, channel.Expiration].some((end) => end !== undefined && box.parentCloseTime >= end);
}

/** What was not paid out goes back to the payer. */
function close(box: Sandbox, channel: ChannelEntry): string {
  box.put(channel);
  box.remove(channel.index);
  const source = box.account(channel.Account)!;
  const rest = BigInt(channel.Amount) - BigInt(channel.Balance);
  box.put({ ...credited(source, rest), OwnerCount: source.OwnerCount - 1 });
  return 'tesSUCCESS';
}

export function credited(account: AccountEntry, amount: bigint): AccountEntry {
  return { ...account, Balance: String(BigInt(account.Balance) + amount) };
}
