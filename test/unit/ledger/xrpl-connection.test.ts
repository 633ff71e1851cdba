/**
 * The connection to the ledger, against servers of the test ledger: what it reads, and what it does when a server drops it,
 * hangs, stands still, is on another network or another fork, or is hostile.
 */
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { LedgerConnection } from '../../../src/ledger/ledger-port.ts';
import { connectLedger } from '../../../src/ledger/xrpl-connection.ts';
import { TestLedger } from '../../support/ledger/test-ledger.ts';
import type { TestServer } from '../../support/ledger/test-server.ts';
import { createTestChannel, testWallet } from '../../support/ledger/test-wallet.ts';
import { ManualClock } from '../../support/manual-clock.ts';

const payer = testWallet('payer');
const payee = testWallet('payee');
const START = 1_800_000_000;
const DEPOSIT = 1_000_000n;
const TIMEOUT_MS = 1000;
const STALE_MS = 8000;
const PAUSE_MS = 500;

let ledger: TestLedger;
let channel: string;
let connection: LedgerConnection;
let warnings: string[];
let clock: ManualClock;

const logger = {
  info: () => {},
  warn: (message: string) => warnings.push(message),
  error: (message: string) => warnings.push(message),
};

function bytes(hex: string): Uint8Array {
  return new Uint8Array(Buffer.from(hex, 'hex'));
}
function claim(drops: bigint, fields: Record<string, unknown> = {}) {
  return payee.sign({
    TransactionType: 'PaymentChannelClaim',
    Channel: channel,
    Balance: String(drops),
    Amount: String(drops),
    Signature: payer.signClaim(channel, drops),
    PublicKey: payer.publicKey,
    Sequence: ledger.account(payee.address).Sequence,
    ...fields,
  });
}

async function connect(servers: TestServer[] = ledger.servers, networkId?: number): Promise<void> {
  const urls = servers.map(({ url }) => url);
  connection = await connectLedger({ urls, logger, clock, networkId, timeoutMs: TIMEOUT_MS, staleMs: STALE_MS });
}
/** Waits for what comes over a socket. */
function soon(check: () => void): Promise<void> {
  return vi.waitFor(check, { interval: 2, timeout: 20_000 });
}

beforeEach(async () => {
  warnings = [];
  clock = new ManualClock(START * 1000);
  const accounts = { [payer.address]: 100_000_000n, [payee.address]: 50_000_000n };
  ledger = await TestLedger.start({ accounts, startsAt: START });
  channel = createTestChannel(ledger, payer, payee, { drops: DEPOSIT, settleDelay: 3600 });
});
afterEach(async () => {
  await connection?.close();
  await ledger.stop();
});

describe('a good server', () => {
  beforeEach(() => connect());

  test('a channel, with the ledger that it is from', async () => {
    expect(await connection.networkId()).toBe(0);
    expect(connection.url).toBe(ledger.url);
    expect(await connection.channel(bytes(channel))).toEqual({
      ledger: { index: 1001, closedAt: START + 4 },
      channel: {
        ledgerChannelId: bytes(channel),
        account: payer.address,
        destination: payee.address,
        publicKey: bytes(payer.publicKey),
        amount: DEPOSIT,
        balance: 0n,
        settleDelay: 3600,
        expiration: 0,
        cancelAfter: 0,
      },
    });
    expect((await connection.channel(bytes('00'.repeat(32)))).channel).toBeUndefined();
  });

  test('a claim: preliminary, then final, and whoever listens is told', async () => {
    const ledgers: number[] = [];
    const touched: string[] = [];
    connection.onLedger(({ index }) => ledgers.push(index));
    connection.onChannelTouched(payee.address, (id) => touched.push(Buffer.from(id).toString('hex').toUpperCase()));
    const account = await connection.account(payee.address);
    expect(account).toEqual({ ledgerIndex: expect.any(Number), sequence: 1, balance: 50_000_000n });
    expect(await connection.fee()).toBe(10n);
    expect(await connection.submit(claim(300_000n))).toEqual({ preliminary: 'tesSUCCESS' });
    const { hash } = ledger.chain.open.transactions[0]!;
    expect(await connection.transaction(hash)).toBeUndefined();
    ledger.closeLedger();
    await soon(() => expect(touched).toEqual([channel]));
    expect(ledgers.at(-1)).toBe(1002);
    expect(connection.validated).toEqual({ index: 1002, closedAt: START + 8 });
    expect(await connection.transaction(hash)).toEqual({
      hash,
      ledgerIndex: 1002,
      result: 'tesSUCCESS',
      channel: { ledgerChannelId: bytes(channel), amount: DEPOSIT, balance: 300_000n, deleted: false },
    });
    const { channels } = await connection.channelsTo(payee.address);
    expect(channels).toMatchObject([{ balance: 300_000n }]);
  });

  test('a claim on an expired channel succeeds and pays nothing, and the metadata says so', async () => {
    ledger.submit(
      payer.sign({ TransactionType: 'PaymentChannelClaim', Channel: channel, Flags: 0x20000, Sequence: 2 }),
    );
    ledger.closeLedger();
    const { channel: closing } = await connection.channel(bytes(channel));
    // Counted from the close of the ledger before the one that the transaction is in.
    expect(closing?.expiration).toBe(START + 4 + 3600);
    ledger.advance(3600);
    await connection.submit(claim(300_000n));
    const { hash } = ledger.chain.open.transactions[0]!;
    ledger.closeLedger();
    expect(await connection.transaction(hash)).toMatchObject({
      result: 'tesSUCCESS',
      channel: { balance: 0n, deleted: true },
    });
    expect((await connection.channel(bytes(channel))).channel).toBeUndefined();
  });

  test('a ledger that a server has lost is not one in which nothing happened', async () => {
    await connection.submit(claim(300_000n));
    const { hash } = ledger.chain.open.transactions[0]!;
    ledger.closeLedger(3);
    expect(await connection.knowsLedgers(1000, 1004)).toBe(true);
    expect(await connection.knowsLedgers(1000, 1005)).toBe(false);
    expect(await connection.knowsLedgers(999, 1001)).toBe(false);
    ledger.server.forget(hash);
    expect(await connection.transaction(hash)).toBeUndefined();
    expect(await connection.knowsLedgers(1000, 1004)).toBe(false);
    expect(await connection.knowsLedgers(1003, 1004)).toBe(true);
  });

  test('what is closed and not validated is not believed', async () => {
    const slow = await TestLedger.start({ accounts: { [payer.address]: 100_000_000n }, validationDelay: 2 });
    const other = await connectLedger({ urls: [slow.url], logger, clock });
    await other.submit(payer.sign({ TransactionType: 'AccountSet', Sequence: 1 }));
    const { hash } = slow.closeLedger(2).transactions[0] ?? slow.transactions[0]!;
    expect(await other.transaction(hash)).toBeUndefined();
    expect(await other.account(payer.address)).toMatchObject({ sequence: 1 });
    slow.closeLedger();
    expect(await other.transaction(hash)).toMatchObject({ result: 'tesSUCCESS', ledgerIndex: 1001 });
    expect(await other.account(payer.address)).toMatchObject({ sequence: 2 });
    await other.close();
    await slow.stop();
  });

  test('an account that does not exist, a blob that is none, a busy server', async () => {
    expect(await connection.account(testWallet('nobody').address)).toBeUndefined();
    await expect(connection.submit('00')).rejects.toMatchObject({ code: 'LEDGER_REFUSED' });
    ledger.chain.loadFactor = 50;
    expect(await connection.fee()).toBe(500n);
  });

  test('a server that does not say from which ledger an entry is missing is asked about a validated one', async () => {
    await connection.networkId();
    ledger.server.forge = (_request, honest) => {
      const { validated: _, ledger_index: _index, ...bare } = honest;
      return honest.error === undefined ? honest : bare;
    };
    const { ledger: seen, channel: none } = await connection.channel(bytes('00'.repeat(32)));
    expect({ seen, none }).toEqual({ seen: { index: 1001, closedAt: START + 4 }, none: undefined });
    expect(ledger.server.requests.at(-1)).toMatchObject({ command: 'ledger_entry', ledger_index: 1001 });
  });

  test('every page of the channels of an account, from one ledger', async () => {
    for (let made = 0; made < 12; made += 1) createTestChannel(ledger, payer, payee, { drops: 1000n });
    createTestChannel(ledger, payee, payer, { drops: 1000n });
    await connection.networkId();
    ledger.server.forge = (request, honest) => {
      // A server may give less than was asked for; meanwhile ledgers close.
      if (request.command !== 'account_objects' || request.limit !== 400) return honest;
      ledger.closeLedger();
      return undefined;
    };
    expect((await connection.channelsTo(payee.address)).channels).toHaveLength(13);
  });

  test('a question that is given up, and a connection that is closed', async () => {
    ledger.server.hung = true;
    const given = AbortSignal.abort(new Error('given up'));
    await expect(connection.fee(given)).rejects.toThrow('given up');
    ledger.server.hung = false;
    await connection.networkId();
    ledger.server.hung = true;
    const controller = new AbortController();
    const asked = connection.fee(controller.signal);
    const left = connection.fee();
    setImmediate(() => controller.abort(new Error('given up later')));
    await expect(asked).rejects.toThrow('given up later');
    const refused = expect(left).rejects.toMatchObject({ code: 'LEDGER_UNREACHABLE' });
    await connection.close();
    await refused;
    await expect(connection.fee()).rejects.toMatchObject({ code: 'LEDGER_UNREACHABLE' });
    expect(clock.pending).toBe(0);
  });
});

describe('a bad server gives way', () => {
  let first: TestServer;
  let second: TestServer;

  beforeEach(async () => {
    first = ledger.server;
    second = await ledger.addServer();
  });

  async function connected(networkId?: number): Promise<void> {
    await connect([first, second], networkId);
    await connection.networkId();
    expect(connection.url).toBe(first.url);
  }

  test('dropped connections: the next server is subscribed to the same', async () => {
    await connected();
    const ledgers: number[] = [];
    const touched: Uint8Array[] = [];
    connection.onLedger(({ index }) => ledgers.push(index));
    connection.onChannelTouched(payee.address, (id) => touched.push(id));
    for (const next of [second, first, second]) {
      ledger.closeLedger();
      await soon(() => expect(ledgers.at(-1)).toBe(ledger.chain.last.index));
      ledger.dropConnections();
      await soon(() => expect(connection.url).toBe(next.url));
    }
    ledger.submit(claim(5n));
    ledger.closeLedger();
    await soon(() => expect(touched).toEqual([bytes(channel)]));
    expect([first.connections, second.connections]).toEqual([0, 1]);
  });

  test('an account that is followed while a server is being admitted', async () => {
    const touched: Uint8Array[] = [];
    first.forge = ({ command }) => {
      if (command === 'subscribe' && touched.length === 0 && first.requests.length === 2)
        connection.onChannelTouched(payee.address, (id) => touched.push(id));
      return undefined;
    };
    await connected();
    await soon(() => expect(first.requests.at(-1)).toMatchObject({ accounts: [payee.address] }));
    ledger.submit(claim(5n));
    ledger.closeLedger();
    await soon(() => expect(touched).toEqual([bytes(channel)]));
  });

  test('what a server tells before it is admitted is not believed', async () => {
    first.forge = ({ command }) => {
      if (command === 'server_info') first.sendRaw('{"type":"ledgerClosed","ledger_index":4000000000,"ledger_time":1}');
      return undefined;
    };
    await connected();
    expect(connection.validated!.index).toBe(1001);
  });

  test('closing does not wait for a server that hangs', async () => {
    first.hung = true;
    await connect([first, second]);
    await soon(() => expect(first.requests).toHaveLength(1));
    await connection.close();
    expect(clock.pending).toBe(0);
  });

  test('xrpl.js does not go back by itself to a server that was left', async () => {
    await connected();
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    first.dropConnections();
    await soon(() => expect(connection.url).toBe(second.url));
    expect(vi.getTimerCount()).toBe(0);
    vi.useRealTimers();
  });

  test('one URL: after a pause, which grows', async () => {
    await connect([first]);
    await connection.networkId();
    first.refusing = true;
    ledger.dropConnections();
    await soon(() => expect(warnings).toHaveLength(1));
    for (const pauseMs of [PAUSE_MS, 2 * PAUSE_MS, 4 * PAUSE_MS]) {
      const told = warnings.length;
      clock.advance(pauseMs - 1);
      expect(clock.pending, 'the pause goes on').toBe(1);
      if (pauseMs === 4 * PAUSE_MS) first.refusing = false;
      clock.advance(1);
      if (first.refusing) await soon(() => expect(warnings).toHaveLength(told + 1));
    }
    await soon(() => expect(connection.url).toBe(first.url));
  });

  test('no server at all: every question says why, and none waits for ever', async () => {
    first.refusing = true;
    second.refusing = true;
    await connect([first, second]);
    const failure = { code: 'LEDGER_UNREACHABLE', message: expect.stringContaining(second.url) };
    await expect(connection.networkId()).rejects.toMatchObject(failure);
    // And none waits for the end of the pause.
    await expect(connection.fee()).rejects.toMatchObject(failure);
    expect(connection.url).toBeUndefined();
  });

  test('secrets in URLs are shown nowhere', async () => {
    const told: string[] = [];
    const tell = (message: string) => told.push(message);
    const url = `${first.url.replace('ws://', 'ws://name:secret@')}/secret?key=secret`;
    connection = await connectLedger({ urls: [url], logger: { info: tell, warn: tell, error: tell }, clock });
    await connection.networkId();
    expect(connection.url).toBe(first.url);
    first.hung = true;
    const asked = connection.fee().catch((error) => told.push(JSON.stringify(error), error.message));
    first.dropConnections();
    await asked;
    first.refusing = true;
    await connection.fee().catch((error) => told.push(JSON.stringify(error), error.message));
    expect(told.length).toBeGreaterThan(4);
    expect(told.join()).not.toContain('secret');
    expect(told.join()).toContain(first.url);
  });

  test('a hung server', async () => {
    await connected();
    first.hung = true;
    const asked = expect(connection.channel(bytes(channel))).rejects.toMatchObject({ code: 'LEDGER_UNREACHABLE' });
    await soon(() => expect(first.requests.at(-1)).toMatchObject({ command: 'ledger_entry' }));
    clock.advance(TIMEOUT_MS);
    await asked;
    expect((await connection.channel(bytes(channel))).channel?.amount).toBe(DEPOSIT);
    expect(connection.url).toBe(second.url);
  });

  test('a server that hangs from the beginning', async () => {
    first.hung = true;
    await connect([first, second]);
    await soon(() => expect(first.requests).toHaveLength(1));
    clock.advance(TIMEOUT_MS);
    expect(await connection.networkId()).toBe(0);
    expect(connection.url).toBe(second.url);
  });

  test('a server whose validated ledger stands still', async () => {
    await connected();
    first.standStill();
    clock.advance(STALE_MS - 1);
    ledger.closeLedger();
    expect(connection.url).toBe(first.url);
    clock.advance(1);
    await soon(() => expect(connection.url).toBe(second.url));
    expect(connection.validated!.index).toBe(1002);
  });

  test('a server that is behind what was seen', async () => {
    await connected();
    second.standStill();
    ledger.closeLedger();
    await soon(() => expect(connection.validated!.index).toBe(1002));
    first.dropConnections();
    await soon(() => expect(warnings.join()).toContain('1001, and 1002 was seen'));
    clock.advance(PAUSE_MS);
    await soon(() => expect(connection.url).toBe(first.url));
    expect(connection.validated!.index).toBe(1002);
  });

  test.each(['channel', 'channelsTo'] as const)('an answer to %s older than what was seen', async (question) => {
    await connected();
    ledger.closeLedger();
    await soon(() => expect(connection.validated!.index).toBe(1002));
    first.standStill();
    first.forge = (_request, { result, ...rest }) => ({
      ...rest,
      result: { ...(result as object), ledger_index: 1001 },
    });
    const asked = question === 'channel' ? connection.channel(bytes(channel)) : connection.channelsTo(payee.address);
    await expect(asked).rejects.toMatchObject({ code: 'LEDGER_UNREACHABLE' });
    await soon(() => expect(connection.url).toBe(second.url));
  });

  test('a server that lags is used while there is none better, and misses no ledger', async () => {
    ledger.closeLedger(2);
    first.lagLedgers = 2;
    first.answerDelayMs = 5;
    await connect([first]);
    const ledgers: number[] = [];
    connection.onLedger(({ index }) => ledgers.push(index));
    expect((await connection.channel(bytes(channel))).ledger.index).toBe(1001);
    ledger.closeLedger();
    first.standStill();
    ledger.closeLedger(2);
    expect((await connection.channel(bytes(channel))).ledger.index).toBe(1002);
    first.goOn();
    await soon(() => expect(ledgers).toEqual([1001, 1002, 1003, 1004]));
  });

  test('a server on another network than the one given', async () => {
    const other = await TestLedger.start({ accounts: {}, networkId: 1 });
    await connect([other.server, second], 0);
    expect(await connection.networkId()).toBe(0);
    expect(connection.url).toBe(second.url);
    expect(warnings.join()).toContain('expected network 0, got 1');
    await other.stop();
  });

  test('a server on another network than the first one', async () => {
    const other = await TestLedger.start({ accounts: {}, networkId: 1, firstIndex: 5000 });
    await connect([first, other.server]);
    await connection.networkId();
    first.dropConnections();
    await soon(() => expect(warnings.join()).toContain('expected network 0, got 1'));
    clock.advance(PAUSE_MS);
    await soon(() => expect(connection.url).toBe(first.url));
    expect(connection.validated!.index).toBe(1001);
    await other.stop();
  });

  test('a fork: what it says is neither a channel nor a final result', async () => {
    await connected();
    ledger.loseSubmissions();
    await connection.submit(claim(300_000n));
    const { hash } = ledger.chain.fork.transactions[0]!;
    first.fork = true;
    ledger.closeLedger();
    expect(await connection.transaction(hash)).toBeUndefined();
    const refused = { code: 'LEDGER_REFUSED', details: { field: 'validated' } };
    await expect(connection.channel(bytes(channel))).rejects.toMatchObject(refused);
    expect((await connection.channel(bytes(channel))).channel?.balance).toBe(0n);
    expect(connection.url).toBe(second.url);
  });

  test.each(['channelsTo', 'account'] as const)('a fork is not asked for %s', async (question) => {
    await connected();
    first.fork = true;
    await expect(connection[question](payee.address)).rejects.toMatchObject({ code: 'LEDGER_REFUSED' });
    await connection.networkId();
    expect(connection.url).toBe(second.url);
  });
});

describe('a hostile server', () => {
  let second: TestServer;

  beforeEach(async () => {
    second = await ledger.addServer();
    await connect();
    await connection.networkId();
  });

  const message = { type: 'transaction', validated: true, hash: 'AB'.repeat(32), ledger_index: 1002 };
  const affected = (FinalFields: unknown) => ({
    AffectedNodes: [{ ModifiedNode: { LedgerEntryType: 'PayChannel', LedgerIndex: 'AB'.repeat(32), FinalFields } }],
  });
  const malformed: [string, string][] = [
    ['null', 'null'],
    ['no JSON', '{"type":'],
    ['a ledger without an index', '{"type":"ledgerClosed"}'],
    ['a ledger that closed before time began', '{"type":"ledgerClosed","ledger_index":1009,"ledger_time":-1}'],
    ['metadata that is no binary', JSON.stringify({ ...message, tx_json: { TransactionType: 'Payment' }, meta: 'zz' })],
    ['no metadata', JSON.stringify({ ...message, tx_json: {} })],
    ['a channel of the wrong shape', JSON.stringify({ ...message, tx_json: {}, meta: affected({ Amount: 5 }) })],
    ['nine megabytes', `"${'x'.repeat(9_000_000)}"`],
    ['deep nesting', '['.repeat(100_000)],
  ];
  test('what is malformed ends the session, not the process', async () => {
    connection.onChannelTouched(payee.address, () => {});
    for (const [name, text] of malformed) {
      const [bad, good] = connection.url === second.url ? [second, ledger.server] : [ledger.server, second];
      bad.sendRaw(text);
      await soon(() => expect(connection.url, name).toBe(good.url));
      // A server that told of a ledger is followed at once.
      ledger.closeLedger();
      await soon(() => expect(connection.validated?.index, name).toBe(ledger.chain.last.index));
    }
    expect(malformed.length).toBeGreaterThan(8);
  });

  test('what is harmless is passed over, and a listener that throws is not its fault', async () => {
    const touched: Uint8Array[] = [];
    connection.onLedger(() => {
      throw new Error('a fault of ours');
    });
    connection.onChannelTouched(payee.address, (id) => touched.push(id));
    ledger.submit(claim(5n));
    for (const text of [
      '7',
      '{}',
      '{"type":"response","id":99,"status":"success"}',
      '{"type":"ledgerClosed","ledger_index":5,"ledger_time":1}',
      JSON.stringify({ ...message, validated: false, tx_json: {}, meta: ledger.chain.open.transactions[0]!.meta }),
    ])
      ledger.server.sendRaw(text);
    expect((await connection.channel(bytes(channel))).ledger.index).toBe(1001);
    expect(touched).toEqual([]);
    ledger.closeLedger();
    await soon(() => expect(touched).toEqual([bytes(channel)]));
    expect(connection.url).toBe(ledger.url);
    expect(warnings).toEqual(['a listener to the ledger failed: a fault of ours']);
  });

  const ask: Record<string, () => Promise<unknown>> = {
    channel: () => connection.channel(bytes(channel)),
    channelsTo: () => connection.channelsTo(payee.address),
    account: () => connection.account(payee.address),
    fee: () => connection.fee(),
    submit: () => connection.submit('00'),
    transaction: () => connection.transaction('AB'.repeat(32)),
    knowsLedgers: () => connection.knowsLedgers(1, 2),
  };
  const seen = { validated: true, ledger_index: 1001 };
  const wrong: [question: string, field: string, result: unknown][] = [
    ['account', 'Account', { ...seen, account_data: { Account: payer.address, Balance: '1', Sequence: 1 } }],
    ['account', 'Sequence', { ...seen, account_data: { Account: payee.address, Balance: '1', Sequence: -1 } }],
    ['account', 'Balance', { ...seen, account_data: { Account: payee.address, Balance: 1, Sequence: 1 } }],
    ['fee', 'base_fee', { drops: { base_fee: '0x10', open_ledger_fee: '10' } }],
    ['fee', 'drops', { drops: null }],
    ['submit', 'engine_result', { engine_result: 'paid' }],
    ['submit', 'engine_result', { engine_result: ['tesSUCCESS'] }],
    ['transaction', 'hash', { validated: true, hash: 'CD'.repeat(32), meta: {} }],
    ['transaction', 'meta', { validated: true, hash: 'AB'.repeat(32), meta: 'unavailable' }],
    ['knowsLedgers', 'info', { info: [] }],
    ['knowsLedgers', 'complete_ledgers', { info: { complete_ledgers: 5 } }],
  ];
  test('a wrong field is refused by name', async () => {
    for (const [question, field, result] of wrong) {
      for (const server of ledger.servers) server.forge = () => ({ status: 'success', result });
      const refused = { code: 'LEDGER_REFUSED', details: { field } };
      await expect(ask[question]!(), JSON.stringify(result)).rejects.toMatchObject(refused);
    }
  });

  test.each<[question: string, field: string, result: unknown]>([
    ['channel', 'node', { ...seen, node: 7 }],
    ['channel', 'index', { ...seen, node: { LedgerEntryType: 'PayChannel', index: 'AB'.repeat(32) } }],
    ['channel', 'ledger_index', { validated: true, ledger_index: '1001', node: {} }],
    ['channelsTo', 'account_objects', { ...seen, account_objects: {} }],
    ['channelsTo', 'PayChannel', { ...seen, account_objects: [null] }],
    ['channel', 'validated', { ledger_index: 1001, validated: 'true', node: {} }],
  ])('a server whose %s has a malformed %s gives way to the next one', async (question, field, result) => {
    ledger.server.forge = () => ({ status: 'success', result });
    await expect(ask[question]!()).rejects.toMatchObject({ code: 'LEDGER_REFUSED', details: { field } });
    await expect(ask[question]!()).resolves.toBeDefined();
    expect(connection.url).toBe(second.url);
  });

  test.each<[string, unknown]>([
    ['an answer without a result', { status: 'success' }],
    ['an answer without a status', { result: {} }],
    [
      'an error of a million characters',
      { status: 'error', error: 'e'.repeat(1_000_000), error_message: 'm'.repeat(9999) },
    ],
    ['an error that is no text', { status: 'error', error: { a: [] } }],
  ])('%s is an error with a code and a short message', async (_name, answer) => {
    for (const server of ledger.servers) server.forge = () => answer;
    for (const question of Object.values(ask)) {
      const error = await question().then(
        () => undefined,
        (reason) => reason,
      );
      expect(error).toMatchObject({ code: expect.stringMatching(/^LEDGER_/) });
      expect(error.message.length).toBeLessThan(600);
    }
  });

  test('a channel of another asset costs no other channel, and no server', async () => {
    const other = { LedgerEntryType: 'PayChannel', index: 'AB'.repeat(32), Amount: { value: '5', currency: 'USD' } };
    ledger.server.forge = ({ command }, honest) => {
      if (command === 'ledger_entry') return { status: 'success', result: { ...seen, node: other } };
      if (command !== 'account_objects') return undefined;
      const { account_objects: objects, ...result } = honest.result as { account_objects: unknown[] };
      return { status: 'success', result: { ...result, account_objects: [other, ...objects] } };
    };
    const { channels, skipped } = await connection.channelsTo(payee.address);
    expect(channels.map(({ ledgerChannelId }) => ledgerChannelId)).toEqual([bytes(channel)]);
    expect(skipped).toBe(1);
    await expect(connection.channel(bytes(other.index))).rejects.toThrow(
      /expected one of XRP, got one of another asset/,
    );
    expect(connection.url).toBe(ledger.url);
    expect(warnings).toEqual([]);
  });

  test('pages without end are not read for ever', async () => {
    const page = { ...seen, account_objects: [], marker: 'again' };
    ledger.server.forge = () => ({ status: 'success', result: page });
    await expect(connection.channelsTo(payee.address)).rejects.toMatchObject({ code: 'LEDGER_REFUSED' });
    expect(ledger.server.requests.length).toBeLessThan(300);
  });

  test('pages of different ledgers are not put together', async () => {
    let index = 1001;
    ledger.server.forge = ({ command, ledger_index }) => {
      const named = { ...seen, ledger_index };
      if (command === 'ledger') return { status: 'success', result: { ...named, ledger: { close_time: 5 } } };
      const more = index < 1004 ? { marker: 'more' } : {};
      const result = { ...seen, ledger_index: index, account_objects: [], ...more };
      index += 1;
      return { status: 'success', result };
    };
    const refused = { code: 'LEDGER_REFUSED', details: { field: 'ledger_index' } };
    await expect(connection.channelsTo(payee.address)).rejects.toMatchObject(refused);
  });
});

test.each([[[]], [['http://localhost']], [['ws:']], [Array(17).fill('ws://localhost')]])(
  'URLs of another kind are refused, case %#',
  async (urls) => {
    await expect(connectLedger({ urls, logger })).rejects.toMatchObject({ code: 'INPUT_INVALID' });
  },
);
