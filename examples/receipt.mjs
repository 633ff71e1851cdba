/**
 * A receipt: what a node signs of the claims that it has acknowledged. A payer keeps it, and shows it to whoever doubts.
 *
 * Run it: node examples/receipt.mjs
 */
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ClaimwireNode } from 'claimwire';
import { generateKey, Payer, verifyReceipt, writeKeyFile } from 'claimwire/client';

const folder = await mkdtemp(join(tmpdir(), 'claimwire-example-'));

// The operator's side: a key of its own for receipts, whose public half the payers are told.
const receiptKey = generateKey();
writeKeyFile(join(folder, 'receipt-key.json'), receiptKey);
const node = await ClaimwireNode.start({
  data: join(folder, 'data'),
  udp: { host: '127.0.0.1', port: 0 },
  receiptKey: join(folder, 'receipt-key.json'), // or pkcs11:token=…;object=…
});

const key = generateKey();
const ledgerChannelId = randomBytes(32).toString('hex');
await node.openChannels([{ ledgerChannelId, publicKey: key.publicKey, capacity: 1_000_000n }]);

// The payer's side. Acks over UDP are not signed, and somebody on the way could forge one.
const payer = await Payer.open({ to: `udp://${node.udp}` });
const channel = payer.channel({ ledgerChannelId, key });
await channel.pay(25n);
console.log(`acknowledged: ${channel.committed} drops`);

// The node signs that so much is durable. The receipt is checked against the key that the operator told.
const receipt = await channel.receipt({ key: receiptKey.publicKey });
console.log(`signed by the node: ${receipt.amount} drops`);

const tooMuch = await channel.receipt({ amount: 26n, key: receiptKey.publicKey }).catch(({ code }) => code);
console.log(`of an amount that it does not hold: ${tooMuch}`);
await payer.close();
await node.stop();

// Later, elsewhere, without the node: the receipt is plain JSON.
const kept = JSON.parse(JSON.stringify(receipt));
const { amount } = await verifyReceipt(kept, { key: receiptKey.publicKey, ledgerChannelId });
console.log(`checked without the node: ${amount} drops`);
const altered = await verifyReceipt({ ...kept, amount: '2500' }, { key: receiptKey.publicKey }).catch(
  ({ code }) => code,
);
console.log(`altered: ${altered}`);
await rm(folder, { recursive: true });
