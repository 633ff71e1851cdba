/** Claims by UDP, requests with a token: whoever streams claims shows by its key's signature that the channel is its own. */
import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import { xrplPreimage } from '../../../protocol/digest.ts';
import { encodeSessionToken, sessionPreimage } from '../../../protocol/session.ts';
import type { Channel } from '../../../src/channel/row.ts';
import { challengesOf, gatewayRig, REALM, type Reply, type Rig, TestPayer } from '../../support/gateway-rig.ts';

const problemOf = ({ body }: Reply): string => JSON.parse(body).type.replace('https://paymentauth.org/problems/', '');

async function nonceOf(rig: Rig): Promise<Buffer> {
  return Buffer.from(challengesOf(await rig.get('/'))['Claimwire-Session']!.nonce!, 'base64url');
}

interface TokenChange {
  nonce?: Buffer;
  expires?: number;
  realm?: string;
  signer?: TestPayer;
  signature?: Uint8Array;
}

/** A token of the payer's channel. */
function token(payer: TestPayer, expires: number, nonce: Buffer, change: TokenChange = {}): string {
  const said = { ledgerChannelId: payer.ledgerChannelId, expires: BigInt(change.expires ?? expires), nonce };
  const preimage = sessionPreimage(said, change.realm ?? REALM);
  const signature = change.signature ?? (change.signer ?? payer).signer.signMessage!(preimage);
  return `Claimwire-Session ${Buffer.from(encodeSessionToken({ ...said, signature })).toString('base64url')}`;
}

/** The clock of gateway and node; the real one moves while tests run. */
function steered(start = 1_700_000_000) {
  const time = { now: start };
  const clock = { wall: () => time.now * 1_000, monotonic: () => time.now * 1_000, every: () => () => {} };
  return { time, system: { clock, random: (count: number) => Buffer.alloc(count, 3) } };
}

test.each(['secp256k1', 'ed25519'] as const)(
  'a token of %s spends what came by UDP, request by request',
  async (type) => {
    const { system } = steered();
    await using rig = await gatewayRig({ system });
    const payer = new TestPayer('alice', type);
    rig.node.open(payer);
    const authorization = token(payer, rig.node.ruleSeconds + 60, await nonceOf(rig));
    expect(problemOf(await rig.get('/', { headers: { authorization } }))).toBe('payment-required');
    await rig.node.submit(payer.claim(60n));
    const replies = [];
    for (let request = 0; request < 3; request++) replies.push(await rig.get('/', { headers: { authorization } }));
    expect(replies.map(({ status }) => status)).toEqual([200, 200, 402]);
    expect([rig.node.spent(payer.channelId), rig.gateway.counters.paidBySession]).toEqual([50n, 2]);
    expect(rig.seen[0]!.headers['payment-channel']).toBe(payer.id);
  },
);

test('a request waits a moment for the claim that pays it', async () => {
  const { system } = steered();
  await using rig = await gatewayRig({ system, payments: { claimWaitMs: 10_000 } });
  const payer = new TestPayer('alice');
  rig.node.open(payer);
  const reply = rig.get('/', {
    headers: { authorization: token(payer, rig.node.ruleSeconds + 60, await nonceOf(rig)) },
  });
  while (rig.node.waiters.size === 0) await new Promise(setImmediate);
  await rig.node.submit(payer.claim(25n));
  expect((await reply).status).toBe(200);
});

test('who only names a channel spends nothing: each part of the token counts', async () => {
  const { time, system } = steered();
  await using rig = await gatewayRig({ system });
  await using other = await gatewayRig({ system: { ...system, random: (count) => Buffer.alloc(count, 9) } });
  const payer = new TestPayer('alice');
  rig.node.open(payer);
  await rig.node.submit(payer.claim(1_000n));
  const nonce = await nonceOf(rig);
  const end = rig.node.ruleSeconds + 60;
  const problem = async (authorization: string) => problemOf(await rig.get('/', { headers: { authorization } }));
  const stranger = new TestPayer('stranger');
  expect(await problem(token(payer, end, nonce, { signer: stranger }))).toBe('session/invalid-signature');
  expect(await problem(token(payer, end, nonce, { realm: 'elsewhere' }))).toBe('session/invalid-signature');
  expect(await problem(token(payer, end, nonce, { signature: new Uint8Array(64) }))).toBe('session/invalid-signature');
  expect(await problem(token(stranger, end, nonce))).toBe('session/channel-not-found');
  expect(await problem(token(payer, end, await nonceOf(other)))).toBe('invalid-challenge');
  expect(await problem(token(payer, end, nonce, { expires: end + 600 }))).toBe('invalid-challenge');
  expect(await problem(token(payer, rig.node.ruleSeconds, nonce))).toBe('invalid-challenge');
  expect(await problem('Claimwire-Session abc')).toBe('malformed-credential');
  const sound = token(payer, end, nonce);
  expect(await problem(`${sound.slice(0, -9)}AAAAAAAAA`)).toBe('session/invalid-signature');
  expect(rig.node.spent(payer.channelId)).toBe(0n);
  expect((await rig.get('/', { headers: { authorization: sound } })).status).toBe(200);
  // It ends, though its signature was found sound before.
  time.now = end;
  rig.node.ruleSeconds = end;
  expect(await problem(sound)).toBe('invalid-challenge');
});

test("a claim's signature is no token's, and a token's no claim's", () => {
  const payer = new TestPayer('alice');
  const said = { ledgerChannelId: payer.ledgerChannelId, expires: 1n, nonce: new Uint8Array(32) };
  const text = (bytes: Uint8Array) => Buffer.from(bytes).toString('latin1');
  expect(text(sessionPreimage(said, REALM))).toMatch(/^claimwire\/session\/1/);
  expect(text(xrplPreimage(payer.ledgerChannelId, payer.claim(1n)))).toMatch(/^CLM\0/);
  // The realm's length stands before it, so that no two tokens cover the same bytes.
  expect(text(sessionPreimage(said, 'ab'))).not.toBe(`${text(sessionPreimage(said, 'a'))}b`);
});

test('a request with an Idempotency-Key is charged once', async () => {
  const { system } = steered();
  await using rig = await gatewayRig({ system });
  const payer = new TestPayer('alice');
  rig.node.open(payer);
  await rig.node.submit(payer.claim(1_000n));
  const authorization = token(payer, rig.node.ruleSeconds + 60, await nonceOf(rig));
  const headers = { authorization, 'idempotency-key': 'order 7' };
  const bodies = [];
  for (let request = 0; request < 3; request++) bodies.push((await rig.get('/', { headers })).body);
  expect(bodies).toEqual(['hello ', 'hello ', 'hello ']);
  expect([rig.seen.length, rig.node.spent(payer.channelId)]).toEqual([1, 25n]);
  // Another payer's request by the same name is another request.
  const bob = new TestPayer('bob');
  rig.node.open(bob);
  await rig.node.submit(bob.claim(1_000n));
  const hers = token(bob, rig.node.ruleSeconds + 60, await nonceOf(rig));
  expect((await rig.get('/', { headers: { ...headers, authorization: hers } })).status).toBe(200);
  expect(rig.node.spent(bob.channelId)).toBe(25n);
  // It takes the place of the first one's answer, and is not given to it.
  expect(problemOf(await rig.get('/', { headers }))).toBe('verification-failed');
});

test('signatures are checked at a bounded rate, and a known token costs none', async () => {
  const { system } = steered();
  await using rig = await gatewayRig({ system });
  const payer = new TestPayer('alice');
  rig.node.open(payer);
  await rig.node.submit(payer.claim(1_000n));
  const nonce = await nonceOf(rig);
  const sound = token(payer, rig.node.ruleSeconds + 60, nonce);
  expect((await rig.get('/', { headers: { authorization: sound } })).status).toBe(200);
  const junk = (index: number) =>
    token(payer, rig.node.ruleSeconds + 60, nonce, { signature: createHash('sha512').update(`${index}`).digest() });
  const statuses = new Map<number, number>();
  for (let block = 0; block < 4; block++) {
    const headers = Array.from({ length: 80 }, (_, index) => ({ authorization: junk(block * 80 + index) }));
    for (const { status } of await Promise.all(headers.map((one) => rig.get('/', { headers: one }))))
      statuses.set(status, (statuses.get(status) ?? 0) + 1);
  }
  expect(statuses).toEqual(
    new Map([
      [402, 299],
      [503, 21],
    ]),
  );
  expect((await rig.get('/', { headers: { authorization: sound } })).status).toBe(200);
});

test('a session has its channel as it is now, and reads it only when it has changed', async () => {
  const { system } = steered();
  await using rig = await gatewayRig({ system });
  const payer = new TestPayer('alice');
  rig.node.open(payer);
  await rig.node.submit(payer.claim(1_000n));
  const headers = { authorization: token(payer, rig.node.ruleSeconds + 60, await nonceOf(rig)) };
  let [version, reads] = [2, 0];
  const read = rig.node.channel.bind(rig.node);
  rig.node.channelVersion = () => version;
  rig.node.channel = (channelId) => {
    reads++;
    return read(channelId);
  };
  const changed = async (change: Partial<Channel>) => {
    Object.assign(rig.node.rows.get(payer.channelId)!, change);
    version += 2;
    const reply = await rig.get('/', { headers });
    return reply.status === 200 ? 200 : problemOf(reply);
  };
  expect(await changed({})).toBe(200);
  reads = 0;
  for (let request = 0; request < 3; request++) expect((await rig.get('/', { headers })).status).toBe(200);
  expect(reads).toBe(0);
  expect(await changed({ expiresAt: rig.node.ruleSeconds + 100 })).toBe('session/channel-finalized');
  expect(await changed({ expiresAt: 0 })).toBe(200);
  expect(await changed({ state: 'closed' })).toBe('session/channel-finalized');
  // Its handle is another channel's now, whose money the token may not spend.
  const { ledgerChannelId } = new TestPayer('bob');
  expect(await changed({ state: 'open', ledgerChannelId })).toBe('session/channel-not-found');
  expect(rig.node.spent(payer.channelId)).toBe(125n);
});
