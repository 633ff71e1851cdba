/**
 * Floods claims over many connections that read their answers. Options: port, host, seconds, connections, addresses,
 * and `kind`: `unknown` (a channel nobody opened), `already` (amount 1 of `channelId`, where that is paid already),
 * `amount` (0, which no rule takes), `signature` (amounts of `channelId` that were never signed), `capacity`, `small`
 * (a message of one byte that is no frame).
 */
import { begin, claim, connectAll, framed, pour } from './shared.mjs';

const CLAIMS_PER_MESSAGE = 100;
const MESSAGES = 8;

let bytesSent = 0;
let bytesRead = 0;
const options = begin({ connections: 300, kind: 'unknown', channelId: '1' }, () => ({ bytesSent, bytesRead }));
const { kind, channelId } = options;
let amount = 1_000;

function message() {
  if (kind === 'small') return Buffer.concat(Array.from({ length: 2_000 }, () => framed(Buffer.of(0x7f))));
  const claims = [];
  for (let index = 0; index < CLAIMS_PER_MESSAGE; index++) {
    if (kind === 'unknown') claims.push(claim({ channelId: 0xffff_ffff_0000n + BigInt(index) }));
    else if (kind === 'already') claims.push(claim({ channelId }));
    else if (kind === 'amount') claims.push(claim({ channelId, amount: 0n }));
    else if (kind === 'capacity') claims.push(claim({ channelId, amount: 2n ** 56n }));
    else claims.push(claim({ channelId, amount: ++amount, signature: signature(amount) }));
  }
  return framed(...claims);
}

/** Of the right form, and another one each time: it takes a verification to refuse it. */
function signature(seed) {
  const bytes = Buffer.alloc(64, 0x22);
  bytes.writeUInt32BE(seed, 8);
  bytes.writeUInt32BE(seed, 40);
  return bytes;
}

const once = Buffer.concat(Array.from({ length: MESSAGES }, message));
connectAll(options, (socket) => {
  socket.on('data', (chunk) => {
    bytesRead += chunk.length;
  });
  const next = kind === 'signature' ? () => message() : () => once;
  pour(socket, next, (length) => {
    bytesSent += length;
  });
});
