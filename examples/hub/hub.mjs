/**
 * A hub: one payer, 10,000 channels, and one key that never leaves its hardware module (here SoftHSM). The module signs some
 * hundred roots a second, each over one claim of every channel; at the end one ordinary claim a channel makes all of it redeemable.
 *
 * Run it: apt-get install softhsm2 opensc; npm install pkcs11js; node examples/hub/hub.mjs [CHANNELS] [SECONDS]
 */
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ClaimwireNode } from 'claimwire';
import { Payer, Pkcs11Signer } from 'claimwire/client';
import { makeKey, missing } from './softhsm.mjs';

const [channelCount = 10_000, seconds = 5] = process.argv.slice(2).map(Number);
/** Drops that a channel's leaves may owe before an ordinary claim must follow, and all of the hub's together. */
const EXPOSURE = 1_000_000_000n;

const folder = await mkdtemp(join(tmpdir(), 'claimwire-example-'));
try {
  const lacking = await missing();
  if (lacking === undefined) await payAsHub();
  else console.log(`skipped: expected ${lacking}, got none`);
} finally {
  await rm(folder, { recursive: true });
}

async function payAsHub() {
  const { uri, pin } = await makeKey(folder);
  const key = await Pkcs11Signer.open(uri, { pin });
  const node = await ClaimwireNode.start({
    data: join(folder, 'data'),
    udp: { host: '127.0.0.1', port: 0 },
    rootExposureDrops: Number(EXPOSURE),
  });
  const ids = Array.from({ length: channelCount }, () => randomBytes(32).toString('hex'));
  const publicKey = Buffer.from(key.publicKey).toString('hex').toUpperCase();
  await node.openChannels(ids.map((ledgerChannelId) => ({ ledgerChannelId, publicKey, capacity: EXPOSURE })));

  const payer = await Payer.open({ to: `udp://${node.udp}`, roots: { everyMs: 10 }, window: 2 * channelCount });
  const channels = ids.map((ledgerChannelId) => payer.channel({ ledgerChannelId, key, committed: 0n }));
  const began = performance.now();
  const end = began + seconds * 1_000;
  // Each channel pays a drop at a time, as soon as the one before is durable.
  const claims = await Promise.all(channels.map((channel) => payUntil(channel, end)));
  const took = (performance.now() - began) / 1_000;
  const total = claims.reduce((sum, count) => sum + count, 0);
  const { rootsSigned } = payer.stats();
  const perSecond = (count) => Math.round(count / took).toLocaleString('en');
  console.log(`${total} claims on ${channelCount} channels, each durable at the node, by ${rootsSigned} signatures`);
  console.log(`${perSecond(total)} claims and ${perSecond(rootsSigned)} signatures a second`);

  await Promise.all(channels.map((channel) => channel.cover()));
  const committed = ids.reduce((sum, id) => sum + node.channel(BigInt(`0x${id.slice(0, 16)}`)).committed, 0n);
  console.log(`${committed} drops are committed, all of them redeemable`);
  await payer.close();
  await key.close();
  await node.stop();
}

async function payUntil(channel, end) {
  let count = 0;
  for (; performance.now() < end; count++) await channel.pay(1n);
  return count;
}
