/**
 * Vectors of the signature check itself: RFC 6979, and the edges where verifiers have been wrong.
 *
 * The edge cases are built backwards: pick the points, then solve for the digest (z = u1·s) and, where no private key
 * is needed, for the public key. So each names the very situation a fast verifier tends to leave out.
 */
import { sha256 } from '@noble/hashes/sha2.js';
import { utf8ToBytes } from '@noble/hashes/utils.js';
import { Point } from '@noble/secp256k1';
import { FIELD, hex, hex32, highSTwin, invert, modulo, ORDER, publicKeyOf, signDigest, unhex } from './crypto.ts';

const G = Point.BASE;
const HALF_ORDER = ORDER / 2n;

/** Known answers, published with several implementations; `nonce` is RFC 6979's k. */
const RFC6979 = [
  {
    privateKey: hex32(1n),
    message: 'Satoshi Nakamoto',
    nonce: '8f8a276c19f4149656b280621e358cce24f5f52542772691ee69063b74f15d15',
    signature:
      '934b1ea10a4b3c1757e2b0c017d0b6143ce3c9a7e6a4a49860d7a6ab210ee3d8' +
      '2442ce9d2b916064108014783e923ec36b49743e2ffa1c4496f01a512aafd9e5',
  },
  {
    privateKey: hex32(1n),
    message: 'All those moments will be lost in time, like tears in rain. Time to die...',
    nonce: '38aa22d72376b4dbc472e06c3ba403ee0a394da63fc58d88686c611aba98d6b3',
    signature:
      '8600dbd41e348fe5c9465ab92d23e3db8b98b873beecd930736488696438cb6b' +
      '547fe64427496db33bf66019dacbf0039c04199abb0122918601db38a72cfc21',
  },
  {
    privateKey: hex32(ORDER - 1n),
    message: 'Satoshi Nakamoto',
    nonce: '33a19b60e25fb6f4435af53a3d42d493644827367e6453928554f43e49aa6f90',
    signature:
      'fd567d121db66e382991534ada77a6bd3106f0a1098c231e47993447cd6af2d0' +
      '6b39cd0eb1bc8603e159ef5c20a5c8ad685a45b06ce9bebed3f153d10d93bed5',
  },
  {
    privateKey: 'f8b8af8ce3c7cca5e300d33939540c10d45ce001b8f252bfbc57ba0342904181',
    message: 'Alan Turing',
    nonce: '525a82b70e67874398067543fd84c83d30c175fdc45fdeee082fe13b1d7cfdf1',
    signature:
      '7063ae83e7f62bbb171798131b4a0564b956930092b33b07b395615d9ec7e15c' +
      '58dfcc1e00a35e1572f366ffe34ba0fc47db1e7189759b9fb233c5b05ab388ea',
  },
  {
    privateKey: 'e91671c46231f833a6406ccbea0e3e392c76c167bac1cb013f6f1013980455c2',
    message:
      'There is a computer disease that anybody who works with computers knows about. ' +
      "It's a very serious disease and it interferes completely with the work. " +
      "The trouble with computers is that you 'play' with them!",
    nonce: '1f4b84c23a86a221d233f2521be018d9318639d5b8bbd6374a8a59232d16ad3d',
    signature:
      'b552edd27580141f3b2a5463048cb7cd3e047b97c9f98076c32dbdf85a68718b' +
      '279fa72dd19bfae05577e06c7c0c1900c371fcd5893f7e1d56a37d30174671f6',
  },
];

export function rfc6979Vectors() {
  return RFC6979.map(({ privateKey, message, nonce, signature }) => {
    const digest = sha256(utf8ToBytes(message));
    const r = hex32(modulo(G.multiply(BigInt(`0x${nonce}`)).x));
    const made = hex(signDigest(digest, privateKey));
    if (made !== signature || r !== signature.slice(0, 64))
      throw new Error(`${message}: expected ${signature}, got ${made}, r of the nonce ${r}`);
    return { privateKey, publicKey: publicKeyOf(privateKey), message, digest: hex(digest), nonce, signature };
  });
}

interface EdgeVector {
  name: string;
  publicKey: string;
  digest: string;
  signature: string;
  /** What a strict verifier answers: valid and s ≤ n/2. */
  valid: boolean;
}

const D = 0xc1a155e7_0000_0000_0000_0001n;
const K = 0x1234_5678_9abc_def0_0fed_cba9n;

/** A digest that makes (x(k·G), s) a signature by key d: z = s·k − r·d. */
function solved(name: string, d: bigint, k: bigint, s: bigint, valid = true): EdgeVector {
  const r = modulo(G.multiply(k).x);
  const digest = hex32(modulo(s * k - r * d));
  return { name, publicKey: publicKeyOf(hex32(d)), digest, signature: hex32(r) + hex32(s), valid };
}

/** An ordinary signature over a digest given, low-S, by nonce K. */
function signed(name: string, d: bigint, digest: bigint, valid = true): EdgeVector {
  const r = modulo(G.multiply(K).x);
  const s = modulo(invert(K) * (digest + r * d));
  const low = s > HALF_ORDER ? ORDER - s : s;
  return { name, publicKey: publicKeyOf(hex32(d)), digest: hex32(digest), signature: hex32(r) + hex32(low), valid };
}

/** Signatures where u1·G and u2·Q stand in a relation an incomplete addition gets wrong. */
function collisions(): EdgeVector[] {
  const r = modulo(G.multiply(K).x);
  // u1·G = u2·Q: both halves of k, so the sum is a doubling. The sign of u2 follows that of k.
  let u2 = modulo(K * invert(2n * D));
  if (modulo(r * invert(u2)) > HALF_ORDER) u2 = modulo(-u2);
  const doubling = modulo(r * invert(u2));
  const equal = { publicKey: publicKeyOf(hex32(D)), digest: hex32(modulo(u2 * D * doubling)), valid: true };
  // u1·G = −u2·Q: the sum is the point at infinity, which has no x at all.
  const opposite = { publicKey: publicKeyOf(hex32(D)), digest: hex32(modulo(-u2 * D * doubling)), valid: false };
  const signature = hex32(r) + hex32(doubling);
  return [
    { name: 'u1·G = u2·Q: the last addition is a doubling', ...equal, signature },
    { name: 'u1·G = −u2·Q: the sum is infinity', ...opposite, signature },
    solved('R = Q: the nonce is the key', D, D, 5n),
    solved('R = −Q: the nonce is minus the key', D, ORDER - D, 5n),
    solved('R = G: the nonce is 1', D, 1n, 5n),
    solved('R = 2G and Q = G', 1n, 2n, 7n),
    signed('Q = G', 1n, 0xabcdefn),
    signed('Q = −G', ORDER - 1n, 0xabcdefn),
    signed(
      'Q = λ·G: the endomorphism maps G to it',
      0x5363ad4cc05c30e0a5261c028812645a122e22ea20816678df02967c1b23bd72n,
      3n,
    ),
  ];
}

/** The smallest x ≥ `from` of a point on the curve, as that point with even y. */
function liftFrom(from: bigint): { x: bigint; point: Point } {
  for (let x = from; ; x++) {
    try {
      return { x, point: Point.fromHex(`02${hex32(x)}`) };
    } catch {} // not the x of any point: try the next
  }
}

/** A key under which (r, s) with u1 = 1/s·z leads to exactly R: Q = (R − u1·G)·s/r. */
function keyFor(R: Point, r: bigint, s: bigint, digest: bigint): string {
  const u1 = modulo(digest * invert(s));
  return R.subtract(G.multiply(u1))
    .multiply(modulo(s * invert(r)))
    .toHex(true);
}

/** x(R) is taken modulo n, and n < p: few r stand for two x. Nobody signs such a claim by chance, anybody can build it. */
function reductions(): EdgeVector[] {
  const digest = 0x1234_5678n;
  const s = 5n;
  const over = liftFrom(ORDER + 1n);
  const small = over.x - ORDER;
  const overKey = keyFor(over.point, small, s, digest);
  const low = liftFrom(1n);
  const wrapped = low.x + FIELD - ORDER;
  const base = { digest: hex32(digest), publicKey: overKey };
  return [
    { name: 'x(R) = r + n, below p', ...base, signature: hex32(small) + hex32(s), valid: true },
    { name: 'r + n written out: r is not below n', ...base, signature: hex32(small + ORDER) + hex32(s), valid: false },
    { name: 's + n written out: s is not below n', ...base, signature: hex32(small) + hex32(s + ORDER), valid: false },
    {
      name: 'x(R) = r + n − p: r + n must not be reduced by p',
      digest: hex32(digest),
      publicKey: keyFor(low.point, wrapped, s, digest),
      signature: hex32(wrapped) + hex32(s),
      valid: false,
    },
  ];
}

/** What is no pair of scalars, or no pair of 32 bytes, at all. */
function malformed(good: EdgeVector): EdgeVector[] {
  const [r, s] = [good.signature.slice(0, 64), good.signature.slice(64)];
  const scalars: [string, string][] = [
    ['r = 0', hex32(0n) + s],
    ['s = 0', r + hex32(0n)],
    ['r = s = 0', hex32(0n) + hex32(0n)],
    ['r = n', hex32(ORDER) + s],
    ['s = n', r + hex32(ORDER)],
    ['r = p', hex32(FIELD) + s],
    ['r = s = 2^256 − 1', 'f'.repeat(128)],
    ['r and s swapped', s + r],
    ['r = 1, s = 1', hex32(1n) + hex32(1n)],
    ['no bytes', ''],
    ['63 bytes', good.signature.slice(2)],
    ['65 bytes, a recovery byte behind', `${good.signature}00`],
    ['65 bytes, a zero before', `00${good.signature}`],
    ['128 bytes, twice the signature', good.signature + good.signature],
  ];
  return scalars.map(([name, signature]) => ({ ...good, name, signature, valid: false }));
}

export function edgeVectors(): EdgeVector[] {
  const good = signed('an ordinary signature', D, 0xc0ffeen);
  const digestBit = good.digest.replace(/.$/, 'f');
  const negatedKey = `0${good.publicKey[1] === '2' ? '3' : '2'}${good.publicKey.slice(2)}`;
  return [
    good,
    { ...good, name: 'its high-S twin', signature: hex(highSTwin(unhex(good.signature))), valid: false },
    { ...good, name: 'one digest bit altered', digest: digestBit, valid: false },
    { ...good, name: 'the key negated', publicKey: negatedKey, valid: false },
    { ...good, name: 'a foreign key', publicKey: publicKeyOf(hex32(D + 1n)), valid: false },
    solved('s = 1', D, K, 1n),
    solved('s = (n − 1)/2, the largest low one', D, K, HALF_ORDER),
    solved('s = (n + 1)/2, the smallest high one', D, K, HALF_ORDER + 1n, false),
    solved('s = n − 1', D, K, ORDER - 1n, false),
    signed('digest 0: u1 = 0', D, 0n),
    signed('digest n: the same as 0', D, ORDER),
    signed('digest n + 1', D, ORDER + 1n),
    signed('digest 2^256 − 1', D, 2n ** 256n - 1n),
    ...collisions(),
    ...reductions(),
    ...malformed(good),
  ];
}
