/**
 * One end of the wire, as the conformance suite sees it: it sends payloads and receives acks, without resending.
 *
 * It is written from protocol/README.md, without src/client and protocol's codec, so that it does not share their faults.
 * Test's thread.
 */
export interface WireAck {
  status: number;
  sequence: number;
  channelId: bigint;
  amount: bigint;
  timestampBits: bigint;
}

export interface Wire {
  readonly inbox: AckInbox;
  /** False once either end has closed it. */
  readonly isOpen: boolean;
  /** One payload, frames back to back. Resolves when the system has taken it, or the wire is closed. */
  send(payload: Uint8Array): Promise<void>;
  close(): void;
}

/** A wire that is a stream of bytes, which may be written as they are, without a length before them. */
export interface StreamWire extends Wire {
  write(bytes: Uint8Array): Promise<void>;
  /** A control message's MessagePack bytes, and those of the next reply that comes. Rejects when none does. */
  control(message: Uint8Array): Promise<Uint8Array>;
  /** Resolves when the connection is gone, whoever closed it. */
  readonly closed: Promise<void>;
}

/** Status names of the specification's table. */
export const COMMITTED = 0;
export const ALREADY = 1;
export const UNKNOWN_CHANNEL = 16;
export const BAD_SIGNATURE = 17;
export const OVER_CAPACITY = 18;
export const CHANNEL_CLOSED = 19;
export const BAD_AMOUNT = 20;
export const OVERLOADED = 21;
export const BAD_SEQUENCE = 22;
export const ROOT_EXPOSURE = 24;

const ACK_SIZE = 32;
const ACK_TYPE = 2;
/** What fits an Ethernet frame over IPv6: 45 acks. */
const ACKS_MAX = 45;

export class AckInbox {
  readonly acks: WireAck[] = [];
  /** What came that no node may send. */
  readonly faults: string[] = [];
  /** Called with every ack as it comes. */
  onAck: (ack: WireAck) => void = () => {};
  #arrived: () => void = () => {};

  /** A payload that came. */
  payload(bytes: Uint8Array): void {
    if (bytes.length === 0 || bytes.length % ACK_SIZE !== 0 || bytes.length > ACKS_MAX * ACK_SIZE)
      this.faults.push(`a payload of ${bytes.length} bytes`);
    for (let offset = 0; offset + ACK_SIZE <= bytes.length; offset += ACK_SIZE) this.#take(bytes, offset);
    this.#arrived();
  }

  fault(what: string): void {
    this.faults.push(what);
    this.#arrived();
  }

  /** The first ack that `is` it, past or to come, but for the first `from`; undefined after `ms`. */
  async first(is: (ack: WireAck) => boolean, ms: number, from = 0): Promise<WireAck | undefined> {
    const end = performance.now() + ms;
    for (let next = from; ; ) {
      // Each is looked at once, however many come before the one.
      for (; next < this.acks.length; next++) if (is(this.acks[next]!)) return this.acks[next];
      const left = end - performance.now();
      if (left <= 0) return undefined;
      await this.more(left);
    }
  }

  /** Resolves when something comes, or after `ms`. */
  more(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#arrived = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  #take(bytes: Uint8Array, offset: number): void {
    const view = new DataView(bytes.buffer, bytes.byteOffset + offset, ACK_SIZE);
    if (view.getUint8(0) !== ACK_TYPE) this.faults.push(`a frame of type ${view.getUint8(0)}`);
    if (view.getUint16(2) !== 0) this.faults.push(`reserved bits ${view.getUint16(2)}`);
    const ack = {
      status: view.getUint8(1),
      sequence: view.getUint32(4),
      channelId: view.getBigUint64(8),
      amount: view.getBigUint64(16),
      timestampBits: view.getBigUint64(24),
    };
    this.acks.push(ack);
    this.onAck(ack);
  }
}
