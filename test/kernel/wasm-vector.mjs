// Compares the functions of vector_wasm.h with BigInt: every function of the contract, with limbs at the edge of what it allows,
// random ones, and the values where reductions wrap round. Then prints rates. make check-wasm runs it and names the module;
// SEED and ROUNDS are environment variables.
import assert from 'node:assert';
import { readFileSync } from 'node:fs';

const module = new WebAssembly.Module(readFileSync(process.argv[2]));
const e = new WebAssembly.Instance(module, {}).exports;
const limbs = new Int16Array(e.memory.buffer),
  words = new BigUint64Array(e.memory.buffer, e.words_at(), 8 * 16);
const rows = new Uint8Array(e.memory.buffer, e.rows_at(), 4 * 64),
  base = e.operands() / 2;
const p = 2n ** 256n - 2n ** 32n - 977n,
  n = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n;
const lambda = 0x5363ad4cc05c30e0a5261c028812645a122e22ea20816678df02967c1b23bd72n,
  R = 2n ** 260n;
const mod = (a, m) => ((a % m) + m) % m;
const power = (b, k, m) => {
  let r = 1n;
  for (b = mod(b, m); k > 0n; k >>= 1n) {
    if (k & 1n) r = (r * b) % m;
    b = (b * b) % m;
  }
  return r;
};
const _inverse = (a, m) => power(a, m - 2n, m);

let state = BigInt(process.env.SEED ?? 1) + 0x9e3779b97f4a7c15n;
const random64 = () => {
  state = mod(state ^ (state << 13n), 2n ** 64n);
  state ^= state >> 7n;
  state = mod(state ^ (state << 17n), 2n ** 64n);
  return (state * 0x2545f4914f6cdd1dn) % 2n ** 64n;
};
const pick = (k) => Number(random64() >> 11n) % k;
const random256 = () => random64() | (random64() << 64n) | (random64() << 128n) | (random64() << 192n);

const limbAt = (slot, i, element) => base + 80 * slot + 8 * (i >> 1) + 2 * element + (i & 1);
const value = (slot, element) => {
  let v = 0n;
  for (let i = 19; i >= 0; i--) v = (v << 13n) + BigInt(limbs[limbAt(slot, i, element)]);
  return v;
};
const values = (slot, m) => [0, 1, 2, 3].map((element) => (m ? mod(value(slot, element), m) : value(slot, element)));
// Real magnitude q: limbs within q (2^12 + 33), limb 19 within q 513.
const fill = (slot, q) => {
  for (let element = 0; element < 4; element++) {
    const style = pick(8);
    for (let i = 0; i < 20; i++) {
      const max = i < 19 ? q * 4129 : q * 513;
      limbs[limbAt(slot, i, element)] =
        style === 0
          ? max
          : style === 1
            ? -max
            : style === 2
              ? i & 1
                ? max
                : -max
              : style === 3
                ? pick(2)
                  ? max
                  : -max
                : style === 4
                  ? 0
                  : pick(2 * max + 1) - max;
    }
  }
};
const setPlain = (slot, element, v) => {
  for (let i = 0; i < 20; i++, v >>= 13n) limbs[limbAt(slot, i, element)] = Number(v & 0x1fffn);
};
const edges = (m) => [
  0n,
  1n,
  2n,
  m - 1n,
  m - 2n,
  (m - 1n) / 2n,
  2n ** 255n,
  2n ** 128n - 1n,
  lambda,
  m - lambda,
  mod(R, m),
  mod(-R, m),
];
let checks = 0;
const expect = (what, slot, wanted, q) => {
  for (let element = 0; element < 4; element++) {
    assert.equal(mod(value(slot, element), p), mod(wanted[element], p), `${what}: wrong value in element ${element}`);
    if (q)
      for (let i = 0; i < 20; i++) {
        const limb = limbs[limbAt(slot, i, element)];
        assert(Math.abs(limb) <= (i < 19 ? q * 4129 : q * 513), `${what}: limb ${i} of element ${element} is ${limb}`);
      }
    checks++;
  }
};
const zip = (f, ...lists) => lists[0].map((_, i) => f(...lists.map((l) => l[i])));

const rounds = Number(process.env.ROUNDS ?? 500);
for (let round = 0; round < rounds; round++) {
  const [qa, qb] = [
    [1, 1],
    [1, 2],
    [2, 1],
    [2, 2],
    [1, 3],
    [3, 1],
  ][pick(6)];
  fill(0, qa);
  fill(1, qb);
  fill(2, 3);
  let [a, b, c] = [values(0), values(1), values(2)];
  e.mul();
  expect(
    'mul',
    7,
    zip((x, y) => x * y, a, b),
    1,
  );
  e.mul_sub();
  expect(
    'mul_sub',
    7,
    zip((x, y, z) => x * y - z, a, b, c),
    1,
  );
  fill(0, 1 + pick(2));
  a = values(0);
  e.sqr();
  expect(
    'sqr',
    7,
    a.map((x) => x * x),
    1,
  );
  fill(1, 1);
  fill(2, 2);
  [b, c] = [values(1), values(2)];
  e.sqr_sub();
  expect(
    'sqr_sub',
    7,
    zip((x, y, z) => x * x - 2n * y - z, a, b, c),
    1,
  );
  e.mul_self();
  expect(
    'mul in place',
    7,
    a.map((x) => x * x),
    1,
  );
  fill(0, 3);
  fill(1, 3);
  [a, b] = [values(0), values(1)];
  e.add();
  expect(
    'add',
    7,
    zip((x, y) => x + y, a, b),
    1,
  );
  fill(0, 2);
  fill(1, 1);
  [a, b] = [values(0), values(1)];
  e.sub();
  expect(
    'sub',
    7,
    zip((x, y) => x - y, a, b),
    3,
  );
  const k = 1 + pick(8);
  fill(0, Math.min(3, Math.floor(12 / k)));
  a = values(0);
  e.scale(k);
  expect(
    'scale',
    7,
    a.map((x) => x * BigInt(k)),
    1,
  );
  const mask = pick(16);
  fill(0, 1);
  fill(1, 3);
  [a, b] = [values(0), values(1)];
  e.negate(mask);
  expect(
    'negate',
    7,
    a.map((x, i) => ((mask >> i) & 1 ? -x : x)),
    1,
  );
  e.select(mask);
  expect(
    'select',
    7,
    a.map((x, i) => ((mask >> i) & 1 ? x : b[i])),
  );
  const turn = 1 + pick(3);
  e.rotate(turn);
  expect(
    'rotate',
    7,
    a.map((_, i) => a[(i + turn) % 4]),
  );
  fill(0, 3);
  if (pick(2))
    for (let element = 0; element < 4; element++)
      setPlain(
        0,
        element,
        [0n, p, 2n * p, 3n * p, p - 1n, p + 1n, 2n * p - 1n, 2n ** 256n - 1n, 2n ** 257n - 1n, 2n ** 258n - 1n][
          pick(10)
        ],
      );
  a = values(0);
  assert.equal(
    e.zero(),
    a.reduce((m, x, i) => m | ((mod(x, p) === 0n) << i), 0),
  );
  e.normal();
  for (let element = 0; element < 4; element++) assert.equal(value(7, element), mod(a[element], p), 'normal');
  checks += 8;
  // Words and rows.
  const w = [0, 1, 2, 3].map(() =>
    pick(3) ? random256() : [0n, 1n, 2n ** 256n - 1n, p, p - 1n, 0x5555n << 200n, 2n ** 255n][pick(7)],
  );
  for (let element = 0; element < 4; element++)
    for (let i = 0; i < 4; i++) words[4 * i + element] = (w[element] >> BigInt(64 * i)) & (2n ** 64n - 1n);
  e.from_words();
  for (let element = 0; element < 4; element++) assert.equal(value(7, element), w[element], 'from_words');
  expect('from_words', 7, w, 1);
  e.scalar_from_words();
  for (let element = 0; element < 4; element++) assert.equal(value(7, element), w[element]);
  for (let element = 0; element < 4; element++) {
    setPlain(0, element, w[element] % p);
    setPlain(1, element, w[3 - element] % p);
  }
  e.to_words();
  for (let element = 0; element < 4; element++)
    for (let i = 0; i < 4; i++)
      assert.equal(words[4 * i + element], ((w[element] % p) >> BigInt(64 * i)) & (2n ** 64n - 1n));
  e.element_words();
  for (let i = 0; i < 4; i++) assert.equal(words[i], ((w[0] % p) >> BigInt(64 * i)) & (2n ** 64n - 1n));
  e.broadcast();
  expect(
    'broadcast',
    7,
    [0, 1, 2, 3].map(() => w[0] % p),
    1,
  );
  e.store_rows();
  const row = (element, half) => {
    let v = 0n;
    for (let i = 31; i >= 0; i--) v = (v << 8n) | BigInt(rows[64 * element + 32 * half + i]);
    return v;
  };
  for (let element = 0; element < 4; element++)
    assert.deepEqual([row(element, 0), row(element, 1)], [w[element] % p, w[3 - element] % p], 'store_rows');
  e.load_x();
  expect('load_x', 7, w, 1);
  e.load_y();
  expect('load_y', 7, [w[3], w[2], w[1], w[0]], 1);
  // Scalars: anything below 2^258.
  const near = () =>
    pick(4)
      ? random256() * 4n + BigInt(pick(4))
      : pick(2)
        ? 2n ** 258n - 1n - BigInt(pick(3))
        : edges(n)[pick(12)] + n * BigInt(pick(4));
  const s = [0, 1, 2, 3].map(near).map((x) => x % 2n ** 258n),
    t = [0, 1, 2, 3].map(near).map((x) => x % 2n ** 258n);
  for (let element = 0; element < 4; element++) {
    setPlain(0, element, s[element]);
    setPlain(1, element, t[element]);
  }
  e.scalar_mul();
  for (let element = 0; element < 4; element++) {
    const got = value(7, element);
    assert(got >= 0n && got < 2n ** 258n);
    assert.equal(mod(got * R, n), (s[element] * t[element]) % n, 'scalar_mul');
  }
  e.scalar_normal();
  for (let element = 0; element < 4; element++) assert.equal(value(7, element), s[element] % n, 'scalar_normal');
  e.scalar_split();
  for (let element = 0; element < 4; element++) {
    const b = [0, 3].map(
      (at) =>
        words[16 * at + element] | (words[16 * at + 16 + element] << 64n) | (words[16 * at + 32 + element] << 128n),
    );
    for (const x of b) assert((x > 2n ** 128n ? x - 2n ** 128n : 2n ** 128n - x) < 0xa3n << 120n, 'split: size');
    const [k1, k2] = b.map((x) => 2n * x - 2n ** 129n + 1n);
    assert.equal(mod(k1 + k2 * lambda, n), (2n * s[element]) % n, 'scalar_split');
  }
  for (let i = 0; i < 5; i++) words[i] = random64() >> 12n;
  e.scalar_broadcast();
  for (let element = 0; element < 4; element++)
    assert.equal(
      value(7, element),
      [0, 1, 2, 3, 4].reduce((v, i) => v | (words[i] << BigInt(52 * i)), 0n),
    );
  for (let i = 0; i < 4; i++) words[i] = random64();
  assert.equal(
    e.bit_mask(),
    [0, 1, 2, 3].reduce((m, i) => m | (Number(words[i] & 1n) << i), 0),
  );
  e.store_pointers();
  for (let i = 0; i < 4; i++)
    assert.equal(Number(words[i] & 0xffffffffn), new Uint32Array(e.memory.buffer, e.words_at() + 128, 4)[i]);
  for (const [receiver, m] of [
    ['inverse_p', p],
    ['inverse_n', n],
  ]) {
    const x = pick(6) ? random256() % m : edges(m)[pick(12)] % m;
    for (let i = 0; i < 4; i++) words[i] = (x >> BigInt(64 * i)) & (2n ** 64n - 1n);
    e[receiver]();
    const got = words[0] | (words[1] << 64n) | (words[2] << 128n) | (words[3] << 192n);
    assert(got < m && (got * x) % m === (x ? 1n : 0n), receiver);
  }
  checks += 30;
}
console.log(`elements: ${checks} checks in ${rounds} rounds`);
for (const [name, run] of [
  ['multiplication', (k) => e.repeat(k, 0)],
  ['squaring', (k) => e.repeat(k, 1)],
  ['inversion', (k) => e.repeat_inverse(k)],
]) {
  const times = name === 'inversion' ? 500 : 10000,
    per = name === 'inversion' ? times : times * 16,
    seen = [];
  for (let i = 0; i < 5; i++) fill(i, 1);
  for (let i = 0; i < 5; i++) {
    run(times);
    await new Promise((done) => setTimeout(done, 20));
  }
  for (let i = 0; i < 9; i++) {
    const start = performance.now();
    run(times);
    seen.push(performance.now() - start);
  }
  console.log(`${name}: ${((seen.sort((x, y) => x - y)[4] * 1e6) / per).toFixed(1)} ns`);
}
