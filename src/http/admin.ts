/**
 * The operator's HTTP interface: channels, health, counters. node:http on loopback, over NodeControl.
 *
 * Main thread. Any local process or a web page in a browser may attack it. So no request makes it throw, its connections
 * and bytes are bounded, and it changes nothing without a token of the scope that the route asks for.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { type AddressInfo, createServer as createNetServer } from 'node:net';
import { type Access, covers, expectScope } from '../control/access.ts';
import type { ClusterControl } from '../control/cluster-control.ts';
import type { InspectControl } from '../control/inspect-control.ts';
import type { MeterControl } from '../control/meter-control.ts';
import type { NodeControl } from '../control/node-control.ts';
import type { ReceiptControl } from '../control/receipt-control.ts';
import type { ScopedTokens } from '../control/scoped-tokens.ts';
import { isAuthorized } from '../control/token.ts';
import { ClaimwireError } from '../errors.ts';
import { isLoopback, parseHostPort } from '../host-port.ts';
import { type Logger, stderrLogger } from '../log.ts';
import type { Exposition } from '../metrics/exposition.ts';
import type { Sampler } from '../metrics/sampler.ts';
import type { LineParser } from '../registry/import-pool.ts';
import type { Spans } from '../spans/spans.ts';
import { channelRoutes } from './channels.ts';
import { Charges } from './charges.ts';
import { claimRoutes } from './claims.ts';
import { clusterRoutes } from './cluster.ts';
import { AdminConnection, CONNECTION_LIMITS, type ConnectionLimits } from './connection.ts';
import { AdminConnections } from './connections.ts';
import { Events } from './events.ts';
import { Feed } from './feed.ts';
import { Forwarder, type ForwardingLimits, type PeerSettings } from './forwarding.ts';
import { healthRoutes } from './health.ts';
import { Holds } from './holds.ts';
import { inspectionRoutes } from './inspections.ts';
import { type Ledger, ledgerRoutes } from './ledger.ts';
import { listen, openPeerDoor } from './listen.ts';
import { Listings } from './listing.ts';
import { errorJson, HttpRefusal, sendJson, statusOf } from './message.ts';
import { metricsRoutes } from './metrics.ts';
import { openapiRoutes } from './openapi.ts';
import { pageRoutes } from './page.ts';
import { proofRoutes } from './proofs.ts';
import { receiptRoutes } from './receipts.ts';
import { redemptionRoutes } from './redemptions.ts';
import { type Route, Router } from './route.ts';
import { Turns } from './turns.ts';
import { waitRoutes } from './waits.ts';

/** The port that a Host header without one means. */
const DEFAULT_PORT = 80;
const HEADER_BYTES_MAX = 8 << 10;
/** Clients are told this; connection.ts keeps a silent connection a little longer. */
const KEEP_ALIVE_MS = 5_000;
const CLOSE_MS_MAX = 2_000;
const RETRY_AFTER_SECONDS = 1;
const ADMIN_ACCESS: Access = { scope: 'admin', name: 'admin', channels: null };

export interface AdminOptions {
  host: string;
  /** 0 picks a free port. */
  port: number;
  /** Names that clients may call this server by, beside its address and localhost. */
  hosts?: readonly string[];
  /** From loadAdminToken. */
  token: string;
  /** Tokens of other scopes. */
  tokens?: ScopedTokens | undefined;
  control: NodeControl;
  /** Where the node is connected to the XRP Ledger. */
  ledger?: Ledger | undefined;
  meter: MeterControl;
  /** Where the node has a key for receipts. */
  receipts?: ReceiptControl | undefined;
  /** Where the node is one of a cluster. */
  cluster?: ClusterControl | undefined;
  /** How requests about channels of other nodes are passed on to them, and theirs come in. */
  peers?: PeerSettings | undefined;
  /** Where charges have spans: a caller's `traceparent` is that of the charge. */
  spans?: Spans | undefined;
  /** What traces and profiles come from. */
  inspect: InspectControl;
  /** What GET /metrics tells. */
  exposition: Exposition;
  /** What GET /feed tells. */
  sampler: Sampler;
  /** Checks the lines of bulk bodies; closed with the server. */
  parser: LineParser;
  /** Default stderr. */
  logger?: Logger;
  /** The time that clients are given; for tests. */
  limits?: Partial<ConnectionLimits>;
  /** The time that other nodes are given; for tests. */
  forwarding?: Partial<ForwardingLimits> | undefined;
  /** Between signs of life of an event stream; for tests. */
  heartbeatMs?: number | undefined;
}

export interface AdminServer {
  host: string;
  port: number;
  /** The port at which other nodes hand requests in over TLS. */
  peerPort: number | undefined;
  /** What it answers, as protocol/openapi.json describes it. */
  routes: readonly Pick<Route, 'method' | 'path' | 'scope' | 'takesBody'>[];
  /** Stops listening, gives requests under way CLOSE_MS_MAX, then cuts them off. */
  close(): Promise<void>;
}

/** What the answer to a request needs. */
interface Admin extends AdminOptions {
  logger: Logger;
  connections: AdminConnections;
  router: Router;
  forwarder: Forwarder;
}

/** Starts the server. Throws CONFIG_INVALID where it cannot listen on the address. */
export async function startAdmin(options: AdminOptions): Promise<AdminServer> {
  const { host, port, control, ledger, logger = stderrLogger } = options;
  if (!isLoopback(host))
    logger.warn(`http: ${host} is not loopback: the admin interface has no TLS, keep it off networks`);
  const turns = new Turns();
  const connections = new AdminConnections({
    turns,
    limits: { ...CONNECTION_LIMITS, ...options.limits },
    onFirstBytes: (connection) => parser.emit('connection', connection),
    onRequest: (request, response) => void answer(admin, request, response),
  });
  const listings = new Listings(control, ledger, turns, () => connections.counters.busy++);
  const { counters } = connections;
  const holds = new Holds(counters);
  const router = new Router([
    ...channelRoutes(control, ledger, options.parser, listings),
    ...proofRoutes(control),
    ...meterRoutes({ ...options, turns, holds, counters }),
    ...healthRoutes(control, counters, ledger),
    ...metricsRoutes(options.exposition, counters),
    ...feedRoutes(options.sampler, holds, counters),
    ...inspectionRoutes({ control, inspect: options.inspect, holds }),
    ...ledgerRoutes(ledger),
    ...clusterRoutes(options.cluster),
    ...redemptionRoutes(control, ledger, holds),
    ...openapiRoutes(),
    ...pageRoutes(),
  ]);
  const forwarder = new Forwarder({
    control,
    ownToken: options.token,
    holds,
    counters,
    settings: options.peers,
    limits: options.forwarding,
  });
  const admin: Admin = { ...options, logger, connections, router, forwarder };
  const parser = httpParser(connections);
  const server = createNetServer({ allowHalfOpen: true, noDelay: true }, (socket) => connections.accept(socket));
  await listen(server, { host, port }, 'http', logger);
  const door = await openPeerDoor(options.peers, (socket) => connections.accept(socket), logger).catch((error) => {
    server.close();
    throw error;
  });
  return {
    host,
    port: (server.address() as AddressInfo).port,
    peerPort: door && (door.address() as AddressInfo).port,
    routes: router.routes,
    close: async () => {
      const servers = [server, ...(door === undefined ? [] : [door])];
      const closed = Promise.all(servers.map((each) => new Promise((resolve) => each.close(resolve))));
      holds.close();
      await connections.close(CLOSE_MS_MAX);
      await closed;
      await options.parser.close();
    },
  };
}

function feedRoutes(sampler: Sampler, holds: Holds, counters: AdminConnections['counters']): Route[] {
  return new Feed({ sampler, holds, onBusy: () => counters.busy++, onCut: () => counters.feedCut++ }).routes();
}

/** What services use: they charge, wait for amounts, listen for them, and hand claims in. */
function meterRoutes(parts: {
  control: NodeControl;
  meter: MeterControl;
  receipts?: ReceiptControl | undefined;
  turns: Turns;
  holds: Holds;
  counters: AdminConnections['counters'];
  spans?: Spans | undefined;
  heartbeatMs?: number | undefined;
}): Route[] {
  const { control, meter, holds, counters, spans, receipts } = parts;
  const onBusy = () => counters.busy++;
  const onSweep = () => counters.sweeps++;
  return [
    ...waitRoutes(control, meter, holds),
    ...receiptRoutes(control, receipts),
    ...new Charges(control, meter, holds, spans).routes(),
    ...claimRoutes(control, meter),
    ...new Events({ ...parts, onBusy, onSweep }).routes(),
  ];
}

/** node:http over connections that are given to it. It does not listen itself, and connection.ts has the time limits. */
function httpParser(connections: AdminConnections): Server {
  const server = createServer({
    maxHeaderSize: HEADER_BYTES_MAX,
    headersTimeout: 0,
    requestTimeout: 0,
    keepAliveTimeout: KEEP_ALIVE_MS,
    // checkHost refuses a missing one, so that this answer keeps its place among those of the connection.
    requireHostHeader: false,
  });
  const handle = (request: IncomingMessage, response: ServerResponse) =>
    connectionOf(request).handle(request, response);
  server.on('request', handle);
  server.on('checkContinue', handle);
  server.on('checkExpectation', handle);
  server.on('connect', (_request, connection) => refuse(connection, '405 Method Not Allowed'));
  server.on('clientError', (error: NodeJS.ErrnoException, connection) => {
    // Other codes are errors of the connection, not of what came over it.
    if (error.code?.startsWith('HPE_') === true) connections.counters.malformed++;
    const isTooLong = error.code === 'HPE_HEADER_OVERFLOW';
    refuse(connection, isTooLong ? '431 Request Header Fields Too Large' : '400 Bad Request');
  });
  return server;
}

function refuse(connection: unknown, status: string): void {
  if (connection instanceof AdminConnection) connection.refuse(status);
}

function connectionOf(request: IncomingMessage): AdminConnection {
  return request.socket as unknown as AdminConnection;
}

async function answer(admin: Admin, request: IncomingMessage, response: ServerResponse): Promise<void> {
  response.on('error', () => {});
  try {
    const connection = connectionOf(request);
    const access = accessOf(request.headers.authorization, admin);
    if (access !== undefined) admin.connections.trust(connection, access.scope === 'admin' ? 'operator' : 'holder');
    checkHost(request, admin);
    const target = request.url ?? '/';
    if (!target.startsWith('/') || !URL.canParse(target, 'http://localhost'))
      throw new HttpRefusal(400, `path: expected one that begins with a slash`);
    const url = new URL(target, 'http://localhost');
    const { route, id } = admin.router.find(request.method ?? 'GET', url.pathname, response);
    if (route.scope !== undefined) expectScope(access, route.scope);
    checkBody(request, response, route);
    const isStillAllowed = () =>
      route.scope === undefined || covers(accessOf(request.headers.authorization, admin), route.scope);
    const call = { request, response, url, id, access, connection, isStillAllowed };
    try {
      await route.answer(call);
    } catch (error) {
      if (!(await admin.forwarder.forward(call, route, error))) throw error;
    }
  } catch (error) {
    if (!(error instanceof ClaimwireError) && !response.destroyed)
      admin.logger.error(`http ${request.method} ${request.url}: ${error instanceof Error ? error.stack : error}`);
    if (error instanceof ClaimwireError && !response.headersSent) hint(error, response);
    sendJson(response, statusOf(error), errorJson(error));
  }
}

/** Headers that tell a client what to do about an error. */
function hint({ code }: ClaimwireError, response: ServerResponse): void {
  if (code === 'UNAUTHORIZED') response.setHeader('www-authenticate', 'Bearer');
  if (code === 'NODE_BUSY' || code === 'NODE_UNREACHABLE') response.setHeader('retry-after', RETRY_AFTER_SECONDS);
}

/** What a request's token allows, or undefined for one without a known token. */
function accessOf(header: string | undefined, { token, tokens, peers }: Admin): Access | undefined {
  if (isAuthorized(header, token)) return ADMIN_ACCESS;
  if (peers?.token !== undefined && isAuthorized(header, peers.token)) return ADMIN_ACCESS;
  return tokens?.find(header);
}

/** Throws HttpRefusal for a body that the route does not read, or an Expect header other than 100-continue. */
function checkBody(request: IncomingMessage, response: ServerResponse, route: Route): void {
  const { expect } = request.headers;
  if (expect !== undefined && expect.toLowerCase() !== '100-continue')
    throw new HttpRefusal(417, 'expect: expected nothing or 100-continue, got another expectation');
  if (!route.takesBody && !request.complete)
    throw new HttpRefusal(400, `body: expected none with ${request.method}, got one`);
  if (expect !== undefined && !request.complete) response.writeContinue();
}

/**
 * Throws where the Host header names another server. A web site can let its own name resolve to 127.0.0.1, so that its
 * page may read what is served there; only this header tells its requests from the operator's.
 */
function checkHost(request: IncomingMessage, { host, hosts = [] }: Admin): void {
  const name = parseHostPort(request.headers.host ?? '', DEFAULT_PORT)?.host.toLowerCase();
  if (name !== undefined && (isLoopback(name) || [host, ...hosts].some((known) => known.toLowerCase() === name)))
    return;
  // The address costs a system call, so it is asked for last.
  const local = connectionOf(request).localAddress?.replace(/^::ffff:/, '');
  if (name !== undefined && name === local) return;
  throw new ClaimwireError(
    'INPUT_INVALID',
    'host: expected localhost, the address the node listens on or a name given with --http-host, got another name',
  );
}
