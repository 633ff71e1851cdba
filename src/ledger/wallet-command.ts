/**
 * A wallet whose key this program never sees: an operator's command signs. It reads the unsigned transaction as JSON from
 * its stdin and writes {"tx_blob": HEX, "hash": HEX64} to its stdout, as xrpl.js's Wallet.sign returns it. Main thread.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { parseJson } from '../channel/json.ts';
import { BLOB_DIGITS_MAX, checkSigned } from './signed-transaction.ts';
import type { LedgerTransaction, SignedTransaction, Wallet } from './signing.ts';
import { walletError } from './wallet.ts';
import type { XrplLibrary } from './xrpl-library.ts';

/** A person may have to press a button of a device; LastLedgerSequence is counted from before the signing. */
const SIGN_MS_MAX = 30_000;
const ANSWER_BYTES_MAX = BLOB_DIGITS_MAX + 1_024;

/** A wallet for `address` that signs by a command of the system's shell. */
export function commandWallet(
  command: string,
  address: string,
  xrpl: XrplLibrary,
  { timeoutMs = SIGN_MS_MAX } = {},
): Wallet {
  return {
    address,
    sign: async (transaction, signal) => {
      const answer = await ask(command, transaction, timeoutMs, signal);
      return checkSigned(transaction, parseAnswer(answer), xrpl);
    },
  };
}

/** Runs the command. Its words stay out of messages, since they may have a secret; so does what it prints. */
function ask(command: string, transaction: LedgerTransaction, timeoutMs: number, signal?: AbortSignal) {
  return new Promise<string>((resolve, reject) => {
    // A group of its own, so that all it started can be ended with it.
    const child = spawn(command, { shell: true, detached: true, stdio: ['pipe', 'pipe', 'inherit'] });
    const parts: Buffer[] = [];
    let length = 0;
    const end = (settle: () => void) => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', stopped);
      endGroup(child);
      settle();
    };
    const fail = (message: string) => end(() => reject(walletError(`signer command: ${message}`)));
    const stopped = () => fail('expected it to sign, got a stop');
    const timer = setTimeout(() => fail(`expected an answer within ${timeoutMs} ms, got none`), timeoutMs);
    signal?.addEventListener('abort', stopped, { once: true });
    child.on('error', (error: NodeJS.ErrnoException) => fail(`expected it to run, got ${error.code ?? 'an error'}`));
    // A command that does not read what it is to sign says so by its answer.
    child.stdin.on('error', () => {});
    child.stdin.end(`${JSON.stringify(transaction)}\n`);
    child.stdout.on('data', (part: Buffer) => {
      length += part.length;
      if (length > ANSWER_BYTES_MAX) fail(`expected at most ${ANSWER_BYTES_MAX} bytes on stdout, got more`);
      else parts.push(part);
    });
    child.on('close', (code, cause) => {
      if (code !== 0) fail(`expected exit code 0, got ${code ?? cause}`);
      else end(() => resolve(Buffer.concat(parts).toString('latin1')));
    });
    if (signal?.aborted === true) stopped();
  });
}

function endGroup({ pid }: ChildProcess): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // It has ended.
  }
}

function parseAnswer(text: string): SignedTransaction {
  let answer: unknown;
  try {
    answer = parseJson(text, 'answer');
  } catch {
    throw walletError('signer command: expected JSON on stdout, got something else');
  }
  const { tx_blob: blob, hash } = (answer ?? {}) as Record<string, unknown>;
  if (typeof blob !== 'string' || typeof hash !== 'string')
    throw walletError('signer command: expected {"tx_blob", "hash"} on stdout, got another object');
  return { blob: blob.toUpperCase(), hash: hash.toUpperCase() };
}
