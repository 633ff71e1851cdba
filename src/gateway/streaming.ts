/**
 * An answer that is paid by the byte or by the event. What comes is counted before it goes out; when what was paid for ahead
 * is used up, as much again is charged, and the stream waits for that. What was not used is given back. Main thread.
 */
import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { ClaimwireError } from '../errors.ts';
import type { Charging } from './charging.ts';
import type { GatewayCounters } from './counters.ts';
import { UnitCounter } from './meter-stream.ts';
import { type Price, priceAhead } from './routes.ts';
import { problemText } from './scheme.ts';
import type { AnswerHead } from './upstream.ts';
import type { Payment } from './verdict.ts';

/** The request that streams. */
interface Paying {
  response: ServerResponse;
  payment: Payment;
  price: Price;
}

export class Streaming {
  readonly #charging: Charging;
  readonly #counters: GatewayCounters;
  readonly #topUpMs: number;

  constructor(charging: Charging, counters: GatewayCounters, topUpMs: number) {
    this.#charging = charging;
    this.#counters = counters;
    this.#topUpMs = topUpMs;
  }

  /** Writes the head, and returns what passes the body on. Throws where the events can not be counted. */
  begin(head: AnswerHead, paid: AnswerHead, paying: Paying): (body: IncomingMessage) => Promise<void> {
    const { response, price } = paying;
    const isEvents = price.per === 'event';
    if (isEvents && head.isEventStream && head.isEncoded) throw new Error('its events are compressed');
    // A last event may follow those that were announced.
    const headers = isEvents ? without(paid.headers, 'content-length') : paid.headers;
    response.writeHead(paid.status, headers);
    response.flushHeaders();
    return (body) => this.#pass(body, paying, head);
  }

  async #pass(body: IncomingMessage, paying: Paying, head: AnswerHead): Promise<void> {
    const { response, payment, price } = paying;
    const counter = new UnitCounter(price.per === 'event' && !head.isEventStream ? 'request' : price.per);
    let paidFor = price.ahead;
    const gone = new AbortController();
    const onClose = () => gone.abort(new Error('the client is gone'));
    response.once('close', onClose);
    try {
      for await (const chunk of body as AsyncIterable<Buffer>) {
        for (let rest = chunk; ; ) {
          const bytes = counter.take(rest, paidFor);
          // What is paid for goes out before more is asked for: the client may pay as it reads.
          if (bytes > 0 && !response.write(rest.subarray(0, bytes)))
            await once(response, 'drain', { signal: gone.signal });
          if (response.destroyed) return;
          rest = rest.subarray(bytes);
          if (rest.length === 0) break;
          if (!(await this.#pay(paying, gone.signal))) return this.#end(response, price, counter);
          paidFor += price.ahead;
        }
      }
      response.end();
    } finally {
      response.off('close', onClose);
      // An answer that is none, such as an error, cost nothing by the event; a good one costs one at least.
      const least = head.status >= 200 && head.status <= 299 ? 1 : 0;
      const used = Math.max(Math.min(counter.count, paidFor), least);
      await this.#charging.refund(payment, BigInt(paidFor - used) * price.drops);
    }
  }

  /** Whether as much again was paid. */
  async #pay({ payment, price }: Paying, gone: AbortSignal): Promise<boolean> {
    const drops = priceAhead(price);
    // Held here until the end: Node 20 may collect a signal of AbortSignal.timeout that only AbortSignal.any refers to.
    const wait = new AbortController();
    const end = () => wait.abort(gone.reason);
    const timer = setTimeout(() => wait.abort(new DOMException('no payment in time', 'TimeoutError')), this.#topUpMs);
    gone.addEventListener('abort', end);
    if (gone.aborted) end();
    try {
      await this.#charging.more(payment, drops, wait.signal);
      return true;
    } catch (error) {
      const isLate = error instanceof DOMException && error.name === 'TimeoutError';
      if (!isLate && !(error instanceof ClaimwireError)) throw error;
      this.#counters.streamsUnpaid++;
      return false;
    } finally {
      clearTimeout(timer);
      gone.removeEventListener('abort', end);
    }
  }

  /** The stream's last word, where the client can read one; otherwise it breaks off, so that nobody takes the part for the whole. */
  #end(response: ServerResponse, { per }: Price, counter: UnitCounter): void {
    if (per !== 'event' || !counter.isBetweenEvents) {
      response.destroy();
      return;
    }
    const problem = problemText('payment-required', 'the stream stops here, as nobody paid for more of it');
    response.end(`event: payment-required\ndata: ${problem}\n\n`);
  }
}

function without(headers: readonly string[], name: string): string[] {
  return headers.filter((_, at) => headers[at - (at % 2)]!.toLowerCase() !== name);
}
