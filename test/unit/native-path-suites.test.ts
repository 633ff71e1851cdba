/**
 * The rig's suites once more, with C taking the plain claims: the same cases, the same expectations.
 */
import { describe, test } from 'vitest';
import { rigDefaults } from '../support/rig.ts';
import { hasAddon } from '../support/twin-rigs.ts';

if (hasAddon()) {
  rigDefaults.path = 'native';
  describe('with C', async () => {
    describe('steps', async () => void (await import('./steps.test.ts')));
    describe('commit step', async () => void (await import('./commit-step.test.ts')));
    describe('newest backend', async () => void (await import('./newest-backend.test.ts')));
    describe('Ed25519', async () => void (await import('./ed25519.test.ts')));
    describe('Ed25519 and secp256k1', async () => void (await import('../differential/ed25519.test.ts')));
    describe('acceptance', async () => void (await import('../differential/acceptance.test.ts')));
    describe('datagrams', async () => void (await import('../hostile/datagrams.test.ts')));
  });
} else test.skip('no addon: nothing takes plain claims but the steps', () => {});
