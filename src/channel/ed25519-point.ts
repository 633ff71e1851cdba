/**
 * Points of the curve edwards25519 as 32 bytes: whether they are encoded canonically, and whether they are of small order.
 *
 * Any thread. Versions of Node.js differ in what their verification does with the eight points of small order, as keys and
 * as R of a signature: 20 and 22 take them, 24 and later do not. So they are refused here, by every node alike.
 */
const P = 2n ** 255n - 19n;
const D = 0x52036cee2b6ffe738cc740797779e89800700a4d4141d8ab75eb4dca135978a3n;
const SIGN_BIT = 1n << 255n;
const SIGN_BYTE = 31;

/**
 * y of the points of small order, little-endian: 1 and p − 1 (orders 1 and 2), 0 (order 4), and the two of order 8. p and
 * p + 1 are 0 and 1 once more, for decoders that take them.
 */
const SMALL_ORDER = new Set(
  [
    '0000000000000000000000000000000000000000000000000000000000000000',
    '0100000000000000000000000000000000000000000000000000000000000000',
    '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05',
    'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a',
    'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
    'edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
    'eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  ].map((hex) => Buffer.from(hex, 'hex').toString('latin1')),
);

/** Whether 32 bytes at `offset` say a point of small order, in any encoding. Anybody can sign for such a key. */
export function isSmallOrder(bytes: Uint8Array, offset = 0): boolean {
  const y = Buffer.from(bytes.subarray(offset, offset + 32));
  y[SIGN_BYTE]! &= 0x7f;
  return SMALL_ORDER.has(y.toString('latin1'));
}

/**
 * Whether 32 bytes are the canonical encoding of a point (RFC 8032, section 5.1.3): y is below p, the curve has an x for it,
 * and there is no sign bit where that x is 0. Points of small order are points too. Takes about 100 µs.
 */
export function isEd25519Point(encoded: Uint8Array): boolean {
  const number = BigInt(`0x${Buffer.from(encoded).reverse().toString('hex')}`);
  const y = number & (SIGN_BIT - 1n);
  if (y >= P) return false;
  const u = (y * y + P - 1n) % P;
  const v = (D * y * y + 1n) % P;
  if (u === 0n) return (number & SIGN_BIT) === 0n;
  // x² = u / v. v is never 0, since −1/d is no square, so u / v is a square where u·v is one (Euler's criterion).
  return power((u * v) % P, (P - 1n) / 2n) === 1n;
}

function power(base: bigint, exponent: bigint): bigint {
  let result = 1n;
  for (const bit of exponent.toString(2)) {
    result = (result * result) % P;
    if (bit === '1') result = (result * base) % P;
  }
  return result;
}
