/**
 * A token of SoftHSM2 (Debian's softhsm2) in a folder of the test's, with keys made in it. SoftHSM is no hardware, but it is a
 * real PKCS#11 module, with both traps: it gives high s, and signs the first 32 bytes of whatever is longer.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import type * as Library from 'pkcs11js';

export const PIN = '4711-0815';
const MODULES = [
  '/usr/lib/softhsm/libsofthsm2.so',
  '/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so',
  '/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so',
];
export const MODULE = MODULES.find((path) => existsSync(path)) ?? '';

/** What is missing for these tests; empty where nothing is. */
function missing(): string {
  if (MODULE === '') return 'softhsm2 (apt-get install softhsm2)';
  try {
    createRequire(import.meta.url)('pkcs11js');
    return '';
  } catch {
    return 'pkcs11js, built (npm rebuild pkcs11js --ignore-scripts=false)';
  }
}

/** Where what is missing must not be passed over, as in .ci/run, this throws; elsewhere it is said loudly. */
export function isThere(): boolean {
  const lacking = missing();
  if (lacking === '') return true;
  if (process.env.CI === 'true') throw new Error(`expected ${lacking}, got none`);
  console.error(`\nNOT TESTED: keys in hardware: expected ${lacking}, got none\n`);
  return false;
}

export class SoftToken {
  readonly label: string;
  readonly #folder: string;

  /** The first of a process says where all of its tokens lie: SoftHSM reads that once. */
  constructor(folder: string, label: string) {
    this.#folder = folder;
    this.label = label;
    mkdirSync(join(folder, 'tokens'), { recursive: true });
    const file = join(folder, 'softhsm2.conf');
    writeFileSync(
      file,
      `directories.tokendir = ${join(folder, 'tokens')}\nobjectstore.backend = file\nlog.level = ERROR\n`,
    );
    process.env.SOFTHSM2_CONF = file;
    const pins = ['--so-pin', '0000-0000', '--pin', PIN];
    execFileSync('softhsm2-util', ['--init-token', '--free', '--label', label, ...pins], { stdio: 'ignore' });
  }

  get folder(): string {
    return join(this.#folder, 'tokens');
  }

  uri(object: string): string {
    return `pkcs11:token=${this.label};object=${object}?module-path=${MODULE}`;
  }

  /** Makes a key of a curve in the token, or puts one with `privateKey` there. */
  makeKey(library: typeof Library, object: string, curve = '06052b8104000a'): void {
    this.#inSession(library, (module, session) => {
      const { CKM_EC_KEY_PAIR_GEN, CKA_LABEL, CKA_ID, CKA_EC_PARAMS, CKA_TOKEN, CKA_SIGN, CKA_VERIFY, CKA_PRIVATE } =
        library;
      const named = [
        { type: CKA_TOKEN, value: true },
        { type: CKA_LABEL, value: object },
        { type: CKA_ID, value: Buffer.from(object) },
      ];
      module.C_GenerateKeyPair(
        session,
        { mechanism: CKM_EC_KEY_PAIR_GEN, parameter: null as never },
        [...named, { type: CKA_EC_PARAMS, value: Buffer.from(curve, 'hex') }, { type: CKA_VERIFY, value: true }],
        [...named, { type: CKA_SIGN, value: true }, { type: CKA_PRIVATE, value: true }],
      );
    });
  }

  #inSession(library: typeof Library, work: (module: Library.PKCS11, session: Library.Handle) => void): void {
    const module = new library.PKCS11();
    module.load(MODULE);
    try {
      module.C_Initialize({ flags: library.CKF_OS_LOCKING_OK });
    } catch {
      // This process has done so.
    }
    const slot = module.C_GetSlotList(true).find((each) => module.C_GetTokenInfo(each).label.trim() === this.label)!;
    const session = module.C_OpenSession(slot, library.CKF_SERIAL_SESSION | library.CKF_RW_SESSION);
    try {
      module.C_Login(session, library.CKU_USER, PIN);
    } catch {
      // Logged in already.
    }
    try {
      work(module, session);
    } finally {
      module.C_CloseSession(session);
    }
  }
}
