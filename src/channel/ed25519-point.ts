/**
 * Checks that 32 bytes decode to a point of edwards25519 (RFC 8032, section 5.1.3), in BigInt. Cold path: 100 µs a key.
 */

/** The field's prime, 2^255 − 19, and the curve's d in −x² + y² = 1 + d·x²·y². */
const P = 2n ** 255n - 19n;
const D = 0x52036cee2b6ffe738cc740797779e89800700a4d4141d8ab75eb4dca135978a3n;
const SIGN_BIT = 1n << 255n;

/**
 * True for the canonical encoding of a point: y below p, an x on the curve for it, and no sign bit where that x is 0.
 * Points of small order are points too.
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
