/** The header traceparent, by the examples and rules of W3C Trace Context. */
import { expect, test } from 'vitest';
import { parseTraceparent, traceparentOf } from '../../../src/spans/trace-context.ts';

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
const SPAN = '00f067aa0ba902b7';

test('what is read and written', () => {
  const sampled = { traceId: TRACE, spanId: SPAN, isSampled: true };
  expect(parseTraceparent(`00-${TRACE}-${SPAN}-01`)).toEqual(sampled);
  expect(parseTraceparent(`00-${TRACE}-${SPAN}-00`)).toEqual({ ...sampled, isSampled: false });
  // A later version may say more.
  expect(parseTraceparent(`cc-${TRACE}-${SPAN}-01-what-comes`)).toEqual(sampled);
  expect(traceparentOf(sampled)).toBe(`00-${TRACE}-${SPAN}-01`);
});

test.each([
  undefined,
  '',
  `ff-${TRACE}-${SPAN}-01`,
  `00-${TRACE}-${SPAN}-01-more`,
  `00-${TRACE.toUpperCase()}-${SPAN}-01`,
  `00-${'0'.repeat(32)}-${SPAN}-01`,
  `00-${TRACE}-${'0'.repeat(16)}-01`,
  `00-${TRACE}-${SPAN}`,
  `cc-${TRACE}-${SPAN}-01-${'x'.repeat(300)}`,
])('%s is none', (header) => {
  expect(parseTraceparent(header)).toBeUndefined();
});
