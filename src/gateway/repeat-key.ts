/** Names a request that is paid by a session, so that its repetition is not charged again. Pure. */
import { createHash } from 'node:crypto';
import type { IncomingMessage } from 'node:http';

const KEY_CHARACTERS_MAX = 256;

/** The charge's key for a client's Idempotency-Key, or undefined without one. 45 characters, so that `-r` fits behind it. */
export function repeatKeyOf({
  headers,
  method,
  url,
}: Pick<IncomingMessage, 'headers' | 'method' | 'url'>): string | undefined {
  const key = headers['idempotency-key'];
  if (typeof key !== 'string' || key === '' || key.length > KEY_CHARACTERS_MAX) return undefined;
  return `s:${createHash('sha256').update(`${method} ${url}\n${key}`).digest('base64url')}`;
}
