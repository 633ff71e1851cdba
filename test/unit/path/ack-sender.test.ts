/** Who is told what: each peer its own acks, of refusals so many at a time, the node's own program all of its own. Test's thread. */
import { expect, test } from 'vitest';
import { ACK_BYTES, ACK_SEQUENCE, ACK_STATUS, STATUS } from '../../../protocol/layout.ts';
import { AckSender } from '../../../src/path/ack-sender.ts';
import { Arena } from '../../../src/ring/arena.ts';
import { Counters } from '../../../src/ring/counters.ts';
import { SOURCE_WORDS } from '../../../src/ring/slot.ts';
import { nodeSystem } from '../../../src/system/system.ts';
import { sourceHead } from '../../../src/transport/source.ts';
import {
  emptyPacket,
  type Packet,
  TRANSPORT_LOCAL,
  TRANSPORT_UDP,
  type Transport,
} from '../../../src/transport/transport.ts';

function senderTo(transports: readonly Transport[]): AckSender {
  const shape = { kernelBytes: 0, rings: 1, ringSlots: 8, ackSlots: 8, threads: 1, channelsMax: 8 };
  return new AckSender(transports, new Counters(Arena.create(shape), 0), nodeSystem.random);
}

test('refusals to a peer are limited; those to the program of the node are not, since it waits for each', () => {
  const sent = new Map<number, number>();
  const transport = (id: number) =>
    ({
      acquire: emptyPacket,
      send: ({ length }: Packet) => sent.set(id, (sent.get(id) ?? 0) + length / ACK_BYTES),
      flush: () => {},
    }) as unknown as Transport;
  const transports = [TRANSPORT_UDP, 1, TRANSPORT_LOCAL].map(transport);
  const sender = senderTo(transports);
  const ack = new Uint8Array(ACK_BYTES);
  ack[ACK_STATUS] = STATUS.UNKNOWN_CHANNEL;
  for (const id of [TRANSPORT_UDP, TRANSPORT_LOCAL])
    for (let count = 0; count < 5_000; count++) sender.frame(ack, 0, Uint32Array.of(sourceHead(id, 0), 0, 0, 0, 0), 0);
  sender.flush();
  expect(Object.fromEntries(sent)).toEqual({ [TRANSPORT_UDP]: 4_000, [TRANSPORT_LOCAL]: 5_000 });
});

test('no ack shares a packet with one to a peer that differs in its port, or in any part of its address', () => {
  const got = new Map<string, number[]>();
  const send = ({ bytes, length }: Packet, words: Uint32Array, at: number) => {
    const to = words.slice(at, at + SOURCE_WORDS).join();
    for (let offset = 0; offset < length; offset += ACK_BYTES)
      got.set(to, [...(got.get(to) ?? []), bytes[offset + ACK_SEQUENCE]!]);
  };
  const sender = senderTo([{ acquire: emptyPacket, send, flush: () => {} } as unknown as Transport]);
  const ack = new Uint8Array(ACK_BYTES);
  ack[ACK_STATUS] = STATUS.COMMITTED;
  const expected = new Map<string, number[]>();
  // More peers than there are open packets, so that any two that are alike enough meet.
  for (let word = 0; word < SOURCE_WORDS; word++)
    for (let peer = 0; peer < 200; peer++) {
      const source = Uint32Array.of(sourceHead(TRANSPORT_UDP, 5_000), 1, 2, 3, 4);
      source[word]! += peer << 16;
      ack[ACK_SEQUENCE] = peer;
      sender.frame(ack, 0, source, 0);
      expected.set(source.join(), [...(expected.get(source.join()) ?? []), peer]);
    }
  sender.flush();
  expect(got).toEqual(expected);
});
