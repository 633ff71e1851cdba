/** Huge pages are asked for where they exist, and a part without a whole one is none. */
import { existsSync } from 'node:fs';
import { expect, test } from 'vitest';
import { askHugePages } from '../../../src/native/huge-pages.ts';
import { isNativeTested } from '../../support/native-only.ts';

const hasThem = existsSync('/sys/kernel/mm/transparent_hugepage/enabled');

test.runIf(isNativeTested)('all parts have to be large enough, and the system has to take them', () => {
  const large = new Uint8Array(new SharedArrayBuffer(8 * 2 ** 20));
  expect(askHugePages([large, large.subarray(2 ** 20)])).toBe(hasThem);
  expect(askHugePages([large, new Uint8Array(4_096)])).toBe(false);
});
