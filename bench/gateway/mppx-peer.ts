/**
 * The peer: a server of mppx's own, with a method `xrpl` that verifies each voucher with xrpl.js in process, as the reference
 * SDK does. It answers by itself, has no proxy's hop, and keeps its amounts in memory: all of it flatters the peer.
 */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Mppx } from 'mppx/server/core';
import { dropsToXrp, verifyPaymentChannelClaim } from 'xrpl';
import { LoadChannels } from '../../src/load/channels.ts';
import { CHANNELS, MERCHANT, PRICE, SEED } from './shared.ts';

interface Voucher {
  channelId: string;
  amount: string;
  signature: string;
}

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex').toUpperCase();
const rows = LoadChannels.derive(SEED, CHANNELS, CHANNELS);
const keys = new Map<string, string>();
for (let row = 0; row < CHANNELS; row++) {
  const { ledgerChannelId, publicKey } = rows.table.read(row);
  keys.set(hex(ledgerChannelId), hex(publicKey));
}
const paid = new Map<string, bigint>();
let charged = 0n;

const method = {
  name: 'xrpl',
  intent: 'session',
  schema: { credential: { payload: asIs() }, request: asIs() },
  async verify({ credential }: { credential: { payload: Voucher } }) {
    const { channelId, amount, signature } = credential.payload;
    const key = keys.get(channelId);
    const before = paid.get(channelId) ?? 0n;
    const isSigned =
      key !== undefined && verifyPaymentChannelClaim(channelId, String(dropsToXrp(amount)), signature, key);
    if (!isSigned || BigInt(amount) < before + PRICE) throw new Error('expected a sound voucher');
    paid.set(channelId, BigInt(amount));
    charged += PRICE;
    const timestamp = new Date().toISOString();
    return { method: 'xrpl', reference: `${channelId}:${amount}`, status: 'success' as const, timestamp };
  },
};

/** A schema that takes what comes, which is less work than the SDK's. */
// biome-ignore lint/suspicious/noExplicitAny: the schema's type is that of zod
function asIs(): any {
  return { parse: (value: unknown) => value };
}

// biome-ignore lint/suspicious/noExplicitAny: a method of its own, without mppx's types, which need viem
const mppx = Mppx.create({ methods: [method as any], realm: MERCHANT.realm, secretKey: 's'.repeat(32) }) as any;
const body = { answer: 42, text: 'what the service sells' };
const handle = mppx.session({ amount: String(PRICE), channelId: '', currency: 'XRP', recipient: MERCHANT.recipient });
const server = createServer(async (request, response) => {
  const result = await Mppx.toNodeListener(handle)(request, response);
  if (result.status !== 402) response.setHeader('content-type', 'application/json').end(JSON.stringify(body));
});
process.on('message', () => process.send!({ spent: String(charged) }));
process.on('disconnect', () => process.exit());
server.listen(0, '127.0.0.1', () => process.send!({ port: (server.address() as AddressInfo).port }));
