/** What the demo says of the rate that it reached: what limited it, and what would raise it on this machine. */
import { availableParallelism } from 'node:os';
import { expect, test } from 'vitest';
import { limitOf } from '../../../tools/demo-load.ts';

const NATIVE = { backend: 'native', kernel: 'avx512ifma', sockets: 'native', verifiers: 1 };
const BEGIN = { at: 0, nodeMs: 0, generatorMs: 0, busyMs: 0, idleMs: 0, syncWaitMs: 0, syncs: 0 };
const CORES = availableParallelism();
/** A second in which all cores worked, half of it for the node. */
const BUSY = { ...BEGIN, at: 1_000, nodeMs: 500 * CORES, generatorMs: 500 * CORES, busyMs: 1_000 * CORES };

test('over WebAssembly the native kernel comes first, with why there is none', () => {
  const fault =
    'expected the package @claimwire/linux-x64-gnu, got none; npm install without --omit=optional brings it';
  const { fasterWith } = limitOf({ ...NATIVE, backend: 'wasm', kernel: 'wasm', sockets: 'dgram' }, BEGIN, BUSY, fault);
  expect(fasterWith.slice(0, 2)).toEqual([
    `the native kernel (${fault})`,
    'native sockets (Linux, and the same addon)',
  ]);
});

test('the processor, the disk or the claims in flight are the limit', () => {
  const processor = limitOf(NATIVE, BEGIN, BUSY, undefined);
  expect(processor.limitedBy).toMatch(/^the processor: node \d+ %, generator \d+ %, others 0 % of/);
  expect(processor.fasterWith).toEqual(['more cores', 'the generator on another machine']);
  const idle = { ...BEGIN, at: 1_000, idleMs: 1_000 * CORES };
  const disk = limitOf(NATIVE, BEGIN, { ...idle, syncWaitMs: 500, syncs: 100 }, undefined);
  expect(disk.limitedBy).toBe('the disk: 100 syncs/s, 5.0 ms each');
  const flight = limitOf(NATIVE, BEGIN, idle, undefined);
  expect(flight.limitedBy).toMatch(/^claims in flight/);
});
