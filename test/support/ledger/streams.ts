/** The messages that a server of the test ledger sends of itself: `ledgerClosed`, and `transaction` once it is validated. */
import type { Applied, Ledger } from './chain.ts';
import { completeLedgers, type Fields, isoTime, type View } from './commands.ts';

export function ledgerMessage(view: View, closed: Ledger): Fields {
  const { baseFee, reserveBase, reserveIncrement, networkId } = view.chain.rules;
  return {
    type: 'ledgerClosed',
    fee_base: Number(baseFee),
    ledger_hash: closed.hash,
    ledger_index: closed.index,
    ledger_time: closed.closeTime,
    network_id: networkId,
    reserve_base: Number(reserveBase),
    reserve_inc: Number(reserveIncrement),
    txn_count: closed.transactions.length,
    validated_ledgers: completeLedgers(view),
  };
}

export function transactionMessage(applied: Applied, closed: Ledger): Fields {
  return {
    type: 'transaction',
    close_time_iso: isoTime(closed.closeTime),
    engine_result: applied.result,
    engine_result_code: applied.result === 'tesSUCCESS' ? 0 : 100,
    engine_result_message: applied.result,
    hash: applied.hash,
    ledger_hash: closed.hash,
    ledger_index: closed.index,
    meta: applied.meta,
    status: 'closed',
    tx_json: { ...applied.tx, date: closed.closeTime, ledger_index: closed.index },
    validated: true,
  };
}

/** Accounts that a transaction affected, which subscribers to them are told of. */
export function affectedAccounts(applied: Applied): Set<string> {
  const accounts = new Set<string>([applied.tx.Account]);
  for (const node of applied.meta.AffectedNodes) {
    const { FinalFields, NewFields } = Object.values(node)[0]!;
    const fields = (FinalFields ?? NewFields ?? {}) as { Account?: string; Destination?: string };
    for (const address of [fields.Account, fields.Destination]) if (address !== undefined) accounts.add(address);
  }
  return accounts;
}
