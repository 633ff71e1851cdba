/**
 * The one file that imports xrpl.js, when it is asked for: a node that never looks at the ledger needs no such library.
 */
import { ClaimwireError } from '../errors.ts';

export type XrplLibrary = typeof import('xrpl');

/** @throws ClaimwireError DEPENDENCY_MISSING where the package is not installed */
export async function loadXrpl(): Promise<XrplLibrary> {
  try {
    return await import('xrpl');
  } catch (cause) {
    const message = 'expected the package xrpl for the XRP Ledger, got none; do npm install xrpl@5';
    throw new ClaimwireError('DEPENDENCY_MISSING', message, { package: 'xrpl' }, { cause });
  }
}
