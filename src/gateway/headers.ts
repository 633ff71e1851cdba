/** Which headers a proxy passes on. Pure. */
import type { IncomingHttpHeaders } from 'node:http';
import { SESSION_SCHEME } from '../../protocol/session.ts';

/** They are about one connection (RFC 9110, section 7.6.1). Length and coding of the body are set anew, by framing(). */
const HOP_BY_HOP = new Set([
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'http2-settings',
]);
/** A request that has it was passed on by another gateway of the cluster. */
export const HOP_HEADER = 'claimwire-forwarded';
/** The gateway says these to the upstream, so no client may. Some servers read an underscore as a hyphen. */
const OURS = /^payment[-_]/;

/** What the request's body is framed by. A client's Connection header cannot take it away, which would smuggle requests. */
export function framing(headers: IncomingHttpHeaders): string[] {
  if (headers['transfer-encoding'] !== undefined) return ['transfer-encoding', 'chunked'];
  const length = headers['content-length'];
  return length === undefined ? [] : ['content-length', length];
}

/** Headers for the upstream, names and values in turn; without host, framing and what the gateway adds. */
export function requestHeaders(raw: readonly string[], connection: string | undefined): string[] {
  const named = namedBy(connection);
  const passed: string[] = [];
  for (let at = 0; at < raw.length; at += 2) {
    const name = raw[at]!.toLowerCase();
    if (HOP_BY_HOP.has(name) || named?.has(name) || OURS.test(name)) continue;
    if (name === HOP_HEADER) continue;
    if (name === 'host' || name === 'content-length' || name === 'expect' || name === 'x-forwarded-for') continue;
    const value = name === 'authorization' ? othersOf(raw[at + 1]!) : raw[at + 1]!;
    if (value !== '') passed.push(raw[at]!, value);
  }
  return passed;
}

/** Headers of a request for another gateway, with all that is meant for gateways. */
export function hopRequestHeaders(raw: readonly string[], connection: string | undefined): string[] {
  const framed = ['host', 'content-length', 'expect', 'x-forwarded-for', HOP_HEADER];
  return endToEnd(raw, connection, (name) => !framed.includes(name));
}

/** Headers of another gateway's answer for the client. */
export function hopResponseHeaders(raw: readonly string[], connection: string | undefined): string[] {
  return endToEnd(raw, connection, () => true);
}

function endToEnd(
  raw: readonly string[],
  connection: string | undefined,
  isPassed: (name: string) => boolean,
): string[] {
  const named = namedBy(connection);
  const passed: string[] = [];
  for (let at = 0; at < raw.length; at += 2) {
    const name = raw[at]!.toLowerCase();
    if (!HOP_BY_HOP.has(name) && named?.has(name) !== true && isPassed(name)) passed.push(raw[at]!, raw[at + 1]!);
  }
  return passed;
}

/** Headers for the client, names and values in turn. */
export function responseHeaders(raw: readonly string[], connection: string | undefined): string[] {
  const named = namedBy(connection);
  const passed: string[] = [];
  for (let at = 0; at < raw.length; at += 2) {
    const name = raw[at]!.toLowerCase();
    if (HOP_BY_HOP.has(name) || named?.has(name) || name === 'payment-receipt') continue;
    passed.push(raw[at]!, raw[at + 1]!);
  }
  return passed;
}

function namedBy(connection: string | undefined): Set<string> | undefined {
  if (connection === undefined || connection === 'keep-alive' || connection === 'close') return undefined;
  const named = new Set(connection.split(',').map((name) => name.trim().toLowerCase()));
  // A message without its length would be read as another one.
  named.delete('content-length');
  return named;
}

/** An Authorization value without what was for the gateway. */
function othersOf(authorization: string): string {
  const isOurs = (part: string) => /^(payment|claimwire-session)( |$)/i.test(part);
  if (!isOurs(authorization) && !authorization.toLowerCase().includes(SESSION_SCHEME.toLowerCase())) {
    if (!/,\s*payment /i.test(authorization)) return authorization;
  }
  const parts = authorization.split(',').map((part) => part.trim());
  return parts.filter((part) => !isOurs(part)).join(', ');
}
