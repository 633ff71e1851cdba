/** What goes to the ledger, checked against xrpl.js as an independent peer. */
import { generateKeyPairSync, sign, verify } from 'node:crypto';
import { expect, test } from 'vitest';
import {
  authorizeChannel,
  dropsToXrp,
  encode,
  hashes,
  validate,
  verifyPaymentChannelClaim,
  Wallet,
  xrpToDrops,
} from 'xrpl';
import { DROPS_MAX } from '../../../protocol/layout.ts';
import {
  derFromCompact,
  notRedeemable,
  parseAddress,
  paymentChannelClaim,
  type Redeemable,
  redeemAdvice,
  rippleTime,
} from '../../../src/ledger/xrpl.ts';

const bytes = (hex: string) => Uint8Array.from(Buffer.from(hex, 'hex'));
const PAYEE = 'rHb9CJAWyB4rj91VRWn96DkukG4bwdtyTh';
const VECTORS = [
  {
    publicKey: '0257CF4F3929F535518D624292D62ACE47E9DA563D7DFA7EA4C6BC24258AB467B7',
    channel: '5DB01B7FFED6B67E6B0414DED11E051D2EE2B7619CE0EAA6286D67A3A4D5BDB3',
    drops: 1_000_000n,
    compact:
      '7A942607EFB90C9D38769330B3B540F7D83B3A38E7A621A59C9B6A51F3116D233BC45DB3E6CA873DCAC00EE6753FD982F9328A7BD3231B314C7195CAD2B4F5A3',
    der: '304402207A942607EFB90C9D38769330B3B540F7D83B3A38E7A621A59C9B6A51F3116D2302203BC45DB3E6CA873DCAC00EE6753FD982F9328A7BD3231B314C7195CAD2B4F5A3',
  },
  {
    publicKey: '036C809A0E26D9F1F0760B644FAD0DAE73C2A91E973BF3BC631A3C5E642E45E2E8',
    channel: 'D4EDB9530232EF171B8A71D2D99FDCFC696CDCD5EB127C0E1806B2C9535DF80A',
    drops: 1n,
    compact:
      '0D1ED9B0E2643AC68BEBDE440FAD3C3CF919038024D4CB3BDF40EF55CB7F7EED5E9C292C659C0E1D84E944D7F3AAABD74E3F93DEC254AFB19CCA9B191BD0CC6C',
    der: undefined,
  },
];
const [V1] = VECTORS as [(typeof VECTORS)[0]];

function redeemable(vector = V1, change: Partial<Redeemable> = {}): Redeemable {
  return {
    ledgerChannelId: bytes(vector.channel),
    publicKey: bytes(vector.publicKey),
    committed: vector.drops,
    signature: bytes(vector.compact),
    profile: 'xrpl',
    expiresAt: 0,
    ...change,
  };
}

const invalid = (text: string) =>
  expect.objectContaining({ code: 'INPUT_INVALID', message: expect.stringContaining(text) });

test.each(VECTORS)('vector of $drops drops: the transaction’s signature verifies with xrpl.js', (vector) => {
  const transaction = paymentChannelClaim({ account: PAYEE, channel: redeemable(vector) });
  if (vector.der !== undefined) expect(transaction.Signature).toBe(vector.der);
  expect(transaction).toEqual({
    TransactionType: 'PaymentChannelClaim',
    Account: PAYEE,
    Channel: vector.channel,
    Balance: String(vector.drops),
    Amount: String(vector.drops),
    Signature: transaction.Signature,
    PublicKey: vector.publicKey,
    Flags: 0,
  });
  // xrpl.js counts XRP here, the transaction drops.
  const xrp = String(dropsToXrp(transaction.Amount));
  expect(verifyPaymentChannelClaim(vector.channel, xrp, transaction.Signature, transaction.PublicKey)).toBe(true);
  const other = String(dropsToXrp(String(vector.drops + 1n)));
  expect(verifyPaymentChannelClaim(vector.channel, other, transaction.Signature, transaction.PublicKey)).toBe(false);
  expect(xrpToDrops(xrp)).toBe(transaction.Balance);
});

test('xrpl.js takes, encodes and signs the transaction once the wallet filled it in', () => {
  const transaction = { ...paymentChannelClaim({ account: PAYEE, channel: redeemable() }), Fee: '10', Sequence: 1 };
  validate(transaction as unknown as Record<string, unknown>);
  expect(encode(transaction as never)).toMatch(/^[0-9A-F]+$/);
  const wallet = Wallet.generate();
  const signed = wallet.sign({ ...transaction, Account: wallet.address } as never);
  expect(signed.hash).toBe(hashes.hashSignedTx(signed.tx_blob));
});

test('OpenSSL takes the DER of any signature', () => {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'secp256k1' });
  const lengths = new Set<number>();
  for (let index = 0; index < 600; index++) {
    const message = Uint8Array.of(index, index >> 8);
    const der = bytes(derFromCompact(sign('sha512', message, { key: privateKey, dsaEncoding: 'ieee-p1363' })));
    lengths.add(der.length);
    expect(verify('sha512', message, publicKey, der)).toBe(true);
  }
  expect(lengths.size).toBeGreaterThan(2);
});

test.each([
  ['01', '7F', '300602010102017F'],
  ['80', '00FF', '300802020080020200FF'],
  ['0100', '8000', '300902020100020300' + '8000'],
  ['FF'.repeat(32), '01', `3026022100${'FF'.repeat(32)}020101`],
])('short scalars lose their zeros, and a set top bit has one before it: %s, %s', (r, s, der) => {
  expect(derFromCompact(bytes(r.padStart(64, '0') + s.padStart(64, '0')))).toBe(der);
});

test('what is no signature has no DER', () => {
  expect(() => derFromCompact(new Uint8Array(64))).toThrow(invalid('r above 0'));
  expect(() => derFromCompact(new Uint8Array(63))).toThrow(invalid('64 bytes'));
});

test('addresses: typos, X-addresses and foreign ones are refused', () => {
  expect(parseAddress(PAYEE, 'account')).toBe(PAYEE);
  for (let at = 1; at < PAYEE.length; at++) {
    const typo = PAYEE.slice(0, at) + (PAYEE[at] === 'r' ? 'p' : 'r') + PAYEE.slice(at + 1);
    expect(() => parseAddress(typo, '--account')).toThrow(invalid('--account: expected a classic'));
  }
  expect(() => parseAddress('XVLhHMPHU98es4dbozjVtdWzVrDjtV5fdx1mHp98tDMoQXb', 'a')).toThrow(invalid('X-address'));
  for (const text of ['', 'r', '0x52908400098527886E0F7030069857D2E4169EE7', `${PAYEE} `])
    expect(() => parseAddress(text, 'a')).toThrow(invalid('a: expected'));
});

test('nothing is made of a link channel, of no claim, of a high s', () => {
  expect(notRedeemable(redeemable())).toBeUndefined();
  const link = redeemable(V1, { profile: 'link' });
  expect(() => paymentChannelClaim({ account: PAYEE, channel: link })).toThrow(invalid('link'));
  const empty = redeemable(V1, { committed: 0n });
  expect(() => paymentChannelClaim({ account: PAYEE, channel: empty })).toThrow(invalid('nothing is committed'));
  const order = 0xffff_ffff_ffff_ffff_ffff_ffff_ffff_fffe_baae_dce6_af48_a03b_bfd2_5e8c_d036_4141n;
  const high = (order - BigInt(`0x${V1.compact.slice(64)}`)).toString(16).padStart(64, '0');
  const twin = redeemable(V1, { signature: bytes(V1.compact.slice(0, 64) + high) });
  expect(() => paymentChannelClaim({ account: PAYEE, channel: twin })).toThrow(invalid('low s'));
});

test('an Ed25519 signature goes as its 64 bytes, which xrpl.js verifies; a second form or a DER never does', () => {
  const wallet = Wallet.generate('ed25519' as never);
  const hex = authorizeChannel(wallet, V1.channel, String(V1.drops));
  const channel = redeemable(V1, { publicKey: bytes(wallet.publicKey), signature: bytes(hex) });
  const transaction = paymentChannelClaim({ account: PAYEE, channel });
  expect(transaction).toMatchObject({ Signature: hex, PublicKey: wallet.publicKey });
  expect(transaction.Signature).toMatch(/^[0-9A-F]{128}$/);
  const xrp = String(dropsToXrp(transaction.Amount));
  expect(verifyPaymentChannelClaim(V1.channel, xrp, transaction.Signature, wallet.publicKey)).toBe(true);
  const other = String(dropsToXrp(String(V1.drops + 1n)));
  expect(verifyPaymentChannelClaim(V1.channel, other, transaction.Signature, wallet.publicKey)).toBe(false);
  validate({ ...transaction, Fee: '10', Sequence: 1 });

  const order = 2n ** 252n + 27742317777372353535851937790883648493n;
  const s = (value: bigint) => Buffer.from(value.toString(16).padStart(64, '0'), 'hex').reverse().toString('hex');
  const withS = (value: bigint) => redeemable(V1, { ...channel, signature: bytes(hex.slice(0, 64) + s(value)) });
  expect(() => paymentChannelClaim({ account: PAYEE, channel: withS(order) })).toThrow(invalid('below the group'));
  expect(paymentChannelClaim({ account: PAYEE, channel: withS(order - 1n) }).Signature).toHaveLength(128);
});

test('amounts over 2^53 stay exact', () => {
  const channel = redeemable(V1, { committed: DROPS_MAX - 1n });
  expect(paymentChannelClaim({ account: PAYEE, channel }).Balance).toBe('99999999999999999');
});

test('advice: the fee must be less, and time is named before it runs out', () => {
  const now = 1_800_000_000;
  const advice = (change: Partial<Redeemable>, feeDrops = 10n) =>
    redeemAdvice(redeemable(V1, change), { feeDrops, now });
  expect(advice({})).toEqual({ worthRedeeming: true, warnings: [] });
  expect(advice({ committed: 10n }).worthRedeeming).toBe(false);
  expect(advice({ committed: 11n }).worthRedeeming).toBe(true);
  expect(advice({ expiresAt: now + 86_400 }).warnings).toEqual([]);
  expect(advice({ expiresAt: now + 86_399 })).toMatchObject({
    worthRedeeming: true,
    warnings: [expect.stringContaining('redeem now')],
  });
  expect(advice({ expiresAt: now + 1 }).worthRedeeming).toBe(true);
  expect(advice({ expiresAt: now })).toMatchObject({
    worthRedeeming: false,
    warnings: [expect.stringContaining('closes it and pays nothing')],
  });
  expect(advice({ profile: 'link' }).worthRedeeming).toBe(false);
  expect(rippleTime(946_684_800)).toBe(0);
});

test('what leaves of signed roots have paid is left out of a transaction, and of what it would bring', () => {
  const own = { committed: V1.drops, sequence: 1, timestampBits: 0n };
  const channel = redeemable(V1, { committed: V1.drops * 3n, rooted: own });
  const terms = { feeDrops: 10n, now: 0 };
  expect(paymentChannelClaim({ account: PAYEE, channel })).toEqual(
    paymentChannelClaim({ account: PAYEE, channel: redeemable() }),
  );
  expect(redeemAdvice(channel, { ...terms, feeDrops: V1.drops }).worthRedeeming).toBe(false);
  expect(redeemAdvice(channel, terms).worthRedeeming).toBe(true);
  const none = { ...channel, signature: new Uint8Array(64), rooted: { ...own, committed: 0n } };
  expect(notRedeemable(none)).toBe('nothing is committed');
  expect(() => paymentChannelClaim({ account: PAYEE, channel: none })).toThrow(invalid('a claim to redeem'));
});
