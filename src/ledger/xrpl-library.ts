/**
 * The one place that loads xrpl.js, an optional package: a node without a ledger runs without it. Any thread.
 */
import { ClaimwireError } from '../errors.ts';

export type XrplLibrary = typeof import('xrpl');

/** Loads xrpl.js. Throws DEPENDENCY_MISSING where it is not installed. */
export async function loadXrpl(load: () => Promise<XrplLibrary> = () => import('xrpl')): Promise<XrplLibrary> {
  try {
    return await load();
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const found = code === 'ERR_MODULE_NOT_FOUND' ? 'none' : message;
    const text = `xrpl: expected the package, which speaks to the XRP Ledger, got ${found}; do npm install xrpl@5`;
    throw new ClaimwireError('DEPENDENCY_MISSING', text, {}, { cause: error });
  }
}
