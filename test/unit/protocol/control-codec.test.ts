/**
 * Control messages at the decoder: plain MessagePack goes round, and whatever else comes costs no more than its bytes.
 */
import { pack } from 'msgpackr/pack';
import { Unpackr } from 'msgpackr/unpack';
import { expect, test } from 'vitest';
import {
  type ControlReply,
  type ControlRequest,
  isBestClaimResult,
  isHelloResult,
  parseControlReply,
  parseControlRequest,
  resumePreimage,
} from '../../../protocol/control.ts';
import { decodeControl, encodeControl, readControlId } from '../../../protocol/control-codec.ts';
import { random } from '../../support/random.ts';

const TOKEN = 'a1'.repeat(32);
const REQUESTS: ControlRequest[] = [
  { id: 0, type: 'hello', client: 'test/1', versions: [1, 2] },
  { id: 1, type: 'open', token: TOKEN, channel: { ledgerChannelId: 'AB', publicKey: '02', capacity: '10' } },
  { id: 2, type: 'close', token: TOKEN, channelId: '18446744073709551615' },
  { id: 3, type: 'status', channelId: '0' },
  { id: 4, type: 'resume', channelId: '7', signature: '0f'.repeat(64) },
  { id: 0xffff_ffff, type: 'stats', token: TOKEN },
];

/** What a peer reads of bytes that another wrote. */
const through = (message: ControlRequest | ControlReply) => {
  const payload = encodeControl(message);
  expect(payload[0]).toBe(0x80);
  return decodeControl(payload, 1, payload.length);
};
const decode = (bytes: ArrayLike<number>) => decodeControl(Uint8Array.from(bytes), 0, bytes.length);

test('requests and replies go round, in place inside other bytes too', () => {
  for (const request of REQUESTS) expect(parseControlRequest(through(request))).toEqual(request);
  const replies: ControlReply[] = [
    { id: 1, ok: true, committed: '18446744073709551615', nested: { a: [1, 2 ** 40, 0.5, null, true] } },
    { id: 2, ok: false, code: 'X', message: 'é€' },
  ];
  for (const reply of replies) expect(parseControlReply(through(reply))).toEqual(reply);
  const payload = encodeControl(REQUESTS[3]!);
  const around = new Uint8Array(payload.length + 20).fill(0x81);
  around.set(payload, 9);
  expect(decodeControl(around, 10, 9 + payload.length)).toEqual(REQUESTS[3]);
});

test('every cut of a message, and every byte more, is refused', () => {
  for (const request of REQUESTS) {
    const payload = encodeControl(request);
    for (let end = 1; end < payload.length; end++) expect(decodeControl(payload, 1, end)).toBe(undefined);
    expect(decode([...payload.subarray(1), 0xc0])).toBe(undefined);
  }
});

test('every plain kind of value is taken, every extension refused', () => {
  const kinds: [number[], unknown][] = [
    [[0xc0], null],
    [[0xc2], false],
    [[0xc3], true],
    [[0x7f], 127],
    [[0xe0], -32],
    [[0xca, 0x3f, 0x80, 0, 0], 1],
    [[0xcb, 0x3f, 0xf0, 0, 0, 0, 0, 0, 0], 1],
    [[0xcc, 200], 200],
    [[0xcd, 1, 0], 256],
    [[0xce, 0xff, 0xff, 0xff, 0xff], 0xffff_ffff],
    [[0xcf, 0, 0, 0, 0, 0, 0, 0, 1], 1],
    [[0xd0, 0xff], -1],
    [[0xd1, 0xff, 0xff], -1],
    [[0xd2, 0xff, 0xff, 0xff, 0xff], -1],
    [[0xd3, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], -1],
    [[0xa1, 0x61], 'a'],
    [[0xd9, 1, 0x61], 'a'],
    [[0xda, 0, 1, 0x61], 'a'],
    [[0xdb, 0, 0, 0, 1, 0x61], 'a'],
    [[0xc5, 0, 1, 7], Uint8Array.of(7)],
    [[0xc6, 0, 0, 0, 1, 7], Uint8Array.of(7)],
    [[0xdc, 0, 1, 7], [7]],
    [[0xdd, 0, 0, 0, 1, 7], [7]],
    [[0xde, 0, 1, 0xa1, 0x61, 7], { a: 7 }],
    [[0xdf, 0, 0, 0, 1, 0xa1, 0x61, 7], { a: 7 }],
    [[0x90], []],
  ];
  for (const [bytes, value] of kinds) {
    const result = decode(bytes);
    expect(result instanceof Uint8Array ? Uint8Array.from(result) : result, `${bytes}`).toEqual(value);
  }
  for (const token of [0xc1, 0xc7, 0xc8, 0xc9, 0xd4, 0xd5, 0xd6, 0xd7, 0xd8])
    for (const type of [0, 0x42, 0x62, 0x65, 0x69, 0x70, 0x72, 0x73, 0x74, 0x78, 0xff])
      expect(decode([token, type, 0x91, 0xa1, 0x61, ...new Array(20).fill(0x90)])).toBe(undefined);
});

test('a length that is announced and not there makes nothing', () => {
  const huge = [0xff, 0xff, 0xff, 0xff];
  for (const token of [0xc6, 0xdb, 0xdd, 0xdf]) expect(decode([token, ...huge])).toBe(undefined);
  // 2^25 - 1 elements each: msgpackr alone makes 256 MiB a level of these before it misses the first element.
  const nested = new Array(5).fill([0xdd, 1, 0xff, 0xff, 0xff]).flat();
  const before = process.memoryUsage().rss;
  for (let count = 0; count < 1_000; count++) expect(decode(nested)).toBe(undefined);
  expect(process.memoryUsage().rss - before).toBeLessThan(200 << 20);
  // As many as there are bytes, and one more.
  expect(decode([0xdc, 0, 3, 1, 1, 1])).toEqual([1, 1, 1]);
  expect(decode([0xdc, 0, 4, 1, 1, 1])).toBe(undefined);
});

test('depth is bounded, and no key reaches a prototype', () => {
  expect(decode([0x91, 0x91, 0x91, 0x91, 0x91, 7])).toEqual([[[[[7]]]]]);
  expect(decode(new Array(4_000).fill(0x91))).toBe(undefined);
  expect(decode([...new Array(4_000).fill(0x91), 7])).toBe(undefined);
  const bytes = pack({ id: 1, type: 'status', channelId: '1', __proto: 1 });
  const key = Buffer.from(bytes).indexOf('__proto');
  const polluting = Buffer.concat([bytes.subarray(0, key - 1), Buffer.from([0xa9]), Buffer.from('__proto__')]);
  const value = decode([...polluting, 0x81, 0xa2, 0x6f, 0x6b, 0xc3]) as Record<string, unknown>;
  expect(Object.getPrototypeOf(value)).toBe(Object.prototype);
  expect(({} as Record<string, unknown>).ok).toBe(undefined);
  expect(parseControlRequest(value)).toEqual({ id: 1, type: 'status', channelId: '1' });
});

test('10,000 seeds of noise and of damaged messages: no throw, and what is taken is a request', () => {
  const rng = random(11);
  const sound = REQUESTS.map((request) => encodeControl(request).subarray(1));
  let requests = 0;
  let values = 0;
  for (let seed = 0; seed < 10_000; seed++) {
    const bytes = seed % 2 === 0 ? rng.bytes(rng.below(100)) : sound[rng.below(sound.length)]!.slice();
    for (let count = rng.below(4); count > 0 && bytes.length > 0; count--)
      bytes[rng.below(bytes.length)] = [rng.below(256), 0x80 + rng.below(32), 0xc0 + rng.below(32)][rng.below(3)]!;
    const value = decode(bytes);
    if (value !== undefined) values++;
    const request = parseControlRequest(value);
    if (!('ok' in request)) requests++;
    else expect(request).toMatchObject({ ok: false, code: expect.any(String), message: expect.any(String) });
    parseControlReply(value);
  }
  expect(values).toBeGreaterThan(1_500);
  expect(requests).toBeGreaterThan(1_000);
});

test('plain values mean what msgpackr makes of them', () => {
  const rng = random(12);
  const reference = new Unpackr({ useRecords: false });
  const make = (depth: number): unknown => {
    const kind = rng.below(depth === 0 ? 5 : 7);
    if (kind === 0) return rng.u32() - 2 ** 31;
    if (kind === 1) return rng.u32() / 7;
    if (kind === 2) return 'ab€'.repeat(rng.below(100));
    if (kind === 3) return rng.below(2) === 0;
    if (kind === 4) return null;
    if (kind === 5) return Array.from({ length: rng.below(20) }, () => make(depth - 1));
    return Object.fromEntries(Array.from({ length: rng.below(20) }, (_, key) => [`k${key}`, make(depth - 1)]));
  };
  for (let count = 0; count < 300; count++) {
    const value = make(3);
    const bytes = pack(value);
    expect(decode(bytes)).toEqual(reference.unpack(bytes));
    expect(decode(bytes)).toEqual(value);
  }
});

test('an integer is the same number in whatever width it is written', () => {
  const status = (id: number[]) =>
    decode(
      [0x83, 0xa2, ...Buffer.from('id'), ...id, 0xa4, ...Buffer.from('type'), 0xa6, ...Buffer.from('status')].concat([
        0xa9,
        ...Buffer.from('channelId'),
        0xa1,
        0x37,
      ]),
    );
  const widths = [[7], [0xcc, 7], [0xcd, 0, 7], [0xce, 0, 0, 0, 7], [0xcf, 0, 0, 0, 0, 0, 0, 0, 7], [0xd0, 7]];
  widths.push([0xd3, 0, 0, 0, 0, 0, 0, 0, 7]);
  for (const id of widths) expect(parseControlRequest(status(id))).toEqual({ id: 7, type: 'status', channelId: '7' });
  for (const id of [
    [0xcf, 0, 0, 0, 1, 0, 0, 0, 0],
    [0xcf, ...Array(8).fill(255)],
    [0xd3, ...Array(8).fill(255)],
  ])
    expect(parseControlRequest(status(id))).toMatchObject({ id: 0, ok: false, code: 'MALFORMED' });
  // What a double does not hold stays exact.
  expect(decode([0xcf, ...Array(8).fill(255)])).toBe(0xffff_ffff_ffff_ffffn);
});

test('each field is asked for by name', () => {
  const refusals: [unknown, string, string][] = [
    [undefined, 'MALFORMED', 'expected a MessagePack map'],
    [[], 'MALFORMED', 'expected a MessagePack map'],
    [new Uint8Array(3), 'MALFORMED', 'expected a MessagePack map'],
    [{ type: 'hello' }, 'MALFORMED', 'id: expected a u32'],
    [{ id: -1, type: 'hello' }, 'MALFORMED', 'id'],
    [{ id: 2 ** 32, type: 'hello' }, 'MALFORMED', 'id'],
    [{ id: 1.5, type: 'hello' }, 'MALFORMED', 'id'],
    [{ id: 1n, type: 'hello' }, 'MALFORMED', 'id'],
    [{ id: 1 }, 'MALFORMED', 'type: expected a string'],
    [{ id: 1, type: 5, token: 'x' }, 'MALFORMED', 'type: expected a string'],
    [{ id: 1, type: 'toString' }, 'UNKNOWN_TYPE', 'type'],
    [{ id: 1, type: 'hello', client: 'x'.repeat(65), versions: [1] }, 'MALFORMED', 'client'],
    [{ id: 1, type: 'hello', client: 'x', versions: ['1'] }, 'MALFORMED', 'versions'],
    [{ id: 1, type: 'hello', client: 'x', versions: new Array(17).fill(1) }, 'MALFORMED', 'versions'],
    [{ id: 1, type: 'open', token: TOKEN, channel: 'x' }, 'MALFORMED', 'channel'],
    [{ id: 1, type: 'open', token: 'x', channel: {} }, 'MALFORMED', 'token'],
    [{ id: 1, type: 'stats' }, 'MALFORMED', 'token'],
    [{ id: 1, type: 'status', channelId: 1 }, 'MALFORMED', 'channelId'],
    [{ id: 1, type: 'status', channelId: '01' }, 'MALFORMED', 'channelId'],
    [{ id: 1, type: 'status', channelId: '18446744073709551616' }, 'MALFORMED', 'channelId'],
    [{ id: 1, type: 'resume', channelId: '1', signature: 'ab' }, 'MALFORMED', 'signature'],
  ];
  for (const [value, code, message] of refusals) {
    const refusal = parseControlRequest(value);
    expect(refusal).toMatchObject({ ok: false, code, message: expect.stringContaining(message) });
  }
  for (const value of [undefined, [], { ok: true }, { id: 1 }, { id: 1, ok: false, code: 1, message: '' }])
    expect(parseControlReply(value)).toBe(undefined);
});

test('the id of a message that is refused whole is read where it stands before the fault', () => {
  const idIn = (bytes: ArrayLike<number>) => readControlId(Uint8Array.from(bytes), 0, bytes.length);
  const request = pack({ id: 70_000, type: 'status', channelId: '7' });
  expect(idIn(request.subarray(0, 12))).toBe(70_000);
  expect(idIn([...request, 0xc0])).toBe(70_000);
  // Behind an extension, and behind a value that is cut, nothing can be told apart any more.
  expect(idIn([0x82, 0xa2, ...Buffer.from('id'), 7, 0xa1, 0x78, 0xd4, 1, 0])).toBe(7);
  expect(idIn([0x82, 0xa1, 0x78, 0xd4, 1, 0, 0xa2, ...Buffer.from('id'), 7])).toBe(0);
  expect(idIn(request.subarray(0, 6))).toBe(0);
  // The first level's own, in whatever way it is written, and only a u32.
  expect(idIn([0xde, 0, 2, 0xd9, 2, ...Buffer.from('id'), 0xcc, 200])).toBe(200);
  expect(idIn([0x82, 0xa1, 0x78, 0x81, 0xa2, ...Buffer.from('id'), 7])).toBe(0);
  expect(idIn([0x82, 0xa2, ...Buffer.from('id'), 0xff, 0xc1])).toBe(0);
  for (const none of [[], [0xc1], [0x92, 7], [0xde], [0xdf, 0xff, 0xff, 0xff, 0xff]]) expect(idIn(none)).toBe(0);
  // No longer than a request may be is looked at.
  const late = pack({ more: 'x'.repeat(4_096), id: 7, type: 'status', channelId: '7' });
  expect(idIn(late)).toBe(0);
});

test('answers of a node are looked at before they are believed', () => {
  const hello = { version: 1, server: 'x', nonce: '00'.repeat(16), profiles: [], transports: { tcp: 1 }, limits: {} };
  expect(isHelloResult(hello)).toBe(true);
  for (const wrong of [
    { version: '1' },
    { nonce: '00' },
    { limits: { a: '1' } },
    { transports: null },
    { profiles: [1] },
  ])
    expect(isHelloResult({ ...hello, ...wrong })).toBe(false);
  const best = { channelId: '1', committed: '5', sequence: 1, timestamp: '00'.repeat(8), signature: '00'.repeat(64) };
  expect(isBestClaimResult(best)).toBe(true);
  expect(isBestClaimResult({ ...best, committed: '0', signature: null })).toBe(true);
  for (const wrong of [{ committed: '0' }, { signature: null }, { sequence: -1 }, { timestamp: '' }, { committed: 5 }])
    expect(isBestClaimResult({ ...best, ...wrong })).toBe(false);
});

test('what resume signs', () => {
  const preimage = resumePreimage(new Uint8Array(32).fill(1), new Uint8Array(16).fill(2));
  expect(Buffer.from(preimage).toString('hex')).toBe(
    Buffer.from('claimwire/resume/1').toString('hex') + '01'.repeat(32) + '02'.repeat(16),
  );
  expect(() => resumePreimage(new Uint8Array(31), new Uint8Array(16))).toThrow('expected 32 bytes');
  expect(() => resumePreimage(new Uint8Array(32), new Uint8Array(17))).toThrow('got 32 and 17');
});
