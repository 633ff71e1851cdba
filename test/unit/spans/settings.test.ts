/** Where spans go, and what is refused before a node starts. */
import { expect, test } from 'vitest';
import { resolveSpans } from '../../../src/spans/settings.ts';

test('the path of OTLP is added where there is none', () => {
  expect(resolveSpans({ url: 'http://127.0.0.1:4318' })).toEqual({
    url: 'http://127.0.0.1:4318/v1/traces',
    ratio: 1,
    perSecondMax: 100,
  });
  expect(resolveSpans({ url: 'https://c.example/otel' }).url).toBe('https://c.example/otel');
  // The library reads OTEL_EXPORTER_OTLP_ENDPOINT itself.
  expect(resolveSpans({ url: 'env' }).url).toBeUndefined();
});

test.each([
  { url: 'collector:4318' },
  { url: 'ftp://c.example' },
  { url: 'env', ratio: 1.1 },
  { url: 'env', ratio: Number.NaN },
  { url: 'env', perSecondMax: 0 },
  { url: 'env', perSecondMax: 1e9 },
])('%o is refused', (options) => {
  expect(() => resolveSpans(options)).toThrow(expect.objectContaining({ code: 'CONFIG_INVALID' }));
});
