/**
 * A payer of its own making over bare UDP: it finds the holder by asking one node after the other, remembers which node said
 * what, and asks a new holder about the old amount before it sends a new one.
 */
import dgram from 'node:dgram';
import { type Ack, decodeAck } from '../../../protocol/ack.ts';
import { ACK_BYTES, CLAIM_TIMESTAMP, STATUS } from '../../../protocol/layout.ts';
import { signedClaim } from '../wire.ts';
import { isDurable, type Records } from './records.ts';

const TICK_MS = 10;
/** Between the ack of a claim and the next claim. */
const PAUSE_MS = 60;
/** Without an answer for so long the next node is asked. */
const AGAIN_MS = 120;

/** A node as this payer sees it; `run` tells one start of it from the next. */
export interface PaidNode {
  readonly port: number;
  readonly run: string;
}

interface Paid {
  readonly channelId: bigint;
  /** Index of the node that claims go to. */
  target: number;
  /** The amount that waits for its ack; the echo of an old one where it is acknowledged already. */
  amount: bigint;
  isWaiting: boolean;
  firstSentAt: number;
  sentAt: number;
  isQuiet: boolean;
}

/** A datagram that was sent: its timestamp names it, and comes back with its ack. */
interface Sent {
  readonly amount: bigint;
  /** What had been acknowledged of the channel by then. */
  readonly before: bigint;
}
const SENT_MAX = 65_536;

export type Heard = (ack: Ack, node: number) => void;

export class RawPayer {
  readonly #records: Records;
  readonly #nodes: readonly PaidNode[];
  readonly #sockets: dgram.Socket[] = [];
  readonly #paid = new Map<bigint, Paid>();
  readonly #sent = new Map<number, Sent>();
  #datagrams = 0;
  readonly #timer: NodeJS.Timeout;
  /** Of every ack, for a round that wants to see them. */
  onAck: Heard = () => {};

  private constructor(records: Records, nodes: readonly PaidNode[], channels: readonly bigint[]) {
    this.#records = records;
    this.#nodes = nodes;
    for (const [index, channelId] of channels.entries()) {
      const target = index % nodes.length;
      const idle = { amount: 0n, isWaiting: false, firstSentAt: 0, sentAt: 0, isQuiet: false };
      this.#paid.set(channelId, { channelId, target, ...idle });
    }
    this.#timer = setInterval(() => this.#tick(performance.now()), TICK_MS);
  }

  static async start(records: Records, nodes: readonly PaidNode[], channels: readonly bigint[]): Promise<RawPayer> {
    const self = new RawPayer(records, nodes, channels);
    for (const [index, { port }] of nodes.entries()) {
      const socket = dgram.createSocket('udp4');
      socket.on('error', () => {});
      socket.on('message', (message) => {
        const view = new DataView(message.buffer, message.byteOffset, message.length);
        for (let offset = 0; offset + ACK_BYTES <= message.length; offset += ACK_BYTES)
          self.#hear(decodeAck(view, offset), index);
      });
      await new Promise<void>((resolve) => socket.connect(port, '127.0.0.1', resolve));
      self.#sockets.push(socket);
    }
    return self;
  }

  get channels(): Iterable<bigint> {
    return this.#paid.keys();
  }

  /** A quiet channel sends nothing, not even again. */
  setQuiet(channelId: bigint, isQuiet: boolean): void {
    const paid = this.#paid.get(channelId);
    if (paid !== undefined) paid.isQuiet = isQuiet;
  }

  /** Signs a new amount for a quiet channel, to be sent by `sendTo`. */
  next(channelId: bigint): bigint {
    const paid = this.#paid.get(channelId)!;
    const records = this.#records;
    const signed = records.signed.get(channelId)!;
    this.#sign(paid, signed + 1n);
    return paid.amount;
  }
  sendTo(node: number, channelId: bigint, amount: bigint): void {
    const claim = signedClaim(channelId, amount, Number(amount));
    const name = ++this.#datagrams;
    new DataView(claim.buffer).setFloat64(CLAIM_TIMESTAMP, name);
    this.#sent.set(name, { amount, before: this.#records.acknowledged.get(channelId)! });
    this.#sent.delete(name - SENT_MAX);
    this.#sockets[node]!.send(claim, () => {});
  }

  close(): void {
    clearInterval(this.#timer);
    for (const socket of this.#sockets) socket.close();
  }

  #sign(paid: Paid, amount: bigint): void {
    paid.amount = amount;
    this.#records.signs(paid.channelId, amount);
    paid.isWaiting = true;
    paid.firstSentAt = performance.now();
  }

  #tick(now: number): void {
    for (const paid of this.#paid.values()) {
      if (paid.isQuiet) continue;
      if (!paid.isWaiting) {
        if (now - paid.sentAt < PAUSE_MS) continue;
        this.#sign(paid, this.#records.signed.get(paid.channelId)! + 1n);
        this.#send(paid, now);
      } else if (now - paid.sentAt >= AGAIN_MS) {
        this.#turn(paid);
        this.#send(paid, now);
      }
    }
  }

  /** To the next node. The acknowledged amount goes there first, by itself: it must know it. */
  #turn(paid: Paid): void {
    paid.target = (paid.target + 1) % this.#nodes.length;
    const acknowledged = this.#records.acknowledged.get(paid.channelId)!;
    if (acknowledged > 0n) paid.amount = acknowledged;
  }

  #send(paid: Paid, now: number): void {
    paid.sentAt = now;
    this.sendTo(paid.target, paid.channelId, paid.amount);
  }

  #hear(ack: Ack, node: number): void {
    this.onAck(ack, node);
    const paid = this.#paid.get(ack.channelId);
    if (paid === undefined) return;
    const now = performance.now();
    const { channelId } = paid;
    if (isDurable(ack.status)) {
      const sent = this.#sent.get(ack.timestamp);
      if (ack.status === STATUS.COMMITTED && sent !== undefined)
        this.#records.saysCommitted(channelId, sent.amount, sent.before, this.#nodes[node]!.run);
      this.#records.tells({ channelId, amount: ack.amount, askedAt: paid.firstSentAt, at: now });
      if (ack.amount >= paid.amount && node === paid.target) paid.isWaiting = false;
    } else if (ack.status === STATUS.MOVED && node === paid.target && paid.isWaiting && !paid.isQuiet) {
      // The next node is asked soon, and not at once, where nobody holds the shard for now.
      paid.sentAt = now - AGAIN_MS + 2 * TICK_MS;
    }
  }
}
