/**
 * Claims signed ahead and kept in a file, so that a run that sends them spends no time on signing.
 *
 * The file is a line of JSON, padded to 256 bytes, and then claims of 93 bytes each in the order of sending, with the
 * number of the channel in place of the sequence. The claims fit one seed, and the amounts that were committed when they
 * were signed. A node that has one of them already would answer replays, so that is an error. Generator thread.
 */
import { closeSync, existsSync, openSync, readSync, renameSync, rmSync, writeSync } from 'node:fs';
import { claimAmountHigh, claimAmountLow, copyClaim } from '../../protocol/claim.ts';
import { CLAIM_BYTES, CLAIM_SEQUENCE } from '../../protocol/layout.ts';
import { ClaimwireError } from '../errors.ts';
import { FileFault, openRegularFile } from '../system/regular-file.ts';
import { BATCH_CLAIMS_MAX, Batch } from './batch.ts';
import type { LoadChannels } from './channels.ts';
import type { LoadSettings } from './settings.ts';
import { skewName } from './skew.ts';
import type { SignedSource } from './source.ts';

const HEADER_BYTES = 256;
const FORMAT = 'claimwire corpus 2';
/** The most bytes of one read. */
const BLOCK_BYTES = 64 << 20;

interface CorpusHeader {
  format: string;
  seed: number;
  channels: number;
  keys: number;
  claims: number;
  skew: string;
}

/** Reads the file's claims, and makes the file first if there is none. Throws INPUT_INVALID if it does not fit the run. */
export function openCorpus(settings: LoadSettings, channels: LoadChannels, source: () => SignedSource): Uint8Array {
  const { file } = settings.corpus!;
  if (!existsSync(file)) writeCorpus(file, headerFor(settings), channels, source());
  const claims = readCorpus(file, headerFor(settings));
  expectFresh(file, claims, channels);
  return claims;
}

function headerFor({ seed, channels, keys, zipf, corpus }: LoadSettings): CorpusHeader {
  return { format: FORMAT, seed, channels, keys, claims: corpus!.claims, skew: skewName(zipf) };
}

/** Writes under another name until the file is whole. The signed amounts stay as they were. */
function writeCorpus(file: string, header: CorpusHeader, channels: LoadChannels, source: SignedSource): void {
  const { arena, ring } = channels;
  const before = Float64Array.from({ length: channels.count }, (_, channel) => channels.signed(channel));
  const unfinished = `${file}.unfinished`;
  const batch = new Batch();
  const bytes = new Uint8Array(BATCH_CLAIMS_MAX * CLAIM_BYTES);
  const view = new DataView(bytes.buffer);
  try {
    const handle = openSync(unfinished, 'w');
    writeSync(handle, `${JSON.stringify(header).padEnd(HEADER_BYTES - 1)}\n`);
    for (let left = header.claims; left > 0; left -= batch.count) {
      batch.count = Math.min(left, source.batchMax);
      source.fill(batch);
      for (let index = 0; index < batch.count; index++) {
        copyClaim(arena.view, ring.slot(index), view, index * CLAIM_BYTES);
        view.setUint32(index * CLAIM_BYTES + CLAIM_SEQUENCE, batch.channels[index]!);
      }
      writeSync(handle, bytes, 0, batch.count * CLAIM_BYTES);
    }
    closeSync(handle);
    renameSync(unfinished, file);
  } catch (error) {
    rmSync(unfinished, { force: true });
    throw unreadable(file, 'a file that can be written', error);
  }
  for (const [channel, amount] of before.entries()) channels.setSigned(channel, amount);
}

function readCorpus(file: string, expected: CorpusHeader): Uint8Array {
  let handle: number;
  try {
    handle = openRegularFile(file);
  } catch (error) {
    throw unreadable(file, 'a readable corpus', error);
  }
  try {
    const head = Buffer.alloc(HEADER_BYTES);
    readSync(handle, head, 0, HEADER_BYTES, 0);
    const claims = claimsOf(file, head.toString(), expected);
    const bytes = new Uint8Array(claims * CLAIM_BYTES);
    let length = 0;
    while (length < bytes.length) {
      const got = readSync(handle, bytes, length, Math.min(BLOCK_BYTES, bytes.length - length), HEADER_BYTES + length);
      if (got === 0) throw invalid(file, `${claims} claims`, Math.floor(length / CLAIM_BYTES));
      length += got;
    }
    return bytes;
  } finally {
    closeSync(handle);
  }
}

/** The number of claims by the file's header, which has to fit the run. */
function claimsOf(file: string, text: string, expected: CorpusHeader): number {
  let header: CorpusHeader;
  try {
    header = JSON.parse(text) as CorpusHeader;
  } catch {
    throw invalid(file, 'a corpus', 'another file');
  }
  for (const name of ['format', 'seed', 'channels', 'keys', 'skew'] as const)
    if (header[name] !== expected[name]) throw invalid(file, `${name} ${expected[name]}`, header[name]);
  if (!Number.isSafeInteger(header.claims) || header.claims < 1) throw invalid(file, 'claims', header.claims);
  return header.claims;
}

function expectFresh(file: string, claims: Uint8Array, channels: LoadChannels): void {
  const view = new DataView(claims.buffer, claims.byteOffset, claims.byteLength);
  for (let offset = 0; offset < claims.length; offset += CLAIM_BYTES) {
    const channel = view.getUint32(offset + CLAIM_SEQUENCE);
    const amount = claimAmountHigh(view, offset) * 2 ** 32 + claimAmountLow(view, offset);
    if (channel >= channels.count) throw invalid(file, `channels below ${channels.count}`, channel);
    const committed = channels.signed(channel);
    if (amount <= committed)
      throw new ClaimwireError(
        'INPUT_INVALID',
        `--corpus ${file}: expected a node that has none of its claims, got ${committed} drops committed on channel ${channel}; remove the file, take another --seed, or a fresh node`,
      );
  }
}

function invalid(file: string, expected: string, got: string | number): ClaimwireError {
  const message = `--corpus ${file}: expected ${expected}, got ${got}; remove the file or give the flags it was made with`;
  return new ClaimwireError('INPUT_INVALID', message);
}

function unreadable(file: string, expected: string, error: unknown): ClaimwireError {
  const { code, message } = error as NodeJS.ErrnoException;
  const reason = error instanceof FileFault ? error.reason : (code ?? message);
  return new ClaimwireError('INPUT_INVALID', `--corpus ${file}: expected ${expected}, got ${reason}`);
}
