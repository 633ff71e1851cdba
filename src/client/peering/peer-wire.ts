/**
 * One connection between two nodes that pay each other, split into two ordinary ones: ours as a payer of the peer's node,
 * and the peer's as a payer of our node. Payer's thread.
 *
 *   peer ══ claims, requests ══► our node        (by a connection to it that is opened for this one)
 *        ◄═ acks, replies ══════
 *        ══ acks, replies ═════► our payer       (PayerEnd, which its pool takes for a socket)
 *        ◄═ claims, requests ═══
 *
 * Each message says by itself which half it belongs to. The node judges what the peer sends as it does any payer's. The
 * operator's requests are not passed on: to the node they would seem to come from this machine.
 */
import { Duplex } from 'node:stream';
import { isBestClaimResult, refuseControl } from '../../../protocol/control.ts';
import { decodeControl, encodeControl, readControlId } from '../../../protocol/control-codec.ts';
import { type FrameSink, walkFrames } from '../../../protocol/frames.ts';
import { ACK_BYTES, CLAIM_BYTES, PAYLOAD_CONTROL, STREAM_HEADER_BYTES } from '../../../protocol/layout.ts';
import { encodeStreamHeader, STREAM_SOUND, StreamParser } from '../../../protocol/stream.ts';
import type { Connect } from '../pool/connection.ts';

export interface WireOwner {
  /** The connection to our node; opened when the peer sends something for it. */
  readonly connectNode: Connect;
  /** The peer has proved to our node that it holds the key of this channel. */
  proved(wire: PeerWire, channelId: bigint): void;
  /** A request that only the operator may make was refused. */
  refused(): void;
  /** Called once. */
  gone(wire: PeerWire): void;
}

/** What a pool takes for its socket. Until it has a wire it only waits; what it carries is whole messages. */
export class PayerEnd extends Duplex {
  wire: PeerWire | undefined;

  override _read(): void {}

  override _write(bytes: Uint8Array, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    if (this.wire === undefined) done(new Error('expected a connection to the peer, got none yet'));
    else this.wire.write(bytes, done);
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.wire?.destroy();
    done(error);
  }
}

export class PeerWire implements FrameSink {
  /** Replies that come before there is a payer: to the questions by which we prove ourselves. */
  onReply: (bytes: Uint8Array, start: number, end: number) => void = () => {};
  readonly #peer: Duplex;
  readonly #owner: WireOwner;
  #node: Duplex | undefined;
  #payer: PayerEnd | undefined;
  #destroyed = false;
  /** Of the payload that is walked: the frames in `[#runStart, #runEnd)` are all claims, or all acks. */
  #bytes: Uint8Array = new Uint8Array(0);
  #runStart = 0;
  #runEnd = 0;
  #runIsClaims = false;

  /** @param peer a connection that is up, or will be */
  constructor(peer: Duplex, owner: WireOwner) {
    this.#peer = peer;
    this.#owner = owner;
    this.#read(peer, (bytes, start, end) => this.#fromPeer(bytes, start, end));
    peer.on('drain', () => this.#node?.resume());
  }

  get isDestroyed(): boolean {
    return this.#destroyed;
  }
  get hasPayer(): boolean {
    return this.#payer !== undefined;
  }

  /** From now on the peer is paid by this wire. The caller emits what tells the pool that its socket is up. */
  attach(payer: PayerEnd): void {
    payer.wire = this;
    this.#payer = payer;
  }

  /** Sends whole messages to the peer. */
  write(bytes: Uint8Array, done?: (error?: Error | null) => void): boolean {
    return this.#peer.write(bytes, done);
  }

  /** Ends both halves: what was under way is lost, and is sent again on the next connection. */
  destroy(): void {
    if (this.#destroyed) return;
    this.#destroyed = true;
    this.#peer.destroy();
    this.#node?.destroy();
    this.#payer?.destroy(new Error('connection to the peer lost'));
    this.#owner.gone(this);
  }

  #read(from: Duplex, payload: (bytes: Uint8Array, start: number, end: number) => void): void {
    const parser = new StreamParser();
    from.on('data', (chunk: Uint8Array) => {
      if (!this.#destroyed && parser.push(chunk, { payload }) !== STREAM_SOUND) this.destroy();
    });
    from.on('error', () => {});
    for (const end of ['end', 'close'] as const) from.on(end, () => this.destroy());
  }

  #fromPeer(bytes: Uint8Array, start: number, end: number): void {
    if (this.#destroyed) return;
    if (bytes[start] === PAYLOAD_CONTROL) {
      this.#control(bytes, start, end);
      return;
    }
    this.#bytes = bytes;
    this.#runStart = start;
    this.#runEnd = start;
    walkFrames(bytes, start, end, this);
    this.#passRun();
  }

  /** Called by the walk. */
  claim(_bytes: Uint8Array, offset: number): void {
    this.#frame(offset, CLAIM_BYTES, true);
  }

  /** Called by the walk. */
  ack(_bytes: Uint8Array, offset: number): void {
    this.#frame(offset, ACK_BYTES, false);
  }

  #frame(offset: number, length: number, isClaim: boolean): void {
    if (isClaim !== this.#runIsClaims) {
      this.#passRun();
      this.#runStart = offset;
      this.#runIsClaims = isClaim;
    }
    this.#runEnd = offset + length;
  }

  #passRun(): void {
    if (this.#runEnd === this.#runStart) return;
    const message = framed(this.#bytes, this.#runStart, this.#runEnd);
    this.#runStart = this.#runEnd;
    if (this.#runIsClaims) this.#toNode(message);
    else this.#payer?.push(message);
  }

  #control(bytes: Uint8Array, start: number, end: number): void {
    const value = decodeControl(bytes, start + 1, end);
    const isMap = typeof value === 'object' && value !== null;
    if (isMap && 'ok' in value) {
      if (this.#payer === undefined) this.onReply(bytes, start + 1, end);
      else this.#payer.push(framed(bytes, start, end));
    } else if (isMap && 'token' in value) {
      this.#owner.refused();
      const message = 'connection: expected the operator at the node itself, got a peer';
      const refusal = refuseControl(readControlId(bytes, start + 1, end), 'UNAUTHORIZED', message);
      const payload = encodeControl(refusal);
      // A peer that asks and does not read would fill the memory.
      if (!this.write(framed(payload, 0, payload.length))) this.destroy();
    } else this.#toNode(framed(bytes, start, end));
  }

  #toNode(message: Uint8Array): void {
    if (this.#destroyed) return;
    this.#node ??= this.#openNode();
    // What the node has no room for is left with the peer.
    if (!this.#node.write(message)) this.#peer.pause();
  }

  #openNode(): Duplex {
    const { socket } = this.#owner.connectNode();
    socket.on('drain', () => this.#peer.resume());
    this.#read(socket, (bytes, start, end) => {
      if (this.#destroyed) return;
      if (!this.write(framed(bytes, start, end))) socket.pause();
      if (this.#payer === undefined && bytes[start] === PAYLOAD_CONTROL) this.#seeReply(bytes, start + 1, end);
    });
    return socket;
  }

  /** Of the requests that are passed on, only `resume` is answered by a best claim, and only with its key's signature. */
  #seeReply(bytes: Uint8Array, start: number, end: number): void {
    const value = (decodeControl(bytes, start, end) ?? {}) as Record<string, unknown>;
    if (value.ok === true && isBestClaimResult(value)) this.#owner.proved(this, BigInt(value.channelId));
  }
}

/** A copy of a payload as a message. */
export function framed(bytes: Uint8Array, start: number, end: number): Uint8Array {
  const message = new Uint8Array(STREAM_HEADER_BYTES + end - start);
  encodeStreamHeader(new DataView(message.buffer), 0, end - start);
  message.set(bytes.subarray(start, end), STREAM_HEADER_BYTES);
  return message;
}
