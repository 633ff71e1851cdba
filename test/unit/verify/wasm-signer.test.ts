/**
 * The batch signer as WebAssembly: known signatures and noble's bytes; test/native/sign.test.ts compares it with libsecp256k1. It
 * promises no constant time, so there is nothing to test of that.
 */
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { Secp256k1Signer } from '../../../src/client/keys/secp256k1-signer.ts';
import { WasmSigner } from '../../../src/verify/wasm-signer.ts';

const random = (length: number): Uint8Array => new Uint8Array(randomBytes(length));

it('makes the bytes that noble makes, and two signers share nothing', () => {
  const keys = [random(32), random(32)];
  const signers = keys.map((key) => new WasmSigner(key));
  for (const [index, key] of keys.entries()) {
    const noble = new Secp256k1Signer(key);
    expect(Buffer.compare(signers[index]!.publicKey, noble.publicKey)).toBe(0);
    const digests = random(32 * 33);
    const signatures = signers[index]!.signDigests(digests);
    for (let at = 0; at < digests.length; at += 32)
      expect(Buffer.compare(signatures.subarray(2 * at, 2 * at + 64), noble.sign(digests.subarray(at, at + 32)))).toBe(
        0,
      );
  }
});

it('makes the known signatures, with one key after the other', () => {
  const vectors = readFileSync('test/kernel/sign-vectors.h', 'utf8').matchAll(
    /\{"(\w{64})", "(\w{64})",\s+"(\w{128})"\}/g,
  );
  const signer = new WasmSigner(random(32));
  let count = 0;
  for (const [, key, digest, signature] of vectors) {
    signer.open(Buffer.from(key!, 'hex'));
    expect(Buffer.from(signer.signDigests(Buffer.from(digest!, 'hex'))).toString('hex')).toBe(signature);
    count++;
  }
  expect(count).toBeGreaterThan(40);
  expect(() => signer.open(new Uint8Array(32))).toThrow(expect.objectContaining({ code: 'INPUT_INVALID' }));
  expect(() => signer.signDigests(random(32))).toThrow(/open signer/);
});

it('signs a full batch and none, and no more', () => {
  const signer = new WasmSigner(random(32));
  expect(signer.signDigests(random(32 * 256))).toHaveLength(64 * 256);
  expect(signer.signDigests(random(0))).toHaveLength(0);
  expect(() => signer.signDigests(random(32 * 257))).toThrow(RangeError);
  expect(() => signer.signDigests(random(31))).toThrow(RangeError);
  signer.close();
  signer.close();
  expect(() => signer.signDigests(random(32))).toThrow(/open signer/);
});

it.each([
  ['0', new Uint8Array(32)],
  ['more than n', new Uint8Array(32).fill(255)],
  ['31 bytes', new Uint8Array(31).fill(1)],
])('%s is no key', (_, key) => {
  expect(() => new WasmSigner(key)).toThrow(expect.objectContaining({ code: 'INPUT_INVALID' }));
});
