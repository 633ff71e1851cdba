/**
 * The batch signer for real keys, in C: its own tests in every kernel; its bytes, also as WebAssembly, beside those of libsecp256k1
 * (npm secp256k1) and of noble; its nonces beside RFC 6979 by the book, and whether a branch or an address depends on a secret.
 */
import { createHmac } from 'node:crypto';
import { beforeAll, describe, expect, it } from 'vitest';
import { Secp256k1Signer } from '../../src/client/keys/secp256k1-signer.ts';
import { WasmSigner } from '../../src/verify/wasm-signer.ts';
import { bytes32, ORDER, publicKey, scalar, sign } from '../support/curve.ts';
import { brieflyOrAtLength } from '../support/length.ts';
import { compiles, expectTool, MINUTES, make, starts } from '../support/native-make.ts';
import { random } from '../support/random.ts';
import { type Signed, SignProcess, type SignRequest } from '../support/sign-process.ts';

const KERNELS = process.arch === 'arm64' ? ['neon', 'scalar'] : ['avx512ifma', 'avx512f', 'avx2', 'scalar'];
const RANDOM_SIGNATURES = brieflyOrAtLength(2_000, 1_000_000);
const BATCH = 256;
const CHECKS_MIN = 10_000;

/** The WebAssembly signer as if it were a process. It draws its blinds by itself. */
class WasmSigning {
  readonly #signer = new WasmSigner(bytes32(1n));

  sign({ key, digests }: SignRequest): Signed {
    this.#signer.open(key);
    const signatures = this.#signer.signDigests(Buffer.concat(digests));
    return { publicKey: Buffer.from(this.#signer.publicKey), signatures: Buffer.from(signatures) };
  }
  close(): number {
    this.#signer.close();
    return 0;
  }
}
const signerOf = (kernel: string) => (kernel === 'wasm' ? new WasmSigning() : new SignProcess(kernel, 'stream'));

const has = { cc: false, valgrind: false };
/** What `make check-sign` printed; kernels that this CPU lacks are in it as skipped. */
let tests = { code: 0 as number | string, output: '' };
beforeAll(async () => {
  has.cc = await compiles('cc', 'int main(void) { return 0; }');
  has.valgrind =
    (await starts('valgrind', '--version')) &&
    (await compiles('cc', '#include <valgrind/memcheck.h>\nint main(void) { return 0; }'));
  if (has.cc) tests = await make('check-sign');
}, 6 * MINUTES);

const isSkipped = (kernel: string) => tests.output.includes(`sign-test-${kernel}: skipped`);
const runs = (kernel: string) => kernel === 'wasm' || (has.cc && !isSkipped(kernel));

it('passes its tests in C', (context) => {
  expectTool(has.cc, 'a C compiler (cc)', context);
  expect(tests.code, tests.output.slice(-2_000)).toBe(0);
  for (const kernel of KERNELS) {
    if (isSkipped(kernel)) console.warn(`C NOT CHECKED HERE: the signer's ${kernel} kernel`);
    else
      expect(Number(new RegExp(`sign-test-${kernel}: (\\d+) checks`).exec(tests.output)?.[1])).toBeGreaterThan(
        CHECKS_MIN,
      );
  }
});

/** The digests and keys where something could go wrong, of which noble is the judge: see docs on digests of n and above. */
function edges(): SignRequest[] {
  const digests = [0n, 1n, ORDER - 1n, ORDER, ORDER + 1n, 2n ** 256n - 1n, 2n ** 255n, ORDER >> 1n].map(bytes32);
  const keys = [1n, 2n, 3n, ORDER - 1n, ORDER - 2n, ORDER >> 1n, 2n ** 255n, 2n ** 128n, 255n].map(bytes32);
  return keys.flatMap((key) => [bytes32(0n), bytes32(2n ** 256n - 1n)].map((blind) => ({ key, blind, digests })));
}
/** Batches of many sizes; digests below n, where npm's libsecp256k1 of 2023 reads RFC 6979 as everybody else does. */
function* randomBatches(count: number): Generator<SignRequest> {
  const from = random(20_260);
  for (let left = count, index = 0; left > 0; index++) {
    const size = Math.min(left, index % 3 === 0 ? BATCH : 1 + (from.bytes(1)[0]! % BATCH));
    const key = bytes32((scalar(from.bytes(32)) % (ORDER - 1n)) + 1n);
    const digests = Array.from({ length: size }, () => from.bytes(32)).filter((digest) => scalar(digest) < ORDER);
    yield { key, blind: from.bytes(32), digests };
    left -= size;
  }
}

describe.each([...KERNELS, 'wasm'])('%s', (kernel) => {
  it('signs the edges as noble does', { timeout: MINUTES }, async (context) => {
    expectTool(runs(kernel), `a C compiler (cc) and a CPU with ${kernel}`, context);
    const signer = signerOf(kernel);
    for (const request of edges()) {
      const { signatures, publicKey: ownKey } = await signer.sign(request);
      expect(ownKey.equals(publicKey(scalar(request.key)))).toBe(true);
      const noble = new Secp256k1Signer(request.key);
      const expected = request.digests.map((digest) => noble.sign(digest));
      expect(signatures.equals(Buffer.concat(expected)), Buffer.from(request.key).toString('hex')).toBe(true);
    }
    expect(await signer.close()).toBe(0);
  });
});

it(`every kernel signs ${RANDOM_SIGNATURES} random digests as libsecp256k1 does`, {
  timeout: 60 * MINUTES,
}, async () => {
  const signers = [...KERNELS, 'wasm'].filter(runs).map(signerOf);
  let compared = 0;
  for (const request of randomBatches(RANDOM_SIGNATURES)) {
    const asked = signers.map((signer) => signer.sign(request));
    const expected = Buffer.concat(request.digests.map((digest) => sign(digest, scalar(request.key))));
    for (const signed of await Promise.all(asked))
      if (!signed.signatures.equals(expected)) expect.fail(`key ${Buffer.from(request.key).toString('hex')}`);
    compared += request.digests.length;
  }
  expect(compared).toBeGreaterThan(RANDOM_SIGNATURES * 0.99);
  for (const signer of signers) expect(await signer.close()).toBe(0);
});

/** RFC 6979, 3.2, word for word. */
function nonceByTheBook(key: Uint8Array, digest: Uint8Array, rejected: number): Buffer {
  const hmac = (secret: Buffer, ...parts: Uint8Array[]) =>
    createHmac('sha256', secret).update(Buffer.concat(parts)).digest();
  let v: Buffer = Buffer.alloc(32, 1);
  let k: Buffer = Buffer.alloc(32);
  for (const byte of [0, 1]) {
    k = hmac(k, v, Buffer.from([byte]), key, digest);
    v = hmac(k, v);
  }
  for (let left = rejected; left > 0; left--) {
    v = hmac(k, v);
    k = hmac(k, v, Buffer.from([0]));
    v = hmac(k, v);
  }
  return hmac(k, v);
}
it('takes the next candidate of RFC 6979 after rejected ones', async (context) => {
  expectTool(has.cc, 'a C compiler (cc)', context);
  const from = random(99);
  const signer = new SignProcess('scalar', 'nonces');
  for (let rejected = 0; rejected < 6; rejected++) {
    const [key, digest] = [bytes32(scalar(from.bytes(32)) >> 1n), bytes32(scalar(from.bytes(32)) >> 1n)];
    expect((await signer.nonce(key, digest, rejected)).toString('hex')).toBe(
      nonceByTheBook(key, digest, rejected).toString('hex'),
    );
  }
  expect(await signer.close()).toBe(0);
});

it('has no branch and no address that depends on a secret, says valgrind', {
  timeout: 6 * MINUTES,
}, async (context) => {
  if (process.env.CI === 'true' && !has.valgrind) throw new Error('expected valgrind with its headers, got none');
  expectTool(has.cc && has.valgrind, 'valgrind with its headers, and a C compiler (cc)', context);
  const { code, output } = await make('check-ctgrind');
  expect(code, output.slice(-4_000)).toBe(0);
  for (const kernel of process.arch === 'arm64' ? ['scalar'] : ['scalar', 'avx2'])
    expect(output).toMatch(new RegExp(`^sign-ct-${kernel}: \\d+ checks`, 'm'));
});
