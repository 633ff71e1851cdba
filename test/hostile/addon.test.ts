/** The addon's functions with arguments of every kind but the right ones: a coded error or nothing, and never the end of the process. */
import { execFileSync } from 'node:child_process';
import { join, resolve } from 'node:path';
import { expect, test } from 'vitest';
import { describeNative } from '../support/native-only.ts';

const ROUNDS = 200;
const CHILD = join(import.meta.dirname, '../support/addon-arguments.mjs');

describeNative('wrong arguments', () => {
  test(`${ROUNDS} calls of each function throw a coded error or return`, () => {
    const text = execFileSync(process.execPath, [CHILD, resolve('build/claimwire.node'), String(ROUNDS), '7']);
    const results = JSON.parse(String(text)) as Record<string, { returned: number; codes: Record<string, number> }>;
    expect(Object.keys(results).length).toBeGreaterThan(30);
    for (const [name, { returned, codes }] of Object.entries(results)) {
      expect(returned + Object.values(codes).reduce((sum, count) => sum + count, 0), name).toBe(ROUNDS);
      for (const code of Object.keys(codes)) expect(code, name).toMatch(/^ERR_CLAIMWIRE_[A-Z]+$/);
    }
  });
});
