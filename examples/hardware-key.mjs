/**
 * A payer whose key never leaves a hardware module. Here the module is SoftHSM, which behaves as one; for a real one, change
 * the URI. Channels wait together while the module signs, and of each only the newest amount is signed.
 *
 * Run it: apt-get install softhsm2 opensc; npm install pkcs11js; node examples/hardware-key.mjs
 */
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ClaimwireNode } from 'claimwire';
import { Payer, Pkcs11Signer } from 'claimwire/client';

const PIN = '47110815';
const MODULE = [
  process.env.CLAIMWIRE_PKCS11_MODULE,
  '/usr/lib/softhsm/libsofthsm2.so',
  '/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so',
  '/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so',
].find((path) => path !== undefined && existsSync(path));

const folder = await mkdtemp(join(tmpdir(), 'claimwire-example-'));
try {
  const lacking = await missing();
  if (lacking === undefined) await payFromToken();
  else console.log(`skipped: expected ${lacking}, got none`);
} finally {
  await rm(folder, { recursive: true });
}

async function missing() {
  if (MODULE === undefined) return 'SoftHSM (apt-get install softhsm2)';
  for (const [program, ask] of [
    ['softhsm2-util', '--version'],
    ['pkcs11-tool', '--help'],
  ])
    try {
      execFileSync(program, [ask], { stdio: 'ignore' });
    } catch (error) {
      if (error.code === 'ENOENT') return `${program} (apt-get install softhsm2 opensc)`;
    }
  return await import('pkcs11js').then(
    () => undefined,
    () => 'pkcs11js, compiled (npm install pkcs11js; npm rebuild pkcs11js --ignore-scripts=false)',
  );
}

/** A token, and a key that is made in it. With a real module this is done once, by its own tools. */
async function makeToken() {
  await mkdir(join(folder, 'tokens'));
  process.env.SOFTHSM2_CONF = join(folder, 'softhsm2.conf');
  await writeFile(process.env.SOFTHSM2_CONF, `directories.tokendir = ${join(folder, 'tokens')}\n`);
  const run = (program, ...args) => execFileSync(program, args, { stdio: ['ignore', 'ignore', 'pipe'] });
  run('softhsm2-util', '--init-token', '--free', '--label', 'claims', '--so-pin', '00000000', '--pin', PIN);
  const login = ['--module', MODULE, '--token-label', 'claims', '--login', '--pin', PIN];
  run('pkcs11-tool', ...login, '--keypairgen', '--key-type', 'EC:secp256k1', '--label', 'payer');
}

async function payFromToken() {
  await makeToken();
  // Your program leaves the pin out: it is taken from CLAIMWIRE_PKCS11_PIN, or from the file that pin-source names.
  const key = await Pkcs11Signer.open(`pkcs11:token=claims;object=payer?module-path=${MODULE}`, { pin: PIN });
  console.log(`the token's public key has ${key.publicKey.length} bytes; nobody has its private key`);

  const node = await ClaimwireNode.start({ data: join(folder, 'data'), udp: { host: '127.0.0.1', port: 0 } });
  const ids = Array.from({ length: 100 }, () => randomBytes(32).toString('hex'));
  const publicKey = Buffer.from(key.publicKey).toString('hex').toUpperCase();
  await node.openChannels(ids.map((ledgerChannelId) => ({ ledgerChannelId, publicKey, capacity: 1_000n })));

  const payer = await Payer.open({ to: `udp://${node.udp}` });
  const channels = ids.map((ledgerChannelId) => payer.channel({ ledgerChannelId, key }));
  const acks = await Promise.all(channels.map((channel) => channel.pay(25n)));
  console.log(`${acks.length} channels paid ${acks.reduce((sum, { amount }) => sum + amount, 0n)} drops`);
  await payer.close();
  await key.close();

  // A closed key signs nothing, and neither does a token that was pulled out: claims fail, and nothing is owed for them.
  const failed = await key.signDigests(new Uint8Array(32)).catch((error) => error.code);
  console.log(`without the token: ${failed}`);
  await node.stop();
}
