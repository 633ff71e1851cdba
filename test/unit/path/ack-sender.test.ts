/** Who is told of refusals: a peer so many at a time, the node's own program all of its own. Test's thread. */
import { expect, test } from 'vitest';
import { ACK_BYTES, ACK_STATUS, STATUS } from '../../../protocol/layout.ts';
import { AckSender } from '../../../src/path/ack-sender.ts';
import { Arena } from '../../../src/ring/arena.ts';
import { Counters } from '../../../src/ring/counters.ts';
import { nodeSystem } from '../../../src/system/system.ts';
import { sourceHead } from '../../../src/transport/source.ts';
import {
  emptyPacket,
  type Packet,
  TRANSPORT_LOCAL,
  TRANSPORT_UDP,
  type Transport,
} from '../../../src/transport/transport.ts';

test('refusals to a peer are limited; those to the program of the node are not, since it waits for each', () => {
  const sent = new Map<number, number>();
  const transport = (id: number) =>
    ({
      acquire: emptyPacket,
      send: ({ length }: Packet) => sent.set(id, (sent.get(id) ?? 0) + length / ACK_BYTES),
      flush: () => {},
    }) as unknown as Transport;
  const transports = [TRANSPORT_UDP, 1, TRANSPORT_LOCAL].map(transport);
  const shape = { kernelBytes: 0, rings: 1, ringSlots: 8, ackSlots: 8, threads: 1, channelsMax: 8 };
  const sender = new AckSender(transports, new Counters(Arena.create(shape), 0), nodeSystem.random);
  const ack = new Uint8Array(ACK_BYTES);
  ack[ACK_STATUS] = STATUS.UNKNOWN_CHANNEL;
  for (const id of [TRANSPORT_UDP, TRANSPORT_LOCAL])
    for (let count = 0; count < 5_000; count++) sender.frame(ack, 0, Uint32Array.of(sourceHead(id, 0), 0, 0, 0, 0), 0);
  sender.flush();
  expect(Object.fromEntries(sent)).toEqual({ [TRANSPORT_UDP]: 4_000, [TRANSPORT_LOCAL]: 5_000 });
});
