/** Channels that payers create through a node: checked before they are submitted, made once, and found again. */
import { decode, encode } from 'ripple-binary-codec';
import { beforeAll, beforeEach, expect, test } from 'vitest';
import { SHARDS, shardOfChannel } from '../../../protocol/shard.ts';
import { defaultChannelId } from '../../../src/channel/parse.ts';
import type { Channel } from '../../../src/channel/row.ts';
import { ChannelCreator } from '../../../src/ledger/creator.ts';
import { loadXrpl } from '../../../src/ledger/xrpl-library.ts';
import { type ChainConnection, LedgerRig, PAYEE, PAYER } from '../../support/chain-rig.ts';
import { channelIndex } from '../../support/ledger/entries.ts';
import { testWallet } from '../../support/ledger/test-wallet.ts';
import { MemorySideTables } from '../../support/memory-side-tables.ts';

const silent = { info() {}, warn() {}, error() {} };
const DEPOSIT = 5_000_000n;
let rig: LedgerRig;
let tables: MemorySideTables;
let rows: Map<bigint, Channel>;

// Its import takes as long as many ledgers of the rig.
beforeAll(async () => void (await loadXrpl()));
beforeEach(() => {
  rig = new LedgerRig();
  tables = new MemorySideTables();
  rows = new Map();
});

/** A node's creator, as a new process makes it. */
function process(connection: ChainConnection = rig.connect()) {
  const openFromLedger = async (ledgerChannelId: Uint8Array): Promise<Channel> => {
    const { channel } = await connection.channel(ledgerChannelId);
    const channelId = defaultChannelId(ledgerChannelId);
    const row = { channelId, ledgerChannelId, publicKey: channel!.publicKey, capacity: channel!.amount, committed: 0n };
    rows.set(channelId, { ...row, state: 'open', profile: 'xrpl' } as Channel);
    return rows.get(channelId)!;
  };
  const creator = new ChannelCreator({
    service: { openFromLedger, expectNetwork: async () => {} },
    node: { channel: (channelId) => rows.get(channelId), ruleSeconds: rig.now },
    settings: { account: PAYEE.address, minSettleDelaySeconds: 3_600 },
    connection,
    tables,
    clock: rig.clock,
    logger: silent,
  });
  return { creator, connection };
}

function creation(change: Record<string, unknown> = {}, of = PAYER): string {
  const fields = {
    TransactionType: 'PaymentChannelCreate',
    Destination: PAYEE.address,
    Amount: String(DEPOSIT),
    SettleDelay: 3_600,
    PublicKey: PAYER.publicKey,
    Sequence: rig.account(PAYER.address).Sequence,
    LastLedgerSequence: rig.chain.last.index + 20,
    ...change,
  };
  return of.sign(Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)));
}

const made = () => rig.transactionsOf(PAYER.address).filter(({ tx }) => tx.TransactionType === 'PaymentChannelCreate');

test('a sound one is submitted, validated and opened', async () => {
  const { creator } = process();
  const id = channelIndex(PAYER.address, PAYEE.address, rig.account(PAYER.address).Sequence);
  const channel = await rig.until(creator.create(creation(), { amountMin: DEPOSIT }));
  expect(Buffer.from(channel.ledgerChannelId).toString('hex').toUpperCase()).toBe(id);
  expect(channel.capacity).toBe(DEPOSIT);
});

const expiry = { CancelAfter: 1 };
test.each<[string, Record<string, unknown>]>([
  ['expected one that pays', { Destination: testWallet('stranger').address }],
  ['SettleDelay', { SettleDelay: 3_599 }],
  ['PublicKey', { PublicKey: `02${'00'.repeat(32)}` }],
  ['Amount', { Amount: { currency: 'USD', issuer: PAYEE.address, value: '1' } }],
  ['Amount: expected at least', { Amount: '4999999' }],
  ['Amount: expected what', { Amount: '99000000000' }],
  ['ends', expiry],
  ['Sequence', { Sequence: 77 }],
  ['Sequence', { Sequence: 0, TicketSequence: 5 }],
  ['LastLedgerSequence', { LastLedgerSequence: undefined }],
  ['LastLedgerSequence', { LastLedgerSequence: 5_000 }],
  ['NetworkID', { NetworkID: 1_025 }],
  ['Flags', { Flags: 1 }],
  ['TransactionType', { TransactionType: 'Payment', SettleDelay: undefined, PublicKey: undefined }],
  ['AccountTxnID', { AccountTxnID: 'A'.repeat(64) }],
])('refused before it is submitted: %s %o', async (reason, change) => {
  const { creator, connection } = process();
  await expect(creator.create(creation(change), { amountMin: DEPOSIT })).rejects.toMatchObject({
    code: 'LEDGER_REFUSED',
    message: expect.stringContaining(reason),
  });
  expect(connection.calls).not.toContain('submit');
});

test('refused before it is submitted: bytes of no transaction, a broken signature, another account’s', async () => {
  const { creator, connection } = process();
  const sound = creation();
  const other = creation({ Account: PAYER.address }, testWallet('stranger'));
  const { TxnSignature, ...fields } = decode(sound) as Record<string, string>;
  const forged = encode({
    ...fields,
    TxnSignature: TxnSignature!.replace(/..$/, (end) => (end === '00' ? '01' : '00')),
  });
  for (const blob of ['00', sound.slice(0, -2), forged, other, 'AB'.repeat(5_000)])
    await expect(creator.create(blob)).rejects.toMatchObject({ code: 'LEDGER_REFUSED' });
  expect(connection.calls).not.toContain('submit');
});

test('the same one again, at once or later, makes no second channel', async () => {
  const { creator } = process();
  const blob = creation();
  const [first, again] = await rig.until(Promise.all([creator.create(blob), creator.create(blob)]));
  expect(again).toEqual(first);
  rows.clear();
  expect(await rig.until(creator.create(blob))).toMatchObject({ channelId: first.channelId });
  expect(made()).toHaveLength(1);
});

test('a payer that lost the answer and signs anew gets the channel it has, until that has paid', async () => {
  const { creator } = process();
  const lost = new AbortController();
  const answer = creator.create(creation(), { signal: lost.signal });
  lost.abort(new Error('the connection broke'));
  await expect(answer).rejects.toThrow('broke');
  for (let ledgers = 0; ledgers < 3; ledgers++) await rig.step();
  expect(made()).toHaveLength(1);
  const first = await rig.until(creator.create(creation()));
  expect(made()).toHaveLength(1);
  rows.set(first.channelId, { ...first, committed: 1n });
  const second = await rig.until(creator.create(creation()));
  expect(second.channelId).not.toBe(first.channelId);
  expect(made()).toHaveLength(2);
});

test.each(Array.from({ length: 24 }, (_, at) => at))(
  'a process that ends after %i turns loses no channel and makes no second',
  async (turns) => {
    const { creator } = process();
    const blob = creation();
    creator.create(blob).catch(() => {});
    for (let turn = 0; turn < turns; turn++) {
      await new Promise(setImmediate);
      if (turn % 6 === 5) rig.chain.close(rig.chain.last.closeTime + 4);
      if (turn % 6 === 5) rig.clock.advance(4_000);
    }
    await creator.stop();
    tables = tables.kill();
    const next = process();
    next.creator.start();
    for (let ledgers = 0; ledgers < 3; ledgers++) await rig.step();
    // What was submitted is opened even if its payer never comes again.
    expect(rows.size).toBe(made().length);
    const channel = await rig.until(next.creator.create(blob));
    expect(channel.capacity).toBe(DEPOSIT);
    expect([...rows.keys()]).toEqual([channel.channelId]);
    expect(made()).toHaveLength(1);
    await next.creator.stop();
  },
);

test('one that is lost on its way is submitted again; one that can never be validated is forgotten', async () => {
  const { creator, connection } = process();
  rig.losesSubmissions = true;
  const answer = creator.create(creation());
  await expect(rig.until(answer)).rejects.toMatchObject({
    code: 'LEDGER_REFUSED',
    message: expect.stringContaining('never'),
  });
  expect(connection.calls.filter((name) => name === 'submit').length).toBeGreaterThan(1);
  rig.losesSubmissions = false;
  expect(await rig.until(creator.create(creation()))).toMatchObject({ capacity: DEPOSIT });
  expect(made()).toHaveLength(1);
});

test('a creation whose shard goes to another node is ended there, and opened once', async () => {
  const [giver, taker] = [process().creator, process().creator];
  giver.start();
  taker.start();
  const transaction = creation();
  const id = channelIndex(PAYER.address, PAYEE.address, rig.account(PAYER.address).Sequence);
  const shards = new Set([shardOfChannel(defaultChannelId(new Uint8Array(Buffer.from(id, 'hex'))))]);
  rig.chain.holdSubmissions = true;
  const asked = giver.create(transaction).catch((error: { code: string }) => error.code);
  await rig.step();
  giver.drain(shards);
  giver.drop(shards);
  expect(await asked).toBe('MOVED');
  taker.serve(shards, [...tables.entries('creations')]);
  rig.chain.holdSubmissions = false;
  const again = taker.create(transaction);
  expect(await rig.until(again)).toMatchObject({ capacity: DEPOSIT });
  expect(made()).toHaveLength(1);
  // One that stays, since its receiver has gone, goes on too.
  for (const [channelId, row] of rows) rows.set(channelId, { ...row, committed: 1n });
  const second = creation();
  rig.chain.holdSubmissions = true;
  const other = taker.create(second).catch((error: { code: string }) => error.code);
  await rig.step();
  const all = new Set(Array.from({ length: SHARDS }, (_, shard) => shard));
  taker.drain(all);
  expect(await other).toBe('MOVED');
  taker.serve(all, []);
  rig.chain.holdSubmissions = false;
  await rig.step();
  await rig.step();
  expect(rows.size).toBe(2);
  expect(made()).toHaveLength(2);
});
