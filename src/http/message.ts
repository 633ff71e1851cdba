/**
 * HTTP requests and answers of the admin server: bounded bodies in, JSON out, errors with their status. Main thread.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { parseJson } from '../channel/json.ts';
import { ClaimwireError, type ErrorCode } from '../errors.ts';

/** Limit of a JSON body: some 4,000 openings. More can be sent as NDJSON, which is streamed. */
export const JSON_BYTES_MAX = 1 << 20;
const JSON_BODY_MS_MAX = 10_000;
/** A body that may have to be passed on to another node is kept until its request is answered; longer ones are not. */
const KEPT_BODY_BYTES_MAX = 64 << 10;

const keptBodies = new WeakMap<IncomingMessage, Buffer>();

const STATUS_OF: Partial<Record<ErrorCode, number>> = {
  USAGE: 400,
  INPUT_INVALID: 400,
  UNAUTHORIZED: 401,
  PAYMENT_REQUIRED: 402,
  FORBIDDEN: 403,
  CHANNEL_UNKNOWN: 404,
  CHANNEL_EXISTS: 409,
  CHARGE_CONFLICT: 409,
  CHANNEL_CLOSED: 409,
  MOVED: 421,
  CHANNEL_UNREDEEMED: 409,
  CAPACITY_BELOW_COMMITTED: 409,
  TABLE_FULL: 503,
  REGISTRY_FULL: 507,
  REGISTRY_FAILED: 503,
  JOURNAL_FAILED: 503,
  NODE_STOPPING: 503,
  NODE_FAILED: 503,
  NODE_BUSY: 503,
  NODE_UNREACHABLE: 503,
  LEDGER_UNREACHABLE: 503,
  LEDGER_REFUSED: 409,
  NO_RECEIPTS: 404,
  RECEIPT_NOT_YET: 409,
};

/** A refusal with a status other than that of its code INPUT_INVALID: 404 for a path, 405, 408, 413, 415, 417. */
export class HttpRefusal extends ClaimwireError {
  readonly status: number;

  constructor(status: number, message: string, details: Record<string, unknown> = {}) {
    super('INPUT_INVALID', message, details);
    this.status = status;
  }
}

export function statusOf(error: unknown): number {
  if (error instanceof HttpRefusal) return error.status;
  return (error instanceof ClaimwireError && STATUS_OF[error.code]) || 500;
}

/** The JSON body of an error. Any but a ClaimwireError is a fault of ours, whose text is only in the log. */
export function errorJson(error: unknown): { error: { code: string; message: string } } {
  if (!(error instanceof ClaimwireError))
    return { error: { code: 'NODE_FAILED', message: 'the node failed at this request; its log says more' } };
  const details = Object.entries(error.details).map(([name, value]) => [
    name,
    typeof value === 'bigint' ? String(value) : value,
  ]);
  return { error: { ...Object.fromEntries(details), code: error.code, message: error.message } };
}

/** An answer without a body: 204. */
export function sendNothing(response: ServerResponse): void {
  response.writeHead(204, { 'cache-control': 'no-store' });
  response.end();
}

export function sendJson(response: ServerResponse, status: number, body: unknown): void {
  sendText(response, status, 'application/json', `${JSON.stringify(body)}\n`);
}

export function sendText(response: ServerResponse, status: number, type: string, text: string): void {
  if (response.headersSent || response.destroyed) {
    response.destroy();
    return;
  }
  // The rest of an unread body must not be parsed as the next request.
  if (!response.req.complete) response.setHeader('connection', 'close');
  response.writeHead(status, {
    'content-type': type,
    'content-length': Buffer.byteLength(text),
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
  });
  response.end(text);
}

/** Media type of the body, without parameters, lower-case. */
export function mediaType(request: IncomingMessage): string {
  return (request.headers['content-type'] ?? '').split(';')[0]!.trim().toLowerCase();
}

/** The body's parts. Leaving the loop early does not close the connection, so that an answer can still be sent. */
export function partsOf(request: IncomingMessage): AsyncIterable<Buffer> {
  return request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>;
}

/** Reads and parses a JSON body. Throws HttpRefusal 408, 413 or 415, or INPUT_INVALID where it is not JSON. */
export async function readJson(request: IncomingMessage, bytesMax = JSON_BYTES_MAX): Promise<unknown> {
  const type = mediaType(request);
  if (type !== 'application/json')
    throw new HttpRefusal(415, `content-type: expected application/json, got ${type || 'none'}`);
  return parseJson((await readBody(request, bytesMax)).toString('utf8'), 'body');
}

/** Reads a body of at most `bytesMax` bytes. Throws HttpRefusal 408 or 413. */
export async function readBody(request: IncomingMessage, bytesMax: number): Promise<Buffer> {
  const more = bytesMax === JSON_BYTES_MAX ? ' of JSON; send more as application/x-ndjson where that is taken' : '';
  const tooLarge = `body: expected at most ${bytesMax} bytes${more}`;
  if (Number(request.headers['content-length'] ?? 0) > bytesMax) throw new HttpRefusal(413, tooLarge);
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    request.destroy();
  }, JSON_BODY_MS_MAX);
  const parts: Buffer[] = [];
  let length = 0;
  try {
    for await (const part of partsOf(request)) {
      length += part.length;
      if (length > bytesMax) throw new HttpRefusal(413, tooLarge);
      parts.push(part);
    }
  } catch (error) {
    if (late) throw new HttpRefusal(408, `body: expected all of it within ${JSON_BODY_MS_MAX} ms`);
    throw error;
  } finally {
    clearTimeout(timer);
  }
  const body = Buffer.concat(parts);
  if (length <= KEPT_BODY_BYTES_MAX) keptBodies.set(request, body);
  return body;
}

/** The body that was read of a request, where it is short enough to be passed on. */
export function keptBodyOf(request: IncomingMessage): Buffer | undefined {
  return keptBodies.get(request);
}
