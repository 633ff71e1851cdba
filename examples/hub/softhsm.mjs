/** A token of SoftHSM with one key, for the hub beside this file; with a real module its own tools make both, once. */
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

const PIN = '47110815';
const MODULE = [
  process.env.CLAIMWIRE_PKCS11_MODULE,
  '/usr/lib/softhsm/libsofthsm2.so',
  '/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so',
  '/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so',
].find((path) => path !== undefined && existsSync(path));

/** What is lacking for a token, or undefined. */
export async function missing() {
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

/** Makes a token in `folder`, and a key in it; returns the URI of the key and the pin. */
export async function makeKey(folder) {
  await mkdir(join(folder, 'tokens'));
  process.env.SOFTHSM2_CONF = join(folder, 'softhsm2.conf');
  await writeFile(process.env.SOFTHSM2_CONF, `directories.tokendir = ${join(folder, 'tokens')}\n`);
  const run = (program, ...args) => execFileSync(program, args, { stdio: ['ignore', 'ignore', 'pipe'] });
  run('softhsm2-util', '--init-token', '--free', '--label', 'claims', '--so-pin', '00000000', '--pin', PIN);
  const login = ['--module', MODULE, '--token-label', 'claims', '--login', '--pin', PIN];
  run('pkcs11-tool', ...login, '--keypairgen', '--key-type', 'EC:secp256k1', '--label', 'hub');
  return { uri: `pkcs11:token=claims;object=hub?module-path=${MODULE}`, pin: PIN };
}
