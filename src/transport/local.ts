/**
 * Claims that the node's own program submits: a transport over a MessagePort, in the net thread or the first lane.
 *
 * A ring has one producer, so the main thread cannot write into it. Instead it sends claims here, and they enter the ring
 * as from a connection: while there is room, some of them in a turn. The source of a claim is the number of its call, so
 * its ack finds the way back as any other does. Answers are never dropped, since the main thread bounds the calls.
 */
import type { MessagePort } from 'node:worker_threads';
import { ACK_STATUS, CLAIM_BYTES } from '../../protocol/layout.ts';
import { SOURCE_WORDS } from '../ring/slot.ts';
import { sourceHead } from './source.ts';
import { emptyPacket, type Packet, type StreamSink, TRANSPORT_LOCAL, type Transport } from './transport.ts';

/** Claims handed in between two turns: a quarter of a millisecond. The main thread's calls in flight are not many more. */
const CLAIMS_PER_TURN_MAX = 1_024;
/** The word of a source that has the number of the call; it is also the one that spreads packets. */
const CALL_WORD = 4;

/** Claims back to back, of calls with the numbers from `first` on, u32. */
export interface LocalClaims {
  first: number;
  claims: Uint8Array<ArrayBuffer>;
}
/** Pairs of a call's number and its claim's status. */
export type LocalAnswers = Uint32Array<ArrayBuffer>;

export class LocalTransport implements Transport {
  readonly address = { host: '', port: 0 };
  readonly receiveBufferBytes = 0;
  readonly #port: MessagePort;
  readonly #waiting: (LocalClaims & { view: DataView; next: number })[] = [];
  readonly #source = new Uint32Array(SOURCE_WORDS);
  readonly #packets: Packet[] = [];
  #answers: number[] = [];
  #sink: StreamSink | undefined;
  #begin = () => {};

  /** Owns the port from now on, which keeps no thread alive. */
  constructor(port: MessagePort) {
    this.#port = port;
    this.#source[0] = sourceHead(TRANSPORT_LOCAL, 0);
  }

  startReceiving(sink: StreamSink, onActivity: () => void): void {
    this.#sink = sink;
    this.#begin = onActivity;
    this.#port.on('message', ({ first, claims }: LocalClaims) => {
      this.#waiting.push({ first, claims, view: new DataView(claims.buffer, claims.byteOffset), next: 0 });
      this.resume();
    });
    this.#port.unref();
  }

  /** Hands in what waits, as far as there is room. Called after each turn. */
  resume(): void {
    const sink = this.#sink;
    if (sink === undefined || this.#waiting.length === 0) return;
    let left = Math.min(sink.room, CLAIMS_PER_TURN_MAX);
    if (left > 0) this.#begin();
    for (let batch = this.#waiting[0]; batch !== undefined && left > 0; batch = this.#waiting[0]) {
      const { claims, view, first } = batch;
      for (; batch.next < claims.length && left > 0; batch.next += CLAIM_BYTES, left--) {
        this.#source[CALL_WORD] = first + batch.next / CLAIM_BYTES;
        sink.payload(claims, view, batch.next, CLAIM_BYTES, this.#source);
      }
      if (batch.next >= claims.length) this.#waiting.shift();
    }
  }

  acquire(): Packet {
    const packet = this.#packets.pop() ?? emptyPacket();
    packet.length = 0;
    return packet;
  }
  send(packet: Packet, words: Uint32Array, at: number): void {
    this.#answers.push(words[at + CALL_WORD]!, packet.bytes[ACK_STATUS]!);
    this.#packets.push(packet);
  }
  flush(): void {
    if (this.#answers.length === 0) return;
    const answers: LocalAnswers = Uint32Array.from(this.#answers);
    this.#answers = [];
    this.#port.postMessage(answers, [answers.buffer]);
  }

  stopReceiving(): void {
    this.#sink = undefined;
    this.#waiting.length = 0;
  }
  async close(): Promise<void> {
    this.flush();
    this.#port.close();
  }
}
