/** The header the C kernel is compiled with says what the TypeScript constants say. */
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { expect, test } from 'vitest';
import { kernelLayoutHeader, rowsLayoutHeader } from '../../../tools/kernel-layout.ts';

test('src/kernel/layout_generated.h is what tools/kernel-layout.ts makes', () => {
  const header = resolve(import.meta.dirname, '../../../src/kernel/layout_generated.h');
  expect(readFileSync(header, 'utf8')).toBe(kernelLayoutHeader());
});

test('src/native/rows_generated.h is what tools/kernel-layout.ts makes for the registry’s rows', () => {
  const header = resolve(import.meta.dirname, '../../../src/native/rows_generated.h');
  expect(readFileSync(header, 'utf8')).toBe(rowsLayoutHeader());
});
