/** A node without xrpl.js says what to install, and only when the ledger is asked for. */
import { expect, test, vi } from 'vitest';
import { loadXrpl } from '../../../src/ledger/xrpl-library.ts';

vi.mock('xrpl', () => {
  throw new Error("Cannot find package 'xrpl'");
});

test('the package that is missing, and what to do', async () => {
  await expect(loadXrpl()).rejects.toMatchObject({
    code: 'DEPENDENCY_MISSING',
    message: expect.stringContaining('npm install xrpl@5'),
  });
});
