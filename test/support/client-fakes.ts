/** Sockets in memory for tests of the pool: connections come up, stall, answer and end when the test says so. */
import type { Socket } from 'node:net';
import { Duplex } from 'node:stream';
import { type Ack, ackBytes } from '../../protocol/ack.ts';
import type { Claim } from '../../protocol/claim.ts';
import { decodeControl, encodeControl } from '../../protocol/control-codec.ts';
import { PAYLOAD_CONTROL } from '../../protocol/layout.ts';
import { StreamParser } from '../../protocol/stream.ts';
import type { Connect } from '../../src/client/pool/connection.ts';
import { framed, NONCE } from './client-node.ts';
import { ackOf, claimsIn, type ManualClock } from './payer-fakes.ts';

export class FakeSocket extends Duplex {
  readonly claims: Claim[] = [];
  readonly controls: Record<string, unknown>[] = [];
  /** Reads no bytes until `drain()`. */
  stalled = false;
  answersHello = true;
  readonly #parser = new StreamParser();
  #finishWrite: (() => void) | undefined;

  override _read(): void {}

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.#parser.push(chunk, { payload: (bytes, start, end) => this.#payload(bytes, start, end) });
    if (this.stalled) this.#finishWrite = done;
    else done();
  }

  up(): void {
    this.emit('connect');
  }

  refuse(code = 'ECONNREFUSED'): void {
    this.destroy(Object.assign(new Error('connect'), { code }));
  }

  takeClaims(): Claim[] {
    return this.claims.splice(0);
  }

  answer(...acks: Ack[]): void {
    this.push(framed(Buffer.concat(acks.map(ackBytes))));
  }

  /** Acknowledges all that came since. */
  commit(): number {
    const claims = this.takeClaims();
    if (claims.length > 0) this.answer(...claims.map((claim) => ackOf(claim)));
    return claims.length;
  }

  drain(): void {
    this.stalled = false;
    const finish = this.#finishWrite;
    this.#finishWrite = undefined;
    finish?.();
  }

  #payload(bytes: Uint8Array, start: number, end: number): void {
    if (bytes[start] !== PAYLOAD_CONTROL) {
      this.claims.push(...claimsIn(bytes, start, end));
      return;
    }
    const request = decodeControl(bytes, start + 1, end) as Record<string, unknown> & { id: number };
    this.controls.push(request);
    if (!this.answersHello) return;
    const hello = { version: 1, server: 'fake', nonce: NONCE, profiles: [], transports: {}, limits: {} };
    this.push(framed(encodeControl({ id: request.id, ok: true, ...hello })));
  }
}

/** The sockets a pool has opened, and the turns that make their events happen. */
export class FakeNetwork {
  readonly sockets: FakeSocket[] = [];
  readonly #clock: ManualClock;
  readonly connect: Connect = () => {
    const socket = new FakeSocket();
    this.sockets.push(socket);
    return { socket: socket as unknown as Socket, upEvent: 'connect' };
  };

  constructor(clock: ManualClock) {
    this.#clock = clock;
  }

  get open(): FakeSocket[] {
    return this.sockets.filter(({ destroyed }) => !destroyed);
  }

  /** Lets streams and turns run until nothing is left to do. */
  async settle(): Promise<void> {
    for (let turn = 0; turn < 4; turn += 1) {
      this.#clock.turn();
      await new Promise((resolve) => setImmediate(resolve));
    }
    this.#clock.turn();
  }

  async advance(milliseconds: number): Promise<void> {
    for (let left = milliseconds; left > 0; left -= 50) {
      this.#clock.advance(Math.min(left, 50));
      await this.settle();
    }
  }
}
