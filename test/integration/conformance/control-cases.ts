/**
 * Cases of control messages, on transports that carry them beside frames: above all `resume`, for a payer that lost its
 * state. The MessagePack is msgpackr's own, apart from protocol's codec.
 */
import { Packr } from 'msgpackr';
import { expect } from 'vitest';
import type { ThrowawayChannel } from '../../support/throwaway-claims.ts';
import { COMMITTED, type StreamWire } from '../../support/wire-client.ts';
import type { ConformanceCase } from './cases.ts';
import { holds, RECEIPT_KEY } from './receipt-key.ts';
import type { Stage } from './stage.ts';

type Message = Record<string, unknown>;
const packr = new Packr({ useRecords: false, variableMapSize: true });

let ids = 0;

/** The reply to a request, whose id it must carry. */
async function ask(wire: StreamWire, request: Message): Promise<Message> {
  const id = ++ids;
  const reply = packr.unpack(await wire.control(packr.pack({ id, ...request }))) as Message;
  expect(reply.id).toBe(id);
  return reply;
}

async function nonceOf(wire: StreamWire): Promise<Buffer> {
  const reply = await ask(wire, { type: 'hello', client: 'conformance', versions: [1] });
  expect(reply).toMatchObject({ ok: true, version: 1, nonce: expect.stringMatching(/^[0-9A-F]{32}$/) });
  return Buffer.from(reply.nonce as string, 'hex');
}
function askToResume(wire: StreamWire, channel: ThrowawayChannel, signature: Buffer): Promise<Message> {
  const channelId = channel.channelId.toString();
  return ask(wire, { type: 'resume', channelId, signature: signature.toString('hex') });
}

async function resume(stage: Stage): Promise<void> {
  for (const profile of ['xrpl', 'link'] as const) {
    const channel = await stage.open({ profile });
    const first = await stage.streamWire();
    const unpaid = await askToResume(first, channel, channel.signResume(await nonceOf(first)));
    expect(unpaid).toMatchObject({ ok: true, committed: '0', signature: null });
    const claim = channel.claim(700n, stage.fresh());
    await stage.expectAnswer(first, claim, COMMITTED, 700n);
    first.close();
    // All that is left of the payer is its key.
    const wire = await stage.streamWire();
    const reply = await askToResume(wire, channel, channel.signResume(await nonceOf(wire)));
    expect(reply).toMatchObject({
      ok: true,
      channelId: channel.channelId.toString(),
      committed: '700',
      sequence: new DataView(claim.buffer).getUint32(9),
    });
    expect(Buffer.from(reply.signature as string, 'hex')).toEqual(Buffer.from(claim.subarray(21, 85)));
    expect(Buffer.from(reply.timestamp as string, 'hex')).toEqual(Buffer.from(claim.subarray(85)));
    await stage.expectAnswer(wire, channel.claim(701n, stage.fresh()), COMMITTED, 701n);
  }
}

/** Another key, another connection's nonce, a channel that is not there: refused by code, and the connection goes on. */
async function resumeRefused(stage: Stage): Promise<void> {
  const channel = await stage.open();
  const other = await stage.open();
  const wire = await stage.streamWire();
  const elsewhere = await nonceOf(await stage.streamWire());
  const nonce = await nonceOf(wire);
  expect(nonce.equals(elsewhere)).toBe(false);
  await stage.expectAnswer(wire, channel.claim(9n, stage.fresh()), COMMITTED, 9n);
  const stranger = stage.unopened();
  for (const [code, of, signature] of [
    ['UNAUTHORIZED', channel, other.signResume(nonce)],
    ['UNAUTHORIZED', channel, channel.signResume(elsewhere)],
    ['UNAUTHORIZED', channel, Buffer.alloc(64)],
    ['CHANNEL_UNKNOWN', stranger, stranger.signResume(nonce)],
  ] as const) {
    const reply = await askToResume(wire, of, signature);
    // And nothing else: not what is committed, not the signature.
    expect(reply).toEqual({ id: reply.id, ok: false, code, message: expect.any(String) });
  }
  expect(await askToResume(wire, channel, channel.signResume(nonce))).toMatchObject({ ok: true, committed: '9' });
}

/** What is no request is answered with a code; frames before and after it are taken. */
async function malformed(stage: Stage): Promise<void> {
  const wire = await stage.streamWire();
  const channel = await stage.open();
  let amount = 0n;
  const notRequests: [code: string, id: number, bytes: Uint8Array][] = [
    ['MALFORMED', 0, new Uint8Array(0)],
    ['MALFORMED', 0, Uint8Array.of(0xc1)],
    ['MALFORMED', 0, packr.pack([1, 2, 3])],
    ['MALFORMED', 0, packr.pack({ type: 'hello', client: 'x', versions: [1] })],
    ['MALFORMED', 7, packr.pack({ id: 7, type: 'hello', client: 'x', versions: [1] }).subarray(0, 9)],
    ['MALFORMED', 7, packr.pack({ id: 7, type: 'hello', client: 'x'.repeat(4_096), versions: [1] })],
    ['MALFORMED', 7, packr.pack({ id: 7 })],
    ['MALFORMED', 7, packr.pack({ id: 7, type: 'resume', channelId: -1, signature: 5 })],
    ['UNKNOWN_TYPE', 7, packr.pack({ id: 7, type: 'nothing' })],
    ['UNSUPPORTED_VERSION', 7, packr.pack({ id: 7, type: 'hello', client: 'x', versions: [99] })],
    ['UNAUTHORIZED', 7, packr.pack({ id: 7, type: 'close', channelId: `${channel.channelId}`, token: '0'.repeat(64) })],
  ];
  for (const [code, id, bytes] of notRequests) {
    const reply = packr.unpack(await wire.control(bytes)) as Message;
    expect(reply).toEqual({ id, ok: false, code, message: expect.any(String) });
    await stage.expectAnswer(wire, channel.claim(++amount, stage.fresh()), COMMITTED, amount);
  }
}

/** What anybody may know of a channel. */
async function status(stage: Stage): Promise<void> {
  const wire = await stage.streamWire();
  const past = Math.floor(Date.now() / 1_000);
  const [open, closed, expired] = [
    await stage.open({ capacity: 5n, expiresAt: past + 86_400 }),
    await stage.open({ capacity: 5n, profile: 'link' }),
    await stage.open({ capacity: 5n, expiresAt: past }),
  ];
  await stage.closeChannel(closed);
  const iso = (seconds: number) => new Date(seconds * 1_000).toISOString().replace('.000Z', 'Z');
  for (const [channel, expected] of [
    [open, { state: 'open', profile: 'xrpl', capacity: '5', expiresAt: iso(past + 86_400) }],
    [closed, { state: 'closed', profile: 'link', capacity: '5', expiresAt: null }],
    [expired, { state: 'expired', profile: 'xrpl', capacity: '5', expiresAt: iso(past) }],
    [stage.unopened(), { state: 'unknown' }],
  ] as const) {
    const reply = await ask(wire, { type: 'status', channelId: channel.channelId.toString() });
    expect(reply).toEqual({ id: reply.id, ok: true, ...expected });
  }
}

/** What is acknowledged is signed for whoever asks for it: so much, and no more than that is told or signed. */
async function receipt(stage: Stage): Promise<void> {
  const wire = await stage.streamWire();
  const channels = await stage.openMany(3);
  for (const channel of channels) await stage.expectAnswer(wire, channel.claim(700n, stage.fresh()), COMMITTED, 700n);
  const receiptOf = (channel: ThrowawayChannel, amount: string, by = wire) =>
    ask(by, { type: 'receipt', channelId: channel.channelId.toString(), amount });
  // Who ask at a time have leaves of one tree.
  const wires = await Promise.all(channels.map(() => stage.streamWire()));
  const receipts = await Promise.all(channels.map((channel, index) => receiptOf(channel, '700', wires[index])));
  for (const [index, channel] of channels.entries()) {
    expect(receipts[index]).toMatchObject({ ok: true, amount: '700', publicKey: hex(RECEIPT_KEY.publicKey) });
    expect(holds(receipts[index]!, channel.ledgerChannelId)).toBe(true);
    expect(holds({ ...receipts[index], amount: '701' }, channel.ledgerChannelId)).toBe(false);
  }
  const [channel] = channels as [ThrowawayChannel];
  expect(holds(await receiptOf(channel, '1'), channel.ledgerChannelId)).toBe(true);
  for (const [code, of, amount] of [
    ['RECEIPT_NOT_YET', channel, '701'],
    ['CHANNEL_UNKNOWN', stage.unopened(), '1'],
    ['MALFORMED', channel, '01'],
  ] as const) {
    const reply = await receiptOf(of, amount);
    expect(reply).toEqual({ id: reply.id, ok: false, code, message: expect.any(String) });
  }
}

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex').toUpperCase();
const appliesTo = ({ connectStream }: { connectStream?: unknown }) => connectStream !== undefined;

export const CONTROL_CASES: readonly ConformanceCase[] = [
  { name: 'resume: the committed amount and its signature, for the channel’s key', run: resume, appliesTo },
  { name: 'resume is refused to anybody else', run: resumeRefused, appliesTo },
  { name: 'status: what anybody may know of a channel', run: status, appliesTo },
  { name: 'receipt: what is acknowledged is signed for who asks', run: receipt, appliesTo },
  { name: 'a malformed control message is answered with a code', run: malformed, appliesTo },
];
