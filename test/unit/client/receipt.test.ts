/** Receipts at the payer: asked for over its link, checked, and never believed when a thing in them is altered. */
import { expect, onTestFinished, test } from 'vitest';
import type { Receipt } from '../../../protocol/receipt.ts';
import { Ed25519Signer, generateKey, Payer, Secp256k1Signer, verifyReceipt } from '../../../src/client/index.ts';
import { verifyEd25519 } from '../../../src/client/keys/verify-ed25519.ts';
import { ReceiptCheck } from '../../../src/client/receipt.ts';
import type { ReceiptSigner } from '../../../src/receipts/receipt-key.ts';
import { ModelNode } from '../../support/client-node.ts';
import { brieflyOrAtLength } from '../../support/length.ts';
import { random as seeded } from '../../support/random.ts';
import { altered, ledgerIdOf, NODE_KEY, receiptRig, settled } from '../../support/receipts.ts';

const OTHER = new Secp256k1Signer(new Uint8Array(32).fill(8));
const invalid = { code: 'RECEIPT_INVALID' };

/** Receipts of one tree of so many leaves. */
async function receiptsOf(leaves: number, signer: ReceiptSigner = NODE_KEY): Promise<Receipt[]> {
  const { receipts, source } = receiptRig(signer);
  const channels = Array.from({ length: leaves }, (_, at) => BigInt(at + 1));
  source.grow(...channels.map((channelId) => [channelId, channelId * 1_000n] as const));
  return await Promise.all(channels.map((channelId) => receipts.receipt(channelId)));
}

test.each([
  // A signature of secp256k1 is dear to check.
  ['secp256k1', NODE_KEY, [1, 7]],
  ['Ed25519', new Ed25519Signer(new Uint8Array(32).fill(3)), [1, 2, 3, 7, 32]],
])('every receipt of a tree verifies, and with any field altered none does: %s', async (_name, signer, sizes) => {
  const chance = seeded(18);
  for (const leaves of sizes) {
    const all = await receiptsOf(leaves, signer);
    for (const receipt of all) await verifyReceipt(receipt, { key: signer.publicKey });
    for (let round = 0; round < brieflyOrAtLength(1, 20); round++) {
      const receipt = all[chance.below(leaves)]!;
      for (const [what, wrong] of altered(receipt, chance)) {
        // The sound one has just been checked.
        await expect(verifyReceipt(wrong), `${what} of ${leaves}`).rejects.toMatchObject(invalid);
      }
    }
  }
});

test('a receipt is of one channel, an amount and a key: where one of them is expected, another is refused', async () => {
  const [receipt] = (await receiptsOf(3)) as [Receipt];
  const check = new ReceiptCheck(verifyEd25519);
  const sound = { key: NODE_KEY.publicKey, ledgerChannelId: ledgerIdOf(1n), amount: 1_000n };
  expect(await check.check(receipt, sound)).toEqual(receipt);
  const text = {
    key: receipt.publicKey.toLowerCase(),
    ledgerChannelId: receipt.ledgerChannelId.toLowerCase(),
    amount: 1n,
  };
  expect(await check.check(receipt, text)).toEqual(receipt);
  for (const other of [{ key: OTHER.publicKey }, { ledgerChannelId: ledgerIdOf(2n) }, { amount: 1_001n }, { key: '' }])
    await expect(check.check(receipt, { ...sound, ...other })).rejects.toMatchObject(invalid);
  // Another's signature under the node's name, and a signature of high s.
  const forged = { ...receipt, signature: (await receiptsOf(3, OTHER))[0]!.signature };
  await expect(check.check(forged, sound)).rejects.toMatchObject(invalid);
  for (const value of [undefined, {}, { ...receipt, path: [] }])
    await expect(check.check(value)).rejects.toMatchObject(invalid);
});

test('a forged ack brings no receipt: the channel asks for what acks have told, and the node signs what it holds', async () => {
  const { receipts, source, clock } = receiptRig();
  const own = receiptRig(OTHER);
  const id = ledgerIdOf(77n);
  const answers: Record<string, unknown>[] = [];
  // Whoever is between: it acknowledges every claim, and passes on no more than it likes.
  const between = await ModelNode.open({ udp: true, control: () => answers.shift()! });
  const payer = await Payer.open({ to: between.url('udp') });
  onTestFinished(async () => {
    await payer.close();
    await between.close();
  });
  const channel = payer.channel({ ledgerChannelId: id, key: generateKey() });
  await channel.claim(40n);
  source.grow([77n, 40n]);
  const sound = await receipts.receipt(77n);
  answers.push({ ok: true, ...sound });
  expect(await channel.receipt({ key: NODE_KEY.publicKey })).toEqual(sound);
  expect(between.controls.at(-1)).toMatchObject({ type: 'receipt', channelId: '77', amount: '40' });
  // The node never sees this claim.
  await channel.claim(41n);
  expect(channel.committed).toBe(41n);
  const asked = receipts.receipt(77n, channel.committed).catch(({ code, message }) => ({ ok: false, code, message }));
  clock.advance(100);
  await settled();
  clock.advance(100);
  own.source.grow([77n, 41n]);
  // What it can answer: the node's word, an older receipt, that one altered, and one by a key of its own.
  answers.push((await asked) as Record<string, unknown>, { ok: true, ...sound }, { ok: true, ...sound, amount: '41' });
  answers.push({ ok: true, ...(await own.receipts.receipt(77n)) });
  const codes: string[] = [];
  while (answers.length > 0)
    codes.push(
      await channel.receipt({ key: NODE_KEY.publicKey }).then(
        () => 'believed',
        ({ code }) => code,
      ),
    );
  expect(codes).toEqual(['RECEIPT_NOT_YET', 'RECEIPT_INVALID', 'RECEIPT_INVALID', 'RECEIPT_INVALID']);
  answers.push({ ok: false, code: 'NO_RECEIPTS', message: 'no key' });
  await expect(channel.receipt()).rejects.toMatchObject({ code: 'NO_RECEIPTS' });
  await expect(channel.receipt({ amount: -1n })).rejects.toMatchObject({ code: 'INPUT_INVALID' });
});
