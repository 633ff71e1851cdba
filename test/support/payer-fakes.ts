/**
 * For tests of the payer: a clock that is turned by hand, a socket in memory, a UDP node that answers by script.
 */
import { createSocket, type RemoteInfo } from 'node:dgram';
import { once } from 'node:events';
import { type Ack, ackBytes } from '../../protocol/ack.ts';
import { type Claim, decodeClaim } from '../../protocol/claim.ts';
import {
  CLAIM_BYTES,
  MERKLE_LEAF_AMOUNT,
  MERKLE_SIGNATURE,
  MERKLE_TIMESTAMP,
  SIGNATURE_BYTES,
  STATUS,
} from '../../protocol/layout.ts';
import { emptyFrameHead, frameLeafAt, readFrameHead } from '../../protocol/merkle-frame.ts';
import type { PaymentChannel } from '../../src/client/channel.ts';
import type { Clock } from '../../src/client/clock.ts';
import type { Signer } from '../../src/client/keys/signer.ts';
import type { DatagramSocket } from '../../src/client/links/transport-udp.ts';
import type { ClaimAck } from '../../src/client/waiter-queue.ts';

export class ManualClock implements Clock {
  /** Like real ones, a number that f64 milliseconds hold to a microsecond. */
  time = 1_780_000_000_000;
  #timers: { at: number; callback: () => void }[] = [];
  #afterInput: (() => void)[] = [];

  now(): number {
    return this.time;
  }

  after(delayMs: number, callback: () => void): () => void {
    const timer = { at: this.time + delayMs, callback };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer);
    };
  }

  afterInput(callback: () => void): void {
    this.#afterInput.push(callback);
  }

  get pendingTimers(): number {
    return this.#timers.length;
  }

  /** Ends the turn: what waits for ready input to be read runs. */
  turn(): void {
    while (this.#afterInput.length > 0) for (const callback of this.#afterInput.splice(0)) callback();
  }

  /** Lets time pass, timers firing at their times. */
  advance(milliseconds: number): void {
    const end = this.time + milliseconds;
    this.turn();
    for (;;) {
      const next = this.#timers.reduce((first, timer) => (timer.at < first.at ? timer : first), {
        at: Number.POSITIVE_INFINITY,
        callback: () => {},
      });
      if (next.at > end) break;
      this.#timers = this.#timers.filter((timer) => timer !== next);
      this.time = Math.max(this.time, next.at);
      next.callback();
      this.turn();
    }
    this.time = end;
  }
}

export class MemorySocket implements DatagramSocket {
  readonly peer = 'memory';
  readonly datagrams: Uint8Array[] = [];
  closed = false;
  #onMessage: (bytes: Uint8Array) => void = () => {};
  #onError: (error: Error) => void = () => {};

  listen(onMessage: (bytes: Uint8Array) => void, onError: (error: Error) => void): void {
    this.#onMessage = onMessage;
    this.#onError = onError;
  }

  send(bytes: Uint8Array, offset: number, length: number, sent: () => void): void {
    this.datagrams.push(bytes.slice(offset, offset + length));
    sent();
  }

  async close(): Promise<void> {
    this.closed = true;
  }

  /** Claims sent since the last call. */
  takeClaims(): Claim[] {
    return this.datagrams.splice(0).flatMap((bytes) => claimsIn(bytes));
  }

  deliver(...acks: Ack[]): void {
    this.deliverBytes(Buffer.concat(acks.map(ackBytes)));
  }

  deliverBytes(bytes: Uint8Array): void {
    this.#onMessage(bytes);
  }

  fail(error: Error): void {
    this.#onError(error);
  }
}

/** What pay() comes to once the node has said what it holds: for tests of everything that comes after. */
export function payMore(channel: PaymentChannel, drops: bigint): Promise<ClaimAck> {
  return channel.claim(channel.claimed + drops);
}

/** Whether a claim only asks what the node holds: under a signature that nobody can have made. */
export function isQuestion({ signature }: Claim): boolean {
  return signature.every((byte) => byte === 0xff);
}

/** Signs with a constant: for tests of everything but signatures. */
export const stubSigner: Signer = {
  publicKey: new Uint8Array(33),
  signClaim(claim, offset) {
    claim.fill(0x5a, offset + 21, offset + 85);
  },
};

/** The same of a payer that signs roots. */
export const rootSigner: Signer = { ...stubSigner, signMessage: () => new Uint8Array(64).fill(0x5a) };

/** The claims of a message, or the leaves of its one frame of a Merkle batch. */
export function claimsIn(bytes: Uint8Array, start = 0, end = bytes.length): Claim[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const head = emptyFrameHead();
  if (readFrameHead(bytes, start, end, head)) {
    const signature = bytes.slice(start + MERKLE_SIGNATURE, start + MERKLE_SIGNATURE + SIGNATURE_BYTES);
    const timestamp = view.getFloat64(start + MERKLE_TIMESTAMP);
    return Array.from({ length: head.count }, (_, index) => {
      const leaf = frameLeafAt(start, index);
      const [channelId, amount] = [view.getBigUint64(leaf), view.getBigUint64(leaf + MERKLE_LEAF_AMOUNT)];
      return { channelId, sequence: head.sequence, amount, signature, timestamp };
    });
  }
  return Array.from({ length: (end - start) / CLAIM_BYTES }, (_, index) =>
    decodeClaim(view, start + index * CLAIM_BYTES),
  );
}

/** The ack a node sends for a claim that it has committed, or for what `changes` say. */
export function ackOf(claim: Claim, changes: Partial<Ack> = {}): Ack {
  const { sequence, channelId, amount, timestamp } = claim;
  return { status: STATUS.COMMITTED, sequence, channelId, amount, timestamp, ...changes };
}

export interface UdpNode {
  url: string;
  /** Every claim that came, in order. */
  claims: Claim[];
  datagrams: number;
  close(): Promise<void>;
}

type Answer = (claim: Claim, source: RemoteInfo) => Ack | undefined;

/** A UDP socket on loopback that holds nothing, and answers each claim with what `answer` makes of it. */
export async function openUdpNode(answer: Answer, port = 0): Promise<UdpNode> {
  const socket = createSocket('udp4');
  const node: UdpNode = {
    url: '',
    claims: [],
    datagrams: 0,
    async close() {
      const closed = once(socket, 'close');
      socket.close();
      await closed;
    },
  };
  socket.on('message', (bytes, source) => {
    node.datagrams += 1;
    const claims = claimsIn(bytes);
    node.claims.push(...claims.filter((claim) => !isQuestion(claim)));
    const acks = claims
      .map((claim) => {
        const ack = answer(claim, source);
        return ack && isQuestion(claim) ? ackOf(claim, { status: STATUS.BAD_SIGNATURE }) : ack;
      })
      .filter((ack) => ack !== undefined);
    if (acks.length > 0) socket.send(Buffer.concat(acks.map(ackBytes)), source.port, source.address);
  });
  socket.bind(port, '127.0.0.1');
  await once(socket, 'listening');
  node.url = `udp://127.0.0.1:${socket.address().port}`;
  return node;
}
