/**
 * A UDP wire, and a relay in front of a node's UDP address that loses, doubles, delays and so reorders. Test's thread.
 *
 * The relay's random choices come from a seed; only the times at which the system delivers datagrams differ between runs.
 */

import dgram from 'node:dgram';
import { parseHostPort } from '../../src/host-port.ts';
import type { Random } from './random.ts';
import { AckInbox, type Wire } from './wire-client.ts';

/** The node's largest burst of acks must not be lost on our side of the socket. */
const RECEIVE_BUFFER_BYTES = 4 << 20;

async function udpSocket(address: string, onMessage: (bytes: Buffer) => void): Promise<dgram.Socket> {
  const socket = dgram.createSocket({ type: 'udp4', recvBufferSize: RECEIVE_BUFFER_BYTES });
  const { host, port } = parseHostPort(address)!;
  socket.on('message', onMessage);
  // A node that is gone answers with ICMP errors.
  socket.on('error', () => {});
  await new Promise<void>((resolve) => socket.connect(port, host, resolve));
  return socket;
}

export async function openUdpWire(address: string): Promise<Wire> {
  const inbox = new AckInbox();
  const socket = await udpSocket(address, (message) => inbox.payload(message));
  let isOpen = true;
  return {
    inbox,
    get isOpen() {
      return isOpen;
    },
    send: (payload) => new Promise((resolve) => (isOpen ? socket.send(payload, () => resolve()) : resolve())),
    close: () => {
      if (isOpen) socket.close();
      isOpen = false;
    },
  };
}

/** How many datagrams of a thousand have each fault, in either direction. */
const DROPPED = 80;
const DOUBLED = 80;
const DELAYED = 120;
const DELAY_MS_MAX = 8;

/** Faults done, by kind, and the node's acks in the order it sent them. */
export interface FaultyPath {
  readonly address: string;
  readonly faults: Record<string, number>;
  /** What the node said, before any fault; undefined where the wires hear all that the node says, in order. */
  readonly witness: AckInbox | undefined;
  /** The wires hear what the node says in any order. */
  readonly isUnordered?: boolean;
  close(): Promise<void>;
}

/** One payer's way to `address`: the relay answers whoever spoke last. */
export async function lossyRelay(address: string, from: Random): Promise<FaultyPath> {
  const witness = new AckInbox();
  const faults = { dropped: 0, doubled: 0, delayed: 0 };
  const timers = new Set<NodeJS.Timeout>();
  let payer: dgram.RemoteInfo | undefined;

  const pass = (bytes: Buffer, deliver: (bytes: Buffer) => void): void => {
    const chance = from.below(1_000);
    if (chance < DROPPED) faults.dropped++;
    else if (chance < DROPPED + DELAYED) {
      faults.delayed++;
      const timer = setTimeout(() => {
        timers.delete(timer);
        deliver(bytes);
      }, from.below(DELAY_MS_MAX));
      timers.add(timer);
    } else {
      deliver(bytes);
      if (chance >= 1_000 - DOUBLED) {
        faults.doubled++;
        deliver(bytes);
      }
    }
  };
  const front = dgram.createSocket({ type: 'udp4', recvBufferSize: RECEIVE_BUFFER_BYTES });
  const toPayer = (bytes: Buffer): void => {
    if (payer !== undefined) front.send(bytes, payer.port, payer.address);
  };
  const back = await udpSocket(address, (message) => {
    witness.payload(message);
    pass(message, toPayer);
  });
  front.on('message', (message, sender) => {
    payer = sender;
    pass(message, (bytes) => back.send(bytes));
  });
  await new Promise<void>((resolve) => front.bind(0, '127.0.0.1', resolve));
  return {
    address: `127.0.0.1:${front.address().port}`,
    faults,
    witness,
    close: async () => {
      for (const timer of timers) clearTimeout(timer);
      await Promise.all([front, back].map((socket) => new Promise<void>((resolve) => socket.close(() => resolve()))));
    },
  };
}
