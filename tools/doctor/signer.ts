/** Which signer a payer with its key in a file would have here, and how fast each is: measured, since names say little. */
import { type Check, ok, warning } from './check.ts';

const rounded = (perSecond: number): string => Number(perSecond.toPrecision(2)).toLocaleString('en-US');

export const signer: Check = (machine) => {
  const { kernel, fault, note, perSecond, noblePerSecond } = machine.signing();
  const facts = { kernel, fault: fault ?? null, note, perSecond, noblePerSecond };
  const noble = `noble, some ${rounded(noblePerSecond)} a second`;
  if (kernel === null || perSecond === null)
    return ok(`A payer signs all claims with ${noble}: the addon does not sign (${fault}).`, facts);
  const many = `A payer signs many claims with the addon's ${kernel} kernel, some ${rounded(perSecond)} a second on a core`;
  if (note !== '') return warning(`${many}, but ${note}.`, 'ulimit -l unlimited', facts);
  return ok(`${many} in constant time, and a few with ${noble}.`, facts);
};
