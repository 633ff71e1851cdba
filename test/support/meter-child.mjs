/**
 * A service with a node in its process, which the test kills (integration/meter-crash.test.ts). It submits the claims it is
 * given, some at a time, and makes every charge that the parent has no answer to, 64 at a time. A process of its own.
 */
import { ClaimwireNode } from '../../dist/src/index.js';

const CHARGES_AT_A_TIME = 64;
const silent = { info: () => {}, warn: () => {}, error: () => {} };

/** `claims` are by channel, in hex, rising; `charges` are [number, channel, drops]. */
const { data, store, openings, claims, charges } = await new Promise((resolve) => process.once('message', resolve));
const node = await ClaimwireNode.start({
  data,
  store,
  udp: { host: '127.0.0.1', port: 0 },
  backend: 'native',
  layout: 'lanes',
  lanes: 1,
  logger: silent,
  channelsMax: 64,
  segmentBytes: 1 << 20,
});
await node.openChannels(openings);
const ids = openings.map(({ channelId }) => BigInt(channelId));
const accounts = () => ids.map((id) => [String(node.spent(id)), String(node.channel(id).committed)]);
process.send({ event: 'started', accounts: accounts() });

async function pay() {
  for (let step = 0; step < claims[0].length; step++) {
    const due = claims.map((steps) => Buffer.from(steps[step], 'hex'));
    await Promise.all(due.map((claim) => node.submit(claim)));
  }
}

async function charge() {
  for (let next = charges.shift(); next !== undefined; next = charges.shift()) {
    const [number, channel, drops] = next;
    const result = await node.charge(ids[channel], BigInt(drops), { key: `request ${number}` });
    const { spent, committed, repeated } = result;
    process.send({ event: 'charged', number, repeated, spent: String(spent), committed: String(committed) });
  }
}

await Promise.all([pay(), ...Array.from({ length: CHARGES_AT_A_TIME }, charge)]);
process.send({ event: 'done', accounts: accounts() });
await node.stop();
process.disconnect();
