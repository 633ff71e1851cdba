/** The answers that the gateway itself gives, and what it adds to those of the service. Main thread. */
import { type IncomingMessage, type ServerResponse, STATUS_CODES } from 'node:http';
import { upperHex } from '../channel/parse.ts';
import type { Channel } from '../channel/row.ts';
import type { Challenges } from './challenges.ts';
import type { GatewayCounters } from './counters.ts';
import type { StoredReply } from './replies.ts';
import { problemText, receiptText } from './scheme.ts';
import type { AnswerHead } from './upstream.ts';
import type { Payment, Refusal } from './verdict.ts';

const CACHE_CONTROL = 'cache-control';
const PROBLEM = 'application/problem+json';
const RETRY_SECONDS = '1';
/** What a client may go on sending after an answer that did not wait for its body. */
const LINGER_MS = 1_000;

export class Answers {
  readonly #challenges: Challenges;
  readonly #counters: GatewayCounters;
  readonly #baseOf: (channel: Channel) => bigint;

  /** @param baseOf the drops that a channel's next voucher counts from */
  constructor(challenges: Challenges, counters: GatewayCounters, baseOf: (channel: Channel) => bigint) {
    this.#challenges = challenges;
    this.#counters = counters;
    this.#baseOf = baseOf;
  }

  /** 402 with a fresh challenge. Drops spent are told to nobody but the channel's own payer. */
  refuse(
    request: IncomingMessage,
    response: ServerResponse,
    { problem, detail, channel }: Refusal,
    price: bigint,
  ): void {
    this.#counters.problems[problem]++;
    const challenge = this.#challenge(price, channel);
    const body = problemText(problem, detail, challenge.id);
    send(request, response, 402, body, [
      ...['WWW-Authenticate', challenge.text, 'WWW-Authenticate', this.#challenges.sessionText()],
      ...['Cache-Control', 'no-store', 'Content-Type', PROBLEM],
    ]);
  }

  plain(request: IncomingMessage, response: ServerResponse, status: number, detail: string): void {
    const body = JSON.stringify({ type: 'about:blank', title: STATUS_CODES[status], status, detail });
    send(request, response, status, body, ['Cache-Control', 'no-store', 'Content-Type', PROBLEM]);
  }

  busy(request: IncomingMessage, response: ServerResponse, detail = 'try again shortly'): void {
    this.#counters.busy++;
    const body = JSON.stringify({ type: 'about:blank', title: 'Busy', status: 503, detail });
    send(request, response, 503, body, ['Retry-After', RETRY_SECONDS, 'Content-Type', PROBLEM]);
  }

  /** The service did not answer, and the charge was taken back: the next challenge counts without it. */
  failed(
    request: IncomingMessage,
    response: ServerResponse,
    { status, reason }: { status: number; reason: string },
    { channel, id }: Payment,
    price: bigint,
  ): void {
    const challenge = this.#challenges.issue(price, id, this.#baseOf(channel));
    const detail = `${reason}; nothing was charged`;
    const body = JSON.stringify({ type: 'about:blank', title: STATUS_CODES[status], status, detail });
    const headers = ['WWW-Authenticate', challenge.text, 'Cache-Control', 'no-store', 'Content-Type', PROBLEM];
    send(request, response, status, body, headers);
  }

  /** A channel was closed. */
  done(
    response: ServerResponse,
    { channel, cumulative, body }: { channel: Channel; cumulative: bigint; body: object },
  ): void {
    this.#counters.closed++;
    const receipt = receiptText(upperHex(channel.ledgerChannelId), cumulative, new Date().toISOString());
    const headers = ['Payment-Receipt', receipt, 'Cache-Control', 'private', 'Content-Type', 'application/json'];
    send(undefined, response, 200, JSON.stringify(body), headers);
  }

  again(response: ServerResponse, { status, headers, body }: StoredReply): void {
    this.#counters.replayed++;
    response.writeHead(status, headers).end(body);
  }

  /** The service's answer with what a paying client needs: the receipt, and the challenge for its next request. */
  paidHead(head: AnswerHead, payment: Payment, price: bigint): AnswerHead {
    const { status, headers, isEventStream, isEncoded } = head;
    if (status < 200 || status > 299) return head;
    const { id } = payment;
    const paid = privately(headers);
    paid.push('Payment-Receipt', receiptText(id, payment.spent, new Date().toISOString(), payment.challengeId));
    if (payment.by === 'voucher') paid.push('WWW-Authenticate', this.#challenges.issue(price, id, payment.spent).text);
    return { status, headers: paid, isEventStream, isEncoded };
  }

  /** Who paid, for the service. */
  payerHeaders({ id, drops }: Payment): string[] {
    return ['payment-channel', id, 'payment-drops', String(drops)];
  }

  #challenge(price: bigint, channel: Channel | undefined): { id: string; text: string } {
    if (channel === undefined) return this.#challenges.issue(price, '', 0n);
    return this.#challenges.issue(price, upperHex(channel.ledgerChannelId), this.#baseOf(channel));
  }
}

/** Answers without the service. Where the client still sends its body, the connection ends after a moment. */
function send(
  request: IncomingMessage | undefined,
  response: ServerResponse,
  status: number,
  body: string,
  headers: string[],
): void {
  if (response.headersSent || response.destroyed) {
    response.destroy();
    return;
  }
  const isHead = request?.method === 'HEAD';
  const hasMore = request !== undefined && !request.complete && hasBody(request);
  const framed = headers.concat('Content-Length', String(Buffer.byteLength(body)));
  if (hasMore) framed.push('Connection', 'close');
  response.writeHead(status, framed).end(isHead ? undefined : body);
  if (!hasMore) return;
  const { socket } = request;
  response.on('finish', () => {
    request.resume();
    setTimeout(() => socket.destroy(), LINGER_MS).unref();
  });
}

function hasBody({ headers }: IncomingMessage): boolean {
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;
}

/** A copy of the headers: what was paid for is no shared cache's to give to others. */
function privately(headers: readonly string[]): string[] {
  const copy = [...headers];
  for (let at = 0; at < copy.length; at += 2) {
    const name = copy[at]!;
    if (name.length !== CACHE_CONTROL.length || name.toLowerCase() !== CACHE_CONTROL) continue;
    const value = copy[at + 1]!;
    const isPrivate = value.split(',').some((directive) => directive.trim().toLowerCase() === 'private');
    if (!isPrivate) copy[at + 1] = `${value}, private`;
    return copy;
  }
  copy.push('Cache-Control', 'private');
  return copy;
}
