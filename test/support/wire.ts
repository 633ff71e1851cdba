/**
 * A bare UDP peer for tests: signs claims, sends bytes as they are, remembers every ack. Test's thread.
 */

import dgram from 'node:dgram';
import { type Ack, decodeAck } from '../../protocol/ack.ts';
import { claimBytes } from '../../protocol/claim.ts';
import { ACK_BYTES, type ProfileName, STATUS } from '../../protocol/layout.ts';
import { parseHostPort } from '../../src/host-port.ts';
import { testSigner } from './test-signer.ts';

/** An answer that takes this long is taken for lost, and the claim is sent again. */
const AGAIN_MS = 1_000;

const SIGNER = testSigner(new Uint8Array(32).fill(7));

/** What ChannelOpening asks for; the ledger id begins with the handle. */
export function openingOf(
  channelId: bigint,
  fields: { capacity?: bigint; expiresAt?: number; profile?: ProfileName } = {},
) {
  const ledgerChannelId = new Uint8Array(32).fill(0x5a);
  new DataView(ledgerChannelId.buffer).setBigUint64(0, channelId);
  const { capacity = 1_000_000n, expiresAt = 0, profile = 'xrpl' as const } = fields;
  return { channelId, ledgerChannelId, publicKey: SIGNER.publicKey, capacity, profile, expiresAt };
}

/** The same as POST /channels takes it. */
export function openingJson(channelId: bigint, fields: { capacity?: bigint; expiresAt?: number } = {}) {
  const { ledgerChannelId, publicKey, capacity, expiresAt } = openingOf(channelId, fields);
  const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex').toUpperCase();
  return {
    ledgerChannelId: hex(ledgerChannelId),
    publicKey: hex(publicKey),
    capacity: capacity.toString(),
    ...(expiresAt === 0 ? {} : { expiresAt: new Date(expiresAt * 1_000).toISOString() }),
  };
}

/** A signed claim of a channel opened with `openingOf`. */
export function signedClaim(
  channelId: bigint,
  amount: bigint,
  sequence = 1,
  profile: ProfileName = 'xrpl',
): Uint8Array {
  const bytes = claimBytes({ channelId, sequence, amount, signature: new Uint8Array(64), timestamp: Number(amount) });
  SIGNER.signClaim(bytes, 0, openingOf(channelId).ledgerChannelId, profile);
  return bytes;
}

export class WirePeer {
  readonly acks: Ack[] = [];
  readonly #socket: dgram.Socket;
  #arrived: () => void = () => {};

  private constructor(socket: dgram.Socket) {
    this.#socket = socket;
    socket.on('message', (message) => {
      for (let offset = 0; offset < message.length; offset += ACK_BYTES)
        this.acks.push(decodeAck(new DataView(message.buffer, message.byteOffset), offset));
      this.#arrived();
    });
    socket.on('error', () => {});
  }

  /** A peer whose packets go to `address`, `H:P`. */
  static async to(address: string): Promise<WirePeer> {
    const socket = dgram.createSocket('udp4');
    const { host, port } = parseHostPort(address)!;
    await new Promise<void>((resolve) => socket.connect(port, host, resolve));
    return new WirePeer(socket);
  }

  send(bytes: Uint8Array): Promise<void> {
    return new Promise((resolve) => this.#socket.send(bytes, () => resolve()));
  }

  /** The first ack that `is` it, past or to come; sends `again` at once and every second until then. Rejects after `ms`. */
  async ack(is: (ack: Ack) => boolean, again?: Uint8Array, ms = 15_000): Promise<Ack> {
    for (const end = Date.now() + ms; Date.now() <= end; ) {
      const found = this.acks.find(is);
      if (found !== undefined) return found;
      if (again !== undefined) await this.send(again);
      await this.#more(AGAIN_MS, is);
    }
    throw new Error(`expected an ack within ${ms} ms, got none among ${this.acks.length}`);
  }

  /** Sends a claim and waits for the ack with its timestamp, which is the amount, as in `signedClaim`. */
  async ask(claim: Uint8Array): Promise<Ack> {
    this.acks.length = 0;
    const amount = Number(new DataView(claim.buffer).getFloat64(85));
    const isItsAck = (ack: Ack) => ack.timestamp === amount;
    const asked = performance.now();
    const ack = await this.ack(isItsAck, claim);
    // Sent again on a busy machine: ALREADY, which is told on receipt of the copy, may overtake the COMMITTED of the first.
    const isTheFirst = (other: Ack) => isItsAck(other) && other.status === STATUS.COMMITTED;
    if (ack.status === STATUS.ALREADY && performance.now() - asked >= AGAIN_MS) await this.#more(AGAIN_MS, isTheFirst);
    return this.acks.find(isTheFirst) ?? ack;
  }

  /** Resolves once an ack `is` it, or after `ms`. */
  async #more(ms: number, is: (ack: Ack) => boolean): Promise<void> {
    if (this.acks.some(is)) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#arrived = () => {
        if (!this.acks.some(is)) return;
        clearTimeout(timer);
        resolve();
      };
    });
  }

  close(): void {
    this.#socket.close();
  }
}
