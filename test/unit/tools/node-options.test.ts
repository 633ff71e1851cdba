/** Options of `claimwire node` that need each other: those of the ledger, and of tuning. Test's thread. */
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { ServeOptions } from '../../../src/serve.ts';
import { defineCommand } from '../../../tools/command.ts';
import { nodeOptions, SERVER_OPTIONS } from '../../../tools/node-options.ts';

const PAYEE = 'rHb9CJAWyB4rj91VRWn96DkukG4bwdtyTh';

let seen: ServeOptions | undefined;
const command = defineCommand({
  name: 'node',
  summary: 'reads options',
  options: SERVER_OPTIONS,
  examples: [],
  notes: '',
  act: async (values) => {
    seen = nodeOptions(values);
    return 0;
  },
});
async function ledgerOf(...args: string[]) {
  await command.run(args);
  return seen!.ledger;
}

test('servers come as a list or one by one, times with units', async () => {
  expect(await ledgerOf()).toBeUndefined();
  const servers = ['--ledger', 'wss://a.example,wss://b.example', '--ledger', 'wss://c.example'];
  const times = ['--min-settle-delay', '2h', '--ledger-poll', '30s', '--ledger-network', '1'];
  expect(await ledgerOf(...servers, '--account', PAYEE, ...times, '--auto-open')).toEqual({
    urls: ['wss://a.example', 'wss://b.example', 'wss://c.example'],
    account: PAYEE,
    minSettleDelaySeconds: 7_200,
    pollSeconds: 30,
    autoOpen: true,
    networkId: 1,
  });
});

test('one without the other is told', async () => {
  await expect(ledgerOf('--ledger', 'wss://a.example')).rejects.toThrow(
    /--account: expected the address that channels pay/,
  );
  await expect(ledgerOf('--account', PAYEE)).rejects.toThrow(
    /--ledger: expected a server, as --account or --auto-open/,
  );
  await expect(ledgerOf('--auto-open')).rejects.toThrow(/--ledger: expected a server/);
});

test('targets are of the node that tunes itself, and it needs none', async () => {
  const tuneOf = async (...args: string[]) => {
    await command.run(args);
    return seen!.tune;
  };
  expect(await tuneOf()).toBeUndefined();
  expect(await tuneOf('--auto-tune')).toEqual({});
  const targets = ['--target-p99', '20ms', '--target-cpu', '1.5', '--target-memory', '2G'];
  expect(await tuneOf('--auto-tune', ...targets)).toEqual({ targetP99Ms: 20, targetCpu: 1.5, targetMemory: 2 ** 31 });
  await expect(tuneOf('--target-p99', '20')).rejects.toThrow('--auto-tune: expected it, as a --target- is there');
  await expect(tuneOf('--auto-tune', '--target-cpu', '0')).rejects.toThrow(
    'expected a number from 0.05 to 1024, like 1.5',
  );
});

test('limits of peers: those by WebRTC have one of their own', async () => {
  const limitsOf = async (...args: string[]) => {
    await command.run(args);
    const { webPeers, webrtcPeers, webOffersPerSecond } = seen!;
    return { webPeers, webrtcPeers, webOffersPerSecond };
  };
  expect(await limitsOf()).toEqual({});
  const flags = ['--web-peers', '9000', '--webrtc-peers', '5000', '--web-offers', '400'];
  expect(await limitsOf(...flags)).toEqual({ webPeers: 9_000, webrtcPeers: 5_000, webOffersPerSecond: 400 });
  await expect(limitsOf('--webrtc-peers', '0')).rejects.toThrow(/--webrtc-peers: expected/);
});

test('requests from node to node: certificates come together, and tokens from a file', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'claimwire-peer-options-'));
  const file = (name: string, text: string) => {
    writeFileSync(join(folder, name), text, { mode: 0o600 });
    return join(folder, name);
  };
  const [ca, cert, key] = ['ca', 'cert', 'key'].map((name) => file(name, name.toUpperCase()));
  const token = file('token', `${'ab'.repeat(32)}\n`);
  const cluster = ['--cluster', '--store', 'postgres://u@h/d'];
  const peersOf = async (...args: string[]) => {
    await command.run(args);
    return seen!.peers;
  };
  try {
    expect(await peersOf()).toBeUndefined();
    expect(await peersOf(...cluster)).toEqual({ listen: undefined, tls: undefined, isPlain: false, token: undefined });
    const advertise = ['--advertise', 'udp://10.0.0.1:9393,https://10.0.0.1:9395'];
    const listening = [...cluster, '--cluster-http', '10.0.0.1:9395'];
    const all = [...listening, ...advertise, '--cluster-ca', ca!, '--cluster-token-file', token];
    const wanted = {
      listen: { host: '10.0.0.1', port: 9395 },
      tls: { ca: 'CA', cert: 'CERT', key: 'KEY' },
      isPlain: false,
      token: 'ab'.repeat(32),
    };
    expect(await peersOf(...all, '--cluster-cert', cert!, '--cluster-key', key!)).toEqual(wanted);
    expect(await peersOf(...all, '--tls-cert', cert!, '--tls-key', key!)).toEqual(wanted);
    await expect(peersOf('--cluster-plain')).rejects.toThrow(/--cluster: expected it, as --cluster-plain/);
    await expect(peersOf(...all)).rejects.toThrow(/--cluster-cert: expected a PEM file/);
    await expect(peersOf(...all, '--cluster-key', key!)).rejects.toThrow(/got one of them/);
    await expect(peersOf(...listening, ...advertise)).rejects.toThrow(/--cluster-ca: expected the PEM file/);
    const silent = [...listening, '--cluster-ca', ca!, '--cluster-cert', cert!, '--cluster-key', key!];
    await expect(peersOf(...silent)).rejects.toThrow(/--advertise: expected an https/);
    chmodSync(token, 0o644);
    await expect(peersOf(...cluster, '--cluster-token-file', token)).rejects.toThrow(/expected mode 600/);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
