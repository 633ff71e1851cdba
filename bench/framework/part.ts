/**
 * A part of the report that is measured in a process of its own: the kernel's cache is sized once a process, and code that
 * was compiled for one part must not slow or help another.
 *
 * `runPart` is the main process's side; started as a program, this file is the other. Between them: a name and the
 * arguments as JSON, and one line of JSON back.
 */
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { endsWithBench } from '../node-under-test.ts';
import type { Effort } from './measure.ts';

const program = fileURLToPath(import.meta.url);
const OUTPUT_CHARS_MAX = 2 ** 22;
const STDERR_CHARS_MAX = 4_096;

export interface PartArgs {
  effort: Effort;
  /** Of one measurement. */
  seconds: number;
  quick: boolean;
  /** Where it may write. */
  folder: string;
}

/** Values of measurements by name, those of one round at one place. */
export type PartResult = Record<string, number[]>;

/** The parts, each loaded in its own process alone. */
const PARTS = {
  codec: async () => (await import('./parts/codec.ts')).measureCodec,
  ring: async () => (await import('./parts/codec.ts')).measureRings,
  table: async () => (await import('./parts/table.ts')).measureTable,
  tableSize: async () => (await import('./parts/table.ts')).measureTableSizes,
  verify: async () => (await import('./parts/verify.ts')).measureVerify,
  keyTables: async () => (await import('./parts/verify.ts')).measureKeyTables,
  keys: async () => (await import('./parts/verify.ts')).measureKeys,
  threads: async () => (await import('./parts/threads.ts')).measureThreads,
  disk: async () => (await import('./parts/disk.ts')).measureDisk,
  sockets: async () => (await import('./parts/sockets.ts')).measureSockets,
  acks: async () => (await import('./parts/sockets.ts')).measureAcks,
} as const satisfies Record<string, () => Promise<(args: PartArgs) => PartResult | Promise<PartResult>>>;
export type PartName = keyof typeof PARTS;

/** Throws when the part fails, or takes more than `secondsMax`. */
export async function runPart(name: PartName, args: PartArgs, secondsMax: number): Promise<PartResult> {
  const child = endsWithBench(spawn(process.execPath, ['--expose-gc', program, name, JSON.stringify(args)]));
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (text) => {
    if (stdout.length < OUTPUT_CHARS_MAX) stdout += String(text);
  });
  child.stderr.on('data', (text) => {
    stderr = (stderr + String(text)).slice(-STDERR_CHARS_MAX);
  });
  let isLate = false;
  const timer = setTimeout(() => {
    isLate = true;
    child.kill('SIGKILL');
  }, secondsMax * 1_000);
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
  clearTimeout(timer);
  if (isLate) throw new Error(`expected it within ${secondsMax} s`);
  if (code !== 0) throw new Error(`expected exit code 0, got ${code}: ${stderr.trim()}`);
  return JSON.parse(stdout) as PartResult;
}

if (process.argv[1] === program) {
  const measure = await PARTS[process.argv[2] as PartName]();
  process.stdout.write(JSON.stringify(await measure(JSON.parse(process.argv[3]!) as PartArgs)));
  // Workers and sockets of a part may still be there.
  process.stdout.write('', () => process.exit(0));
}
