/**
 * What every transaction must keep to before its own rules are asked: network, signature, sequence, last ledger and fee.
 * A `tec` result takes the fee and uses the sequence up; `tem`, `tef`, `tel` and `ter` leave no trace in any ledger.
 */
import { decode, encodeForSigning } from 'ripple-binary-codec';
import { deriveAddress } from 'ripple-keypairs';
import { type AccountEntry, accountIndex, type State, type Transaction } from './entries.ts';
import { claim, create, credited, fund, preflightClaim, preflightCreate, preflightFund } from './pay-channel-rules.ts';
import { type AffectedNode, type LedgerRules, type Place, Sandbox } from './sandbox.ts';
import { verify } from './signatures.ts';

/** From here on a network's transactions must name it; below, they must not. */
const NAMED_NETWORKS_FROM = 1025;

interface Kind {
  preflight(tx: Transaction, rules: LedgerRules): string;
  apply(box: Sandbox, tx: Transaction): string;
}

const KINDS: Record<string, Kind> = {
  AccountSet: { preflight: () => 'tesSUCCESS', apply: () => 'tesSUCCESS' },
  Payment: { preflight: (tx) => (tx.Account === tx.Destination ? 'temREDUNDANT' : preflightFund(tx)), apply: pay },
  PaymentChannelCreate: { preflight: preflightCreate, apply: create },
  PaymentChannelFund: { preflight: preflightFund, apply: fund },
  PaymentChannelClaim: { preflight: preflightClaim, apply: claim },
};

export interface Outcome {
  code: string;
  /** The ledger afterwards and what changed, where the transaction is in it. */
  applied?: { state: State; nodes: AffectedNode[] };
}

/** A blob as a transaction; undefined where it is none, or is not signed by the key that it names. */
export function decodeSigned(blob: string): Transaction | undefined {
  try {
    const tx = decode(blob) as unknown as Transaction;
    const message = encodeForSigning(tx as unknown as Parameters<typeof encodeForSigning>[0]);
    return verify(message, tx.TxnSignature, tx.SigningPubKey) ? tx : undefined;
  } catch {
    return undefined;
  }
}

export function applyTransaction(state: State, tx: Transaction, hash: string, place: Place): Outcome {
  const kind = KINDS[tx.TransactionType];
  if (kind === undefined) return { code: 'temUNKNOWN' };
  const early = preflightNetwork(tx, place.rules.networkId) ?? kind.preflight(tx, place.rules);
  if (early !== 'tesSUCCESS') return { code: early };
  const account = state.get(accountIndex(tx.Account)) as AccountEntry | undefined;
  const refusal = refused(tx, account, place);
  if (refusal !== undefined) return { code: refusal };

  const charged = { ...credited(account!, -BigInt(tx.Fee)), Sequence: account!.Sequence + 1 };
  const box = new Sandbox(state, place);
  box.put(charged);
  const code = kind.apply(box, tx);
  if (code === 'tesSUCCESS') return { code, applied: box.finish(hash) };
  if (!code.startsWith('tec')) return { code };
  const feeAlone = new Sandbox(state, place);
  feeAlone.put(charged);
  return { code, applied: feeAlone.finish(hash) };
}

function preflightNetwork(tx: Transaction, networkId: number): string | undefined {
  if (networkId < NAMED_NETWORKS_FROM)
    return tx.NetworkID === undefined ? undefined : 'telNETWORK_ID_MAKES_TX_NON_CANONICAL';
  if (tx.NetworkID === undefined) return 'telREQUIRES_NETWORK_ID';
  return tx.NetworkID === networkId ? undefined : 'telWRONG_NETWORK';
}

function refused(tx: Transaction, account: AccountEntry | undefined, place: Place): string | undefined {
  if (account === undefined) return 'terNO_ACCOUNT';
  if (tx.TicketSequence !== undefined) return 'tefNO_TICKET';
  if (tx.Sequence < account.Sequence) return 'tefPAST_SEQ';
  if (tx.Sequence > account.Sequence) return 'terPRE_SEQ';
  if (tx.LastLedgerSequence !== undefined && tx.LastLedgerSequence < place.ledgerIndex) return 'tefMAX_LEDGER';
  if (BigInt(tx.Fee) < place.rules.baseFee) return 'telINSUF_FEE_P';
  if (BigInt(tx.Fee) > BigInt(account.Balance)) return 'terINSUF_FEE_B';
  return deriveAddress(tx.SigningPubKey) === tx.Account ? undefined : 'tefBAD_AUTH';
}

/** XRP from one account to another that exists. */
function pay(box: Sandbox, tx: Transaction): string {
  const source = box.account(tx.Account)!;
  const target = box.account(tx.Destination!);
  const amount = BigInt(tx.Amount!);
  if (target === undefined) return 'tecNO_DST';
  if (BigInt(source.Balance) < amount + box.reserve(source.OwnerCount)) return 'tecUNFUNDED_PAYMENT';
  box.put(credited(source, -amount));
  box.put(credited(target, amount));
  return 'tesSUCCESS';
}
