/**
 * A web service that is paid per request. Each request carries one signed claim in a header; the service hands it to its
 * node and answers once the node has made it durable. A request that pays too little is answered 402.
 *
 * A claim is cumulative: it says how much the channel has paid in all. So the service remembers what each channel has
 * been charged, and asks for a claim of at least that plus the price.
 *
 * Run it: node examples/pay-per-request.mjs
 */
import { randomBytes, randomInt } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { verify } from '@noble/secp256k1';
import { ClaimwireNode } from 'claimwire';
import { generateKey, keySigner } from 'claimwire/client';
import {
  ACK_BYTES,
  CLAIM_BYTES,
  claimBytes,
  decodeAck,
  decodeClaim,
  STATUS_FIRST_REFUSAL,
  statusName,
  xrplDigest,
} from 'claimwire/protocol';

const PRICE = 10n; // drops a request
const RESEND_MS = 100;
const ACK_MS_MAX = 5_000;

// ---- The service: an HTTP server, and a node in the same process.

const data = await mkdtemp(join(tmpdir(), 'claimwire-example-'));
const node = await ClaimwireNode.start({ data, udp: { host: '127.0.0.1', port: 0 } });
const [host, port] = node.udp.split(':');
const socket = createSocket('udp4');
socket.connect(Number(port), host);
await once(socket, 'connect');

/** Drops charged so far, by channel. A real service keeps this on its disk. */
const charged = new Map();

/** Sends a claim to the node until it is answered. Resolves with the ack, or undefined where none came. */
function commit(claim, bytes) {
  return new Promise((resolve) => {
    const done = (ack) => {
      clearInterval(resend);
      clearTimeout(giveUp);
      socket.off('message', read);
      resolve(ack);
    };
    const read = (message) => {
      const view = new DataView(message.buffer, message.byteOffset, message.length);
      // One datagram may carry several acks. An ack covers every claim of its channel up to its sequence.
      for (let offset = 0; offset < message.length; offset += ACK_BYTES) {
        const ack = decodeAck(view, offset);
        if (ack.channelId === claim.channelId && ack.sequence >= claim.sequence) done(ack);
      }
    };
    const resend = setInterval(() => socket.send(bytes), RESEND_MS);
    const giveUp = setTimeout(() => done(undefined), ACK_MS_MAX);
    socket.on('message', read);
    socket.send(bytes);
  });
}

/** Whether the channel's own key signed the claim. The node verifies it as well; this says who is asking. */
function isSigned(claim, bytes) {
  const channel = node.channel(claim.channelId);
  if (channel === undefined) return false;
  return verify(claim.signature, xrplDigest(channel.ledgerChannelId, bytes), channel.publicKey, { prehash: false });
}

const server = createServer(async (request, response) => {
  const refuse = (reason) => response.writeHead(402).end(`${reason}\n`);
  const bytes = Buffer.from(request.headers.claim ?? '', 'base64');
  if (bytes.length !== CLAIM_BYTES) return refuse(`expected a claim of ${CLAIM_BYTES} bytes, got ${bytes.length}`);
  const claim = decodeClaim(new DataView(bytes.buffer, bytes.byteOffset, CLAIM_BYTES), 0);
  if (!isSigned(claim, bytes)) return refuse('expected a claim signed by an open channel, got another');
  const due = () => (charged.get(claim.channelId) ?? 0n) + PRICE;
  if (claim.amount < due()) return refuse(`expected a claim of ${due()} drops, got ${claim.amount}`);
  const ack = await commit(claim, bytes);
  if (ack === undefined || ack.status >= STATUS_FIRST_REFUSAL)
    return refuse(`expected a claim that the node accepts, got ${ack ? statusName(ack.status) : 'no answer'}`);
  // Asked again after the wait: another request may have used the same claim meanwhile.
  if (claim.amount < due()) return refuse(`expected a claim of ${due()} drops, got ${claim.amount}`);
  charged.set(claim.channelId, claim.amount);
  return response.end(`the dice show ${randomInt(1, 7)}\n`);
});
server.listen(0, '127.0.0.1');
await once(server, 'listening');
const url = `http://127.0.0.1:${server.address().port}/`;

// ---- The customer: a key, a channel that the service has opened for it, and a signature for every request.

const key = generateKey();
const signer = keySigner(key);
const ledgerChannelId = randomBytes(32);
const channelId = ledgerChannelId.readBigUInt64BE();
const publicKey = Buffer.from(key.publicKey, 'hex');
await node.openChannels([{ channelId, ledgerChannelId, publicKey, capacity: 1_000n, profile: 'xrpl', expiresAt: 0 }]);

let sequence = 0;
/** The header that pays `amount` drops in all. */
function claimHeader(amount) {
  sequence += 1;
  const claim = claimBytes({ channelId, sequence, amount, signature: new Uint8Array(64), timestamp: Date.now() });
  signer.signClaim(claim, 0, ledgerChannelId, 'xrpl');
  return Buffer.from(claim).toString('base64');
}

async function ask(what, headers) {
  const response = await fetch(url, { headers });
  console.log(`${what}: ${response.status} ${(await response.text()).trim()}`);
}

await ask('no claim', {});
const first = claimHeader(10n);
await ask('10 drops', { claim: first });
await ask('the same claim again', { claim: first });
await ask('20 drops', { claim: claimHeader(20n) });
await ask('a claim of nobody', { claim: Buffer.alloc(CLAIM_BYTES, 1).toString('base64') });
await ask('more than the channel holds', { claim: claimHeader(1_001n) });
console.log(`the service holds a claim of ${node.channel(channelId).committed} drops`);

server.close();
socket.close();
await node.stop();
await rm(data, { recursive: true });
