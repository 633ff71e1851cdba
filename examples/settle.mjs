/**
 * From claims to money: the best claim of a channel becomes a PaymentChannelClaim transaction, which the payee's wallet
 * signs and would submit. xrpl.js, which knows nothing of claimwire, verifies the claim's signature before that.
 *
 * It needs xrpl.js beside claimwire: npm install xrpl
 * The command line does the same for a running node: claimwire settle --all --account rPAYEE
 *
 * Run it: node examples/settle.mjs
 */
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ClaimwireNode, paymentChannelClaim } from 'claimwire';
import { generateKey, Payer } from 'claimwire/client';
import { dropsToXrp, verifyPaymentChannelClaim, Wallet } from 'xrpl';

const data = await mkdtemp(join(tmpdir(), 'claimwire-example-'));
const node = await ClaimwireNode.start({ data, udp: { host: '127.0.0.1', port: 0 } });
const key = generateKey();
const ledgerChannelId = randomBytes(32);
const channelId = ledgerChannelId.readBigUInt64BE();
const publicKey = Buffer.from(key.publicKey, 'hex');
await node.openChannels([
  { channelId, ledgerChannelId, publicKey, capacity: 5_000_000n, profile: 'xrpl', expiresAt: 0 },
]);

const payer = await Payer.open({ to: `udp://${node.udp}` });
const channel = payer.channel({ ledgerChannelId, key });
for (let payment = 0; payment < 10; payment++) await channel.pay(123_456n);
await payer.close();

// Ten payments, one transaction: the last claim is for all of them.
const payee = Wallet.generate();
const transaction = paymentChannelClaim({ account: payee.address, channel: node.channel(channelId) });
console.log(`${transaction.TransactionType} of ${transaction.Balance} drops`);

// xrpl.js counts in XRP here, not in drops.
const xrp = dropsToXrp(transaction.Amount).toString();
const isValid = verifyPaymentChannelClaim(transaction.Channel, xrp, transaction.Signature, transaction.PublicKey);
console.log(`xrpl.js says that the claim is ${isValid ? 'valid' : 'NOT valid'}`);

// With a connection to the ledger, client.autofill() would set these three.
const complete = { ...transaction, Fee: '10', Sequence: 1, LastLedgerSequence: 100 };
const { tx_blob: blob, hash } = payee.sign(complete);
console.log(`blob for the ledger's submit: ${blob.slice(0, 40)}… (${blob.length / 2} bytes), hash ${hash}`);

await node.stop();
await rm(data, { recursive: true });
