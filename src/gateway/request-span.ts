/** The span of one request of the gateway: its price, whether it was paid, and what was answered. Main thread. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Span, Spans } from '../spans/spans.ts';
import type { Verdict } from './verdict.ts';

/**
 * Serves a request within a span under the client's, so that its charges are below it; where none is taken, charges get none
 * either. A path is told without its query, which may have secrets.
 */
export async function spannedRequest(
  spans: Spans,
  request: IncomingMessage,
  response: ServerResponse,
  serve: (span: Span | undefined) => Promise<void>,
): Promise<void> {
  const { traceparent } = request.headers;
  const caller = typeof traceparent === 'string' ? traceparent : undefined;
  const span = spans.begin('gateway request', { kind: 'server', traceparent: caller });
  const method = request.method ?? '';
  span?.set({ 'http.request.method': method, 'url.path': (request.url ?? '').split(/[?#]/, 1)[0]! });
  try {
    await spans.within(span, () => serve(span));
    span?.set({ 'http.response.status_code': response.statusCode });
    span?.end(response.statusCode >= 500 ? `answered ${response.statusCode}` : undefined);
  } catch (error) {
    span?.end(error);
    throw error;
  }
}

export function verdictFacts(verdict: Verdict, drops: bigint): Parameters<Span['set']>[0] {
  const price = { 'claimwire.price_drops': String(drops) };
  switch (verdict.kind) {
    case 'paid': {
      const { by, channel } = verdict.payment;
      return { ...price, 'claimwire.verdict': `paid by ${by}`, 'claimwire.channel': String(channel.channelId) };
    }
    case 'refused':
      return { ...price, 'claimwire.verdict': verdict.refusal.problem };
    default:
      return { ...price, 'claimwire.verdict': verdict.kind };
  }
}
