/**
 * Claims of peers that come by WebSocket or WebRTC: a transport over a MessagePort, in the net thread or a lane.
 *
 * The peers' sockets are in a process of their own (src/web), from which payloads come in batches. They enter the ring as
 * from a connection: while there is room, some of them in a turn. What was taken is told, and that process sends no more
 * than a fixed number of bytes ahead, so nothing here can grow.
 */
import type { MessagePort } from 'node:worker_threads';
import { CLAIM_BYTES } from '../../protocol/layout.ts';
import { SOURCE_WORDS } from '../ring/slot.ts';
import { framesEnd } from './frames-end.ts';
import { sourceHead } from './source.ts';
import { emptyPacket, type Packet, type StreamSink, TRANSPORT_WEB, type Transport } from './transport.ts';
import { BatchWriter, RECORD_HEADER_BYTES } from './web-batch.ts';

/** Payloads of claims, as in web-batch.ts. */
export type WebClaims = Uint8Array<ArrayBuffer>;
/** Bytes of claims that need no room any more, and payloads of acks. */
export interface WebAnswers {
  taken: number;
  acks: Uint8Array<ArrayBuffer>;
}

/** Claims handed in between two turns: a quarter of a millisecond. */
const CLAIMS_PER_TURN_MAX = 1_024;
/** In a source, these words of the address say which peer it is. */
const SOURCE_GENERATION = 3;
const SOURCE_SLOT = 4;

interface Batch {
  bytes: WebClaims;
  view: DataView;
  /** Where its next record begins, or what is left of the one at hand. */
  at: number;
  end: number;
}

export class WebTransport implements Transport {
  readonly address = { host: '', port: 0 };
  readonly receiveBufferBytes = 0;
  readonly #port: MessagePort;
  readonly #waiting: Batch[] = [];
  readonly #source = new Uint32Array(SOURCE_WORDS);
  readonly #packets: Packet[] = [];
  readonly #acks = new BatchWriter();
  #taken = 0;
  #sink: StreamSink | undefined;
  #begin = () => {};

  /** Owns the port from now on, which keeps no thread alive. */
  constructor(port: MessagePort) {
    this.#port = port;
    this.#source[0] = sourceHead(TRANSPORT_WEB, 0);
  }

  startReceiving(sink: StreamSink, onActivity: () => void): void {
    this.#sink = sink;
    this.#begin = onActivity;
    this.#port.on('message', (bytes: WebClaims) => {
      this.#waiting.push({ bytes, view: new DataView(bytes.buffer, bytes.byteOffset, bytes.length), at: 0, end: 0 });
      this.resume();
    });
    this.#port.unref();
  }

  /** Hands in what waits, as far as there is room. Called after each turn. */
  resume(): void {
    const sink = this.#sink;
    if (sink === undefined || this.#waiting.length === 0 || sink.room === 0) return;
    this.#begin();
    let left = CLAIMS_PER_TURN_MAX;
    for (let batch = this.#waiting[0]; batch !== undefined && left > 0; batch = this.#waiting[0]) {
      if (batch.at === batch.bytes.length) {
        this.#taken += batch.bytes.length;
        this.#waiting.shift();
        continue;
      }
      if (batch.at >= batch.end) this.#open(batch);
      const end = framesEnd(batch.bytes, batch.at, batch.end, Math.min(sink.room, left));
      if (end === batch.at) return;
      sink.payload(batch.bytes, batch.view, batch.at, end - batch.at, this.#source);
      // A payload of one byte is as much work as a claim.
      left -= Math.ceil((end - batch.at) / CLAIM_BYTES);
      batch.at = end;
    }
  }

  /** Reads the header of the next record, whose payload is the one at hand from now on. */
  #open(batch: Batch): void {
    this.#source[SOURCE_SLOT] = batch.view.getUint32(batch.at, true);
    this.#source[SOURCE_GENERATION] = batch.view.getUint32(batch.at + 4, true);
    batch.end = batch.at + RECORD_HEADER_BYTES + batch.view.getUint32(batch.at + 8, true);
    batch.at += RECORD_HEADER_BYTES;
  }

  acquire(): Packet {
    const packet = this.#packets.pop() ?? emptyPacket();
    packet.length = 0;
    return packet;
  }
  send(packet: Packet, words: Uint32Array, at: number): void {
    this.#acks.add(words[at + SOURCE_SLOT]!, words[at + SOURCE_GENERATION]!, packet.bytes, 0, packet.length);
    this.#packets.push(packet);
  }
  flush(): void {
    if (this.#taken === 0 && this.#acks.length === 0) return;
    const answers: WebAnswers = { taken: this.#taken, acks: this.#acks.take() };
    this.#taken = 0;
    this.#port.postMessage(answers, [answers.acks.buffer]);
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
