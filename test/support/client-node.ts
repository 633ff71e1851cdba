/**
 * A model node for tests of the payer: TCP, TLS and UDP on one loopback port. It keeps the best amount of each channel and
 * then sends an ack. It is slow and simple, and each test decides how it misbehaves.
 */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import net, { type AddressInfo, type Socket } from 'node:net';
import tls from 'node:tls';
import { ackBytes } from '../../protocol/ack.ts';
import type { Claim } from '../../protocol/claim.ts';
import { decodeControl, encodeControl } from '../../protocol/control-codec.ts';
import { PAYLOAD_CONTROL, STATUS, STREAM_HEADER_BYTES } from '../../protocol/layout.ts';
import { StreamParser } from '../../protocol/stream.ts';
import { ackOf, claimsIn, isQuestion } from './payer-fakes.ts';

export const NONCE = '00112233445566778899aabbccddeeff';

export interface NodePlan {
  port?: number;
  tls?: { cert: string; key: string };
  /** Whether there is UDP on the port; muted, it is bound and never answers. Default false. */
  udp?: boolean;
  /** Is given each connection; returns true to let it speak the protocol. */
  onConnection?: (socket: Socket, index: number) => boolean;
  /** Bytes after which a connection is cut, read or written; infinity for never. */
  cutAfter?: () => { read: number; written: number };
  /** Called before claims are kept; their acks leave when it resolves. */
  beforeAck?: (claims: Claim[]) => Promise<void>;
  control?: (request: Record<string, unknown>) => Record<string, unknown>;
}

export class ModelNode {
  readonly best = new Map<bigint, bigint>();
  /** Distinct claims kept: amounts that raised a channel's best. */
  kept = 0;
  received = 0;
  questions = 0;
  byUdp = 0;
  connections = 0;
  cuts = 0;
  udpMuted = false;
  controls: Record<string, unknown>[] = [];
  port = 0;
  readonly #plan: NodePlan;
  readonly #sockets = new Set<Socket>();
  #server: net.Server | undefined;
  #udp: ReturnType<typeof createSocket> | undefined;

  constructor(plan: NodePlan) {
    this.#plan = plan;
  }

  static async open(plan: NodePlan = {}): Promise<ModelNode> {
    const node = new ModelNode(plan);
    await node.#listen();
    return node;
  }

  url(scheme: 'udp' | 'tcp' | 'tls' | 'auto', host = '127.0.0.1'): string {
    return `${scheme}://${host}:${this.port}`;
  }

  /** Stops listening for TCP, and cuts the open connections. */
  async closeTcp(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    const server = this.#server;
    this.#server = undefined;
    if (server === undefined) return;
    await new Promise((resolve) => server.close(resolve));
  }

  async close(): Promise<void> {
    await this.closeTcp();
    const udp = this.#udp;
    if (udp === undefined) return;
    const closed = once(udp, 'close');
    udp.close();
    await closed;
  }

  async #listen(): Promise<void> {
    const { tls: pair, port = 0, udp = false } = this.#plan;
    const server = pair ? tls.createServer(pair) : net.createServer({ noDelay: true });
    server.on(pair ? 'secureConnection' : 'connection', (socket: Socket) => this.#connection(socket));
    server.on('tlsClientError', () => {});
    this.#server = server;
    server.listen(port, '127.0.0.1');
    await once(server, 'listening');
    this.port = (server.address() as AddressInfo).port;
    if (!udp) return;
    const socket = createSocket('udp4');
    this.#udp = socket;
    socket.on('message', (bytes, source) => {
      if (this.udpMuted) return;
      const acks = this.#keep(claimsIn(bytes, 0, bytes.length));
      this.byUdp += 1;
      socket.send(Buffer.concat(acks), source.port, source.address);
    });
    socket.bind(this.port, '127.0.0.1');
    await once(socket, 'listening');
  }

  #connection(socket: Socket): void {
    const index = this.connections++;
    this.#sockets.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => this.#sockets.delete(socket));
    if (!(this.#plan.onConnection?.(socket, index) ?? true)) return;
    const parser = new StreamParser();
    let { read, written } = this.#plan.cutAfter?.() ?? {
      read: Number.POSITIVE_INFINITY,
      written: Number.POSITIVE_INFINITY,
    };
    const cut = (): void => {
      if (socket.destroyed) return;
      this.cuts += 1;
      socket.destroy();
    };
    const write = (payload: Uint8Array): void => {
      if (socket.destroyed || written <= 0) return;
      const bytes = framed(payload);
      written -= bytes.length;
      if (written > 0) socket.write(bytes);
      else socket.write(bytes.subarray(0, bytes.length + written), cut);
    };
    const payload = (bytes: Uint8Array, start: number, end: number): void => {
      if (bytes[start] === PAYLOAD_CONTROL) write(this.#answer(bytes, start + 1, end));
      else void this.#claims(claimsIn(bytes, start, end), write);
    };
    socket.on('data', (chunk) => {
      const taken = Math.min(chunk.length, read);
      read -= taken;
      parser.push(chunk.subarray(0, taken), { payload });
      if (read === 0) cut();
    });
  }

  async #claims(claims: Claim[], write: (payload: Uint8Array) => void): Promise<void> {
    if (this.#plan.beforeAck !== undefined) await this.#plan.beforeAck(claims);
    write(Buffer.concat(this.#keep(claims)));
  }

  #keep(claims: Claim[]): Uint8Array[] {
    return claims.map((claim) => {
      const before = this.best.get(claim.channelId) ?? 0n;
      if (isQuestion(claim)) this.questions += 1;
      else this.received += 1;
      if (claim.amount <= before) return ackBytes(ackOf(claim, { status: STATUS.ALREADY }));
      if (isQuestion(claim)) return ackBytes(ackOf(claim, { status: STATUS.BAD_SIGNATURE }));
      this.kept += 1;
      this.best.set(claim.channelId, claim.amount);
      return ackBytes(ackOf(claim));
    });
  }

  #answer(bytes: Uint8Array, start: number, end: number): Uint8Array {
    const request = decodeControl(bytes, start, end) as Record<string, unknown> & { id: number };
    this.controls.push(request);
    const hello = { version: 1, server: 'model', nonce: NONCE, profiles: ['xrpl'], transports: {}, limits: {} };
    const answer = request.type === 'hello' ? { ok: true, ...hello } : this.#plan.control!(request);
    return encodeControl({ ...answer, id: request.id } as Parameters<typeof encodeControl>[0]);
  }
}

export function framed(payload: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(STREAM_HEADER_BYTES + payload.length);
  new DataView(bytes.buffer).setUint32(0, payload.length);
  bytes.set(payload, STREAM_HEADER_BYTES);
  return bytes;
}

export function ledgerId(number: number): Uint8Array {
  const id = new Uint8Array(32).fill(0xee);
  new DataView(id.buffer).setUint32(4, number);
  return id;
}

/** Numbers in [0, 1) from a seed. */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

export async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await new Promise((resolve) => setTimeout(resolve, 2));
}
