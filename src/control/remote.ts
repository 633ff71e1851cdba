/**
 * Control messages from a thread that has sockets to the main thread, over a MessagePort of its own.
 *
 * Runs in the net thread or lane. The number of requests under way and their time are bounded, since the main thread may
 * be busy with a bulk import while peers ask as fast as they like.
 */
import type { MessagePort } from 'node:worker_threads';
import { CONTROL_CODE, type ControlReply, type ControlRequest, refuseControl } from '../../protocol/control.ts';
import type { ControlPort, ControlSession } from '../transport/control-port.ts';

/** Requests under way. Each costs the main thread at most 0.3 ms (a resume's signature), and all of them 20 ms. */
const OUTSTANDING_MAX = 64;
const ANSWER_MS_MAX = 10_000;

/** A request on its way to the main thread. `call` tells the requests of all connections apart. */
export interface ControlCall {
  call: number;
  request: ControlRequest;
  session: ControlSession;
}
export interface ControlResult {
  call: number;
  reply: ControlReply;
}

export class RemoteControl implements ControlPort {
  readonly #port: MessagePort;
  readonly #answerMsMax: number;
  readonly #waiting = new Map<number, (reply: ControlReply) => void>();
  #call = 0;

  /** Owns the port from now on, which keeps no thread alive. */
  constructor(port: MessagePort, answerMsMax: number = ANSWER_MS_MAX) {
    this.#port = port;
    this.#answerMsMax = answerMsMax;
    port.on('message', ({ call, reply }: ControlResult) => this.#waiting.get(call)?.(reply));
    port.unref();
  }

  request(request: ControlRequest, session: ControlSession): Promise<ControlReply> {
    const { id } = request;
    if (this.#waiting.size >= OUTSTANDING_MAX)
      return Promise.resolve(refuseControl(id, CONTROL_CODE.OVERLOADED, 'node: too many requests, try again shortly'));
    const call = this.#call++;
    return new Promise((resolve) => {
      const answer = (reply: ControlReply) => {
        clearTimeout(timer);
        this.#waiting.delete(call);
        resolve(reply);
      };
      const late = refuseControl(id, CONTROL_CODE.TIMED_OUT, `node: no answer within ${this.#answerMsMax} ms`);
      const timer = setTimeout(answer, this.#answerMsMax, late).unref();
      this.#waiting.set(call, answer);
      this.#port.postMessage({ call, request, session } satisfies ControlCall);
    });
  }

  close(): void {
    this.#port.close();
  }
}
