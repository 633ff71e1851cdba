/** A node without the packages of OpenTelemetry says what to install, and only when spans are asked for. */
import { expect, test, vi } from 'vitest';
import { openSpans } from '../../../src/spans/open-telemetry.ts';

vi.mock('@opentelemetry/exporter-trace-otlp-http', () => {
  throw new Error("Cannot find package '@opentelemetry/exporter-trace-otlp-http'");
});

test('the packages that are missing, and what to do', async () => {
  await expect(openSpans({ url: 'http://127.0.0.1:1' }, { warn: () => {}, version: '0' })).rejects.toMatchObject({
    code: 'DEPENDENCY_MISSING',
    message: expect.stringContaining('npm install @opentelemetry/api @opentelemetry/resources'),
  });
});
