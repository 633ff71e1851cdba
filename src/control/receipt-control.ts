/** What a node that gives receipts can be asked for them: by control messages, HTTP and library calls. Main thread. */
import type { Receipt } from '../../protocol/receipt.ts';
import { ClaimwireError } from '../errors.ts';

export interface ReceiptControl {
  /**
   * A signed receipt for `amount` drops of a channel; by default for what is committed. Resolves within two intervals.
   * @throws ClaimwireError CHANNEL_UNKNOWN, NO_RECEIPTS (the node has no key for them), RECEIPT_NOT_YET (so much is not durable),
   * NODE_BUSY (too many ask), NODE_STOPPING, or what the key's token says
   */
  receipt(channelId: bigint, amount?: bigint): Promise<Receipt>;
}

/** Of a node that was started without a key for receipts. */
export function noReceipts(): ClaimwireError {
  return new ClaimwireError('NO_RECEIPTS', 'receipt: expected a node with --receipt-key, got one that signs none');
}
