/** What the optimiser has found, in a file of the data folder. Main thread; the folder is locked by the node. */
import { dirname, join } from 'node:path';
import { type Files, syncFolder, withFile, writeWhole } from '../system/files.ts';
import { FileFault, readSmallFile } from '../system/regular-file.ts';
import type { TunerState } from './tuner.ts';

const FILE = 'tuning.json';
const VERSION = 1;
const BYTES_MAX = 16_384;

/** Writes it under another name first, so that a kill or a loss of power leaves the old one or the new one. Throws what the disk does. */
export function saveState(files: Files, data: string, state: TunerState): void {
  const path = join(data, FILE);
  const made = `${path}.new`;
  const bytes = Buffer.from(`${JSON.stringify({ version: VERSION, ...state }, null, 2)}\n`);
  const write = (fd: number) => {
    writeWhole(files, fd, bytes, bytes.length, 0);
    files.fsyncSync(fd);
  };
  withFile(files, made, 'w', write, 0o600);
  files.renameSync(made, path);
  syncFolder(files, dirname(path));
}

/** The state saved last, or undefined. `onDamaged` is told why a file that is there is not believed. */
export function loadState(files: Files, data: string, onDamaged: (reason: string) => void): TunerState | undefined {
  const path = join(data, FILE);
  try {
    return stateOf(JSON.parse(readSmallFile(path, BYTES_MAX, files).bytes.toString()));
  } catch (error) {
    if (!(error instanceof FileFault && error.reason === 'ENOENT'))
      onDamaged(
        `${path}: expected what a node saves, got ${error instanceof FileFault ? error.reason : (error as Error).message}`,
      );
    return undefined;
  }
}

function stateOf(value: unknown): TunerState {
  if (!isRecord(value) || value.version !== VERSION) throw new Error(`no object of version ${VERSION}`);
  const { settings, kept, undone, reference } = value;
  if (!isRecord(settings) || !Object.values(settings).every(isCount))
    throw new Error('settings that are no whole numbers');
  if (!isCount(kept) || !isCount(undone)) throw new Error('counts that are no whole numbers');
  if (reference === null) return { settings: settings as Record<string, number>, kept, undone, reference: null };
  if (!isRecord(reference) || !isPositive(reference.committed) || !isPositive(reference.cpuUs))
    throw new Error('a reference without rates');
  const { committed, cpuUs } = reference;
  return { settings: settings as Record<string, number>, kept, undone, reference: { committed, cpuUs } };
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
function isPositive(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value) && value > 0;
}
