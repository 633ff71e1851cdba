/**
 * The library of a token, which a process loads and initialises once, whatever number of keys it has there. Logins and
 * sessions are the process's, so the keys of one module share a fate: where it begins again all sessions are gone, and
 * their numbers are given out anew. Main thread.
 */
import { realpathSync } from 'node:fs';
import type * as Library from 'pkcs11js';
import { ClaimwireError } from '../errors.ts';
import type { Pkcs11Library } from '../optional-libraries.ts';
import { asError, lost, returnedOf } from './token-errors.ts';

/** A key with sessions. */
interface ModuleUser {
  /** Its sessions are no more. */
  forget(): void;
}

const modules = new Map<string, TokenModule>();

export class TokenModule {
  readonly library: Pkcs11Library;
  readonly functions: Library.PKCS11;
  readonly users = new Set<ModuleUser>();
  /** The pin of each slot's login: a second key's is compared with it, since the token does not look at it. */
  readonly #pins = new Map<string, string>();
  #inUse = 0;
  #whenIdle = () => {};
  #restarting: Promise<void> | undefined;

  private constructor(library: Pkcs11Library, functions: Library.PKCS11) {
    this.library = library;
    this.functions = functions;
  }

  /** Throws ClaimwireError PKCS11_LOST or PKCS11_FAILED. @param path of the shared object */
  static of(library: Pkcs11Library, path: string): TokenModule {
    const name = realPath(path);
    const known = modules.get(name);
    if (known !== undefined) return known;
    const functions = new library.PKCS11();
    try {
      functions.load(path);
    } catch (error) {
      const got = (error as Error).message.split('\n')[0];
      throw lost(`expected a PKCS#11 module, got ${got} for ${path}`, 'MODULE', error);
    }
    const module = new TokenModule(library, functions);
    module.#initialise();
    modules.set(name, module);
    return module;
  }

  /** Does what needs sessions that last until it is done. */
  async use<Result>(work: () => Promise<Result>): Promise<Result> {
    while (this.#restarting !== undefined) await this.#restarting;
    this.#inUse += 1;
    try {
      return await work();
    } finally {
      this.#inUse -= 1;
      if (this.#inUse === 0) this.#whenIdle();
    }
  }

  /** Begins again once no session is in use: some modules find a token that was away only then. */
  restart(): Promise<void> {
    this.#restarting ??= this.#restart().finally(() => {
      this.#restarting = undefined;
    });
    return this.#restarting;
  }

  /** Logs in where that is not done: a login holds for every session of this process with the token. */
  login(slot: Library.Handle, session: Library.Handle, pin: string): void {
    const name = slot.toString('hex');
    try {
      this.functions.C_Login(session, this.library.CKU_USER, pin);
      this.#pins.set(name, pin);
    } catch (error) {
      if (returnedOf(error) !== 'USER_ALREADY_LOGGED_IN') throw error;
      if ((this.#pins.get(name) ?? pin) === pin) return;
      const message = 'pkcs11: expected the pin that another key of this process has logged in with, got another';
      throw new ClaimwireError('PKCS11_PIN', message, { returned: 'PIN_INCORRECT' });
    }
  }

  async #restart(): Promise<void> {
    if (this.#inUse > 0)
      await new Promise<void>((resolve) => {
        this.#whenIdle = resolve;
      });
    try {
      this.functions.C_Finalize();
    } catch {
      // It had not begun.
    }
    this.#pins.clear();
    for (const user of this.users) user.forget();
    this.#initialise();
  }

  #initialise(): void {
    try {
      this.functions.C_Initialize({ flags: this.library.CKF_OS_LOCKING_OK });
    } catch (error) {
      if (returnedOf(error) !== 'CRYPTOKI_ALREADY_INITIALIZED') throw asError(error);
    }
  }
}

/** One library may have several names, links among them. What is no path is looked for by the system. */
function realPath(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path;
  }
}
