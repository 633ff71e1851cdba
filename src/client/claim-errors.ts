/** The payer's errors. Their `details` are ready for JSON: u64 as decimal strings. */
import { statusName } from '../../protocol/layout.ts';
import { ClaimwireError } from '../errors.ts';
import type { ClaimAck } from './waiter-queue.ts';

/** The fields of the refusing ack, see protocol/README.md. */
type Refusal = Omit<ClaimAck, 'status' | 'rttMs'> & { status: number };

export function refusedError(refusal: Refusal, claimed: bigint, rttMs: number): ClaimwireError {
  const { channelId, sequence, amount, timestamp } = refusal;
  const status = statusName(refusal.status);
  const message = `expected the claim of ${claimed} drops to be committed, got ${status} (amount ${amount})`;
  const details = { status, channelId: String(channelId), sequence, amount: String(amount), timestamp, rttMs };
  return new ClaimwireError('CLAIM_REFUSED', message, details);
}

/** What a timeout's message says of the payer: its peer, its limit, and why its socket last failed, if it did. */
interface Payer {
  readonly link: { readonly peer: string };
  readonly ackTimeoutMs: number;
  readonly counters: { readonly lastSocketError: string | undefined };
}

export function timeoutError(payer: Payer, channelId: bigint, amount: bigint): ClaimwireError {
  const { link, ackTimeoutMs, counters } = payer;
  const message =
    `expected an ack of ${amount} drops from ${link.peer} within ${ackTimeoutMs} ms, ` +
    `got ${counters.lastSocketError ?? 'none'}, check that the node runs there; the claim may be committed`;
  const details = { channelId: String(channelId), amount: String(amount), timeoutMs: ackTimeoutMs };
  return new ClaimwireError('ACK_TIMEOUT', message, details);
}

/** Whether nothing listens at the peer. */
export function isRefused(error: Error): boolean {
  const { code } = error as { code?: string };
  // A browser does not say why there is no connection.
  return code === 'ECONNREFUSED' || code === 'CONNECT_FAILED';
}

export function unreachableError(peer: string, cause: Error): ClaimwireError {
  const { code } = cause as { code?: string };
  const message = `expected a node at ${peer}, got ${code ?? cause.message}, check the address and that the node runs there`;
  return new ClaimwireError('NODE_UNREACHABLE', message, {}, { cause });
}

export function invalid(message: string): ClaimwireError {
  return new ClaimwireError('INPUT_INVALID', message);
}

export function closedError(): ClaimwireError {
  return new ClaimwireError('PAYER_CLOSED', 'expected an open payer, got a closed one; the claim may be committed');
}

export function fullError(waiting: number): ClaimwireError {
  return new ClaimwireError('PAYER_FULL', `expected fewer claims waiting, got ${waiting}, await some of them first`);
}
