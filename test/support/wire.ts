/**
 * A bare UDP peer for tests: signs claims, sends bytes as they are, remembers every ack. Test's thread.
 */

import dgram from 'node:dgram';
import { type Ack, decodeAck } from '../../protocol/ack.ts';
import { claimBytes } from '../../protocol/claim.ts';
import { ACK_BYTES, type ProfileName } from '../../protocol/layout.ts';
import { parseHostPort } from '../../src/host-port.ts';
import { testSigner } from './test-signer.ts';

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

  /** The first ack that `is` it, past or to come; sends `again` every 200 ms until then. Rejects after `ms`. */
  async ack(is: (ack: Ack) => boolean, again?: Uint8Array, ms = 15_000): Promise<Ack> {
    const end = Date.now() + ms;
    for (;;) {
      const found = this.acks.find(is);
      if (found !== undefined) return found;
      if (Date.now() > end) throw new Error(`expected an ack within ${ms} ms, got none among ${this.acks.length}`);
      if (again !== undefined) await this.send(again);
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, 200);
        this.#arrived = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }

  /** Sends a claim and waits for the ack with its timestamp, which is the amount, as in `signedClaim`. */
  async ask(claim: Uint8Array): Promise<Ack> {
    this.acks.length = 0;
    const amount = Number(new DataView(claim.buffer).getFloat64(85));
    return this.ack((ack) => ack.timestamp === amount, claim);
  }

  close(): void {
    this.#socket.close();
  }
}
