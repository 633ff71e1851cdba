/** Calls each function of the addon with arguments of every kind, in a process of its own; prints what came of it as JSON. */
import { createRequire } from 'node:module';

const [, , path, rounds, seedText] = process.argv;
const addon = createRequire(import.meta.url)(path);
let state = Number(seedText);
const below = (bound) => {
  state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
  return Math.floor((state / 2 ** 32) * bound);
};
const values = [
  () => undefined,
  () => null,
  () => true,
  () => 0,
  () => 1,
  () => -1,
  () => 1.5,
  () => Number.NaN,
  () => 2 ** 32,
  () => 1n,
  () => 'x',
  () => '127.0.0.1',
  () => ({}),
  () => [],
  () => Symbol('x'),
  () => new Uint8Array(0),
  () => new Uint8Array(33),
  () => new Uint8Array(4_096),
  () => new Uint32Array(0),
  () => new Uint32Array(5),
  () => new Uint32Array(64),
  () => new Uint32Array(64).fill(0xffff_ffff),
  () => new Float64Array(3),
  () => new ArrayBuffer(64),
  () => new SharedArrayBuffer(4_096),
  () => new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true }).buffer,
  () => new DataView(new ArrayBuffer(8)),
  () => {},
];
const results = {};
for (const [name, call] of Object.entries(addon)) {
  const found = { returned: 0, codes: {} };
  results[name] = found;
  for (let round = 0; round < Number(rounds); round++) {
    const args = Array.from({ length: round % 9 }, () => values[below(values.length)]());
    try {
      call(...args);
      found.returned++;
    } catch (error) {
      const code = error?.code ?? String(error);
      found.codes[code] = (found.codes[code] ?? 0) + 1;
    }
  }
}
process.stdout.write(`${JSON.stringify(results)}\n`, () => process.exit(0));
