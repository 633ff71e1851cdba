/**
 * The payer's UDP socket, connected to its node. Payer's thread.
 *
 * A connected socket gets datagrams of its peer only, hears when nothing listens there, and needs no address lookup for
 * each send. It does not authenticate: whoever can send with the node's address can forge an ack (see payer.ts).
 */
import { createSocket } from 'node:dgram';
import { lookup } from 'node:dns/promises';
import { once } from 'node:events';
import { ClaimwireError } from '../../errors.ts';
import { hostPortText, parseNodeAddress } from '../../host-port.ts';
import { type Abortable, abortable } from '../abort.ts';
import type { DatagramSocket } from './datagram-socket.ts';

export type { DatagramSocket } from './datagram-socket.ts';

/** Room for a burst of acks while the payer signs; the kernel cuts it to its own limit. */
const RECEIVE_BUFFER_BYTES = 1 << 20;

/**
 * Opens a socket to `udp://HOST:PORT` (a name is looked up once; IPv6 in brackets). Rejects with ClaimwireError
 * INPUT_INVALID or NODE_UNREACHABLE, or with the reason of `signal`. A node need not be listening yet.
 */
export function openUdpSocket(to: string, { signal }: Abortable = {}): Promise<DatagramSocket> {
  return abortable(
    signal,
    () => connect(to),
    (socket) => socket.close(),
  );
}

async function connect(to: string): Promise<DatagramSocket> {
  const { host, port } = parseNodeAddress(to, ['udp'], 'to');
  try {
    const { address, family } = await lookup(host);
    const socket = createSocket({ type: family === 6 ? 'udp6' : 'udp4', recvBufferSize: RECEIVE_BUFFER_BYTES });
    socket.connect(port, address);
    await once(socket, 'connect');
    return {
      peer: hostPortText({ host: address, port }),
      listen(onMessage, onError) {
        socket.on('message', (bytes) => onMessage(bytes));
        socket.on('error', onError);
      },
      send: (bytes, offset, length, sent) => socket.send(bytes, offset, length, sent),
      async close() {
        const closed = once(socket, 'close');
        socket.close();
        await closed;
      },
    };
  } catch (error) {
    const reason = (error as NodeJS.ErrnoException).code ?? (error as Error).message;
    const message = `to: expected an address that can be reached, got ${reason} for ${to}, check host and route`;
    throw new ClaimwireError('NODE_UNREACHABLE', message, {}, { cause: error });
  }
}
