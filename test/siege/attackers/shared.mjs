/**
 * What the attackers share: arguments, claims nobody signed, connections from several addresses, and an end.
 *
 * An attacker is a process of its own with nothing of this project in it: `node ATTACKER '{"port": 4000, "seconds": 5}'`.
 * It prints one line of JSON when it begins and one when it ends, and ends by itself.
 */
import net from 'node:net';

const CLAIM_BYTES = 93;
const HEADER_BYTES = 4;

/** The first argument over `defaults`; `seconds` later the process ends, and says what `report` gives. */
export function begin(defaults, report) {
  const options = { host: '127.0.0.1', seconds: 5, ...defaults, ...JSON.parse(process.argv[2] ?? '{}') };
  if (!(options.port > 0)) throw new Error(`port: expected the node's TCP port, got ${options.port}`);
  const end = () => {
    console.log(JSON.stringify({ event: 'end', ...report() }));
    process.exit(0);
  };
  setTimeout(end, options.seconds * 1_000);
  process.on('SIGTERM', end);
  console.log(JSON.stringify({ event: 'begin', pid: process.pid }));
  return options;
}

/** A claim of `channelId` without a signature that holds. */
export function claim({ channelId, amount = 1n, sequence = 1, signature = Buffer.alloc(64, 0x11) }) {
  const bytes = Buffer.alloc(CLAIM_BYTES);
  bytes[0] = 1;
  bytes.writeBigUInt64BE(BigInt(channelId), 1);
  bytes.writeUInt32BE(sequence, 9);
  bytes.writeBigUInt64BE(BigInt(amount), 13);
  signature.copy(bytes, 21);
  return bytes;
}

/** A message with its length before it. */
export function framed(...parts) {
  const payload = Buffer.concat(parts);
  const header = Buffer.alloc(HEADER_BYTES);
  header.writeUInt32BE(payload.length);
  return Buffer.concat([header, payload]);
}

/** `connections` to the node, from `addresses` addresses 127.0.0.2 onwards; `open` is called with each that stands. */
export function connectAll({ host, port, connections, addresses = 1 }, open) {
  for (let index = 0; index < connections; index++) {
    const localAddress = addresses > 1 ? `127.0.0.${2 + (index % addresses)}` : undefined;
    const socket = net.connect({ host, port, localAddress });
    socket.setNoDelay(true);
    socket.on('error', () => {});
    socket.once('connect', () => open(socket, index));
  }
}

/**
 * Writes what `next` gives, again and again, as fast as the node reads. Each connection has its turn: a 'drain' comes before
 * timers do, so a connection that the node reads quickly would keep the end of the attack and all others waiting.
 */
export function pour(socket, next, written) {
  const more = () => {
    while (!socket.destroyed) {
      const bytes = next();
      written(bytes.length);
      if (!socket.write(bytes)) return;
    }
  };
  socket.on('drain', () => setImmediate(more));
  more();
}
