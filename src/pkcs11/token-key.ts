/**
 * A secp256k1 key that lies in a token (an HSM, a smart card, SoftHSM) and never leaves it: PKCS#11's CKM_ECDSA over the
 * library pkcs11js. Main thread; the signatures are made in libuv's threads, as many at a time as there are sessions.
 *
 * What tokens do that a ledger does not forgive: about half of their signatures have a high s, and some sign the first 32
 * bytes of whatever longer input they are given. So digests are 32 bytes here, and s is made low.
 */
import { randomBytes } from 'node:crypto';
import { verify } from '@noble/secp256k1';
import type * as Library from 'pkcs11js';
import { ClaimwireError } from '../errors.ts';
import { loadPkcs11, type Pkcs11Library } from '../optional-libraries.ts';
import { lowS } from './low-s.ts';
import type { Pkcs11Uri } from './uri.ts';

const DIGEST_BYTES = 32;
const SIGNATURE_BYTES = 64;
/** The curve's object identifier, 1.3.132.0.10, as DER. */
const SECP256K1 = Buffer.from('06052b8104000a', 'hex');
/** An uncompressed point, as DER. Some tokens leave the two bytes before it out. */
const POINT_BYTES = 65;
const SESSIONS_DEFAULT = 4;
const OBJECTS_MAX = 16;

/** Returned codes that say that the token is gone or has forgotten us; a new session may help. */
const LOST = [
  'DEVICE_REMOVED',
  'TOKEN_NOT_PRESENT',
  'TOKEN_NOT_RECOGNIZED',
  'SESSION_HANDLE_INVALID',
  'SESSION_CLOSED',
  'USER_NOT_LOGGED_IN',
  'DEVICE_ERROR',
  'KEY_HANDLE_INVALID',
  'OBJECT_HANDLE_INVALID',
  'CRYPTOKI_NOT_INITIALIZED',
];
const FULL = ['SESSION_COUNT', 'SESSION_PARALLEL_NOT_SUPPORTED', 'HOST_MEMORY', 'DEVICE_MEMORY'];
const PIN = ['PIN_INCORRECT', 'PIN_INVALID', 'PIN_LEN_RANGE', 'PIN_EXPIRED', 'PIN_LOCKED', 'USER_PIN_NOT_INITIALIZED'];

export interface TokenKeyOptions {
  /** The library of the token, a shared object. */
  readonly modulePath: string;
  readonly pin: string;
  /** Signatures made at a time. Default 4; fewer where the token allows no more. */
  readonly sessions?: number | undefined;
}

interface Session {
  readonly handle: Library.Handle;
  readonly key: Library.Handle;
}

/** A process may load and initialise a module once. */
const modules = new Map<string, Library.PKCS11>();

export class TokenKey {
  /** 33 bytes. */
  readonly publicKey: Uint8Array;
  readonly #library: Pkcs11Library;
  readonly #module: Library.PKCS11;
  readonly #uri: Pkcs11Uri;
  readonly #options: TokenKeyOptions;
  #sessions: Session[];
  /** A session signs one digest at a time, so calls follow one another. */
  #last: Promise<unknown> = Promise.resolve();
  #isClosed = false;

  private constructor(parts: {
    library: Pkcs11Library;
    module: Library.PKCS11;
    uri: Pkcs11Uri;
    options: TokenKeyOptions;
  }) {
    this.#library = parts.library;
    this.#module = parts.module;
    this.#uri = parts.uri;
    this.#options = parts.options;
    this.#sessions = this.#open();
    try {
      this.publicKey = this.#findPublicKey(this.#sessions[0]!.handle);
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /**
   * Logs in and finds the key, and has it sign once: the signature has to be its public key's.
   * @throws ClaimwireError DEPENDENCY_MISSING, PKCS11_PIN (wrong, or locked: it is tried once, since tokens count), PKCS11_LOST
   * (no such module, token or key) or PKCS11_FAILED
   */
  static async open(uri: Pkcs11Uri, options: TokenKeyOptions): Promise<TokenKey> {
    const library = await loadPkcs11();
    const key = new TokenKey({ library, module: moduleOf(library, options.modulePath), uri, options });
    try {
      const digest = Uint8Array.from(randomBytes(DIGEST_BYTES));
      const signature = await key.signDigests(digest);
      if (!verify(signature, digest, key.publicKey, { prehash: false, lowS: true }))
        throw lost('expected the public and the private key of one pair, got two of the same name', 'KEY_PAIR');
      return key;
    } catch (error) {
      key.close();
      throw error;
    }
  }

  /**
   * Signs 32-byte digests.
   * @returns 64 bytes r‖s each, s ≤ n/2
   * @throws ClaimwireError PKCS11_LOST, PKCS11_PIN or PKCS11_FAILED. The next call opens new sessions
   */
  signDigests(digests: Uint8Array): Promise<Uint8Array> {
    const signed = this.#last.then(() => this.#signAll(digests));
    this.#last = signed.catch(() => {});
    return signed;
  }

  close(): void {
    this.#isClosed = true;
    this.#drop();
  }

  async #signAll(digests: Uint8Array): Promise<Uint8Array> {
    if (digests.length === 0 || digests.length % DIGEST_BYTES !== 0)
      throw new ClaimwireError('INPUT_INVALID', `digests: expected 32 bytes each, got ${digests.length} in all`);
    if (this.#isClosed) throw lost('expected an open token, got a closed one', 'CLOSED');
    if (this.#sessions.length === 0) this.#sessions = this.#reopen();
    const sessions = this.#sessions;
    const signatures = new Uint8Array(digests.length * 2);
    let next = 0;
    const work = async (session: Session) => {
      for (let at = next++; at * DIGEST_BYTES < digests.length; at = next++) {
        const digest = Buffer.from(digests.subarray(at * DIGEST_BYTES, (at + 1) * DIGEST_BYTES));
        signatures.set(await this.#sign(session, digest), at * SIGNATURE_BYTES);
      }
    };
    const outcomes = await Promise.allSettled(sessions.map(work));
    const failed = outcomes.find((outcome) => outcome.status === 'rejected');
    if (failed === undefined) return signatures;
    const error = asError(failed.reason);
    // A session that failed may be in any state.
    if (sessions === this.#sessions) this.#drop();
    throw error;
  }

  async #sign({ handle, key }: Session, digest: Buffer): Promise<Uint8Array> {
    this.#module.C_SignInit(handle, { mechanism: this.#library.CKM_ECDSA, parameter: null as never }, key);
    const signature = await this.#module.C_SignAsync(handle, digest, Buffer.alloc(SIGNATURE_BYTES));
    if (signature.length === SIGNATURE_BYTES) return lowS(signature);
    const message = `pkcs11: expected a signature of 64 bytes, got ${signature.length}`;
    throw new ClaimwireError('PKCS11_FAILED', message, { returned: 'SIGNATURE' });
  }

  /** Some modules find a token that was away only once they have begun again. */
  #reopen(): Session[] {
    try {
      return this.#open();
    } catch (error) {
      if ((error as ClaimwireError).code === 'PKCS11_PIN') throw error;
    }
    try {
      this.#module.C_Finalize();
    } catch {
      // It had not begun.
    }
    initialise(this.#module, this.#library);
    return this.#open();
  }

  /** Opens as many sessions as are wanted, or as the token allows, at least one, all logged in. */
  #open(): Session[] {
    const { CKF_SERIAL_SESSION, CKU_USER } = this.#library;
    const sessions: Session[] = [];
    const handles: Library.Handle[] = [];
    try {
      const slot = this.#findSlot();
      for (let count = this.#options.sessions ?? SESSIONS_DEFAULT; handles.length < count; ) {
        try {
          handles.push(this.#module.C_OpenSession(slot, CKF_SERIAL_SESSION));
        } catch (error) {
          if (handles.length === 0 || !FULL.includes(returnedOf(error))) throw error;
          break;
        }
      }
      this.#login(handles[0]!, CKU_USER);
      for (const handle of handles) sessions.push({ handle, key: this.#findPrivateKey(handle) });
      return sessions;
    } catch (error) {
      for (const handle of handles) this.#closeSession(handle);
      throw asError(error);
    }
  }

  /** A login holds for every session of this process with the token. */
  #login(session: Library.Handle, user: number): void {
    try {
      this.#module.C_Login(session, user, this.#options.pin);
    } catch (error) {
      if (returnedOf(error) !== 'USER_ALREADY_LOGGED_IN') throw error;
    }
  }

  #findSlot(): Library.Handle {
    const { token, serial } = this.#uri;
    const slots = this.#module.C_GetSlotList(true);
    const fitting = slots.filter((slot) => {
      const info = this.#module.C_GetTokenInfo(slot);
      return (
        (token ?? info.label.trim()) === info.label.trim() &&
        (serial ?? info.serialNumber.trim()) === info.serialNumber.trim()
      );
    });
    if (fitting.length === 1) return fitting[0]!;
    const wanted = token ?? serial ?? 'any token';
    throw lost(`expected one token ${wanted}, got ${fitting.length} of ${slots.length} slots`, 'TOKEN_NOT_PRESENT');
  }

  #findPrivateKey(session: Library.Handle): Library.Handle {
    const { CKA_EC_PARAMS, CKO_PRIVATE_KEY } = this.#library;
    const key = this.#findObject(session, CKO_PRIVATE_KEY, 'private');
    const [curve] = this.#module.C_GetAttributeValue(session, key, [{ type: CKA_EC_PARAMS }]);
    if (SECP256K1.equals(curve!.value as Buffer)) return key;
    throw new ClaimwireError('PKCS11_FAILED', 'pkcs11: expected a key of secp256k1, got one of another curve', {
      returned: 'CURVE',
    });
  }

  #findPublicKey(session: Library.Handle): Uint8Array {
    const { CKA_EC_POINT, CKO_PUBLIC_KEY } = this.#library;
    const key = this.#findObject(session, CKO_PUBLIC_KEY, 'public');
    const [attribute] = this.#module.C_GetAttributeValue(session, key, [{ type: CKA_EC_POINT }]);
    const value = attribute!.value as Buffer;
    const point = value.subarray(value.length - POINT_BYTES);
    const isWrapped = value.length === POINT_BYTES + 2 && value[0] === 4 && value[1] === POINT_BYTES;
    if ((!isWrapped && value.length !== POINT_BYTES) || point[0] !== 4)
      throw new ClaimwireError('PKCS11_FAILED', `pkcs11: expected an uncompressed point, got ${value.length} bytes`, {
        returned: 'POINT',
      });
    return Uint8Array.of(2 + (point[POINT_BYTES - 1]! & 1), ...point.subarray(1, 33));
  }

  #findObject(session: Library.Handle, kind: number, name: string): Library.Handle {
    const { CKA_CLASS, CKA_ID, CKA_KEY_TYPE, CKA_LABEL, CKK_EC } = this.#library;
    const { object, id } = this.#uri;
    const template: Library.Template = [
      { type: CKA_CLASS, value: kind },
      { type: CKA_KEY_TYPE, value: CKK_EC },
    ];
    if (object !== undefined) template.push({ type: CKA_LABEL, value: object });
    if (id !== undefined) template.push({ type: CKA_ID, value: Buffer.from(id) });
    this.#module.C_FindObjectsInit(session, template);
    let found: Library.Handle[];
    try {
      found = this.#module.C_FindObjects(session, OBJECTS_MAX);
    } finally {
      this.#module.C_FindObjectsFinal(session);
    }
    if (found.length === 1) return found[0]!;
    throw lost(
      `expected one ${name} key ${object ?? Buffer.from(id!).toString('hex')}, got ${found.length}`,
      'KEY_MISSING',
    );
  }

  #drop(): void {
    for (const { handle } of this.#sessions.splice(0)) this.#closeSession(handle);
  }

  #closeSession(handle: Library.Handle): void {
    try {
      this.#module.C_CloseSession(handle);
    } catch {
      // The token has closed it already.
    }
  }
}

function moduleOf(library: Pkcs11Library, path: string): Library.PKCS11 {
  const known = modules.get(path);
  if (known !== undefined) return known;
  const module = new library.PKCS11();
  try {
    module.load(path);
  } catch (error) {
    throw lost(
      `expected a PKCS#11 module, got ${(error as Error).message.split('\n')[0]} for ${path}`,
      'MODULE',
      error,
    );
  }
  initialise(module, library);
  modules.set(path, module);
  return module;
}

function initialise(module: Library.PKCS11, library: Pkcs11Library): void {
  try {
    module.C_Initialize({ flags: library.CKF_OS_LOCKING_OK });
  } catch (error) {
    if (returnedOf(error) !== 'CRYPTOKI_ALREADY_INITIALIZED') throw asError(error);
  }
}

/** What the module returned, without CKR_; or the error's own name. */
function returnedOf(error: unknown): string {
  return /CKR_(\w+)/.exec((error as Error).message)?.[1] ?? (error as Error).name;
}

/** An error of the module as one of ours. */
function asError(error: unknown): ClaimwireError {
  if (error instanceof ClaimwireError) return error;
  const returned = returnedOf(error);
  if (PIN.includes(returned)) {
    const message = `pkcs11: expected the token's user pin, got ${returned}; it was tried once, more tries may lock the token`;
    return new ClaimwireError('PKCS11_PIN', message, { returned });
  }
  if (LOST.includes(returned))
    return lost(`expected the token, got ${returned}; claims that failed may be signed again`, returned, error);
  if (FULL.includes(returned))
    return lost(
      `expected a session, got ${returned}; the token allows no more: end other programs, or take fewer`,
      returned,
      error,
    );
  return new ClaimwireError(
    'PKCS11_FAILED',
    `pkcs11: expected a result, got ${returned}`,
    { returned },
    { cause: error },
  );
}

function lost(message: string, returned: string, cause?: unknown): ClaimwireError {
  return new ClaimwireError('PKCS11_LOST', `pkcs11: ${message}`, { returned }, { cause });
}
