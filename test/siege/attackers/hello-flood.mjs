/**
 * Floods `hello` over many connections. Options: port, host, seconds, connections, addresses.
 */
import { begin, connectAll, framed, pour } from './shared.mjs';

const text = (value) => Buffer.concat([Buffer.of(0xa0 | value.length), Buffer.from(value)]);
const hello = framed(
  Buffer.of(0x80, 0x84),
  text('id'),
  Buffer.of(1),
  text('type'),
  text('hello'),
  text('client'),
  text('flood'),
  text('versions'),
  Buffer.of(0x91, 1),
);

let bytesSent = 0;
let bytesRead = 0;
const options = begin({ connections: 300 }, () => ({ bytesSent, bytesRead }));
const once = Buffer.concat(Array.from({ length: 100 }, () => hello));
connectAll(options, (socket) => {
  socket.on('data', (chunk) => {
    bytesRead += chunk.length;
  });
  pour(
    socket,
    () => once,
    (length) => {
      bytesSent += length;
    },
  );
});
