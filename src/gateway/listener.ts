/**
 * The gateway's HTTP server: its limits, and its answers to what is no request that can be charged. Main thread.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse, STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import type { GatewayCounters } from './counters.ts';

/** Bounds of the gateway's listener. */
export interface GatewayLimits {
  connectionsMax: number;
  /** Requests under way. More are answered 503. */
  requestsMax: number;
  headerBytesMax: number;
  /** For a request's head. */
  headMs: number;
  /** For the whole request, its body included. */
  requestMs: number;
  keepAliveMs: number;
}

export const LISTENER_LIMITS: GatewayLimits = {
  connectionsMax: 8_192,
  requestsMax: 8_192,
  headerBytesMax: 16 << 10,
  headMs: 10_000,
  requestMs: 300_000,
  keepAliveMs: 60_000,
};

/** `expectsGo`: the client sends its body when it is told to, with writeContinue. */
type Serve = (request: IncomingMessage, response: ServerResponse, expectsGo: boolean) => void;

export function createListener(limits: GatewayLimits, counters: GatewayCounters, serve: Serve): Server {
  const server = createServer({
    maxHeaderSize: limits.headerBytesMax,
    headersTimeout: limits.headMs,
    requestTimeout: limits.requestMs,
    keepAliveTimeout: limits.keepAliveMs,
    connectionsCheckingInterval: 1_000,
    noDelay: true,
  });
  server.maxConnections = limits.connectionsMax;
  server.on('request', (request, response) => serve(request, response, false));
  // The client sends its body when it is told to: after it has paid.
  server.on('checkContinue', (request, response) => serve(request, response, true));
  const refuseUpgrade = (_request: IncomingMessage, socket: Socket) => {
    counters.upgradesRefused++;
    const text = 'This gateway charges for requests: it passes on neither upgrades (WebSocket) nor tunnels.\n';
    endWith(socket, 501, text);
  };
  server.on('upgrade', refuseUpgrade);
  server.on('connect', refuseUpgrade);
  server.on('clientError', (error: NodeJS.ErrnoException, socket: Socket) => refuseBytes(error, socket, counters));
  return server;
}

function refuseBytes(error: NodeJS.ErrnoException, socket: Socket, counters: GatewayCounters): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy();
    return;
  }
  counters.badRequests++;
  const status = error.code === 'HPE_HEADER_OVERFLOW' ? 431 : error.code === 'ERR_HTTP_REQUEST_TIMEOUT' ? 408 : 400;
  endWith(socket, status, '');
}

function endWith(socket: Socket, status: number, text: string): void {
  const head = `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nConnection: close\r\nContent-Type: text/plain\r\n`;
  socket.on('error', () => {});
  socket.end(`${head}Content-Length: ${text.length}\r\n\r\n${text}`, () => socket.destroy());
}
