/**
 * Keeps a page's keys over reloads: in IndexedDB, encrypted by AES-GCM with a WebCrypto key that no script can read out.
 *
 * WHAT THIS DOES NOT DO. A script that runs in the page (an injected one, a dependency, an extension) can ask this vault for
 * the key as the page itself does, and can sign with it. The vault keeps a key from those who only get the bytes: who copies the
 * database's files on an unlocked disk still has to extract the wrapping key, which browsers keep beside it without a
 * password. So let a page hold no more than its channel's deposit is worth to lose, and a new key for each channel.
 */
import { utf8ToBytes } from '@noble/hashes/utils.js';
import { ClaimwireError } from '../../errors.ts';
import { type KeyPair, pairSigner, secp256k1Key } from '../keys/key-pair.ts';
import { type DatabaseLike, type WebGlobals, web } from '../web-globals.ts';
import { done, openDatabase, result } from './database.ts';

const DATABASE = 'claimwire:keys';
const STORE = 'keys';
const NAME_CHARACTERS_MAX = 200;
const IV_BYTES = 12;

interface Wrapped {
  wrapping: CryptoKey;
  iv: Uint8Array<ArrayBuffer>;
  sealed: ArrayBuffer;
}
type CryptoKey = Awaited<ReturnType<typeof crypto.subtle.importKey>>;

/**
 * The key of that name: the one kept, or a new secp256k1 key, which is kept. Two tabs that ask at the same time get the
 * same. Rejects with ClaimwireError INPUT_INVALID, KEY_FILE_INVALID (what is kept is damaged), STATE_INVALID (the page has
 * no IndexedDB or no WebCrypto: it needs https or localhost).
 */
export async function keptKey(name: string, globals: Pick<WebGlobals, 'indexedDB'> = web): Promise<KeyPair> {
  if (name.length === 0 || name.length > NAME_CHARACTERS_MAX)
    throw new ClaimwireError('INPUT_INVALID', `key: expected a name of 1 to ${NAME_CHARACTERS_MAX} characters`);
  if (globalThis.crypto?.subtle === undefined)
    throw new ClaimwireError('STATE_INVALID', 'key: expected WebCrypto, got none; serve the page by https');
  const database = await openDatabase(DATABASE, STORE, globals);
  try {
    const kept = await find(database, name);
    if (kept !== undefined) return await unwrap(name, kept);
    const made = secp256k1Key();
    if (await add(database, name, await wrap(name, made))) return made;
    // Another tab was faster.
    return await unwrap(name, (await find(database, name))!);
  } finally {
    database.close();
  }
}

async function find(database: DatabaseLike, name: string): Promise<Wrapped | undefined> {
  const store = database.transaction(STORE, 'readonly').objectStore(STORE);
  return (await result(store.get(name))) as Wrapped | undefined;
}

/** Returns false where the name is taken. */
async function add(database: DatabaseLike, name: string, wrapped: Wrapped): Promise<boolean> {
  const transaction = database.transaction(STORE, 'readwrite', { durability: 'strict' });
  const request = transaction.objectStore(STORE).add(wrapped, name);
  try {
    await done(transaction);
    return true;
  } catch (error) {
    if (request.error?.name === 'ConstraintError') return false;
    throw error;
  }
}

async function wrap(name: string, key: KeyPair): Promise<Wrapped> {
  const wrapping = await crypto.subtle.generateKey({ name: 'AES-GCM', length: 256 }, false, ['encrypt', 'decrypt']);
  const iv = crypto.getRandomValues(new Uint8Array(IV_BYTES));
  const text = utf8ToBytes(JSON.stringify(key));
  const sealed = await crypto.subtle.encrypt(algorithm(name, iv), wrapping, text as Uint8Array<ArrayBuffer>);
  return { wrapping, iv, sealed };
}

async function unwrap(name: string, { wrapping, iv, sealed }: Wrapped): Promise<KeyPair> {
  try {
    const text = new TextDecoder().decode(await crypto.subtle.decrypt(algorithm(name, iv), wrapping, sealed));
    const key = JSON.parse(text) as KeyPair;
    pairSigner(key);
    return key;
  } catch (error) {
    const message = `key: expected a sound key under ${name}, got a damaged one; delete the site's data for a new one`;
    throw new ClaimwireError('KEY_FILE_INVALID', message, {}, { cause: error });
  }
}

function algorithm(name: string, iv: Uint8Array<ArrayBuffer>) {
  return { name: 'AES-GCM', iv, additionalData: utf8ToBytes(name) as Uint8Array<ArrayBuffer> };
}
