/** A best claim in a file, as the live page exports it. Main thread of a tool's process. */
import { readFileSync, statSync } from 'node:fs';
import { parseRow } from '../src/channel/parse.ts';
import type { Channel } from '../src/channel/row.ts';
import { ClaimwireError } from '../src/errors.ts';

/** Such a file has some 600 bytes. */
const FILE_BYTES_MAX = 65_536;

/** The claim's channel, as far as the file knows it: its end is taken as never. Throws INPUT_INVALID for what is no such file. */
export function readExportedClaim(file: string): Channel {
  const claim = parsed(file);
  try {
    const { amount, signature } = claim;
    if (typeof amount !== 'string' || !/^[1-9]\d*$/.test(amount))
      throw new ClaimwireError(
        'INPUT_INVALID',
        `amount: expected a decimal string above 0, got ${JSON.stringify(amount)}`,
      );
    if (typeof signature !== 'string')
      throw new ClaimwireError('INPUT_INVALID', 'signature: expected 128 hex digits, got none');
    return parseRow({
      ...claim,
      committed: amount,
      capacity: amount,
      state: 'open',
      expiresAt: null,
      throwAway: false,
    });
  } catch (error) {
    throw fault(file, (error as Error).message);
  }
}

function parsed(file: string): Record<string, unknown> {
  let text: string;
  try {
    const { size } = statSync(file);
    if (size > FILE_BYTES_MAX) throw fault(file, `expected at most ${FILE_BYTES_MAX} bytes, got ${size}`);
    text = readFileSync(file, 'utf8');
  } catch (error) {
    if (error instanceof ClaimwireError) throw error;
    throw fault(file, `expected a file that can be read, got ${(error as NodeJS.ErrnoException).code}`);
  }
  try {
    return Object(JSON.parse(text)) as Record<string, unknown>;
  } catch {
    throw fault(file, 'expected JSON, as the live page exports a claim, got something else');
  }
}

function fault(file: string, text: string): ClaimwireError {
  return new ClaimwireError('INPUT_INVALID', `${file}: ${text}`);
}
