/**
 * Where a token's pin comes from: the file that its URI names, or the environment, or a person at a terminal. Never an
 * argument, which every user of the machine can read. Main thread.
 */
import { createInterface } from 'node:readline';
import { Writable } from 'node:stream';
import { ClaimwireError } from '../errors.ts';
import { FileFault, readSmallFile } from '../system/regular-file.ts';
import type { Pkcs11Uri } from './uri.ts';

const PIN_VARIABLE = 'CLAIMWIRE_PKCS11_PIN';
const PIN_BYTES_MAX = 1_024;
const OTHERS_MODE_BITS = 0o077;

/** Rejects with ClaimwireError PKCS11_PIN where there is none. No message has the pin. */
export async function pinOf(uri: Pkcs11Uri): Promise<string> {
  if (uri.pinFile !== undefined) return pinOfFile(uri.pinFile);
  const said = process.env[PIN_VARIABLE];
  if (said !== undefined && said !== '') return said;
  if (process.stdin.isTTY && process.stderr.isTTY) return await asked(uri.token ?? 'the token');
  throw missing(
    `expected ${PIN_VARIABLE}, or pin-source=file:/PATH in the URI, got neither, and no terminal to ask at`,
  );
}

function pinOfFile(path: string): string {
  try {
    const { bytes, mode } = readSmallFile(path, PIN_BYTES_MAX);
    if ((mode & OTHERS_MODE_BITS) !== 0)
      throw missing(`expected mode 0600, got 0${mode.toString(8)}; others may have read it, chmod 600 ${path}`);
    const pin = bytes.toString().split(/\r?\n/)[0]!;
    if (pin === '') throw missing(`expected a pin in the first line, got none in ${path}`);
    return pin;
  } catch (error) {
    if (!(error instanceof FileFault)) throw error;
    throw missing(`expected a readable file, got ${error.reason} for ${path}`);
  }
}

/** Asks at the terminal, without showing what is typed. */
async function asked(token: string): Promise<string> {
  process.stderr.write(`Pin of ${token}: `);
  const mute = new Writable({ write: (_bytes, _encoding, done) => done() });
  const lines = createInterface({ input: process.stdin, output: mute, terminal: true });
  try {
    const pin = await new Promise<string>((resolve) => {
      lines.once('line', resolve);
      lines.once('close', () => resolve(''));
    });
    if (pin === '') throw missing('expected a pin, got none');
    return pin;
  } finally {
    lines.close();
    process.stderr.write('\n');
  }
}

function missing(message: string): ClaimwireError {
  return new ClaimwireError('PKCS11_PIN', `pin: ${message}`);
}
