/**
 * xrpl.js as an independent peer: its claims are accepted over UDP, ours pass its verification, and each kind of wrong
 * claim is refused with its own status.
 */
import { createSocket, type Socket } from 'node:dgram';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { authorizeChannel, dropsToXrp, verifyPaymentChannelClaim, Wallet } from 'xrpl';
import { type Ack, ackBytes, claimBytes, decodeAck, statusName } from '../../protocol/index.ts';
import {
  adminFlags,
  claimwire,
  NodeProcess,
  openChannels,
  type ReadyLine,
  removeFolder,
  temporaryFolder,
} from '../support/node-process.ts';

/** Orders of the groups of secp256k1 and of Ed25519. */
const ORDER = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n;
const ED25519_ORDER = 2n ** 252n + 27742317777372353535851937790883648493n;
const CAPACITY = 5_000_000n;

const data = temporaryFolder('xrpl');
const node = new NodeProcess(data);
const payer = Wallet.generate('ecdsa-secp256k1' as never);
const KINDS = [
  { kind: 'secp256k1', payer, stranger: Wallet.generate('ecdsa-secp256k1' as never) },
  { kind: 'Ed25519', payer: Wallet.generate('ed25519' as never), stranger: Wallet.generate('ed25519' as never) },
];
let ready: ReadyLine;
let socket: Socket;

beforeAll(async () => {
  ready = await node.ready;
  socket = createSocket('udp4');
  const [host, port] = ready.udp.split(':');
  await new Promise<void>((done) => socket.connect(Number(port), host, done));
});
afterAll(async () => {
  socket.close();
  await node.stop();
  removeFolder(data);
});

let channelNumber = 0;
function ledgerChannel(): string {
  return (++channelNumber).toString(16).padStart(8, '0').padEnd(64, 'AB').toUpperCase();
}

async function open(ledgerChannelId: string, more: object = {}): Promise<void> {
  await openChannels(ready, data, [
    { ledgerChannelId, publicKey: payer.publicKey, capacity: String(CAPACITY), ...more },
  ]);
}

/** The DER signature xrpl.js makes, as the wire's r‖s. */
function compact(der: string): Uint8Array {
  const bytes = Buffer.from(der, 'hex');
  const integer = (offset: number) =>
    BigInt(`0x${bytes.subarray(offset + 2, offset + 2 + bytes[offset + 1]!).toString('hex')}`);
  const r = integer(2);
  const s = integer(4 + bytes[3]!);
  return Buffer.from(r.toString(16).padStart(64, '0') + s.toString(16).padStart(64, '0'), 'hex');
}

const isEd25519 = (wallet: Wallet) => wallet.publicKey.startsWith('ED');

function signed(wallet: Wallet, ledgerChannelId: string, amount: bigint): Uint8Array {
  const signature = authorizeChannel(wallet, ledgerChannelId, String(amount));
  return isEd25519(wallet) ? Buffer.from(signature, 'hex') : compact(signature);
}

/** The second form of a valid signature: n − s for ECDSA, S + L for Ed25519. */
function twin(wallet: Wallet, signature: Uint8Array): Uint8Array {
  const scalar = Buffer.from(signature.subarray(32));
  const number = (bytes: Uint8Array) => BigInt(`0x${Buffer.from(bytes).toString('hex')}`);
  const bytes = (value: bigint) => Buffer.from(value.toString(16).padStart(64, '0'), 'hex');
  const second = isEd25519(wallet)
    ? bytes(number(scalar.reverse()) + ED25519_ORDER).reverse()
    : bytes(ORDER - number(scalar));
  return Buffer.concat([signature.subarray(0, 32), second]);
}

function handle(ledgerChannelId: string): bigint {
  return BigInt(`0x${ledgerChannelId.slice(0, 16)}`);
}

/** Sends one claim and waits for its ack. */
async function exchange(ledgerChannelId: string, amount: bigint, signature: Uint8Array, sequence = 1): Promise<Ack> {
  const answer = new Promise<Ack>((done, fail) => {
    const timer = setTimeout(() => fail(new Error('no ack within 5 s')), 5_000);
    socket.once('message', (message) => {
      clearTimeout(timer);
      done(decodeAck(new DataView(message.buffer, message.byteOffset, message.length), 0));
    });
  });
  socket.send(claimBytes({ channelId: handle(ledgerChannelId), sequence, amount, signature, timestamp: Date.now() }));
  return await answer;
}

test.each(KINDS)(
  '$kind: authorizeChannel’s claim is committed; xrpl.js verifies what settle hands back',
  async ({ payer }) => {
    const id = ledgerChannel();
    await open(id, { publicKey: payer.publicKey });
    const amount = 1_234_567n;
    const ack = await exchange(id, amount, signed(payer, id, amount));
    expect(statusName(ack.status)).toBe('COMMITTED');
    expect(ack.amount).toBe(amount);

    const { code, stdout } = await claimwire(
      'settle',
      String(handle(id)),
      '--account',
      payer.address,
      '--json',
      ...adminFlags(ready, data),
    );
    expect(code).toBe(0);
    const { transaction } = JSON.parse(stdout);
    expect(transaction.Signature).toMatch(isEd25519(payer) ? /^[0-9A-F]{128}$/ : /^30[0-9A-F]+$/);
    expect(transaction).toMatchObject({
      TransactionType: 'PaymentChannelClaim',
      Account: payer.address,
      Channel: id,
      Balance: String(amount),
      Amount: String(amount),
      PublicKey: payer.publicKey,
      Flags: 0,
    });
    // xrpl.js takes XRP here, not drops.
    const xrp = dropsToXrp(String(amount)).toString();
    expect(verifyPaymentChannelClaim(id, xrp, transaction.Signature, payer.publicKey)).toBe(true);
    expect(
      verifyPaymentChannelClaim(id, dropsToXrp(String(amount + 1n)).toString(), transaction.Signature, payer.publicKey),
    ).toBe(false);
  },
);

test.each(KINDS)('$kind: each way of being wrong has its own status, none moves state', async ({ payer, stranger }) => {
  const id = ledgerChannel();
  await open(id, { publicKey: payer.publicKey });
  const status = async (amount: bigint, signature: Uint8Array) =>
    statusName((await exchange(id, amount, signature)).status);
  const good = signed(payer, id, 1_000n);

  expect(await status(1_001n, good)).toBe('BAD_SIGNATURE'); // altered amount
  expect(await status(1_000n, signed(stranger, id, 1_000n))).toBe('BAD_SIGNATURE'); // foreign key
  expect(await status(1_000n, twin(payer, good))).toBe('BAD_SIGNATURE'); // second form of a valid signature
  expect(await status(CAPACITY + 1n, signed(payer, id, CAPACITY + 1n))).toBe('OVER_CAPACITY');
  expect(await status(0n, good)).toBe('BAD_AMOUNT');
  expect(await status(10n ** 17n + 1n, good)).toBe('BAD_AMOUNT');
  const { stdout } = await claimwire('channel', 'show', String(handle(id)), '--json', ...adminFlags(ready, data));
  expect(JSON.parse(stdout)).toMatchObject({ committed: '0', signature: null });

  expect(await status(1_000n, good)).toBe('COMMITTED');
  expect(await status(1_000n, good)).toBe('ALREADY');
  expect(await status(CAPACITY, signed(payer, id, CAPACITY))).toBe('COMMITTED'); // the capacity itself is fine
});

test('unknown, expired and closed channels', async () => {
  const unknown = ledgerChannel();
  expect(statusName((await exchange(unknown, 5n, signed(payer, unknown, 5n))).status)).toBe('UNKNOWN_CHANNEL');

  const expiring = ledgerChannel();
  await open(expiring, { expiresAt: new Date(Date.now() + 1_500).toISOString() });
  expect(statusName((await exchange(expiring, 5n, signed(payer, expiring, 5n))).status)).toMatch(
    /COMMITTED|CHANNEL_CLOSED/,
  );
  await new Promise((done) => setTimeout(done, 2_000));
  expect(statusName((await exchange(expiring, 6n, signed(payer, expiring, 6n))).status)).toBe('CHANNEL_CLOSED');

  const closing = ledgerChannel();
  await open(closing);
  expect((await claimwire('channel', 'close', String(handle(closing)), ...adminFlags(ready, data))).code).toBe(0);
  expect(statusName((await exchange(closing, 5n, signed(payer, closing, 5n))).status)).toBe('CHANNEL_CLOSED');
});

test('an ack sent to the node is counted, not answered', async () => {
  socket.send(ackBytes({ status: 0, sequence: 1, channelId: 1n, amount: 1n, timestamp: 0 }));
  const id = ledgerChannel();
  await open(id);
  expect(statusName((await exchange(id, 5n, signed(payer, id, 5n))).status)).toBe('COMMITTED');
});
