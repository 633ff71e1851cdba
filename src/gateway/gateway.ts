/**
 * The gateway: an HTTP server that asks the price of a request before it passes it on. Main thread.
 *
 * In order: is there such a resource; what does it cost; was it paid (payments.ts); then it is forwarded (upstream.ts). A
 * request is charged before it is forwarded, and gets its money back when the service fails before its first byte. What
 * only reads is forwarded while its charge becomes durable, since all that it buys is the answer, and that waits. Clients
 * and the service may send anything: every wait, size and number here is bounded, and no fault of theirs throws.
 */
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { assert, ClaimwireError } from '../errors.ts';
import { type HostPort, hostPortText } from '../host-port.ts';
import { type Logger, stderrLogger } from '../log.ts';
import type { Span, Spans } from '../spans/spans.ts';
import { nodeSystem, type System } from '../system/system.ts';
import { Answers } from './answers.ts';
import { Challenges, type Merchant } from './challenges.ts';
import { countersJson, type GatewayCounters, newCounters } from './counters.ts';
import { type ForwardingLimits, GatewayForwarder, type GatewayPeers } from './forwarding.ts';
import { createListener, type GatewayLimits, LISTENER_LIMITS } from './listener.ts';
import { Payments } from './payments.ts';
import { recordingOf } from './recording.ts';
import { MOVED } from './refusals.ts';
import { repeatKeyOf } from './repeat-key.ts';
import { REPLY_LIMITS, Replies, type ReplyLimits } from './replies.ts';
import { spannedRequest, verdictFacts } from './request-span.ts';
import { type Price, plainPath, priceAhead, type Routes } from './routes.ts';
import { Streaming } from './streaming.ts';
import { type Outcome, UPSTREAM_LIMITS, Upstream, type UpstreamLimits } from './upstream.ts';
import type { GatewayNode, Payment, PaymentSettings, Unpaid } from './verdict.ts';

export interface GatewayOptions extends GatewayNode {
  listen: HostPort;
  /** The service behind the gateway, http:// or https://. */
  upstream: string;
  routes: Routes;
  merchant: Merchant;
  /** 32 bytes; by default new at each start, which ends all challenges and sessions. */
  secret?: Uint8Array | undefined;
  challengeSeconds?: number;
  sessionSeconds?: number;
  payments?: Partial<PaymentSettings>;
  limits?: Partial<GatewayLimits>;
  upstreamLimits?: Partial<UpstreamLimits>;
  replyLimits?: Partial<ReplyLimits>;
  /** In a cluster: how requests that are paid from channels of other nodes reach the gateways of these. Left out: they are answered 503. */
  peers?: GatewayPeers | undefined;
  forwardingLimits?: Partial<ForwardingLimits>;
  /** How long a stream waits for more money. */
  topUpMs?: number;
  logger?: Logger;
  system?: Pick<System, 'random' | 'clock'>;
  /** Each request gets a span there, as far as they are taken. */
  spans?: Spans | undefined;
}

const SECRET_BYTES = 32;
const CHALLENGE_SECONDS = 300;
const SESSION_SECONDS = 600;
const PAYMENTS: PaymentSettings = { settleMarginSeconds: 300, claimWaitMs: 2_000 };
const TOP_UP_MS = 5_000;
const CLOSE_MS_MAX = 2_000;
const BACKLOG = 4_096;
/** They change nothing at the service (RFC 9110, section 9.2.1): what is sold is the answer. */
const SAFE_METHODS = ['GET', 'HEAD'];

/** A price before a web service: it answers 402 until a request is paid, and then hands it to the service behind it. */
export class Gateway {
  readonly counters: GatewayCounters = newCounters();
  readonly #options: GatewayOptions;
  readonly #limits: GatewayLimits;
  readonly #logger: Logger;
  readonly #payments: Payments;
  readonly #answers: Answers;
  readonly #replies: Replies;
  readonly #upstream: Upstream;
  readonly #streaming: Streaming;
  readonly #forwarder: GatewayForwarder | undefined;
  readonly #server: Server;
  #requests = 0;
  /** Called when no request is under way. */
  #onIdle: () => void = () => {};

  /** Starts a gateway. Throws CONFIG_INVALID where it can not listen, or a setting is wrong. */
  static async start(options: GatewayOptions): Promise<Gateway> {
    const gateway = new Gateway(options);
    const { host, port } = options.listen;
    await new Promise<void>((resolve, reject) => {
      gateway.#server.once('error', (error: NodeJS.ErrnoException) => {
        const message = `listen ${hostPortText(options.listen)}: expected an address to listen on, got ${error.code}`;
        reject(new ClaimwireError('CONFIG_INVALID', message));
      });
      gateway.#server.listen({ host, port, backlog: BACKLOG }, resolve);
    });
    return gateway;
  }

  private constructor(options: GatewayOptions) {
    const { merchant, secret, system = nodeSystem } = options;
    this.#options = options;
    this.#limits = { ...LISTENER_LIMITS, ...options.limits };
    this.#logger = options.logger ?? stderrLogger;
    const challenges = new Challenges({
      merchant,
      secret: secret ?? system.random(SECRET_BYTES),
      challengeSeconds: options.challengeSeconds ?? CHALLENGE_SECONDS,
      sessionSeconds: options.sessionSeconds ?? SESSION_SECONDS,
      system,
    });
    const settings = { ...PAYMENTS, ...options.payments };
    this.#payments = new Payments(options, challenges, settings, this.counters, system.clock);
    this.#answers = new Answers(challenges, this.counters, ({ channelId }) => this.#payments.voucherBase(channelId));
    this.#replies = new Replies({ ...REPLY_LIMITS, ...options.replyLimits });
    this.#upstream = new Upstream(options.upstream, { ...UPSTREAM_LIMITS, ...options.upstreamLimits });
    this.#streaming = new Streaming(this.#payments.charging, this.counters, options.topUpMs ?? TOP_UP_MS);
    const { node, peers, forwardingLimits } = options;
    const [answers, { counters }] = [this.#answers, this];
    if (peers !== undefined)
      this.#forwarder = new GatewayForwarder({ node, peers, answers, counters }, forwardingLimits);
    this.#server = createListener(this.#limits, this.counters, (request, response, expectsGo) => {
      const { spans } = options;
      const served =
        spans === undefined
          ? this.#serve(request, response, expectsGo)
          : spannedRequest(spans, request, response, (span) => this.#serve(request, response, expectsGo, span));
      served.catch((error: Error) => this.#fail(request, response, error));
    });
  }

  /** Where it listens. */
  get address(): HostPort {
    const { address, port } = this.#server.address() as AddressInfo;
    return { host: address, port };
  }

  /** Serves a connection that came in elsewhere: another gateway's, whose certificate was looked at. */
  readonly accept = (socket: Socket): void => void this.#server.emit('connection', socket);

  /** For the admin interface. */
  stats(): Record<string, unknown> {
    const { size, bytes } = this.#replies;
    return { ...countersJson(this.counters), underWay: this.#requests, replies: size, replyBytes: bytes };
  }

  /** Stops listening, lets requests under way end for a moment, and cuts them off. */
  async close(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    this.#server.closeIdleConnections();
    const late = setTimeout(() => this.#server.closeAllConnections(), CLOSE_MS_MAX);
    await closed;
    clearTimeout(late);
    this.#upstream.close();
    this.#forwarder?.close();
    // What was charged for nothing is given back while the node still runs.
    if (this.#requests > 0)
      await new Promise<void>((resolve) => {
        this.#onIdle = resolve;
      });
  }

  async #serve(
    request: IncomingMessage,
    response: ServerResponse,
    expectsGo: boolean,
    span?: Span | undefined,
  ): Promise<void> {
    this.counters.requests++;
    request.on('error', () => {});
    response.on('error', () => {});
    if (this.#requests >= this.#limits.requestsMax) return this.#answers.busy(request, response);
    this.#requests++;
    try {
      const price = this.#priceOf(request, response);
      if (price === undefined) return;
      if (price.drops === 0n) {
        this.counters.free++;
        if (expectsGo) response.writeContinue();
        return await this.#forwardFree(request, response, span);
      }
      const ahead = priceAhead(price);
      const mayReserve = SAFE_METHODS.includes(request.method!) && !expectsGo;
      const options = { repeatKey: repeatKeyOf(request), mayReserve };
      const taken = this.#payments.take(request.headers.authorization, ahead, options);
      const verdict = taken instanceof Promise ? await taken : taken;
      span?.set(verdictFacts(verdict, ahead));
      if (verdict === MOVED && (await this.#forwarder?.forward({ request, response, expectsGo }))) return;
      if (verdict.kind !== 'paid') return await this.#answer(verdict, ahead, request, response);
      if (expectsGo) response.writeContinue();
      await this.#forwardPaid(request, response, verdict.payment, price, span);
    } finally {
      if (--this.#requests === 0) this.#onIdle();
    }
  }

  #priceOf(request: IncomingMessage, response: ServerResponse): Price | undefined {
    const { routes } = this.#options;
    const target = request.url!;
    const path = routes.isFlat && target.startsWith('/') ? '/' : plainPath(target);
    if (path === undefined) {
      this.#answers.plain(request, response, 400, 'expected a plain path, of which there is one spelling');
      return undefined;
    }
    const price = routes.find(request.method!, path);
    if (price === undefined) {
      this.counters.notFound++;
      this.#answers.plain(request, response, 404, 'there is no such resource');
    }
    return price;
  }

  async #answer(verdict: Unpaid, price: bigint, request: IncomingMessage, response: ServerResponse): Promise<void> {
    switch (verdict.kind) {
      case 'busy':
        return this.#answers.busy(request, response, verdict.detail);
      case 'denied':
        return this.#answers.plain(request, response, 403, verdict.detail);
      case 'done':
        return this.#answers.done(response, verdict);
      case 'refused':
        return this.#answers.refuse(request, response, verdict.refusal, price);
      case 'repeated': {
        const { key, proof, channel } = verdict;
        const reply = await this.#replies.find({ charge: key, proof, request: nameOf(request) });
        if (reply !== undefined) return this.#answers.again(response, reply);
        const detail = 'what this credential pays was charged before; sign a higher amount';
        return this.#answers.refuse(request, response, { problem: 'verification-failed', detail, channel }, price);
      }
    }
  }

  async #forwardFree(request: IncomingMessage, response: ServerResponse, span: Span | undefined): Promise<void> {
    const outcome = await this.#upstream.forward({
      request,
      response,
      headers: [],
      traceparent: span?.traceparent,
      isPlain: false,
      onHead: ({ status, headers }) => {
        response.writeHead(status, headers);
        return undefined;
      },
    });
    this.#count(outcome);
    if (outcome.kind === 'failed') this.#answers.plain(request, response, outcome.status, outcome.reason);
  }

  async #forwardPaid(
    request: IncomingMessage,
    response: ServerResponse,
    payment: Payment,
    price: Price,
    span: Span | undefined,
  ): Promise<void> {
    const recording = recordingOf(this.#replies, nameOf(request), payment);
    const isStream = price.per !== 'request';
    // It was charged and goes nowhere: its client is gone already.
    if (response.destroyed) return await this.#giveBack(payment, recording.drop);
    const outcome = await this.#upstream.forward({
      request,
      response,
      headers: this.#answers.payerHeaders(payment),
      traceparent: span?.traceparent,
      isPlain: price.per === 'event',
      ready: payment.settled?.then(
        (unpaid) => unpaid === undefined,
        () => false,
      ),
      onHead: (head) => {
        const paid = this.#answers.paidHead(head, payment, priceAhead(price));
        if (isStream) return this.#streaming.begin(head, paid, { response, payment, price });
        response.writeHead(paid.status, paid.headers);
        recording.head(paid);
        return undefined;
      },
      onBody: isStream ? undefined : recording.body,
    });
    this.#count(outcome);
    if (outcome.kind === 'answered') return recording.keep();
    if (outcome.kind === 'withheld') return this.#withhold(request, response, payment, recording.drop);
    if (outcome.kind !== 'failed') return recording.drop();
    await this.#giveBack(payment, recording.drop);
    this.#answers.failed(request, response, outcome, payment, priceAhead(price));
  }

  /** The charge was reserved and could not be made: the client gets nothing of the answer, and is told why. */
  async #withhold(
    request: IncomingMessage,
    response: ServerResponse,
    { settled, drops }: Payment,
    drop: () => void,
  ): Promise<void> {
    drop();
    this.counters.withheld++;
    const unpaid = await settled;
    assert(unpaid !== undefined, 'an answer is withheld where it was not paid');
    return await this.#answer(unpaid, drops, request, response);
  }

  async #giveBack(payment: Payment, drop: () => void): Promise<void> {
    drop();
    // What was not made is not given back.
    if ((await payment.settled) !== undefined) return;
    this.counters.refunded++;
    await this.#payments.charging.refund(payment, payment.drops);
  }

  #count(outcome: Outcome): void {
    if (outcome.kind === 'failed') this.counters.upstreamFailed++;
    if (outcome.kind === 'cut') this.counters.upstreamCut++;
    if (outcome.kind === 'gone') this.counters.clientGone++;
  }

  #fail(request: IncomingMessage, response: ServerResponse, error: Error): void {
    this.counters.failed++;
    this.#logger.error(`gateway: ${request.method} ${request.url}: ${error.stack ?? error.message}`);
    if (response.headersSent) response.destroy();
    else this.#answers.plain(request, response, 500, 'the gateway failed at this request');
  }
}

function nameOf({ method, url }: IncomingMessage): string {
  return `${method} ${url}`;
}
