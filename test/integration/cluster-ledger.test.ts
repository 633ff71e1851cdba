/**
 * Two nodes of a cluster, over a PostgreSQL and the test ledger, that redeem for one account: a shard moves while its claim is
 * redeemed. unit/ledger/redeem-moves.test.ts moves it at every await. Runs the compiled code.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { type ServingNode, serve } from '../../dist/src/serve.js';
import { claimBytes } from '../../protocol/claim.ts';
import { SHARDS, shardOfChannel } from '../../protocol/shard.ts';
import { defaultChannelId } from '../../src/channel/parse.ts';
import { keySigner } from '../../src/client/keys/key-file.ts';
import { TestLedger } from '../support/ledger/test-ledger.ts';
import { testWallet } from '../support/ledger/test-wallet.ts';
import { hasPostgres } from '../support/postgres/programs.ts';
import { PostgresServers } from '../support/postgres/servers.ts';

const ROOT = mkdtempSync(join(tmpdir(), 'claimwire-cluster-ledger-'));
const QUIET = { info: () => {}, warn: () => {}, error: () => {} };
const LOCAL = { host: '127.0.0.1', port: 0 };
const XRP = 1_000_000n;
const PAYER = testWallet('payer');
const PAYEE = testWallet('payee');
const WAIT = { timeout: 15_000, interval: 20 };

describe.skipIf(!hasPostgres())('a cluster that redeems', () => {
  let servers: PostgresServers;
  let ledger: TestLedger;
  const nodes: ServingNode[] = [];

  beforeAll(async () => {
    servers = await PostgresServers.start({ fsync: false });
    const accounts = { [PAYER.address]: 1_000n * XRP, [PAYEE.address]: 1_000n * XRP };
    ledger = await TestLedger.start({ accounts, closeEveryMs: 50, closeSeconds: 1 });
    writeFileSync(join(ROOT, 'payee.wallet'), `${PAYEE.seed}\n`, { mode: 0o600 });
  });
  afterAll(async () => {
    await Promise.all(nodes.map((node) => node.stop()));
    await Promise.all([servers?.close(), ledger?.stop()]);
    rmSync(ROOT, { recursive: true, force: true });
  });

  async function start(nodeName: string): Promise<ServingNode> {
    const serving = await serve({
      data: join(ROOT, nodeName),
      nodeName,
      store: servers.url,
      storeUnreplicated: true,
      cluster: true,
      udp: LOCAL,
      http: LOCAL,
      lanes: 1,
      keyCacheBytes: 32 << 20,
      channelsMax: 4_096,
      logger: QUIET,
      ledger: { urls: [ledger.url], account: PAYEE.address, networkId: 0 },
      redeem: { wallet: { file: join(ROOT, 'payee.wallet') } },
    });
    nodes.push(serving);
    return serving;
  }

  async function createChannel(): Promise<Uint8Array> {
    const known = new Set(ledger.channels.map(({ index }) => index));
    const tx = {
      TransactionType: 'PaymentChannelCreate',
      Account: PAYER.address,
      Destination: PAYEE.address,
      Amount: String(10n * XRP),
      SettleDelay: 86_400,
      PublicKey: PAYER.publicKey,
      Sequence: ledger.account(PAYER.address).Sequence,
    };
    expect(ledger.submit(PAYER.sign(tx))).toBe('tesSUCCESS');
    ledger.closeLedger();
    return new Uint8Array(Buffer.from(ledger.channels.find(({ index }) => !known.has(index))!.index, 'hex'));
  }

  async function pay({ node }: ServingNode, ledgerChannelId: Uint8Array, amount: bigint): Promise<void> {
    const fields = { channelId: defaultChannelId(ledgerChannelId), sequence: 1, amount, timestamp: 0 };
    const claim = claimBytes({ ...fields, signature: new Uint8Array(64) });
    const key = { privateKey: PAYER.privateKey.slice(2), publicKey: PAYER.publicKey };
    keySigner(key).signClaim(claim, 0, ledgerChannelId, 'xrpl');
    expect(await node.submit(claim)).toMatchObject({ status: 'COMMITTED' });
  }

  test('its shard moves while a claim is redeemed: the next holder ends it, and each is paid once for one fee', async () => {
    const first = await start('a');
    const ids = [await createChannel(), await createChannel()];
    for (const id of ids) {
      await first.ledger!.openFromLedger(id);
      await pay(first, id, 3n * XRP);
    }
    const second = await start('b');
    await vi.waitFor(() => expect(second.node.cluster!.figures.shardsServed).toBe(SHARDS / 2), WAIT);
    const [moving] = ids.map(defaultChannelId);
    const [giver, taker] = first.node.channel(moving!) === undefined ? [second, first] : [first, second];
    ledger.holdSubmissions();
    const asked = giver.ledger!.redeem(moving!).catch((error: { code: string }) => error.code);
    await vi.waitFor(() => expect(giver.ledger!.redemptions(9)).toMatchObject([{ state: 'pending' }]), WAIT);
    giver.node.cluster!.move([shardOfChannel(moving!)], taker.node === second.node ? 'b' : 'a');
    expect(await asked).toBe('MOVED');
    await vi.waitFor(() => expect(taker.ledger!.redemptions(9)).toMatchObject([{ state: 'pending' }]), WAIT);
    expect(giver.node.cluster!.figures.lastGiveMs).toBeLessThan(2_000);
    ledger.holdSubmissions(false);
    await vi.waitFor(
      () => expect(taker.ledger!.redemptions(9)).toMatchObject([{ state: 'paid', paid: 3n * XRP }]),
      WAIT,
    );
    expect(taker.ledger!.state(moving!)).toMatchObject({ redeemed: 3n * XRP, deposited: 10n * XRP });

    // Both are redeemed at once, by whoever has them, for one account.
    const holders = ids.map((id) => nodes.find(({ node }) => node.channel(defaultChannelId(id)) !== undefined)!);
    await Promise.all(ids.map((id, index) => pay(holders[index]!, id, 5n * XRP)));
    const results = await Promise.all(ids.map((id, index) => holders[index]!.ledger!.redeem(defaultChannelId(id))));
    expect(results.map(({ outcome, paid }) => [outcome, paid])).toEqual([
      ['paid', 2n * XRP],
      ['paid', 5n * XRP],
    ]);
    const transactions = ledger.transactions.filter(({ tx }) => tx.Account === PAYEE.address);
    expect(transactions.map(({ result }) => result)).toEqual(Array(3).fill('tesSUCCESS'));
    expect(ledger.balance(PAYEE.address)).toBe(1_010n * XRP - 30n);
  });
});
