/**
 * Receipts of real claims: for every acknowledged claim there is one, also after a kill -9; it is fetched over HTTP, TCP and by the
 * command line, and checked without the node.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { ClaimwireNode } from '../../dist/src/index.js';
import type { Receipt } from '../../protocol/receipt.ts';
import { generateKey, Payer, type Signer, verifyReceipt, writeKeyFile } from '../../src/client/index.ts';
import { AdminClient } from '../../src/http/client.ts';
import { brieflyOrAtLength } from '../support/length.ts';
import { claimwire, NodeProcess, temporaryFolders } from '../support/node-process.ts';
import { storeUnderTest } from '../support/store-under-test.ts';
import { ThrowawayChannel } from '../support/throwaway-claims.ts';

const folder = temporaryFolders();
const CHANNELS = 100;
const CLAIMS_EACH = brieflyOrAtLength(20, 100);
const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex').toUpperCase();

/** Signs as the channel does: the other fields of the claim are set, and are written once more. */
function signerOf(channel: ThrowawayChannel): Signer {
  return {
    publicKey: channel.publicKey,
    signClaim(claim, offset) {
      const view = new DataView(claim.buffer, claim.byteOffset + offset);
      const fields = { sequence: view.getUint32(9), timestampBits: view.getBigUint64(85) };
      channel.writeClaim(claim, offset, view.getBigUint64(13), fields);
    },
  };
}

test('each acknowledged claim has a receipt that verifies offline, before a kill -9 and after it', async () => {
  const data = join(folder('receipts'), 'data');
  const keyFile = join(folder('receipt-key'), 'key.json');
  const { privateKey, publicKey: key } = generateKey();
  writeKeyFile(keyFile, { privateKey, publicKey: key });
  const node = new NodeProcess(data, ['--receipt-key', keyFile, '--tcp', '127.0.0.1:0', '--channels-max', '4096']);
  onTestFinished(() => node.kill('SIGKILL'));
  const ready = (await node.ready) as Awaited<typeof node.ready> & { tcp: string };
  const admin = AdminClient.open({ http: `http://${ready.http}`, tokenFile: join(data, 'admin-token') });
  const channels = Array.from({ length: CHANNELS }, (_, at) => new ThrowawayChannel(BigInt(at + 1) << 40n));
  const identity = (channel: ThrowawayChannel) => ({ ledgerChannelId: hex(channel.ledgerChannelId) });
  await admin.openChannels(
    channels.map((channel) => ({ ...identity(channel), publicKey: hex(channel.publicKey), capacity: '1000000' })),
  );

  const payer = await Payer.open({ to: `udp://${ready.udp}` });
  const paying = channels.map((channel) => payer.channel({ ...identity(channel), key: signerOf(channel) }));
  for (let amount = 1n; amount <= CLAIMS_EACH; amount++)
    await Promise.all(paying.map((channel) => channel.claim(amount)));
  await payer.close();
  const acknowledged = channels.flatMap((channel) =>
    Array.from({ length: CLAIMS_EACH }, (_, at) => ({ channel, amount: BigInt(at + 1) })),
  );
  expect(acknowledged.length).toBe(CHANNELS * CLAIMS_EACH);
  const verify = (receipt: unknown, { channel, amount }: (typeof acknowledged)[number]) =>
    verifyReceipt(receipt, { key, ledgerChannelId: channel.ledgerChannelId, amount });

  const [first] = acknowledged as [(typeof acknowledged)[number]];
  await verify(await admin.receipt(String(first.channel.channelId)), first);
  const asker = await Payer.open({ to: `tcp://${ready.tcp}` });
  const asking = asker.channel({ ...identity(first.channel), key: signerOf(first.channel) });
  expect(await asking.receipt({ amount: 1n, key })).toMatchObject({ amount: '1', publicKey: key });
  await expect(asking.receipt({ amount: BigInt(CLAIMS_EACH + 1) })).rejects.toMatchObject({ code: 'RECEIPT_NOT_YET' });
  await asker.close();
  await throughTheCommandLine(first.channel, { ready, key, data });
  node.kill('SIGKILL');
  await node.exit;

  const udp = { host: '127.0.0.1', port: 0 };
  const again = await ClaimwireNode.start({ data, ...storeUnderTest.options(data), udp, receiptKey: keyFile });
  onTestFinished(async () => void (await again.stop()));
  const receipts: Receipt[] = [];
  for (let at = 0; at < acknowledged.length; at += 1_000) {
    const some = acknowledged.slice(at, at + 1_000);
    receipts.push(...(await Promise.all(some.map(({ channel, amount }) => again.receipt(channel.channelId, amount)))));
  }
  for (const [at, claim] of acknowledged.entries()) {
    // As it is kept: text in a file.
    await verify(JSON.parse(JSON.stringify(receipts[at])), claim);
    expect(receipts[at]!.amount).toBe(String(claim.amount));
  }
  const beyond = again.receipt(first.channel.channelId, BigInt(CLAIMS_EACH + 1));
  await expect(beyond).rejects.toMatchObject({ code: 'RECEIPT_NOT_YET' });
}, 120_000);

async function throughTheCommandLine(
  channel: ThrowawayChannel,
  { ready, key, data }: { ready: { http: string; tcp: string }; key: string; data: string },
): Promise<void> {
  const out = join(data, 'receipt.json');
  const id = hex(channel.ledgerChannelId);
  const asPayer = ['--to', `tcp://${ready.tcp}`, '--amount', '2', '--key', key, '--out', out];
  expect(await claimwire('receipt', id, ...asPayer)).toEqual({ code: 0, stdout: '', stderr: '' });
  const receipt = JSON.parse(readFileSync(out, 'utf8')) as Receipt;
  const verified = await claimwire('receipt', 'verify', out, '--key', key, '--json');
  expect(verified).toMatchObject({ code: 0, stderr: '' });
  expect(JSON.parse(verified.stdout)).toEqual({
    valid: true,
    channel: id,
    amount: '2',
    time: new Date(receipt.time).toISOString(),
    key,
  });
  writeFileSync(out, JSON.stringify({ ...receipt, amount: '3' }));
  const altered = await claimwire('receipt', 'verify', out, '--key', key);
  expect(altered).toMatchObject({ code: 1, stdout: '' });
  expect(altered.stderr).toMatch(/RECEIPT_INVALID/);
}
