/**
 * A double of a STUN server, on loopback: it answers every Binding request (RFC 8489) with one address that it was given,
 * as if the asker stood behind a NAT there. Real ones answer with where the request came from.
 */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';

const BINDING_REQUEST = 0x0001;
const BINDING_SUCCESS = 0x0101;
const HEADER_BYTES = 20;
const XOR_MAPPED_ADDRESS = 0x0020;
const IPV4 = 1;
const MAGIC_COOKIE = 0x2112_a442;

export interface StunDouble {
  address: { host: string; port: number };
  asked(): number;
  close(): void;
}

export async function openStunDouble(mapped: { host: string; port: number }): Promise<StunDouble> {
  const socket = createSocket('udp4');
  let asked = 0;
  socket.on('message', (request, from) => {
    if (request.length < HEADER_BYTES || request.readUInt16BE(0) !== BINDING_REQUEST) return;
    asked++;
    const answer = Buffer.alloc(HEADER_BYTES + 12);
    answer.writeUInt16BE(BINDING_SUCCESS, 0);
    answer.writeUInt16BE(12, 2);
    // Cookie and transaction id.
    request.copy(answer, 4, 4, HEADER_BYTES);
    answer.writeUInt16BE(XOR_MAPPED_ADDRESS, 20);
    answer.writeUInt16BE(8, 22);
    answer.writeUInt8(IPV4, 25);
    answer.writeUInt16BE((mapped.port ^ (MAGIC_COOKIE >>> 16)) & 0xffff, 26);
    const host = mapped.host.split('.').reduce((sum, part) => sum * 256 + Number(part), 0);
    answer.writeUInt32BE((host ^ MAGIC_COOKIE) >>> 0, 28);
    socket.send(answer, from.port, from.address);
  });
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  const { port } = socket.address();
  return { address: { host: '127.0.0.1', port }, asked: () => asked, close: () => void socket.close() };
}
