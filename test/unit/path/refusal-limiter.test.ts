/** Refusals a source may be sent: a burst, then a rate, by address and not by port. */
import { randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import { RefusalLimiter } from '../../../src/path/refusal-limiter.ts';
import { sourceHead } from '../../../src/transport/source.ts';
import { TRANSPORT_UDP } from '../../../src/transport/transport.ts';

const BURST = 4_000;
const PER_SECOND = 2_000;

function source(port: number, lastOctet = 1): Uint32Array {
  return Uint32Array.of(sourceHead(TRANSPORT_UDP, port), 0, 0, 0xffff0000, 0x0100007f + (lastOctet << 24));
}
/** How many of `count` refusals at one moment get through. */
function allowed(limiter: RefusalLimiter, words: Uint32Array, now: number, count: number): number {
  let through = 0;
  for (let index = 0; index < count; index++) if (limiter.allow(words, 0, now)) through++;
  return through;
}

test('a burst gets through, then nothing until time has passed, then the rate', () => {
  const limiter = new RefusalLimiter(randomBytes);
  expect(allowed(limiter, source(9), 1_000_000, 2 * BURST)).toBe(BURST);
  expect(allowed(limiter, source(9), 1_000_000, 100)).toBe(0);
  expect(allowed(limiter, source(9), 1_000_500, BURST)).toBe(PER_SECOND / 2);
});

test('ports of one address share its bucket', () => {
  const limiter = new RefusalLimiter(randomBytes);
  expect(allowed(limiter, source(9), 1_000_000, BURST)).toBe(BURST);
  expect(allowed(limiter, source(10), 1_000_000, 1)).toBe(0);
});

test('a time that goes back gives nothing and takes nothing', () => {
  const limiter = new RefusalLimiter(randomBytes);
  allowed(limiter, source(9), 1_000_000, BURST);
  expect(allowed(limiter, source(9), 900_000, 1)).toBe(0);
});
