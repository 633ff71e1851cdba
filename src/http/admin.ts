/**
 * The operator's HTTP interface: channels, health, counters. node:http on loopback, over NodeControl.
 *
 * Main thread. It may be slow and it may be attacked by any local process or by a browser's page; it never throws out of
 * a request, holds a bounded number of connections and bytes, and changes nothing without the operator's token.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { isIP } from 'node:net';
import type { LineParser } from '../channel/import-pool.ts';
import type { NodeControl } from '../control.ts';
import { ClaimwireError } from '../errors.ts';
import { log } from '../log.ts';
import { changeChannel, closeChannel, listChannels, openChannels, removeChannels, showChannel } from './channels.ts';
import { errorJson, HttpRefusal, sendJson, statusOf } from './message.ts';
import { isAuthorized } from './token.ts';

const CONNECTIONS_MAX = 64;
const HEADER_BYTES_MAX = 8 << 10;
const HEADERS_MS_MAX = 10_000;
/** A connection on which nothing moves. Bulk bodies are long, so a whole request has no limit in time. */
const SILENCE_MS_MAX = 60_000;
const CLOSE_MS_MAX = 2_000;

export interface AdminOptions {
  host: string;
  /** 0 picks a free one. */
  port: number;
  /** From loadAdminToken. */
  token: string;
  control: NodeControl;
  /** Checks the lines of bulk bodies; closed with the server. */
  parser: LineParser;
}

export interface AdminServer {
  host: string;
  port: number;
  /** Stops listening, gives requests under way CLOSE_MS_MAX, then cuts them off. */
  close(): Promise<void>;
}

/** What a request is answered with, and whether it needs the token. */
interface Route {
  mutates: boolean;
  answer(request: IncomingMessage, response: ServerResponse, url: URL): Promise<void> | void;
}

/** Starts the server. Throws CONFIG_INVALID where the address cannot be had. */
export async function startAdmin(options: AdminOptions): Promise<AdminServer> {
  const { host, port } = options;
  if (!isLoopback(host))
    log('warn', `http: ${host} is not loopback: the admin interface has no TLS, keep it off networks`);
  const server = createServer(
    {
      maxHeaderSize: HEADER_BYTES_MAX,
      headersTimeout: HEADERS_MS_MAX,
      connectionsCheckingInterval: HEADERS_MS_MAX / 2,
      requestTimeout: 0,
      keepAliveTimeout: 5_000,
    },
    (request, response) => void answer(options, request, response),
  );
  server.maxConnections = CONNECTIONS_MAX;
  server.timeout = SILENCE_MS_MAX;
  server.on('clientError', (_error, socket) => {
    if (socket.writable) socket.end('HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n');
    else socket.destroy();
  });
  await listen(server, host, port);
  return {
    host,
    port: (server.address() as AddressInfo).port,
    close: async () => {
      await closeServer(server);
      await options.parser.close();
    },
  };
}

function listen(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) =>
      reject(
        new ClaimwireError(
          'CONFIG_INVALID',
          `http ${host}:${port}: expected an address to listen on, got ${error.code}`,
        ),
      ),
    );
    server.listen(port, host, () => {
      server.removeAllListeners('error');
      server.on('error', (error) => log('error', `http: ${error.message}`));
      resolve();
    });
  });
}

function closeServer(server: Server): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => server.closeAllConnections(), CLOSE_MS_MAX);
    server.close(() => {
      clearTimeout(timer);
      resolve();
    });
    server.closeIdleConnections();
  });
}

async function answer(options: AdminOptions, request: IncomingMessage, response: ServerResponse): Promise<void> {
  response.on('error', () => {});
  try {
    checkHost(request, options.host);
    const url = urlOf(request);
    const route = routeOf(options, request.method ?? 'GET', url.pathname, response);
    if (route.mutates && !isAuthorized(request.headers.authorization, options.token))
      throw new ClaimwireError('UNAUTHORIZED', 'authorization: expected "Bearer" and the token in DIR/admin-token');
    await route.answer(request, response, url);
  } catch (error) {
    if (!(error instanceof ClaimwireError) && !response.destroyed)
      log('error', `http ${request.method} ${request.url}: ${error instanceof Error ? error.stack : error}`);
    // A body that is not read to its end must not be read as the next request.
    const headers: Record<string, string> = request.complete ? {} : { connection: 'close' };
    if (error instanceof ClaimwireError && error.code === 'UNAUTHORIZED') headers['www-authenticate'] = 'Bearer';
    sendJson(response, statusOf(error), errorJson(error), headers);
  }
}

function urlOf(request: IncomingMessage): URL {
  const target = request.url ?? '/';
  if (target.startsWith('/') && URL.canParse(target, 'http://localhost')) return new URL(target, 'http://localhost');
  throw new HttpRefusal(400, `path: expected one that begins with a slash`);
}

function routeOf(options: AdminOptions, method: string, path: string, response: ServerResponse): Route {
  const { control } = options;
  const id = /^\/channels\/([^/]+)$/.exec(path)?.[1];
  const routes: Record<string, Route> | undefined =
    path === '/channels'
      ? channelsRoutes(options)
      : path === '/channels/remove'
        ? { POST: { mutates: true, answer: (request, response) => removeChannels(control, request, response) } }
        : id !== undefined
          ? channelRoutes(control, id)
          : healthRoutes(control, path);
  if (routes === undefined)
    throw new HttpRefusal(404, `path: expected /channels, /channels/ID, /channels/remove, /stats, /healthz or /readyz`);
  const route = routes[method];
  if (route !== undefined) return route;
  const allowed = Object.keys(routes).join(', ');
  response.setHeader('allow', allowed);
  throw new HttpRefusal(405, `method: expected ${allowed}, got ${method}`);
}

function channelsRoutes({ control, parser }: AdminOptions): Record<string, Route> {
  return {
    GET: { mutates: false, answer: (request, response, url) => listChannels(control, request, response, url) },
    POST: { mutates: true, answer: (request, response) => openChannels(control, parser, request, response) },
  };
}

function channelRoutes(control: NodeControl, id: string): Record<string, Route> {
  return {
    GET: { mutates: false, answer: (_request, response) => showChannel(control, id, response) },
    PATCH: { mutates: true, answer: (request, response) => changeChannel(control, id, request, response) },
    DELETE: { mutates: true, answer: (_request, response) => closeChannel(control, id, response) },
  };
}

function healthRoutes(control: NodeControl, path: string): Record<string, Route> | undefined {
  const get = (answer: Route['answer']) => ({ GET: { mutates: false, answer } });
  if (path === '/healthz') return get((_request, response) => sendJson(response, 200, { status: 'ok' }));
  if (path === '/readyz')
    return get((_request, response) => sendJson(response, control.ready ? 200 : 503, { ready: control.ready }));
  if (path === '/stats') return get((_request, response) => sendJson(response, 200, control.stats()));
  return undefined;
}

/**
 * A page of any web site can have its own host name resolve to 127.0.0.1 and then read what is served there; only the
 * Host header tells such a request from the operator's.
 */
function checkHost(request: IncomingMessage, listening: string): void {
  const header = request.headers.host ?? '';
  const name = header
    .replace(/:\d*$/, '')
    .replace(/^\[(.*)\]$/, '$1')
    .toLowerCase();
  const local = request.socket.localAddress?.replace(/^::ffff:/, '');
  if (name !== '' && (isLoopback(name) || name === listening.toLowerCase() || name === local)) return;
  throw new ClaimwireError(
    'INPUT_INVALID',
    'host: expected localhost or the address the node listens on, got another name',
  );
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'));
}
