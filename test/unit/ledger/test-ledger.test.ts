/**
 * The test ledger keeps to the rules of payment channels: each row of the tables is a rule that money depends on. The
 * last tests let xrpl.js's own client use it, so that its shapes are rippled's.
 */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { TestLedger } from '../../support/ledger/test-ledger.ts';
import { createTestChannel, type TestWallet, testWallet } from '../../support/ledger/test-wallet.ts';

const payer = testWallet('payer');
const payee = testWallet('payee');
const stranger = testWallet('stranger', 'ed25519');
const DEPOSIT = 1_000_000n;
const SETTLE_DELAY = 3600;
const TF_RENEW = 0x10000;
const TF_CLOSE = 0x20000;
/** Drops that everybody begins with. */
const BEGINNING = 100_000_000n;
const FEE = 10n;

let ledger: TestLedger;
let channel: string;

beforeEach(async () => {
  const accounts = Object.fromEntries([payer, payee, stranger].map(({ address }) => [address, BEGINNING]));
  ledger = await TestLedger.start({ accounts, startsAt: 1_800_000_000 });
  channel = createTestChannel(ledger, payer, payee, { drops: DEPOSIT, settleDelay: SETTLE_DELAY });
});
afterEach(() => ledger.stop());

/** Gives a transaction and closes a ledger: the preliminary result and the final one, or none. */
function sent(wallet: TestWallet, tx: Record<string, unknown>): { preliminary: string; final: string | undefined } {
  const { Sequence } = ledger.account(wallet.address);
  const preliminary = ledger.submit(wallet.sign({ Sequence, ...tx }));
  return { preliminary, final: ledger.closeLedger().transactions[0]?.result };
}
function claimed(wallet: TestWallet, fields: Record<string, unknown>) {
  return sent(wallet, { TransactionType: 'PaymentChannelClaim', Channel: channel, ...fields });
}
/** The fields of a claim that pays. */
function signed(drops: bigint, authorized = drops): Record<string, unknown> {
  const Signature = payer.signClaim(channel, authorized);
  return { Balance: String(drops), Amount: String(authorized), Signature, PublicKey: payer.publicKey };
}
/** The same signature with the larger s, in DER. */
function highS(der: string): string {
  const rLength = Number.parseInt(der.slice(6, 8), 16) * 2;
  const r = der.slice(8, 8 + rLength);
  const s = BigInt(`0x${der.slice(8 + rLength + 4)}`);
  const order = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n;
  const large = (order - s).toString(16).padStart(64, '0');
  const body = `02${der.slice(6, 8)}${r}0221 00${large}`.replace(' ', '');
  return `30${(body.length / 2).toString(16).padStart(2, '0')}${body}`.toUpperCase();
}
function found() {
  return ledger.channels.find(({ index }) => index === channel);
}

describe('create', () => {
  const good = { TransactionType: 'PaymentChannelCreate', Amount: '5', SettleDelay: 1, PublicKey: payer.publicKey };

  test('a channel holds what the payer paid, and the fee is gone', () => {
    expect(found()).toMatchObject({
      Account: payer.address,
      Destination: payee.address,
      Amount: String(DEPOSIT),
      Balance: '0',
      SettleDelay: SETTLE_DELAY,
      PublicKey: payer.publicKey,
    });
    expect(ledger.balance(payer.address)).toBe(BEGINNING - DEPOSIT - FEE);
    expect(ledger.account(payer.address)).toMatchObject({ Sequence: 2, OwnerCount: 1 });
  });

  test.each([
    ['nothing', { Amount: '0' }, 'temBAD_AMOUNT'],
    ['to oneself', { Destination: payer.address }, 'temDST_IS_SRC'],
    ['a key of no kind', { PublicKey: `05${'11'.repeat(32)}` }, 'temMALFORMED'],
    ['more than one has', { Amount: String(BEGINNING) }, 'tecUNFUNDED'],
    ['to nobody', { Destination: testWallet('nobody').address }, 'tecNO_DST'],
    ['over before it began', { CancelAfter: 5 }, 'tecEXPIRED'],
  ])('%s is refused', (_name, fields, code) => {
    const before = ledger.balance(payer.address);
    expect(sent(payer, { ...good, Destination: payee.address, ...fields })).toEqual({
      preliminary: code,
      final: code.startsWith('tec') ? code : undefined,
    });
    // A tec result costs the fee and the sequence; a tem result leaves no trace.
    expect(before - ledger.balance(payer.address)).toBe(code.startsWith('tec') ? FEE : 0n);
    expect(ledger.channels).toHaveLength(1);
  });
});

describe('claim', () => {
  test('a claim pays the difference to what was paid before', () => {
    expect(claimed(payee, signed(300_000n)).final).toBe('tesSUCCESS');
    expect(claimed(payee, signed(500_000n, 600_000n)).final).toBe('tesSUCCESS');
    expect(found()).toMatchObject({ Amount: String(DEPOSIT), Balance: '500000' });
    expect(ledger.balance(payee.address)).toBe(BEGINNING + 500_000n - 2n * FEE);
    const [node] = ledger.transactions
      .at(-1)!
      .meta.AffectedNodes.filter((each) => each.ModifiedNode?.LedgerEntryType === 'PayChannel');
    expect(node!.ModifiedNode).toMatchObject({
      FinalFields: { Balance: '500000' },
      PreviousFields: { Balance: '300000' },
    });
  });

  test.each<[string, TestWallet, () => Record<string, unknown>, string]>([
    ['a signature of another amount', payee, () => ({ ...signed(7n), Amount: '8' }), 'temBAD_SIGNATURE'],
    ['no signature', payee, () => ({ Balance: '7', Amount: '7' }), 'temBAD_SIGNATURE'],
    ['a high s', payee, () => ({ ...signed(7n), Signature: highS(payer.signClaim(channel, 7n)) }), 'temBAD_SIGNATURE'],
    ['64 bytes r and s', payee, () => ({ ...signed(7n), Signature: '11'.repeat(64) }), 'temBAD_SIGNATURE'],
    ['no PublicKey', payee, () => ({ ...signed(7n), PublicKey: undefined }), 'temMALFORMED'],
    ['a signature without Balance', payee, () => ({ ...signed(7n), Balance: undefined }), 'temMALFORMED'],
    ['more than was signed', payee, () => signed(8n, 7n), 'temBAD_AMOUNT'],
    ['a Balance of 0', payee, () => signed(0n, 7n), 'temBAD_AMOUNT'],
    ['close and renew at once', payer, () => ({ Flags: TF_CLOSE | TF_RENEW }), 'temMALFORMED'],
    ['an unknown flag', payer, () => ({ Flags: 0x40000 }), 'temINVALID_FLAG'],
    [
      'the key of another',
      payee,
      () => ({ ...signed(7n), Signature: payee.signClaim(channel, 7n), PublicKey: payee.publicKey }),
      'temBAD_SIGNER',
    ],
    ['more than was deposited', payee, () => signed(DEPOSIT + 1n), 'tecUNFUNDED_PAYMENT'],
    ['a channel that is not there', payee, () => ({ Channel: '00'.repeat(32) }), 'tecNO_TARGET'],
    ['a stranger', stranger, () => signed(7n), 'tecNO_PERMISSION'],
    ['a renewal by the payee', payee, () => ({ Flags: TF_RENEW }), 'tecNO_PERMISSION'],
  ])('%s is refused', (_name, wallet, fields, code) => {
    const before = ledger.balance(wallet.address);
    const { preliminary, final } = claimed(wallet, fields());
    expect({ preliminary, final }).toEqual({ preliminary: code, final: code.startsWith('tec') ? code : undefined });
    expect(before - ledger.balance(wallet.address)).toBe(code.startsWith('tec') ? FEE : 0n);
    expect(found()).toMatchObject({ Balance: '0' });
  });

  test('what was paid already is not paid again', () => {
    claimed(payee, signed(300_000n));
    expect(claimed(payee, signed(300_000n)).final).toBe('tecUNFUNDED_PAYMENT');
    expect(claimed(payee, signed(200_000n)).final).toBe('tecUNFUNDED_PAYMENT');
    expect(ledger.balance(payee.address)).toBe(BEGINNING + 300_000n - 3n * FEE);
  });

  test('an Ed25519 key signs claims as well', () => {
    channel = createTestChannel(ledger, stranger, payee);
    const Signature = stranger.signClaim(channel, 9n);
    expect(claimed(payee, { Balance: '9', Signature, PublicKey: stranger.publicKey }).final).toBe('tesSUCCESS');
  });
});

describe('fund', () => {
  test('more is deposited, by the owner alone', () => {
    const fund = { TransactionType: 'PaymentChannelFund', Channel: channel, Amount: '500' };
    expect(sent(payee, fund).final).toBe('tecNO_PERMISSION');
    expect(sent(payer, { ...fund, Channel: '00'.repeat(32) }).final).toBe('tecNO_ENTRY');
    expect(sent(payer, { ...fund, Amount: String(BEGINNING) }).final).toBe('tecUNFUNDED');
    expect(sent(payer, { ...fund, Expiration: 5 }).preliminary).toBe('temBAD_EXPIRATION');
    expect(sent(payer, fund).final).toBe('tesSUCCESS');
    expect(found()).toMatchObject({ Amount: String(DEPOSIT + 500n) });
  });
});

describe('closing', () => {
  test("the payee's tfClose pays, and hands the rest back at once", () => {
    expect(claimed(payee, { ...signed(300_000n), Flags: TF_CLOSE }).final).toBe('tesSUCCESS');
    expect(found()).toBeUndefined();
    expect(ledger.balance(payee.address)).toBe(BEGINNING + 300_000n - FEE);
    expect(ledger.balance(payer.address)).toBe(BEGINNING - 300_000n - FEE);
    expect(ledger.account(payer.address).OwnerCount).toBe(0);
    const deleted = ledger.transactions.at(-1)!.meta.AffectedNodes.find((node) => node.DeletedNode !== undefined);
    expect(deleted!.DeletedNode).toMatchObject({
      LedgerIndex: channel,
      FinalFields: { Balance: '300000' },
      PreviousFields: { Balance: '0' },
    });
  });

  test("the payer's tfClose starts the delay, once; tfRenew stops it", () => {
    const parentCloseTime = ledger.chain.last.closeTime;
    claimed(payer, { Flags: TF_CLOSE });
    expect(found()).toMatchObject({ Expiration: parentCloseTime + SETTLE_DELAY });
    ledger.advance(100);
    claimed(payer, { Flags: TF_CLOSE });
    expect(found()).toMatchObject({ Expiration: parentCloseTime + SETTLE_DELAY });
    claimed(payer, { Flags: TF_RENEW });
    expect(found()!.Expiration).toBeUndefined();
  });

  test('a payer closes a channel at once that is paid out in full', () => {
    claimed(payee, signed(DEPOSIT));
    claimed(payer, { Flags: TF_CLOSE });
    expect(found()).toBeUndefined();
  });

  test.each(['claim', 'fund', 'stranger'])(
    'an expired channel is closed by a %s, which succeeds and pays nothing',
    (by) => {
      claimed(payer, { Flags: TF_CLOSE });
      ledger.advance(SETTLE_DELAY);
      const before = ledger.balance(payee.address);
      const { preliminary, final } =
        by === 'fund'
          ? sent(payer, { TransactionType: 'PaymentChannelFund', Channel: channel, Amount: '5' })
          : claimed(by === 'claim' ? payee : stranger, signed(300_000n));
      expect({ preliminary, final }).toEqual({ preliminary: 'tesSUCCESS', final: 'tesSUCCESS' });
      expect(found()).toBeUndefined();
      expect(ledger.balance(payee.address)).toBe(before - (by === 'claim' ? FEE : 0n));
      expect(ledger.balance(payer.address)).toBe(BEGINNING - FEE * (by === 'fund' ? 3n : 2n));
    },
  );

  test('the close time of the parent decides: a claim in the ledger that closes at the expiry still pays', () => {
    claimed(payer, { Flags: TF_CLOSE });
    const { Expiration } = found()!;
    ledger.submit(payee.sign({ Sequence: 1, TransactionType: 'PaymentChannelClaim', Channel: channel, ...signed(9n) }));
    ledger.advance(Expiration! - ledger.chain.last.closeTime);
    expect(found()).toMatchObject({ Balance: '9' });
  });

  test('CancelAfter ends a channel, whatever its owner renews', () => {
    const cancelAfter = ledger.chain.last.closeTime + 1000;
    channel = createTestChannel(ledger, payer, payee, { cancelAfter });
    ledger.advance(1000);
    expect(claimed(payer, { Flags: TF_RENEW }).final).toBe('tesSUCCESS');
    expect(found()).toBeUndefined();
  });
});

describe('any transaction', () => {
  const set = { TransactionType: 'AccountSet' };

  test.each([
    ['a sequence that was used', { Sequence: 0 }, 'tefPAST_SEQ'],
    ['a fee below the base', { Fee: '9' }, 'telINSUF_FEE_P'],
    ['a last ledger that closed', { LastLedgerSequence: 1001 }, 'tefMAX_LEDGER'],
    ['the id of a network that has none', { NetworkID: 21337 }, 'telNETWORK_ID_MAKES_TX_NON_CANONICAL'],
    ['an unknown type', { TransactionType: 'OfferCancel', OfferSequence: 1 }, 'temUNKNOWN'],
  ])('%s is refused', (_name, fields, code) => {
    expect(sent(payee, { ...set, ...fields })).toEqual({ preliminary: code, final: undefined });
    expect(ledger.balance(payee.address)).toBe(BEGINNING);
  });

  test('a blob that somebody changed, or that another key signed, is none', () => {
    const blob = payee.sign({ ...set, Sequence: 1 });
    expect(ledger.submit(blob.replace('68400000000000000A', '68400000000000000B'))).toBe('invalidTransaction');
    expect(ledger.submit('00')).toBe('invalidTransaction');
    expect(ledger.submit(payer.sign({ ...set, Account: payee.address, Sequence: 1 }))).toBe('tefBAD_AUTH');
  });

  test('a sequence ahead of its time waits for the one before it', () => {
    expect(ledger.submit(payee.sign({ ...set, Sequence: 2 }))).toBe('terPRE_SEQ');
    expect(ledger.closeLedger().transactions).toHaveLength(0);
    expect(ledger.submit(payee.sign({ ...set, Sequence: 1 }))).toBe('tesSUCCESS');
    expect(ledger.closeLedger().transactions.map(({ tx }) => tx.Sequence)).toEqual([1, 2]);
  });

  test('the same blob twice is one transaction', () => {
    const blob = payee.sign({ ...set, Sequence: 1 });
    expect([ledger.submit(blob), ledger.submit(blob)]).toEqual(['tesSUCCESS', 'tefPAST_SEQ']);
    expect(ledger.closeLedger().transactions).toHaveLength(1);
    expect(ledger.submit(blob)).toBe('tefPAST_SEQ');
  });

  test('what waits past its LastLedgerSequence is never in a ledger', () => {
    ledger.holdSubmissions();
    expect(ledger.submit(payee.sign({ ...set, Sequence: 1, LastLedgerSequence: 1003 }))).toBe('tesSUCCESS');
    ledger.closeLedger(2);
    ledger.holdSubmissions(false);
    ledger.closeLedger(2);
    expect(ledger.transactions.map(({ tx }) => tx.Account)).toEqual([payer.address]);
  });

  test('a named network wants its name', async () => {
    const other = await TestLedger.start({ accounts: { [payee.address]: BEGINNING }, networkId: 21337 });
    expect(other.submit(payee.sign({ ...set, Sequence: 1 }))).toBe('telREQUIRES_NETWORK_ID');
    expect(other.submit(payee.sign({ ...set, Sequence: 1, NetworkID: 21338 }))).toBe('telWRONG_NETWORK');
    expect(other.submit(payee.sign({ ...set, Sequence: 1, NetworkID: 21337 }))).toBe('tesSUCCESS');
    await other.stop();
  });
});
