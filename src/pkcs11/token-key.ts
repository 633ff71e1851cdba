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
import { loadPkcs11 } from '../optional-libraries.ts';
import { lowS } from './low-s.ts';
import { asError, isFull, lost, odd } from './token-errors.ts';
import { TokenModule } from './token-module.ts';
import type { Pkcs11Uri } from './uri.ts';

const DIGEST_BYTES = 32;
const SIGNATURE_BYTES = 64;
/** The curve's object identifier, 1.3.132.0.10, as DER. */
const SECP256K1 = Buffer.from('06052b8104000a', 'hex');
/** An uncompressed point, as DER. Some tokens leave the two bytes before it out. */
const POINT_BYTES = 65;
const SESSIONS_DEFAULT = 4;
const SESSIONS_MAX = 256;
const OBJECTS_MAX = 16;

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

export class TokenKey {
  /** 33 bytes. */
  readonly publicKey: Uint8Array;
  readonly #module: TokenModule;
  readonly #uri: Pkcs11Uri;
  readonly #options: TokenKeyOptions;
  #sessions: Session[];
  /** A session signs one digest at a time, so calls follow one another. */
  #last: Promise<unknown> = Promise.resolve();
  #isSigning = false;
  #isClosed = false;
  /** That the token refused the pin: it is not tried again, since tokens count. */
  #pinRefused: ClaimwireError | undefined;

  private constructor(module: TokenModule, uri: Pkcs11Uri, options: TokenKeyOptions) {
    this.#module = module;
    this.#uri = uri;
    this.#options = options;
    this.#sessions = this.#open();
    module.users.add(this);
    try {
      this.publicKey = this.#findPublicKey(this.#sessions[0]!.handle);
    } catch (error) {
      this.close();
      throw asError(error);
    }
  }

  /**
   * Logs in and finds the key, and has it sign once: the signature has to be its public key's.
   * @throws ClaimwireError DEPENDENCY_MISSING, PKCS11_PIN (wrong, or locked: it is tried once, since tokens count), PKCS11_LOST
   * (no such module, token or key), PKCS11_FAILED, or INPUT_INVALID (sessions)
   */
  static async open(uri: Pkcs11Uri, options: TokenKeyOptions): Promise<TokenKey> {
    const { sessions = SESSIONS_DEFAULT, modulePath } = options;
    if (!Number.isInteger(sessions) || sessions < 1 || sessions > SESSIONS_MAX)
      throw new ClaimwireError('INPUT_INVALID', `sessions: expected 1..${SESSIONS_MAX}, got ${sessions}`);
    const key = new TokenKey(TokenModule.of(await loadPkcs11(), modulePath), uri, options);
    try {
      const digest = Uint8Array.from(randomBytes(DIGEST_BYTES));
      const signature = await key.signDigests(digest);
      if (!verify(signature, digest, key.publicKey, { prehash: false, lowS: true }))
        throw lost('expected the public and the private key of one pair, got two of the same name', 'KEY_PAIR');
      return key;
    } catch (error) {
      await key.close();
      throw error;
    }
  }

  /**
   * Signs 32-byte digests.
   * @returns 64 bytes r‖s each, s ≤ n/2
   * @throws ClaimwireError PKCS11_LOST, PKCS11_PIN or PKCS11_FAILED. The next call opens new sessions
   */
  signDigests(digests: Uint8Array): Promise<Uint8Array> {
    // Its owner may write to it meanwhile.
    const copy = digests.slice();
    const signed = this.#last.then(() => this.#signAll(copy));
    this.#last = signed.catch(() => {});
    return signed;
  }

  /** Ends the sessions, each once it has signed what it signs: then it resolves. What waits is not signed. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#module.users.delete(this);
    if (!this.#isSigning) this.#drop();
    await this.#last;
  }

  /** The module began again: the sessions of old are no more. */
  forget(): void {
    this.#sessions = [];
  }

  async #signAll(digests: Uint8Array): Promise<Uint8Array> {
    if (digests.length === 0 || digests.length % DIGEST_BYTES !== 0)
      throw new ClaimwireError('INPUT_INVALID', `digests: expected 32 bytes each, got ${digests.length} in all`);
    if (!this.#isClosed && this.#sessions.length === 0) await this.#reopen();
    return await this.#module.use(async () => {
      if (this.#isClosed) throw closed();
      // Another key may have had the module begin again.
      if (this.#sessions.length === 0) this.#sessions = this.#open();
      this.#isSigning = true;
      try {
        return await this.#signInSessions(digests);
      } catch (error) {
        // A session that failed may be in any state.
        this.#drop();
        throw asError(error);
      } finally {
        this.#isSigning = false;
        if (this.#isClosed) this.#drop();
      }
    });
  }

  /** Throws what the first session to fail throws, when none signs any more. */
  async #signInSessions(digests: Uint8Array): Promise<Uint8Array> {
    const signatures = new Uint8Array(digests.length * 2);
    const count = digests.length / DIGEST_BYTES;
    let next = 0;
    const failures: unknown[] = [];
    const work = async (session: Session) => {
      for (let at = next++; at < count && failures.length === 0; at = next++) {
        if (this.#isClosed) throw closed();
        const digest = Buffer.from(digests.buffer, at * DIGEST_BYTES, DIGEST_BYTES);
        signatures.set(await this.#sign(session, digest), at * SIGNATURE_BYTES);
      }
    };
    await Promise.all(this.#sessions.map((session) => work(session).catch((error) => failures.push(error))));
    if (failures.length > 0) throw failures[0];
    return signatures;
  }

  async #sign({ handle, key }: Session, digest: Buffer): Promise<Uint8Array> {
    const { functions, library } = this.#module;
    functions.C_SignInit(handle, { mechanism: library.CKM_ECDSA, parameter: null as never }, key);
    const signature = await functions.C_SignAsync(handle, digest, Buffer.alloc(SIGNATURE_BYTES));
    if (signature.length === SIGNATURE_BYTES) return lowS(signature);
    throw odd(`expected a signature of 64 bytes, got ${signature.length}`, 'SIGNATURE');
  }

  async #reopen(): Promise<void> {
    try {
      this.#sessions = this.#open();
      return;
    } catch (error) {
      if (this.#pinRefused !== undefined) throw error;
    }
    await this.#module.restart();
    if (!this.#isClosed) this.#sessions = this.#open();
  }

  /** Opens as many sessions as are wanted, or as the token allows, at least one, all logged in. */
  #open(): Session[] {
    if (this.#pinRefused !== undefined) throw this.#pinRefused;
    const { functions, library } = this.#module;
    const handles: Library.Handle[] = [];
    try {
      const slot = this.#findSlot();
      for (let count = this.#options.sessions ?? SESSIONS_DEFAULT; handles.length < count; ) {
        try {
          handles.push(functions.C_OpenSession(slot, library.CKF_SERIAL_SESSION));
        } catch (error) {
          if (handles.length === 0 || !isFull(error)) throw error;
          break;
        }
      }
      this.#module.login(slot, handles[0]!, this.#options.pin);
      return handles.map((handle) => ({ handle, key: this.#findPrivateKey(handle) }));
    } catch (cause) {
      for (const handle of handles) this.#closeSession(handle);
      const error = asError(cause);
      if (error.code === 'PKCS11_PIN') this.#pinRefused = error;
      throw error;
    }
  }

  #findSlot(): Library.Handle {
    const { token, serial } = this.#uri;
    const slots = this.#module.functions.C_GetSlotList(true);
    const fitting = slots.filter((slot) => {
      const info = this.#tokenIn(slot);
      if (info === undefined) return false;
      return (
        (token ?? info.label.trim()) === info.label.trim() &&
        (serial ?? info.serialNumber.trim()) === info.serialNumber.trim()
      );
    });
    if (fitting.length === 1) return fitting[0]!;
    const wanted = token ?? serial ?? 'any token';
    throw lost(`expected one token ${wanted}, got ${fitting.length} of ${slots.length} slots`, 'TOKEN_NOT_PRESENT');
  }

  /** Undefined where it cannot be read: another one may be ours. */
  #tokenIn(slot: Library.Handle): Library.TokenInfo | undefined {
    try {
      return this.#module.functions.C_GetTokenInfo(slot);
    } catch {
      return undefined;
    }
  }

  #findPrivateKey(session: Library.Handle): Library.Handle {
    const { CKA_EC_PARAMS, CKO_PRIVATE_KEY } = this.#module.library;
    const key = this.#findObject(session, CKO_PRIVATE_KEY, 'private');
    const [curve] = this.#module.functions.C_GetAttributeValue(session, key, [{ type: CKA_EC_PARAMS }]);
    if (SECP256K1.equals(curve!.value as Buffer)) return key;
    throw odd('expected a key of secp256k1, got one of another curve', 'CURVE');
  }

  #findPublicKey(session: Library.Handle): Uint8Array {
    const { CKA_EC_POINT, CKO_PUBLIC_KEY } = this.#module.library;
    const key = this.#findObject(session, CKO_PUBLIC_KEY, 'public');
    const [attribute] = this.#module.functions.C_GetAttributeValue(session, key, [{ type: CKA_EC_POINT }]);
    const value = attribute!.value as Buffer;
    const point = value.subarray(value.length - POINT_BYTES);
    const isWrapped = value.length === POINT_BYTES + 2 && value[0] === 4 && value[1] === POINT_BYTES;
    if ((!isWrapped && value.length !== POINT_BYTES) || point[0] !== 4)
      throw odd(`expected an uncompressed point, got ${value.length} bytes`, 'POINT');
    return Uint8Array.of(2 + (point[POINT_BYTES - 1]! & 1), ...point.subarray(1, 33));
  }

  #findObject(session: Library.Handle, kind: number, name: string): Library.Handle {
    const { CKA_CLASS, CKA_ID, CKA_KEY_TYPE, CKA_LABEL, CKK_EC } = this.#module.library;
    const { object, id } = this.#uri;
    const template: Library.Template = [
      { type: CKA_CLASS, value: kind },
      { type: CKA_KEY_TYPE, value: CKK_EC },
    ];
    if (object !== undefined) template.push({ type: CKA_LABEL, value: object });
    if (id !== undefined) template.push({ type: CKA_ID, value: Buffer.from(id) });
    this.#module.functions.C_FindObjectsInit(session, template);
    let found: Library.Handle[];
    try {
      found = this.#module.functions.C_FindObjects(session, OBJECTS_MAX);
    } finally {
      this.#module.functions.C_FindObjectsFinal(session);
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
      this.#module.functions.C_CloseSession(handle);
    } catch {
      // The token has closed it already.
    }
  }
}

function closed(): ClaimwireError {
  return lost('expected an open token, got a closed one', 'CLOSED');
}
