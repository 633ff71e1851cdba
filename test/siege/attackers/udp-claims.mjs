/**
 * Floods datagrams over UDP, as fast as the socket takes them. Options: udpPort, host, seconds, channels, and `kind`: `signature`
 * (claims that nobody signed, of known channels from `firstChannel` on, each another), `unknown` (of channels nobody
 * opened), `junk` (1 to 65,507 bytes of anything). `sockets`: so many sources send by turns.
 */
import { randomFillSync } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { begin, claim } from './shared.mjs';

const CLAIMS_PER_DATAGRAM = 15;
const DATAGRAMS = 512;
const JUNK_BYTES_MAX = 65_507;
/** Sent between two looks at the clock. */
const TURN = 64;
/** Handles of channels whose ledger ids begin with consecutive 32-bit numbers. */
const CHANNEL_STEP = 1n << 32n;

let datagrams = 0;
let failed = 0;
const defaults = { kind: 'signature', channels: 1_000, firstChannel: '0', sockets: 1 };
const { kind, channels, firstChannel, host, udpPort, sockets } = begin(defaults, () => ({ datagrams, failed }));

function channelId(index) {
  if (kind === 'unknown') return 0xffff_ffff_0000n + BigInt(index);
  return BigInt(firstChannel) + CHANNEL_STEP * BigInt(index % channels);
}
function datagramOf(index) {
  if (kind === 'junk') return randomFillSync(Buffer.alloc(1 + ((index * 7_919) % JUNK_BYTES_MAX)));
  const claims = Array.from({ length: CLAIMS_PER_DATAGRAM }, (_, at) => {
    const signature = randomFillSync(Buffer.alloc(64));
    // Below half of the group's order, or it is refused without a verification.
    signature[32] &= 0x3f;
    return claim({ channelId: channelId(index * CLAIMS_PER_DATAGRAM + at), amount: 900n, signature });
  });
  return Buffer.concat(claims);
}

const prepared = Array.from({ length: DATAGRAMS }, (_, index) => datagramOf(index));
const sources = await Promise.all(
  Array.from({ length: sockets }, async () => {
    const socket = createSocket('udp4');
    socket.on('message', () => {});
    await new Promise((connected) => socket.connect(udpPort, host, connected));
    return socket;
  }),
);
const send = (waiting) => {
  if (waiting > 0) return;
  let left = TURN;
  for (let index = 0; index < TURN; index++) {
    const bytes = prepared[datagrams % DATAGRAMS];
    const socket = sources[datagrams++ % sockets];
    // Another signature each time, or it is a copy.
    if (kind !== 'junk') for (let at = 21; at < bytes.length; at += 93) bytes.writeUInt32LE(datagrams, at + 8);
    socket.send(bytes, (error) => {
      if (error) failed++;
      if (--left === 0) setImmediate(send, 0);
    });
  }
};
send(0);
