/**
 * Keys in a token: a payer's, whose claims a node acknowledges, and the payee's wallet, which redeems them on the test
 * ledger. A real PKCS#11 module, SoftHSM2.
 */
import { mkdtempSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { verify } from '@noble/secp256k1';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { deriveAddress } from 'xrpl';
import { type ServingNode, serve } from '../../dist/src/serve.js';
import { defaultChannelId } from '../../src/channel/parse.ts';
import { Pkcs11Signer } from '../../src/client/keys/pkcs11-signer.ts';
import { Payer } from '../../src/client/payer.ts';
import { loadPkcs11 } from '../../src/optional-libraries.ts';
import { run as pay } from '../../tools/pay.ts';
import { run as redeem } from '../../tools/redeem.ts';
import { TestLedger } from '../support/ledger/test-ledger.ts';
import { testWallet } from '../support/ledger/test-wallet.ts';
import { random } from '../support/random.ts';
import { isThere, MODULE, PIN, SoftToken } from '../support/softhsm.ts';

const XRP = 1_000_000n;
const HALF_ORDER = 0x7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0n;
const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex').toUpperCase();

describe.runIf(isThere())('keys in a token', () => {
  const folder = mkdtempSync(join(tmpdir(), 'claimwire-pkcs11-'));
  const silent = { info: () => {}, warn: () => {}, error: () => {} };
  let token: SoftToken;
  let signer: Pkcs11Signer;

  beforeAll(async () => {
    token = new SoftToken(folder, 'claims');
    const library = await loadPkcs11();
    for (const object of ['payer', 'payee', 'twice', 'twice']) token.makeKey(library, object);
    token.makeKey(library, 'p256', '06082a8648ce3d030107');
    signer = await Pkcs11Signer.open(token.uri('payer'), { pin: PIN });
  });
  afterAll(async () => {
    await signer?.close();
    rmSync(folder, { recursive: true });
  });

  test('signatures are the key’s, each over its own digest, and never of high s', async () => {
    const digests = random(7).bytes(32 * 100);
    const signatures = await signer.signDigests(digests);
    for (let at = 0; at < 100; at++) {
      const signature = signatures.subarray(at * 64, at * 64 + 64);
      expect(BigInt(`0x${hex(signature.subarray(32))}`) <= HALF_ORDER).toBe(true);
      expect(verify(signature, digests.subarray(at * 32, at * 32 + 32), signer.publicKey, { prehash: false })).toBe(
        true,
      );
    }
  });

  test('a longer input is refused: a token would sign its beginning', async () => {
    await expect(signer.signDigests(new Uint8Array(44))).rejects.toThrow('expected 32 bytes each, got 44');
    await expect(signer.signDigests(new Uint8Array(0))).rejects.toMatchObject({ code: 'INPUT_INVALID' });
  });

  test.each([
    ['a wrong pin is tried once', 'payer', { pin: '1234' }, 'PKCS11_PIN', /PIN_INCORRECT; it was tried once/],
    ['a key that is not there', 'nobody', {}, 'PKCS11_LOST', /expected one private key nobody, got 0/],
    ['two keys of one name', 'twice', {}, 'PKCS11_LOST', /expected one private key twice, got 2/],
    ['a key of another curve', 'p256', {}, 'PKCS11_FAILED', /secp256k1, got one of another curve/],
  ])('%s', async (_name, object, options, code, message) => {
    await signer.close();
    try {
      const opened = Pkcs11Signer.open(token.uri(object), { pin: PIN, ...options });
      await expect(opened).rejects.toMatchObject({ code, message: expect.stringMatching(message) });
    } finally {
      signer = await Pkcs11Signer.open(token.uri('payer'), { pin: PIN });
    }
  });

  test('a wrong pin is refused where another key is logged in, and a key may be closed while it signs', async () => {
    const wrong = Pkcs11Signer.open(token.uri('payee'), { pin: '1234' });
    await expect(wrong).rejects.toMatchObject({ code: 'PKCS11_PIN' });
    const other = await Pkcs11Signer.open(token.uri('payee'), { pin: PIN });
    const signing = other.signDigests(random(8).bytes(32 * 256));
    const closed = new Promise((resolve) => setImmediate(resolve)).then(() => other.close());
    await expect(signing).rejects.toMatchObject({ code: 'PKCS11_LOST', details: { returned: 'CLOSED' } });
    await closed;
    expect(await signer.signDigests(new Uint8Array(32))).toHaveLength(64);
  });

  test('no such token, and no such module', async () => {
    const uri = `pkcs11:token=other;object=payer?module-path=${MODULE}`;
    await expect(Pkcs11Signer.open(uri, { pin: PIN })).rejects.toThrow(/expected one token other, got 0 of/);
    const nowhere = 'pkcs11:token=claims;object=payer?module-path=/nowhere.so';
    await expect(Pkcs11Signer.open(nowhere, { pin: PIN })).rejects.toMatchObject({ code: 'PKCS11_LOST' });
  });

  describe('with a node that redeems by a token', () => {
    const payee = testWallet('payee');
    const channels: Uint8Array[] = [];
    let ledger: TestLedger;
    let serving: ServingNode;
    let account: string;

    beforeAll(async () => {
      const payeeKey = await Pkcs11Signer.open(token.uri('payee'), { pin: PIN });
      account = deriveAddress(hex(payeeKey.publicKey));
      await payeeKey.close();
      const payerWallet = testWallet('payer');
      ledger = await TestLedger.start({
        accounts: { [payerWallet.address]: 1_000n * XRP, [account]: 1_000n * XRP, [payee.address]: XRP },
        closeEveryMs: 50,
        closeSeconds: 1,
      });
      const first = ledger.account(payerWallet.address).Sequence;
      for (let at = 0; at < 10; at++) {
        const Sequence = first + at;
        const terms = {
          Destination: account,
          Amount: String(10n * XRP),
          SettleDelay: 86_400,
          PublicKey: hex(signer.publicKey),
        };
        expect(ledger.submit(payerWallet.sign({ TransactionType: 'PaymentChannelCreate', ...terms, Sequence }))).toBe(
          'tesSUCCESS',
        );
      }
      await vi.waitFor(() => expect(ledger.channels).toHaveLength(10), { timeout: 5_000 });
      channels.push(...ledger.channels.map(({ index }) => new Uint8Array(Buffer.from(index, 'hex'))));
      process.env.CLAIMWIRE_PKCS11_PIN = PIN;
      const host = { host: '127.0.0.1', port: 0 };
      serving = await serve({
        data: join(folder, 'data'),
        udp: host,
        http: host,
        lanes: 1,
        keyCacheBytes: 32 << 20,
        channelsMax: 64,
        logger: silent,
        ledger: { urls: [ledger.url], account },
        redeem: { wallet: { file: token.uri('payee') } },
      });
    });
    afterAll(async () => {
      delete process.env.CLAIMWIRE_PKCS11_PIN;
      await serving?.stop();
      await ledger?.stop();
    });

    test('1,000 claims signed in the token are acknowledged, and the payee’s token redeems them', async () => {
      for (const id of channels) await serving.ledger!.openFromLedger(id);
      const payer = await Payer.open({ to: `udp://${serving.node.udp}` });
      const paid = channels.map((ledgerChannelId) => payer.channel({ ledgerChannelId, key: signer, committed: 0n }));
      for (let round = 1n; round <= 100n; round++)
        await Promise.all(paid.map((channel) => channel.claim(round * 1_000n)));
      expect(payer.stats().acks.COMMITTED).toBe(1_000);
      await payer.close();
      const admin = ['--http', serving.http, '--token-file', join(folder, 'data', 'admin-token')];
      vi.spyOn(process.stdout, 'write').mockReturnValue(true);
      expect(await redeem(['--all', ...admin])).toBe(0);
      await expect
        .poll(() => ledger.channels.map(({ Balance }) => Balance), { timeout: 5_000 })
        .toEqual(channels.map(() => '100000'));
    });

    test('a command that is proposed is one that a shell takes: a URI has characters of its own', async () => {
      const admin = ['--http', serving.http, '--token-file', join(folder, 'data', 'admin-token')];
      const paid = pay(['--key', token.uri('payee'), '--more', '1', ...admin]);
      await expect(paid).rejects.toThrow(`claimwire channel open --key '${token.uri('payee')}'`);
    });

    test('a token that is lost fails claims with a code; they are signed when it is back, and nothing is paid twice', async () => {
      const [ledgerChannelId] = channels;
      const payer = await Payer.open({ to: `udp://${serving.node.udp}` });
      const channel = payer.channel({ ledgerChannelId: ledgerChannelId!, key: signer, committed: 100_000n });
      await channel.claim(101_000n);
      const away = `${token.folder}-away`;
      renameSync(token.folder, away);
      try {
        await expect(channel.claim(102_000n)).rejects.toMatchObject({ code: expect.stringMatching(/^PKCS11_/) });
      } finally {
        renameSync(away, token.folder);
      }
      expect(channel.committed).toBe(101_000n);
      expect((await channel.claim(102_000n)).amount).toBe(102_000n);
      expect(serving.node.channel(defaultChannelId(ledgerChannelId!))!.committed).toBe(102_000n);
      await payer.close();
    });
  });
});
