/** GET /channels/ID/receipt: what the node has signed of a channel's committed amount. Main thread. */
import { U64_MAX } from '../../protocol/layout.ts';
import { got, parseDecimal } from '../channel/parse.ts';
import type { NodeControl } from '../control/node-control.ts';
import { noReceipts, type ReceiptControl } from '../control/receipt-control.ts';
import { ClaimwireError } from '../errors.ts';
import { findChannel } from './channels.ts';
import { sendJson } from './message.ts';
import type { Call, Route } from './route.ts';

/** @param receipts left out by a node without a key for them */
export function receiptRoutes(control: NodeControl, receipts: ReceiptControl | undefined): Route[] {
  // Without a token, as GET /channels/ID shows the amount itself.
  const read = { scope: undefined, takesBody: false } as const;
  const answer = (call: Call) => showReceipt(control, receipts, call);
  return [{ method: 'GET', path: '/channels/{id}/receipt', ...read, answer }];
}

async function showReceipt(
  control: NodeControl,
  receipts: ReceiptControl | undefined,
  { url, id, response }: Call,
): Promise<void> {
  for (const name of url.searchParams.keys())
    if (name !== 'amount') throw new ClaimwireError('INPUT_INVALID', `query: expected amount, got ${got(name)}`);
  const text = url.searchParams.get('amount') ?? undefined;
  const amount = text === undefined ? undefined : parseDecimal(text, 0n, U64_MAX, 'amount');
  const { channelId } = findChannel(control, id);
  if (receipts === undefined) throw noReceipts();
  sendJson(response, 200, await receipts.receipt(channelId, amount));
}
