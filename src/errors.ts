/**
 * The errors of operators and API users: an Error with a stable code and a message "expected X, got Y; do Z".
 *
 * A peer's fault on the wire is a counted status instead (path/status-counters.ts), and a fault of ours is an assertion.
 */

/** Stable codes; scripts may match on them. */
export const ERROR_CODES = [
  'USAGE',
  'CONFIG_INVALID',
  'INPUT_INVALID',
  'DATA_LOCKED',
  'REGISTRY_CORRUPT',
  'REGISTRY_FULL',
  'REGISTRY_FAILED',
  'JOURNAL_CORRUPT',
  'JOURNAL_FAILED',
  'KEY_FILE_INVALID',
  'CHANNEL_EXISTS',
  'CHANNEL_UNKNOWN',
  'CHANNEL_CLOSED',
  'MOVED',
  'CHANNEL_UNREDEEMED',
  'CAPACITY_BELOW_COMMITTED',
  'TABLE_FULL',
  'UNAUTHORIZED',
  'FORBIDDEN',
  'NODE_UNREACHABLE',
  'NODE_STOPPING',
  'NODE_FAILED',
  'NODE_BUSY',
  'BACKEND_UNAVAILABLE',
  'CLAIM_REFUSED',
  'ACK_TIMEOUT',
  'PAYER_CLOSED',
  'PAYER_FULL',
  'GROUP_FAILED',
  'COMMITTED_UNKNOWN',
  'COMMITTED_MISMATCH',
  'STATE_INVALID',
  'STATE_LOCKED',
  'STATE_FAILED',
  'LEDGER_UNREACHABLE',
  'LEDGER_REFUSED',
  'WALLET_INVALID',
  'DEPENDENCY_MISSING',
  'SIGNER_FAILED',
  'PKCS11_LOST',
  'PKCS11_PIN',
  'PKCS11_FAILED',
  'PAYMENT_REQUIRED',
  'CHARGE_CONFLICT',
  'NO_RECEIPTS',
  'RECEIPT_NOT_YET',
  'RECEIPT_INVALID',
  'STORE_FENCED',
  'STORE_UNREPLICATED',
  'STORE_UNREACHABLE',
  'STORE_FAILED',
] as const;
/** Stable: programs go by it, people by the message. */
export type ErrorCode = (typeof ERROR_CODES)[number];

/** An error with a stable code, and a message "expected X, got Y". */
export class ClaimwireError extends Error {
  override readonly name = 'ClaimwireError';
  readonly code: ErrorCode;
  /** Facts for machines, printed by `--json`. */
  readonly details: Record<string, unknown>;

  constructor(code: ErrorCode, message: string, details: Record<string, unknown> = {}, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
    this.details = details;
  }
}

/** Whether an error, or its cause, is that the disk or a quota is full: nothing was done, and nothing is damaged. */
export function isDiskFull(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const { code } = error as { code?: string };
  return code === 'REGISTRY_FULL' || code === 'ENOSPC' || code === 'EDQUOT' || isDiskFull(error.cause);
}

/** Checks an invariant. A violation is a bug, so the process stops rather than continue with unknown state. */
export function assert(condition: boolean, message: string): asserts condition {
  if (!condition) throw new Error(`assertion failed: ${message}`);
}
