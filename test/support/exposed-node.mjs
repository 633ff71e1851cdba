/**
 * A node with its admin interface in a process of its own, so that a faulty disk can be preloaded into it (faulty-disk.ts). Its
 * ledger answers, but the newest one that it has is hours old. Prints {udp, http, data} and runs until it is ended.
 */
import { serve } from '../../dist/src/serve.js';

const [data] = process.argv.slice(2);
const ledger = { index: 1_000, closedAt: Math.floor(Date.now() / 1_000) - 10_000 };
const never = () => () => {};
const unreachable = () => Promise.reject(new Error('not here'));
const connection = {
  url: 'ws://127.0.0.1:1',
  validated: ledger,
  networkId: async () => 0,
  channelsTo: async () => ({ ledger, channels: [] }),
  channel: async () => ({ ledger, channel: undefined }),
  account: unreachable,
  fee: unreachable,
  submit: unreachable,
  transaction: unreachable,
  knowsLedgers: async () => true,
  onLedger: never,
  onChannelTouched: never,
  close: async () => {},
};

const serving = await serve({
  data,
  udp: { host: '127.0.0.1', port: 0 },
  http: { host: '127.0.0.1', port: 0 },
  // The net thread goes on while the committer waits for the disk: the ring fills, and what comes then is refused.
  layout: 'pipeline',
  verifiers: 1,
  ringSlots: 256,
  channelsMax: 10,
  keyCacheBytes: 32 << 20,
  ledger: { urls: [connection.url], account: 'rHb9CJAWyB4rj91VRWn96DkukG4bwdtyTh' },
  connect: async () => connection,
});
process.stdout.write(`${JSON.stringify({ udp: serving.node.udp, http: serving.http })}\n`);
process.once('SIGTERM', () => void serving.stop().then(() => process.exit(0)));
