/** A charge that ends with its caller's signal. Main thread. */
import type { Charge } from './account.ts';

/**
 * @param refuse is called when the signal is aborted while the charge is undecided. One that is being committed is made, and
 *   its call resolves
 */
export function abortable(charge: Charge, signal: AbortSignal, refuse: (charge: Charge) => void): Charge {
  const abort = () => {
    if (charge.account.remove(own)) refuse(own);
  };
  const settled = () => signal.removeEventListener('abort', abort);
  const own: Charge = {
    ...charge,
    resolve: (result) => {
      settled();
      charge.resolve(result);
    },
    reject: (error) => {
      settled();
      charge.reject(error);
    },
  };
  signal.addEventListener('abort', abort, { once: true });
  return own;
}
