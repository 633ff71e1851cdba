/**
 * A hub: one payer, 10,000 channels, and one key that never leaves its hardware module (here SoftHSM). The module signs about a hundred
 * roots a second, each over one claim of every channel; at the end an ordinary claim follows for each channel.
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
/** Under `link` leaves stand by themselves. With channels of the XRP Ledger, `xrpl`, the node says how far (rootExposureDrops). */
const PROFILE = 'link';
const CAPACITY = 1_000_000_000n;
/** Waves of payments under way: one is signed, one is hashed, and the others are on their way to the node's disk. */
const WAVES = 6;
/** Claims on their way: what all lanes of the node have in two syncs of the disk, of some milliseconds each. Its ring has room for them. */
const WINDOW = 32_768;

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
    roots: true,
    ringSlots: WINDOW,
  });
  const ids = Array.from({ length: channelCount }, () => randomBytes(32).toString('hex'));
  const publicKey = Buffer.from(key.publicKey).toString('hex').toUpperCase();
  await node.openChannels(
    ids.map((ledgerChannelId) => ({ ledgerChannelId, publicKey, capacity: CAPACITY, profile: PROFILE })),
  );

  const payer = await Payer.open({ to: `udp://${node.udp}`, roots: {}, window: WINDOW });
  const channels = ids.map((ledgerChannelId) =>
    payer.channel({ ledgerChannelId, key, profile: PROFILE, committed: 0n }),
  );
  const group = payer.group(channels, { waves: WAVES });
  // The first payment also asks the node what it holds of each channel: two thousand a second.
  const first = await group.pay(1n);
  console.log(`first ${first.claims} claims after ${Math.round(first.rttMs)} ms`);
  const signedBefore = payer.stats().rootsSigned;
  const began = performance.now();
  const end = began + seconds * 1_000;
  // Each wave pays every channel a drop, and is over when the node has all of it on its disk.
  const counts = await Promise.all(Array.from({ length: WAVES }, () => payUntil(group, end)));
  const took = (performance.now() - began) / 1_000;
  const total = counts.reduce((sum, count) => sum + count, 0);
  const rootsSigned = payer.stats().rootsSigned - signedBefore;
  const perSecond = (count) => Math.round(count / took).toLocaleString('en');
  console.log(`${total} claims on ${channelCount} channels, each durable at the node, by ${rootsSigned} signatures`);
  console.log(`${perSecond(total)} claims and ${perSecond(rootsSigned)} signatures a second`);

  const covered = await group.cover();
  const committed = ids.reduce((sum, id) => sum + node.channel(BigInt(`0x${id.slice(0, 16)}`)).committed, 0n);
  console.log(`${committed} drops are committed; ${covered.claims} ordinary claims are for all of them`);
  await payer.close();
  await key.close();
  await node.stop();
}

async function payUntil(group, end) {
  let claims = 0;
  while (performance.now() < end) claims += (await group.pay(1n)).claims;
  return claims;
}
