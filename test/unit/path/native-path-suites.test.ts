/**
 * The rig's suites once more, with C taking the plain claims: the same cases, the same expectations.
 */
import { describe } from 'vitest';
import { describeNative } from '../../support/native-only.ts';
import { rigDefaults } from '../../support/rig.ts';

rigDefaults.path = 'native';
describeNative('with C', async () => {
  describe('steps', async () => void (await import('./steps.test.ts')));
  describe('commit step', async () => void (await import('./commit-step.test.ts')));
  describe('leaves', async () => void (await import('./leaves.test.ts')));
  describe('newest backend', async () => void (await import('../verify/newest-backend.test.ts')));
  describe('Ed25519', async () => void (await import('../verify/ed25519.test.ts')));
  describe('Ed25519 and secp256k1', async () => void (await import('../../differential/ed25519.test.ts')));
  describe('acceptance', async () => void (await import('../../differential/acceptance.test.ts')));
  describe('datagrams', async () => void (await import('../../hostile/datagrams.test.ts')));
});
