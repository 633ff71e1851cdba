/** Hardware that a node or a payer might use: tokens that keep keys, and processors of graphics, which no kernel uses. */
import { type Check, ok, quoted, warning } from './check.ts';

/** Where Debian and others put the modules of tokens. */
const MODULES = [
  '/usr/lib/softhsm/libsofthsm2.so',
  '/usr/lib/x86_64-linux-gnu/opensc-pkcs11.so',
  '/usr/lib/aarch64-linux-gnu/opensc-pkcs11.so',
  '/usr/lib64/opensc-pkcs11.so',
  '/usr/lib/x86_64-linux-gnu/libykcs11.so',
  '/usr/lib/x86_64-linux-gnu/p11-kit-proxy.so',
  '/opt/cloudhsm/lib/libcloudhsm_pkcs11.so',
  '/usr/safenet/lunaclient/lib/libCryptoki2_64.so',
  '/opt/nfast/toolkits/pkcs11/libcknfast.so',
];

const GRAPHICS = ['/dev/nvidia0', '/dev/kfd', '/dev/dri/renderD128'];

export const hardware: Check = (machine) => {
  const named = machine.pkcs11Module();
  const there = (paths: readonly string[]) => paths.filter((path) => machine.file(path) !== undefined);
  const found = there(MODULES);
  const adapters = there(GRAPHICS);
  const hasLibrary = machine.hasPkcs11Library();
  const facts = { module: named ?? null, found: found.join(' '), library: hasLibrary, graphics: adapters.join(' ') };
  if (named !== undefined && machine.file(named) === undefined)
    return warning(`CLAIMWIRE_PKCS11_MODULE names ${named}, which does not exist.`, `ls -l ${quoted(named)}`, facts);
  if (!hasLibrary && named !== undefined)
    return warning(`${named} is there, but the optional library pkcs11js is not.`, 'npm install pkcs11js', facts);
  const modules = [...new Set([...(named === undefined ? [] : [named]), ...found])];
  const use = hasLibrary ? 'for --key pkcs11:…' : 'for --key pkcs11:… once npm has pkcs11js';
  const keys =
    modules.length === 0
      ? 'No PKCS#11 module was found: keys are in files'
      : `PKCS#11 modules ${use}: ${modules.join(', ')}`;
  const gpu =
    adapters.length === 0
      ? 'no GPU is needed, and none is here'
      : `a GPU is here (${adapters.join(', ')}) and not used: the processor verifies`;
  return ok(`${keys}; ${gpu}.`, facts);
};
