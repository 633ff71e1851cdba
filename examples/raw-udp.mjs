/**
 * The wire format by hand: one claim of 93 bytes is built, signed and sent with node:dgram, and its 32-byte ack is read.
 * This is all that a client in another language has to do. The format: protocol/README.md.
 *
 * It starts a node of its own to send to, and signs with @noble/secp256k1.
 *
 * Run it: node examples/raw-udp.mjs
 */
import { randomBytes } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { getPublicKey, signAsync, utils } from '@noble/secp256k1';
import { ClaimwireNode } from 'claimwire';
import { claimBytes, decodeAck, SIGNATURE_BYTES, statusName, xrplDigest } from 'claimwire/protocol';

const privateKey = utils.randomSecretKey();
const ledgerChannelId = randomBytes(32);
const channelId = ledgerChannelId.readBigUInt64BE();

const data = await mkdtemp(join(tmpdir(), 'claimwire-example-'));
const node = await ClaimwireNode.start({ data, udp: { host: '127.0.0.1', port: 0 } });
const publicKey = getPublicKey(privateKey);
await node.openChannels([{ channelId, ledgerChannelId, publicKey, capacity: 1_000n, profile: 'xrpl', expiresAt: 0 }]);

// A signature of the xrpl profile covers the channel's id and the amount, so that it redeems on the ledger as it is.
const claim = {
  channelId,
  sequence: 1,
  amount: 250n,
  signature: new Uint8Array(SIGNATURE_BYTES),
  timestamp: Date.now(),
};
const digest = xrplDigest(ledgerChannelId, claimBytes(claim));
claim.signature = await signAsync(digest, privateKey, { prehash: false, lowS: true });
const bytes = claimBytes(claim);
console.log(`claim: ${bytes.length} bytes, ${Buffer.from(bytes).toString('hex').slice(0, 42)}…`);

const [host, port] = node.udp.split(':');
const socket = createSocket('udp4');
socket.connect(Number(port), host);
await once(socket, 'connect');
// Datagrams may be lost, so a claim is sent until it is acknowledged. Sent twice, it does no harm.
const resend = setInterval(() => socket.send(bytes), 200);
socket.send(bytes);
const [message] = await once(socket, 'message', { signal: AbortSignal.timeout(10_000) });
clearInterval(resend);

const ack = decodeAck(new DataView(message.buffer, message.byteOffset, message.length), 0);
console.log(`ack: ${statusName(ack.status)}, sequence ${ack.sequence}, ${ack.amount} drops are durable`);

socket.close();
await node.stop();
await rm(data, { recursive: true });
