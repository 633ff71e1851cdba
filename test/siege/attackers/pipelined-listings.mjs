/**
 * Attacker: listings of 10,000 channels, hundreds in one write, on several connections at once.
 *
 * Arguments: http, seconds, share (of a core), connections, requests (in one write), reader: "none" never reads, "gone"
 * leaves after its write, "all" reads everything, "mixed" takes one of them in turn.
 */
import { connect } from 'node:net';
import { argumentsOf, endAfter, held, pause } from './held.mjs';

const { http, seconds, share, connections, requests, reader } = argumentsOf({
  connections: 16,
  requests: 500,
  reader: 'mixed',
});
const { hostname, port, host } = new URL(http);
const bytes = `GET /channels?limit=10000 HTTP/1.1\r\nHost: ${host}\r\n\r\n`.repeat(requests);
const READERS = ['none', 'gone', 'all'];
const counts = { connected: 0, written: 0, bytesRead: 0, closed: 0 };
endAfter(seconds, counts);

function attack(kind) {
  return new Promise((resolve) => {
    const socket = connect(Number(port), hostname, () => {
      counts.connected++;
      socket.write(bytes, () => {
        counts.written++;
        if (kind === 'gone') socket.destroy();
      });
    });
    if (kind === 'all') socket.on('data', (data) => void heldReading(socket, data));
    else socket.pause();
    socket.on('error', () => {});
    socket.on('close', () => {
      counts.closed++;
      resolve();
    });
  });
}

async function heldReading(socket, data) {
  counts.bytesRead += data.length;
  socket.pause();
  await held(share);
  socket.resume();
}

async function attackForEver(index) {
  for (let round = 0; ; round++) {
    await held(share);
    await attack(reader === 'mixed' ? READERS[(index + round) % READERS.length] : reader);
    await pause(5);
  }
}
for (let index = 0; index < connections; index++) void attackForEver(index);
