/** Which faults of LMDB are a disk without room, and which end a node. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { ClaimwireError } from '../../../src/errors.ts';
import { registryFault, writeFault } from '../../../src/registry/fault.ts';

const work = mkdtempSync(join(tmpdir(), 'claimwire-fault-'));
afterAll(() => rmSync(work, { recursive: true, force: true }));
const lmdbError = (code: number) => Object.assign(new Error(`LMDB says ${code}`), { code });

test.each([
  ['ENOSPC', 28, 'REGISTRY_FULL'],
  ['EDQUOT', 122, 'REGISTRY_FULL'],
  ['MDB_MAP_FULL', -30792, 'REGISTRY_FULL'],
  ['MDB_TXN_FULL', -30788, 'REGISTRY_FULL'],
  ['EIO with room on the disk', 5, 'REGISTRY_FAILED'],
  ['EROFS', 30, 'REGISTRY_FAILED'],
  ['MDB_PANIC', -30795, 'REGISTRY_FAILED'],
])('%s', (_name, code, expected) => {
  expect(writeFault(work, lmdbError(code), 0)).toMatchObject({ code: expected, cause: lmdbError(code) });
});

test('EIO counts as full where the commit may not have fitted', () => {
  expect(writeFault(work, lmdbError(5), Number.MAX_SAFE_INTEGER).code).toBe('REGISTRY_FULL');
  expect(writeFault(join(work, 'gone'), lmdbError(5), Number.MAX_SAFE_INTEGER).code).toBe('REGISTRY_FAILED');
});

test('the reason of a commit that was rejected is looked up, and an error of ours stays what it is', async () => {
  const rejected = Object.assign(new Error('Commit failed'), { commitError: Promise.reject(lmdbError(28)) });
  expect(await registryFault(work, rejected, 0)).toMatchObject({ code: 'REGISTRY_FULL' });
  const locked = new ClaimwireError('DATA_LOCKED', 'locked');
  expect(writeFault(work, locked, 0)).toBe(locked);
});
