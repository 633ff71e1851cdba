// Derives every number the kernel uses from the curve's definition, checks each, and writes constants_generated.h.
// Run by hand: node tools/kernel-constants.mjs > src/kernel/constants_generated.h; `make check-constants` fails when the two differ.
import assert from 'node:assert';

const p = 2n ** 256n - 2n ** 32n - 977n;
const n = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n;
const gx = 0x79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798n;
const gy = 0x483ada7726a3c4655da4fbfc0e1108a8fd17b448a68554199c47d08ffb10d4b8n;
const mod = (a, m) => ((a % m) + m) % m;
const pow = (b, e, m) => {
  let r = 1n;
  for (b = mod(b, m); e > 0n; e >>= 1n) {
    if (e & 1n) r = (r * b) % m;
    b = (b * b) % m;
  }
  return r;
};
const inv = (a, m) => {
  let [r0, r1, t0, t1] = [m, mod(a, m), 0n, 1n];
  while (r1) {
    const q = r0 / r1;
    [r0, r1, t0, t1] = [r1, r0 - q * r1, t1, t0 - q * t1];
  }
  assert(r0 === 1n);
  return mod(t0, m);
};
const add = (P, Q) => {
  if (!P) return Q;
  if (!Q) return P;
  if (P[0] === Q[0] && mod(P[1] + Q[1], p) === 0n) return null;
  const l = P[0] === Q[0] ? 3n * P[0] * P[0] * inv(2n * P[1], p) : (Q[1] - P[1]) * inv(Q[0] - P[0], p);
  const x = mod(l * l - P[0] - Q[0], p);
  return [x, mod(l * (P[0] - x) - P[1], p)];
};
const multiply = (k, P) => {
  let R = null;
  for (; k > 0n; k >>= 1n) {
    if (k & 1n) R = add(R, P);
    P = add(P, P);
  }
  return R;
};
/** Math.max does not accept a BigInt. */
const larger = (a, b) => {
  if (a > b) return a;
  return b;
};
const rounded = (a, b) => {
  const q = (2n * a + b) / (2n * b);
  return a < 0n ? -((2n * -a + b) / (2n * b)) : q;
};

// Endomorphism: a cube root of unity beta mod p and the lambda mod n that belongs to it.
const sqrt = (a) => {
  const r = pow(a, (p + 1n) / 4n, p);
  assert((r * r) % p === mod(a, p));
  return r;
};
const root3n = (() => {
  // sqrt(-3) mod n by Tonelli-Shanks (n = 1 mod 4)
  let q = n - 1n,
    s = 0n;
  while (!(q & 1n)) {
    q >>= 1n;
    s++;
  }
  let z = 2n;
  while (pow(z, (n - 1n) / 2n, n) !== n - 1n) z++;
  let m = s,
    c = pow(z, q, n),
    t = pow(-3n, q, n),
    r = pow(-3n, (q + 1n) / 2n, n);
  while (t !== 1n) {
    let i = 0n,
      u = t;
    while (u !== 1n) {
      u = (u * u) % n;
      i++;
    }
    const b = pow(c, 2n ** (m - i - 1n), n);
    m = i;
    c = (b * b) % n;
    t = (t * c) % n;
    r = (r * b) % n;
  }
  return r;
})();
const G = [gx, gy];
assert(mod(gy * gy - gx ** 3n - 7n, p) === 0n && multiply(n, G) === null);
let lambda, beta;
for (const l of [mod((root3n - 1n) * inv(2n, n), n), mod((-root3n - 1n) * inv(2n, n), n)]) {
  if (l >> 252n === 5n) lambda = l; // the 0x5363... root, as in other libraries
}
for (const b of [mod((sqrt(-3n) - 1n) * inv(2n, p), p), mod((-sqrt(-3n) - 1n) * inv(2n, p), p)]) {
  if (multiply(lambda, G)[0] === (b * gx) % p) beta = b;
}
assert(lambda && beta && pow(beta, 3n, p) === 1n && (lambda * lambda + lambda + 1n) % n === 0n);
assert(multiply(lambda, G)[1] === gy);

// Lattice of (a, b) with a + b lambda = 0 mod n: the two short vectors around sqrt(n) in Euclid's remainders.
const [a1, b1, a2, b2] = (() => {
  let [r0, r1, t0, t1] = [n, lambda, 0n, 1n];
  while (r1 * r1 >= n) {
    const q = r0 / r1;
    [r0, r1, t0, t1] = [r1, r0 - q * r1, t1, t0 - q * t1];
  }
  const q = r0 / r1;
  const u = [r1, -t1],
    v = [r0, -t0],
    w = [r0 - q * r1, -(t0 - q * t1)];
  const size = ([a, b]) => a * a + b * b;
  const s = size(v) < size(w) ? v : w;
  return [u[0], u[1], s[0], s[1]];
})();
const [A1, B1, A2, B2] = a1 * b2 - a2 * b1 > 0n ? [a1, b1, a2, b2] : [-a1, -b1, a2, b2];
assert(A1 * B2 - A2 * B1 === n && mod(A1 + B1 * lambda, n) === 0n && mod(A2 + B2 * lambda, n) === 0n);
const SHIFT = 364n;
const g1 = rounded(B2 << SHIFT, n),
  g2 = rounded(-B1 << SHIFT, n);
assert(g1 > 0n && g2 > 0n && g1 < 2n ** 260n && g2 < 2n ** 260n);
// |k1| <= (|a1|+|a2|)(1/2 + e), |k2| <= (|b1|+|b2|)(1/2 + e), where e < 2^-40 covers the rounding of g, the columns the
// elements leave out and v up to 4n. The bound in units of 2^120 says how long the top window of a table is.
const abs = (a) => (a < 0n ? -a : a);
const bound = (x) => ((x >> 1n) + (x >> 40n)) / 2n ** 120n + 1n;
const k = [bound(abs(A1) + abs(A2)), bound(abs(B1) + abs(B2))];
const splitBound = larger(k[0], k[1]);
assert(splitBound < 256n);
for (let i = 0; i < 2000; i++) {
  const v = i < 4 ? BigInt(i) : i < 8 ? n - BigInt(i) : mod(pow(5n, BigInt(i) * 0x9e3779b97f4a7c15n, n), n);
  const c1 = (v * g1 + (1n << (SHIFT - 1n))) >> SHIFT,
    c2 = (v * g2 + (1n << (SHIFT - 1n))) >> SHIFT;
  const k1 = v - c1 * A1 - c2 * A2,
    k2 = -c1 * B1 - c2 * B2;
  assert(mod(k1 + k2 * lambda - v, n) === 0n);
  assert(abs(k1) < splitBound << 120n && abs(k2) < splitBound << 120n);
}

const hex = (v) => `0x${v.toString(16).toUpperCase()}ULL`;
const limbs = (v, count, bits) => {
  assert(v >= 0n && v < 1n << BigInt(count * bits));
  return Array.from({ length: count }, (_, i) => hex((v >> BigInt(i * bits)) & ((1n << BigInt(bits)) - 1n)));
};
const out = [];
const words = (name, v) => out.push(`static const uint64_t ${name}[4] = {${limbs(v, 4, 64).join(', ')}};`);
const radix52 = (name, v, count = 5) =>
  out.push(`static const uint64_t ${name}[${count}] = {${limbs(v, count, 52).join(', ')}};`);
const radix62 = (name, v) =>
  out.push(
    `static const int64_t ${name}[5] = {${limbs(v, 5, 62)
      .map((x) => x.replace('ULL', 'LL'))
      .join(', ')}};`,
  );
const number = (name, v, note) => out.push(`#define ${name} ${hex(v)} /* ${note} */`);

out.push('/* GENERATED by tools/kernel-constants.mjs, which also checks every value: do not edit. */');
out.push(
  '#ifndef CLAIMWIRE_CONSTANTS_GENERATED_H',
  '#define CLAIMWIRE_CONSTANTS_GENERATED_H',
  '#include <stdint.h>',
  '',
);
number('CW_FOLD_260', mod(2n ** 260n, p), '2^260 mod p');
number('CW_FOLD_256', mod(2n ** 256n, p), '2^256 mod p');
number('CW_ORDER_NEGATED_INVERSE', mod(-inv(n, 2n ** 52n), 2n ** 52n), '-1/n mod 2^52');
number('CW_SPLIT_BOUND', splitBound, 'both halves of a split scalar are below this times 2^120 in size');
words('cw_p_words', p);
words('cw_n_words', n);
words('cw_half_n_words', n >> 1n);
words('cw_p_minus_n_words', p - n);
words('cw_generator_x', gx);
words('cw_generator_y', gy);
words('cw_beta_words', beta);
words('cw_lambda_words', lambda);
radix52('cw_p_limbs', p);
radix52('cw_n_limbs', n);
out.push('/* Montgomery form is a R mod n with R = 2^260. */');
radix52('cw_half_r2', mod(2n ** 520n * inv(2n, n), n));
radix52('cw_r2', mod(2n ** 520n, n));
out.push('/* n - (1 + lambda)/2: adding it to u/2 makes both halves of the split come out odd. */');
radix52('cw_odd_offset', n - mod((1n + lambda) * inv(2n, n), n));
out.push(
  '/* Split: c1 = round(v g1 / 2^364), c2 = round(v g2 / 2^364); halves v - c1 a1 - c2 a2 and -c1 b1 - c2 b2, mod 2^156. */',
);
radix52('cw_g1', g1);
radix52('cw_g2', g2);
for (const [name, v] of [
  ['a1', A1],
  ['a2', A2],
  ['b1', B1],
  ['b2', B2],
])
  radix52(`cw_minus_${name}`, mod(-v, 2n ** 156n), 3);
out.push('/* safegcd: moduli in limbs of 62 bits, and their inverses mod 2^62. */');
radix62('cw_p_limbs62', p);
radix62('cw_n_limbs62', n);
number('CW_P_INVERSE_62', inv(p, 2n ** 62n), '1/p mod 2^62');
number('CW_N_INVERSE_62', inv(n, 2n ** 62n), '1/n mod 2^62');
out.push('#endif');
console.log(out.join('\n'));
