/** The addon's batch signer as JavaScript has it: its bytes are noble's, whatever it is given, or it says why not. */
import { randomBytes } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { Point, verify } from '@noble/secp256k1';
import { describe, expect, it } from 'vitest';
import { Secp256k1Signer } from '../../../src/client/keys/secp256k1-signer.ts';
import { loadAddon } from '../../../src/native/addon.ts';
import { NATIVE_BATCH_MAX, NativeSigner, nativeSigningFault } from '../../../src/native/batch-signer.ts';
import { brieflyOrAtLength } from '../../support/length.ts';

const KEYS = brieflyOrAtLength(20, 400);
const DIGESTS_EACH = brieflyOrAtLength(50, 100);
const ORDER = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n;
const THREADS = 6;

const bytes32 = (number: bigint): Uint8Array => Buffer.from(number.toString(16).padStart(64, '0'), 'hex');
const random = (length: number): Uint8Array => new Uint8Array(randomBytes(length));
const code = (wanted: string) => expect.objectContaining({ code: wanted });

/** Each digest's signature by noble. */
function byNoble(signer: Secp256k1Signer, digests: Uint8Array): Uint8Array {
  const signatures = new Uint8Array(2 * digests.length);
  for (let at = 0; at < digests.length; at += 32) signatures.set(signer.sign(digests.subarray(at, at + 32)), 2 * at);
  return signatures;
}

describe('an addon', () => {
  /** Signs nothing that passes its check. */
  const failing: ConstructorParameters<typeof NativeSigner>[1] & object = {
    start: () => {},
    kernelName: () => 'scalar',
    signerOpen: () => ({}),
    signerClose: () => {},
    signerPublic: () => {},
    signerNote: () => '',
    signDigests: () => false,
    signClaims: () => false,
  };

  it('whose signatures fail their check has signed nothing', () => {
    const signer = new NativeSigner(random(32), failing);
    expect(() => signer.signDigests(random(32))).toThrow(code('SIGNER_FAILED'));
    expect(() => signer.signClaims(random(93), random(32), new Uint8Array(1), 1)).toThrow(code('SIGNER_FAILED'));
  });

  it('that does not start is no signer, and one without memory neither', () => {
    const start = () => {
      throw new Error('kernel: expected a self-test to pass');
    };
    expect(() => new NativeSigner(random(32), { ...failing, start })).toThrow(code('BACKEND_UNAVAILABLE'));
    const full = { ...failing, signerOpen: () => undefined };
    expect(() => new NativeSigner(random(32), full)).toThrow(code('INPUT_INVALID'));
  });
});

describe.skipIf(nativeSigningFault() !== undefined)('the addon', () => {
  it('makes the bytes that noble makes, of any key and any digests', () => {
    for (let key = 0; key < KEYS; key += 1) {
      const privateKey = random(32);
      const [native, noble] = [new NativeSigner(privateKey), new Secp256k1Signer(privateKey)];
      const digests = random(32 * DIGESTS_EACH);
      expect(Buffer.compare(native.publicKey, noble.publicKey)).toBe(0);
      expect(Buffer.compare(native.signDigests(digests), byNoble(noble, digests))).toBe(0);
      native.close();
    }
  });

  it('the same of the keys and digests at the ends', () => {
    const digests = [0n, 1n, ORDER - 1n, ORDER, ORDER + 1n, 2n ** 255n, 2n ** 256n - 1n].map(bytes32);
    for (const privateKey of [1n, 2n, (ORDER - 1n) / 2n, ORDER - 2n, ORDER - 1n].map(bytes32)) {
      const [native, noble] = [new NativeSigner(privateKey), new Secp256k1Signer(privateKey)];
      const all = Buffer.concat(digests);
      expect(Buffer.compare(native.signDigests(all), byNoble(noble, all))).toBe(0);
    }
    expect(Buffer.from(new NativeSigner(bytes32(1n)).publicKey).toString('hex')).toBe(Point.BASE.toHex(true));
  });

  it.each([1, 7, 8, 9, 127, 128, 129, 255, 256])('signs %i digests in a call', (count) => {
    const signer = new NativeSigner(random(32));
    const digests = random(32 * count);
    const signatures = signer.signDigests(digests);
    expect(signatures).toHaveLength(64 * count);
    for (const index of [0, count >> 1, count - 1]) {
      const signature = signatures.subarray(64 * index, 64 * index + 64);
      const digest = digests.subarray(32 * index, 32 * index + 32);
      expect(verify(signature, digest, signer.publicKey, { prehash: false, lowS: true })).toBe(true);
    }
  });

  it('signs none, and no more than a batch', () => {
    const signer = new NativeSigner(random(32));
    expect(signer.signDigests(new Uint8Array(0))).toHaveLength(0);
    expect(() => signer.signDigests(new Uint8Array(32 * (NATIVE_BATCH_MAX + 1)))).toThrow(/at most 256/);
    expect(() => signer.signDigests(new Uint8Array(33))).toThrow(RangeError);
  });

  it.each([
    ['0', bytes32(0n)],
    ['n', bytes32(ORDER)],
    ['2^256 - 1', bytes32(2n ** 256n - 1n)],
    ['31 bytes', new Uint8Array(31).fill(1)],
    ['33 bytes', new Uint8Array(33).fill(1)],
    ['no bytes', new Uint8Array(0)],
  ])('%s is no key', (_, privateKey) => {
    expect(() => new NativeSigner(privateKey)).toThrow(code('INPUT_INVALID'));
  });

  it.each([0, 1, 9, 255, 256])(
    'signs %i whole claims in place, of both profiles, and changes nothing else',
    (count) => {
      const privateKey = random(32);
      const [native, noble] = [new NativeSigner(privateKey), new Secp256k1Signer(privateKey)];
      const claims = random(93 * count + 5);
      const ids = random(32 * count);
      const areLink = Uint8Array.from({ length: count }, (_, index) => Number(index % 3 === 1));
      const expected = claims.slice();
      // Every one of a small batch is compared, and some of a large one: noble takes a third of a millisecond for each.
      const step = count > 16 ? 17 : 1;
      for (let index = 0; index < count; index += step) {
        const id = ids.subarray(32 * index, 32 * index + 32);
        noble.signClaim(expected, 93 * index, id, areLink[index] === 1 ? 'link' : 'xrpl');
      }
      native.signClaims(claims, ids, areLink, count);
      for (let index = 0; index < count; index += 1) {
        const [from, to] = [93 * index, 93 * (index + 1)];
        if (index % step === 0) expect(Buffer.compare(claims.subarray(from, to), expected.subarray(from, to))).toBe(0);
        expect(Buffer.compare(claims.subarray(from, from + 21), expected.subarray(from, from + 21))).toBe(0);
        expect(Buffer.compare(claims.subarray(from + 85, to), expected.subarray(from + 85, to))).toBe(0);
      }
      expect(claims.subarray(93 * count)).toEqual(expected.subarray(93 * count));
    },
  );

  it('refuses memory that is too small for the claims, and more than a batch of them', () => {
    const signer = new NativeSigner(random(32));
    const [claims, ids, areLink] = [new Uint8Array(93 * 4), new Uint8Array(32 * 4), new Uint8Array(4)];
    const wrong = code('ERR_CLAIMWIRE_ARGUMENT');
    expect(() => signer.signClaims(claims, ids, areLink, 5)).toThrow(wrong);
    expect(() => signer.signClaims(claims.subarray(1), ids, areLink, 4)).toThrow(wrong);
    expect(() => signer.signClaims(claims, ids.subarray(1), areLink, 4)).toThrow(wrong);
    expect(() => signer.signClaims(claims, ids, areLink.subarray(1), 4)).toThrow(wrong);
    const many = [93, 32, 1].map((bytes) => new Uint8Array(bytes * 257)) as [Uint8Array, Uint8Array, Uint8Array];
    expect(() => signer.signClaims(...many, 257)).toThrow(wrong);
    expect(() => signer.signClaims(claims, ids, areLink, -1)).toThrow(wrong);
    expect(claims.every((byte) => byte === 0)).toBe(true);
  });

  it('one that is closed signs nothing, and may be closed again', () => {
    const signer = new NativeSigner(random(32));
    signer.close();
    signer.close();
    expect(() => signer.signDigests(random(32))).toThrow(/one that is open/);
    expect(() => signer.signClaims(random(93), random(32), new Uint8Array(1), 1)).toThrow(/one that is open/);
  });

  it('takes nothing for a signer that is none', () => {
    new NativeSigner(random(32));
    const addon = loadAddon<Record<string, (...values: unknown[]) => unknown>>();
    for (const value of [undefined, {}, 7, 'signer', new Uint8Array(8)]) {
      expect(() => addon.signDigests!(value, random(32), new Uint8Array(64))).toThrow(code('ERR_CLAIMWIRE_ARGUMENT'));
      expect(() => addon.signerClose!(value)).toThrow(code('ERR_CLAIMWIRE_ARGUMENT'));
    }
    expect(() => addon.signerOpen!('key', random(32))).toThrow(code('ERR_CLAIMWIRE_ARGUMENT'));
    expect(() => addon.signerOpen!(random(32))).toThrow(code('ERR_CLAIMWIRE_ARGUMENT'));
  });

  it('hundreds of signers may be open at once', () => {
    const signers = Array.from({ length: 300 }, () => new NativeSigner(random(32)));
    expect(new Set(signers.map(({ publicKey }) => Buffer.from(publicKey).toString('hex'))).size).toBe(300);
    const digest = random(32);
    for (const index of [0, 150, 299])
      expect(verify(signers[index]!.signDigests(digest), digest, signers[index]!.publicKey, { prehash: false })).toBe(
        true,
      );
    for (const signer of signers) signer.close();
  });

  it('each of several threads has signers of its own, and leaves while they are open', async () => {
    const path = fileURLToPath(new URL('../../../build/claimwire.node', import.meta.url));
    const program = `
      const { workerData, parentPort } = require('node:worker_threads');
      const addon = require(workerData.path);
      addon.start(2 ** 20);
      const signer = addon.signerOpen(workerData.key, workerData.blind);
      const signatures = new Uint8Array(2 * workerData.digests.length);
      for (let round = 0; round < 20; round++) addon.signDigests(signer, workerData.digests, signatures);
      parentPort.postMessage(signatures);`;
    const key = random(32);
    const digests = random(32 * 64);
    const blinds = Array.from({ length: THREADS }, () => random(32));
    const answers = blinds.map(
      (blind) =>
        new Promise<Uint8Array>((resolve, reject) => {
          const worker = new Worker(program, { eval: true, workerData: { path, key, blind, digests } });
          let answer: Uint8Array;
          worker.once('message', (message: Uint8Array) => (answer = message));
          worker.once('error', reject);
          worker.once('exit', () => resolve(answer));
        }),
    );
    const expected = new NativeSigner(key).signDigests(digests);
    for (const answer of await Promise.all(answers)) expect(Buffer.compare(answer, expected)).toBe(0);
  });
});
