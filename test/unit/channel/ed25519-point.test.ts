/** Which encodings say a point of small order. What is a point: test/unit/channel/parse.test.ts, step by step. */
import { generateKeyPairSync } from 'node:crypto';
import { expect, test } from 'vitest';
import { isEd25519Point, isSmallOrder } from '../../../src/channel/ed25519-point.ts';

const P = 2n ** 255n - 19n;
const encode = (y: bigint) => Uint8Array.from(Buffer.from(y.toString(16).padStart(64, '0'), 'hex').reverse());

test('points of orders 1, 2 and 4 in every encoding, at any offset; no key that is generated', () => {
  for (const y of [0n, 1n, P - 1n, P, P + 1n])
    for (const sign of [0n, 1n << 255n]) {
      expect(isSmallOrder(encode(y | sign)), String(y)).toBe(true);
      expect(isSmallOrder(Uint8Array.of(0xed, ...encode(y | sign)), 1)).toBe(true);
    }
  for (const y of [2n, 3n, P - 2n, P + 2n]) expect(isSmallOrder(encode(y)), String(y)).toBe(false);
  for (let index = 0; index < 10; index++) {
    const { publicKey } = generateKeyPairSync('ed25519');
    const key = publicKey.export({ format: 'der', type: 'spki' }).subarray(-32);
    expect([isEd25519Point(key), isSmallOrder(key)]).toEqual([true, false]);
  }
});
