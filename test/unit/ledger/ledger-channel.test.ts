/** PayChannel entries and metadata are read strictly: a malformed answer must not become a channel or a payment. */
import { describe, expect, test } from 'vitest';
import {
  parseFinalTransaction,
  parseLedgerChannel,
  parseLedgerChannels,
  touchedChannels,
} from '../../../src/ledger/ledger-channel.ts';

const ID = '5DB01B7FFED6B67E6B0414DED11E051D2EE2B7619CE0EAA6286D67A3A4D5BDB3';
const HASH = 'AB'.repeat(32);
const ENTRY = {
  LedgerEntryType: 'PayChannel',
  index: ID,
  Account: 'rHb9CJAWyB4rj91VRWn96DkukG4bwdtyTh',
  Destination: 'rPT1Sjq2YGrBMTttX4GZHjKu9dyfzbpAYe',
  PublicKey: '0257CF4F3929F535518D624292D62ACE47E9DA563D7DFA7EA4C6BC24258AB467B7',
  Amount: '1000000',
  Balance: '5',
  SettleDelay: 3600,
  Flags: 0,
};

describe('a channel', () => {
  test('times are seconds since 2000, and a missing one says never', () => {
    expect(parseLedgerChannel({ ...ENTRY, Expiration: 1 })).toMatchObject({ expiration: 946_684_801, cancelAfter: 0 });
    expect(parseLedgerChannel({ ...ENTRY, CancelAfter: 0 }).cancelAfter).toBe(946_684_800);
  });

  test.each<[string, unknown]>([
    ['LedgerEntryType', 'Escrow'],
    ['index', ID.slice(2)],
    ['index', ID.toLowerCase()],
    ['Account', 'rHb9CJAWyB4rj91VRWn96DkukG4bwdtyTi'],
    ['Destination', undefined],
    ['PublicKey', 'zz'],
    ['PublicKey', `${ENTRY.PublicKey}00`],
    ['Amount', 1_000_000],
    ['Amount', '-1'],
    ['Amount', '01'],
    ['Amount', '1e6'],
    ['Amount', '100000000000000001'],
    ['Balance', '1000001'],
    ['Balance', undefined],
    ['SettleDelay', '3600'],
    ['SettleDelay', 4_294_967_296],
    ['SettleDelay', 1.5],
    ['Expiration', null],
    ['Expiration', -1],
    ['CancelAfter', '5'],
  ])('%s %j is refused by name', (field, value) => {
    const parse = () => parseLedgerChannel({ ...ENTRY, [field]: value });
    expect(parse).toThrow(expect.objectContaining({ code: 'LEDGER_REFUSED', details: { field } }));
  });
});

const OTHER_ASSET = { currency: 'USD', value: '1', issuer: ENTRY.Account };
test('a channel of another asset is no fault of the server: it names no field, and a list or a transaction with it is read', () => {
  const other = { ...ENTRY, Amount: OTHER_ASSET };
  expect(() => parseLedgerChannel(other)).toThrow(
    expect.objectContaining({ message: expect.stringMatching(/of XRP, got one of another asset/), details: {} }),
  );
  expect(parseLedgerChannels([other, ENTRY])).toEqual({ channels: [parseLedgerChannel(ENTRY)], skipped: 1 });
  const touched = { LedgerEntryType: 'PayChannel', LedgerIndex: ID, FinalFields: other };
  expect(touchedChannels({ AffectedNodes: [{ ModifiedNode: touched }] })).toEqual([]);
});

describe('metadata', () => {
  const { index: _, LedgerEntryType, ...fields } = ENTRY;
  const node = { LedgerEntryType, LedgerIndex: ID };
  const answer = (meta: unknown) => ({ hash: HASH, ledger_index: 7, validated: true, tx_json: { Channel: ID }, meta });

  test('a deleted channel says what was paid in all, whatever the result code says', () => {
    const AffectedNodes = [
      { ModifiedNode: { LedgerEntryType: 'AccountRoot', LedgerIndex: HASH, FinalFields: {} } },
      { DeletedNode: { ...node, FinalFields: fields, PreviousFields: { Balance: '0' } } },
    ];
    expect(parseFinalTransaction(answer({ AffectedNodes, TransactionResult: 'tesSUCCESS' }), HASH)).toEqual({
      hash: HASH,
      ledgerIndex: 7,
      result: 'tesSUCCESS',
      channel: { ledgerChannelId: expect.anything(), amount: 1_000_000n, balance: 5n, deleted: true },
    });
  });

  test('a new channel has paid nothing', () => {
    const { Balance: _none, ...NewFields } = fields;
    expect(touchedChannels({ AffectedNodes: [{ CreatedNode: { ...node, NewFields } }] })).toMatchObject([
      { amount: 1_000_000n, balance: 0n, deleted: false },
    ]);
  });

  test('a claim that failed touched no channel; one of another id is not its channel', () => {
    const meta = { AffectedNodes: [], TransactionResult: 'tecUNFUNDED_PAYMENT' };
    expect(parseFinalTransaction(answer(meta), HASH)).toEqual({
      hash: HASH,
      ledgerIndex: 7,
      result: meta.TransactionResult,
    });
    const other = { ModifiedNode: { ...node, LedgerIndex: HASH, FinalFields: fields } };
    const touching = { AffectedNodes: [other], TransactionResult: 'tesSUCCESS' };
    expect(parseFinalTransaction(answer(touching), HASH)?.channel).toBeUndefined();
  });

  test('what is not validated is not final', () => {
    const meta = { AffectedNodes: [], TransactionResult: 'tesSUCCESS' };
    for (const validated of [false, undefined, 'true', 1])
      expect(parseFinalTransaction({ ...answer(meta), validated }, HASH)).toBeUndefined();
  });

  test.each<[string, unknown]>([
    ['meta', 'unavailable'],
    ['AffectedNodes', { TransactionResult: 'tesSUCCESS' }],
    ['TransactionResult', { AffectedNodes: [], TransactionResult: 'terQUEUED' }],
    ['ModifiedNode', { AffectedNodes: [{ ModifiedNode: null }], TransactionResult: 'tesSUCCESS' }],
    ['FinalFields', { AffectedNodes: [{ ModifiedNode: node }], TransactionResult: 'tesSUCCESS' }],
    [
      'AffectedNodes',
      { AffectedNodes: [{ OtherNode: { ...node, FinalFields: fields } }], TransactionResult: 'tesSUCCESS' },
    ],
  ])('a malformed %s is refused by name', (field, meta) => {
    const parse = () => parseFinalTransaction(answer(meta), HASH);
    expect(parse).toThrow(expect.objectContaining({ code: 'LEDGER_REFUSED', details: { field } }));
  });

  test('the metadata of another transaction is refused', () => {
    const meta = { AffectedNodes: [], TransactionResult: 'tesSUCCESS' };
    expect(() => parseFinalTransaction(answer(meta), 'CD'.repeat(32))).toThrow('hash');
  });
});
