/**
 * Connections that claim and never read an answer. Options: port, host, seconds, connections, addresses, and `kind` and
 * `channelId` as in tcp-claims.mjs: `already` (each claim is answered) or `unknown`. With `reconnects` those the node
 * cuts come again.
 */
import { begin, claim, connectAll, framed, pour } from './shared.mjs';

let bytesSent = 0;
let cut = 0;
const defaults = { connections: 1_000, kind: 'already', channelId: '1', reconnects: false };
const options = begin(defaults, () => ({ bytesSent, cut }));
const channelId = options.kind === 'already' ? options.channelId : 0xffff_ffff_0000n;
const once = framed(...Array.from({ length: 100 }, () => claim({ channelId })));

function attack(socket) {
  socket.pause();
  socket.once('close', () => {
    cut++;
    if (options.reconnects) connectAll({ ...options, connections: 1 }, attack);
  });
  pour(
    socket,
    () => once,
    (length) => {
      bytesSent += length;
    },
  );
}
connectAll(options, attack);
