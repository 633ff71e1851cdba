/** Options of `claimwire gateway` that must agree. Test's thread. */
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { onNetwork, run } from '../../../tools/gateway.ts';

const PAYEE = 'rHb9CJAWyB4rj91VRWn96DkukG4bwdtyTh';
/** A gateway of a cluster, in parts. */
const CLUSTER = ['--cluster', '--store', 'postgres://u@127.0.0.1:1/d'];
const pem = (name: string) => join(import.meta.dirname, `../../support/cluster-tls/${name}.pem`);
const CERTIFICATES = ['--cluster-ca', pem('ca'), '--cluster-cert', pem('node-cert'), '--cluster-key', pem('node-key')];
const DOOR = ['--cluster-gateway', '127.0.0.1:1'];
const PLACES = ['--advertise', 'udp://127.0.0.1:1,gateway+https://127.0.0.1:1'];
const secretFile = join(mkdtempSync(join(tmpdir(), 'claimwire-gateway-secret-')), 'secret');
writeFileSync(secretFile, 'a'.repeat(64), { mode: 0o600 });
afterAll(() => rmSync(dirname(secretFile), { recursive: true }));
const SECRET = ['--secret-file', secretFile];
const SHARED = [...SECRET, '--cluster-token-file', secretFile];
const OTHER = 'rPT1Sjq2YGrBMTttX4GZHjKu9dyfzbpAYe';

test('customers are not asked to pay an account that the node does not redeem for', async () => {
  const data = join(tmpdir(), `claimwire-recipient-${process.pid}`);
  const ledger = ['--ledger', 'ws://127.0.0.1:1', '--account', PAYEE];
  const sells = ['--upstream', 'http://127.0.0.1:1', '--price', '25', '--recipient', OTHER];
  const started = run(['--data', data, '--udp', '127.0.0.1:0', '--listen', '127.0.0.1:0', ...ledger, ...sells]);
  await expect(started).rejects.toMatchObject({
    code: 'USAGE',
    message: `--recipient: expected ${PAYEE}, which the node redeems for (--account), got ${OTHER}`,
  });
  expect(existsSync(data)).toBe(false);
});

test('customers are not told another network than the one whose ledger is believed', async () => {
  const data = join(tmpdir(), `claimwire-network-${process.pid}`);
  const ledger = ['--ledger', 'ws://127.0.0.1:1', '--account', PAYEE, '--ledger-network', '1'];
  const sells = ['--upstream', 'http://127.0.0.1:1', '--price', '25', '--recipient', PAYEE];
  for (const network of ['mainnet', '2', 'devnet'])
    await expect(
      run([
        '--data',
        data,
        '--udp',
        '127.0.0.1:0',
        '--listen',
        '127.0.0.1:0',
        ...ledger,
        ...sells,
        '--network',
        network,
      ]),
    ).rejects.toMatchObject({ code: 'USAGE', message: expect.stringContaining('the network of --ledger-network 1') });
  expect(existsSync(data)).toBe(false);
});

test('a network that customers are told is the only one whose ledger is believed', () => {
  const ledger = { urls: ['ws://127.0.0.1:1'], account: PAYEE };
  const told = (network: string) => onNetwork(ledger, network).networkId;
  expect(['mainnet', 'testnet', 'devnet', '21337', 'ours'].map(told)).toEqual([0, 1, 2, 21_337, undefined]);
  expect(onNetwork({ ...ledger, networkId: 7 }, 'ours').networkId).toBe(7);
});

test.each([
  ['without --cluster', ['--cluster-gateway', '127.0.0.1:1'], '--cluster: expected it, as --cluster-gateway'],
  ['without the secret of all gateways', CLUSTER, '--secret-file: expected one that all gateways'],
  ['without the token of all nodes', [...CLUSTER, ...SECRET], '--cluster-token-file: expected one that all nodes'],
  [
    'with a door that nobody finds',
    [...CLUSTER, ...SHARED, ...DOOR, ...CERTIFICATES],
    '--advertise: expected a gateway+https',
  ],
  ['with a door but no certificates', [...CLUSTER, ...SHARED, ...DOOR, ...PLACES], '--cluster-ca: expected it'],
])('a gateway of a cluster %s is refused before anything is made', async (_, flags, message) => {
  const data = join(tmpdir(), `claimwire-clustered-gateway-${process.pid}`);
  const sells = ['--upstream', 'http://127.0.0.1:1', '--price', '25', '--recipient', PAYEE];
  const started = run(['--data', data, ...flags, '--udp', '127.0.0.1:0', '--listen', '127.0.0.1:0', ...sells]);
  await expect(started).rejects.toMatchObject({ code: 'USAGE', message: expect.stringContaining(message) });
  expect(existsSync(data)).toBe(false);
});
