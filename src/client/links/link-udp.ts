/**
 * UDP, or a socket that carries messages like datagrams (carrier.ts), as a payer's link. At most 15 claims share a datagram, which is sent when it is full or the turn's input is read.
 * UDP has no control messages: requests to the node go by TCP, if there is a link for it. The other sockets have them.
 *
 * Runs on the payer's thread and owns the datagram buffers, which are used again once the socket is done with them.
 */
import { copyClaim } from '../../../protocol/claim.ts';
import { CLAIM_BYTES, CLAIMS_PER_DATAGRAM_MAX, MERKLE_FRAME_BYTES_MAX } from '../../../protocol/layout.ts';
import type { Clock } from '../clock.ts';
import type { ControlLink, LinkReceiver, LinkStats, PeerLink } from './peer-link.ts';
import type { DatagramSocket } from './transport-udp.ts';

/** Buffers kept for reuse; more are in use only while the socket's queue is long. */
const POOL_MAX = 64;

interface Packet {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  claims: number;
  /** The socket's callback for each send; made once. */
  readonly sent: (error?: Error | null) => void;
}

export class UdpLink implements PeerLink {
  readonly #socket: DatagramSocket;
  readonly #clock: Clock;
  readonly #transport: LinkStats['transport'];
  readonly #control: ControlLink | undefined;
  readonly ask: ControlLink['ask'] | undefined;
  readonly #pool: Packet[] = [];
  readonly #flush = (): void => {
    this.#flushScheduled = false;
    this.#sendOpen();
  };
  #receiver: LinkReceiver | undefined;
  #controlListens = false;
  #open: Packet | undefined;
  #flushScheduled = false;
  #closed = false;
  #datagramsSent = 0;

  /** @param control carries only `ask`; it is opened by the first request, and closed with this link */
  constructor(socket: DatagramSocket, clock: Clock, control?: ControlLink, transport: LinkStats['transport'] = 'udp') {
    this.#socket = socket;
    this.#transport = transport;
    this.#clock = clock;
    this.#control = control;
    this.ask = socket.ask?.bind(socket);
    if (control === undefined) return;
    this.ask = async (request) => {
      if (!this.#controlListens) control.listen(this.#receiver!);
      this.#controlListens = true;
      return await control.ask(request);
    };
  }

  get peer(): string {
    return this.#socket.peer;
  }

  listen(receiver: LinkReceiver): void {
    this.#receiver = receiver;
    this.#socket.listen(
      (bytes, start = 0, end = bytes.length) => receiver.message(bytes, start, end),
      (error) => receiver.fault(error),
      () => receiver.resendAll(),
    );
  }

  /** Always true: no other payer shares this socket. */
  open(): boolean {
    return true;
  }

  send(claims: DataView, offset: number): boolean {
    this.#open ??= this.#pool.pop() ?? this.#newPacket();
    const packet = this.#open;
    copyClaim(claims, offset, packet.view, packet.claims * CLAIM_BYTES);
    packet.claims += 1;
    if (packet.claims === CLAIMS_PER_DATAGRAM_MAX) this.#sendOpen();
    else if (!this.#flushScheduled) {
      this.#flushScheduled = true;
      this.#clock.afterInput(this.#flush);
    }
    return true;
  }

  /** In a datagram of its own: a node without Merkle batches drops what follows such a frame. */
  sendFrame(bytes: Uint8Array, offset: number, size: number): boolean {
    const packet = this.#pool.pop() ?? this.#newPacket();
    packet.bytes.set(bytes.subarray(offset, offset + size));
    this.#datagramsSent += 1;
    this.#socket.send(packet.bytes, 0, size, packet.sent);
    return true;
  }

  stats(): LinkStats {
    return { transport: this.#transport, transportSwitches: 0, datagramsSent: this.#datagramsSent };
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#open = undefined;
    await Promise.all([this.#socket.close(), this.#control?.close()]);
  }

  #sendOpen(): void {
    const packet = this.#open;
    if (packet === undefined) return;
    this.#open = undefined;
    this.#datagramsSent += 1;
    this.#socket.send(packet.bytes, 0, packet.claims * CLAIM_BYTES, packet.sent);
  }

  #newPacket(): Packet {
    const bytes = new Uint8Array(Math.max(CLAIMS_PER_DATAGRAM_MAX * CLAIM_BYTES, MERKLE_FRAME_BYTES_MAX));
    const packet: Packet = {
      bytes,
      view: new DataView(bytes.buffer),
      claims: 0,
      sent: (error) => {
        if (error && !this.#closed) this.#receiver?.fault(error);
        packet.claims = 0;
        if (this.#pool.length < POOL_MAX) this.#pool.push(packet);
      },
    };
    return packet;
  }
}
