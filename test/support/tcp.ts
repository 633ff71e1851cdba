/**
 * A TCP listener over a fake sink, and bare peers that talk to it. Test's thread.
 *
 * The sink answers every claim with an ack, has as much room as the test gives it, and takes turns as a lane does.
 */
import { readFileSync } from 'node:fs';
import net, { type Socket } from 'node:net';
import { join } from 'node:path';
import tls from 'node:tls';
import { type Ack, decodeAck, writeAckOf } from '../../protocol/ack.ts';
import { claimBytes } from '../../protocol/claim.ts';
import { type ControlReply, type ControlRequest, parseControlReply, refuseControl } from '../../protocol/control.ts';
import { decodeControl, encodeControl } from '../../protocol/control-codec.ts';
import { WALK_WHOLE, walkFrames } from '../../protocol/frames.ts';
import { ACK_BYTES, PAYLOAD_CONTROL, STATUS } from '../../protocol/layout.ts';
import { encodeStreamHeader, StreamParser } from '../../protocol/stream.ts';
import { Arena } from '../../src/ring/arena.ts';
import { type CounterName, Counters, readCounters } from '../../src/ring/counters.ts';
import type { ControlPort } from '../../src/transport/control-port.ts';
import { TcpTransport } from '../../src/transport/tcp.ts';
import type { TcpOptions } from '../../src/transport/tcp-options.ts';
import type { StreamSink } from '../../src/transport/transport.ts';

const pem = (name: string) => readFileSync(join(import.meta.dirname, `wire-tls-${name}.pem`), 'utf8');
/** Self-signed, for localhost, valid for a hundred years, for tests alone. */
export const TEST_TLS = { cert: pem('cert'), key: pem('key') };

/** Answers every request with a refusal that names its type. */
const REFUSING: ControlPort = {
  request: async ({ id, type }) => refuseControl(id, 'NOT_HERE', type),
};

/** A claim without a valid signature. */
export function bareClaim(channelId: bigint, sequence: number): Uint8Array {
  const signature = new Uint8Array(64);
  return claimBytes({ channelId, sequence, amount: BigInt(sequence), signature, timestamp: sequence });
}

/** A payload after its length header. */
export function framed(...parts: Uint8Array[]): Uint8Array {
  const payload = Buffer.concat(parts);
  const message = new Uint8Array(4 + payload.length);
  encodeStreamHeader(new DataView(message.buffer), 0, payload.length);
  message.set(payload, 4);
  return message;
}

export async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await new Promise((resolve) => setTimeout(resolve, 2));
}

export class TcpRig implements StreamSink {
  transport!: TcpTransport;
  readonly arena: Arena;
  /** How many claims may still be handed in; each turn sets it to `roomPerTurn`. */
  room = Number.POSITIVE_INFINITY;
  roomPerTurn = Number.POSITIVE_INFINITY;
  /** There are never claims in flight here. */
  readonly slots = Number.MAX_SAFE_INTEGER;
  readonly next = 0;
  readonly committed = 0;
  acksPerClaim = 1;
  /** The sequences received, by channel, in order. */
  readonly taken = new Map<bigint, number[]>();
  claims = 0;
  /** Claims received before a channel's first, by channel. */
  readonly claimsBefore = new Map<bigint, number>();
  /** Claims handed in beyond the room. */
  overfull = 0;
  brokenWalks = 0;
  turns = 0;
  /** Claims handed in since the turn began, and the most there ever were. */
  claimsInTurn = 0;
  claimsInTurnMax = 0;
  /** Channel and number of claims of each payload, in order. */
  readonly visits: { channelId: bigint; claims: number }[] = [];
  /** The last payload's. */
  source: Uint32Array = new Uint32Array(5);
  #isScheduled = false;

  constructor() {
    this.arena = Arena.create({ kernelBytes: 0, rings: 1, ringSlots: 16, ackSlots: 16, threads: 1, channelsMax: 16 });
  }

  static async start(options: Omit<TcpOptions, 'listen'> = {}, control: ControlPort = REFUSING): Promise<TcpRig> {
    const rig = new TcpRig();
    const listen = { host: '127.0.0.1', port: 0 };
    const counters = new Counters(rig.arena, 0);
    rig.transport = await TcpTransport.open({ listen, ...options }, counters, control);
    rig.transport.startReceiving(rig, () => rig.schedule());
    return rig;
  }

  get port(): number {
    return this.transport.address.port;
  }

  counter(name: CounterName): number {
    const [group, reason] = name.split('.') as [string, string | undefined];
    const value = readCounters(this.arena)[group]!;
    return typeof value === 'number' ? value : value[reason!]!;
  }

  schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setImmediate(() => {
      this.#isScheduled = false;
      this.turn();
    });
  }

  /** Makes room, sends answers and reads from waiting connections again, as a lane does. */
  turn(): void {
    this.turns++;
    this.claimsInTurn = 0;
    this.room = this.roomPerTurn;
    this.transport.flush();
    this.transport.resume();
    if (this.transport.turns.waiting > 0 && this.room > 0) this.schedule();
  }

  payload(bytes: Uint8Array, view: DataView, offset: number, length: number, source: Uint32Array): void {
    this.source = source;
    const before = this.claims;
    const claim = (_: Uint8Array, at: number) => {
      this.claims++;
      this.claimsInTurnMax = Math.max(this.claimsInTurnMax, ++this.claimsInTurn);
      if (--this.room < 0) this.overfull++;
      const channelId = view.getBigUint64(at + 1);
      if (!this.claimsBefore.has(channelId)) this.claimsBefore.set(channelId, this.claims - 1);
      const sequences = this.taken.get(channelId) ?? [];
      this.taken.set(channelId, sequences);
      sequences.push(view.getUint32(at + 9));
      if (this.acksPerClaim === 0) return;
      const packet = this.transport.acquire()!;
      for (let count = 0; count < this.acksPerClaim; count++, packet.length += ACK_BYTES)
        writeAckOf(packet.view, packet.length, STATUS.COMMITTED, 0, view.getUint32(at + 17), view, at);
      this.transport.send(packet, source, 0);
    };
    if (walkFrames(bytes, offset, offset + length, { claim, ack: () => {} }) !== WALK_WHOLE) this.brokenWalks++;
    if (this.claims > before)
      this.visits.push({ channelId: view.getBigUint64(offset + 1), claims: this.claims - before });
  }
}

export class TcpPeer {
  readonly socket: Socket;
  readonly acks: Ack[] = [];
  readonly replies: ControlReply[] = [];
  isClosed = false;
  readonly #parser = new StreamParser();

  constructor(socket: Socket) {
    this.socket = socket;
    socket.setNoDelay(true);
    socket.on('error', () => {});
    socket.on('close', () => {
      this.isClosed = true;
    });
    socket.on('data', (chunk: Uint8Array) => this.#parser.push(chunk, this));
  }

  /** Connected, or closed by the node already. */
  static async to(port: number, options: { tls?: boolean } = {}): Promise<TcpPeer> {
    const where = { host: '127.0.0.1', port };
    const socket = options.tls ? tls.connect({ ...where, ca: TEST_TLS.cert }) : net.connect(where);
    const peer = new TcpPeer(socket);
    await new Promise<void>((resolve) => {
      socket.once(options.tls ? 'secureConnect' : 'connect', () => resolve());
      socket.once('close', () => resolve());
    });
    return peer;
  }

  payload(bytes: Uint8Array, start: number, end: number): void {
    if (bytes[start] === PAYLOAD_CONTROL) {
      this.replies.push(parseControlReply(decodeControl(bytes, start + 1, end))!);
      return;
    }
    const view = new DataView(bytes.buffer, bytes.byteOffset);
    for (let offset = start; offset < end; offset += ACK_BYTES) this.acks.push(decodeAck(view, offset));
  }

  write(bytes: Uint8Array): void {
    this.socket.write(bytes);
  }

  /** Sends claims, one payload, and waits for an ack of the last. */
  async ask(channelId: bigint, sequence: number): Promise<void> {
    this.write(framed(bareClaim(channelId, sequence)));
    await until(() => this.isClosed || this.acks.some((ack) => ack.sequence === sequence));
    if (this.isClosed) throw new Error('expected an ack, got a closed connection');
  }

  async control(request: ControlRequest): Promise<ControlReply> {
    this.write(framed(encodeControl(request)));
    await until(() => this.isClosed || this.replies.some(({ id }) => id === request.id));
    return this.replies.find(({ id }) => id === request.id)!;
  }

  closed(): Promise<void> {
    return until(() => this.isClosed);
  }

  close(): void {
    this.socket.destroy();
  }
}
