/** What an operator says of spans. Checked once, at start. */
import { ClaimwireError } from '../errors.ts';
import type { SamplingSettings } from './span-sampler.ts';

/** Where spans go, and how many of them. */
export interface SpanOptions extends Partial<SamplingSettings> {
  /**
   * The collector's address for OTLP over HTTP, http:// or https://; `/v1/traces` is added where it has no path. `env`: what
   * the variables OTEL_EXPORTER_OTLP_TRACES_ENDPOINT or OTEL_EXPORTER_OTLP_ENDPOINT say. Without it the variables are ignored.
   */
  url: string;
}

/** Spans begun in a second. Each takes about 1 KB on its way to the collector. */
const PER_SECOND_MAX = 100;
const PER_SECOND_LIMIT = 10_000;
const DEFAULT_PATH = '/v1/traces';

/** The whole address, or undefined for that of the environment. Throws CONFIG_INVALID. */
export function resolveSpans({ url, ratio = 1, perSecondMax = PER_SECOND_MAX }: SpanOptions): SamplingSettings & {
  url: string | undefined;
} {
  if (!(ratio >= 0 && ratio <= 1)) throw invalid('otel-ratio', 'a share from 0 to 1', ratio);
  if (!Number.isSafeInteger(perSecondMax) || perSecondMax < 1 || perSecondMax > PER_SECOND_LIMIT)
    throw invalid('otel-rate', `1 to ${PER_SECOND_LIMIT} spans a second`, perSecondMax);
  return { url: url === 'env' ? undefined : endpointOf(url), ratio, perSecondMax };
}

function endpointOf(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol))
    throw invalid('otel', 'a URL like http://127.0.0.1:4318, or env', text);
  if (url.pathname === '/') url.pathname = DEFAULT_PATH;
  return url.href;
}

function invalid(setting: string, expected: string, got: unknown): ClaimwireError {
  return new ClaimwireError('CONFIG_INVALID', `${setting}: expected ${expected}, got ${got}`, { setting });
}
