/** What a module returned, as errors with our codes. Any thread. */
import { ClaimwireError } from '../errors.ts';

/** Returned codes that say that the token is gone or has forgotten us; a new session may help. */
const LOST = [
  'DEVICE_REMOVED',
  'TOKEN_NOT_PRESENT',
  'TOKEN_NOT_RECOGNIZED',
  'SESSION_HANDLE_INVALID',
  'SESSION_CLOSED',
  'USER_NOT_LOGGED_IN',
  'DEVICE_ERROR',
  'KEY_HANDLE_INVALID',
  'OBJECT_HANDLE_INVALID',
  'CRYPTOKI_NOT_INITIALIZED',
];
const FULL = ['SESSION_COUNT', 'SESSION_PARALLEL_NOT_SUPPORTED', 'HOST_MEMORY', 'DEVICE_MEMORY'];
const PIN = ['PIN_INCORRECT', 'PIN_INVALID', 'PIN_LEN_RANGE', 'PIN_EXPIRED', 'PIN_LOCKED', 'USER_PIN_NOT_INITIALIZED'];

/** What the module returned, without CKR_; or the error's own name. */
export function returnedOf(error: unknown): string {
  return /CKR_(\w+)/.exec((error as Error).message)?.[1] ?? (error as Error).name;
}

/** Whether the token allows no more sessions. */
export function isFull(error: unknown): boolean {
  return FULL.includes(returnedOf(error));
}

/** An error of the module as one of ours. */
export function asError(error: unknown): ClaimwireError {
  if (error instanceof ClaimwireError) return error;
  const returned = returnedOf(error);
  if (PIN.includes(returned)) {
    const message = `pkcs11: expected the token's user pin, got ${returned}; it was tried once, more tries may lock the token`;
    return new ClaimwireError('PKCS11_PIN', message, { returned });
  }
  if (LOST.includes(returned))
    return lost(`expected the token, got ${returned}; claims that failed may be signed again`, returned, error);
  if (FULL.includes(returned))
    return lost(
      `expected a session, got ${returned}; the token allows no more: end other programs, or take fewer`,
      returned,
      error,
    );
  return odd(`expected a result, got ${returned}`, returned, error);
}

export function lost(message: string, returned: string, cause?: unknown): ClaimwireError {
  return new ClaimwireError('PKCS11_LOST', `pkcs11: ${message}`, { returned }, { cause });
}

export function odd(message: string, returned: string, cause?: unknown): ClaimwireError {
  return new ClaimwireError('PKCS11_FAILED', `pkcs11: ${message}`, { returned }, { cause });
}
