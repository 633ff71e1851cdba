/** Channels as JSON: what is taken, what is refused and how it is said. */
import { createHash, generateKeyPairSync } from 'node:crypto';
import { expect, test } from 'vitest';
import {
  channelJson,
  KeyCheck,
  openingOf,
  parseChange,
  parseDecimal,
  parseExpiry,
  parseHex,
  parseOpening,
  parseRow,
} from '../../../src/channel/parse.ts';
import { type Channel, decodeRow, ROW_BYTES, rowFault } from '../../../src/channel/row.ts';
import { parseLines } from '../../../src/registry/import-lines.ts';

const KEY = '0257CF4F3929F535518D624292D62ACE47E9DA563D7DFA7EA4C6BC24258AB467B7';
/** RFC 8032, test 1. */
const ED25519_KEY = 'EDD75A980182B10AB7D54BFED3C964073A0EE172F3DAA62325AF021A68F707511A';
const LEDGER_ID = '5DB01B7FFED6B67E6B0414DED11E051D2EE2B7619CE0EAA6286D67A3A4D5BDB3';
const opening = { ledgerChannelId: LEDGER_ID, publicKey: KEY, capacity: '1000' };
const open = (change: object) => parseOpening({ ...opening, ...change }, new KeyCheck());
const refusal = (text: string) =>
  expect.objectContaining({ code: 'INPUT_INVALID', message: expect.stringContaining(text) });

test('an opening has defaults, hex of any case, and the ledger id’s first 8 bytes as handle', () => {
  expect(open({ ledgerChannelId: LEDGER_ID.toLowerCase() })).toEqual({
    channelId: 0x5db01b7ffed6b67en,
    ledgerChannelId: Uint8Array.from(Buffer.from(LEDGER_ID, 'hex')),
    publicKey: Uint8Array.from(Buffer.from(KEY, 'hex')),
    capacity: 1000n,
    profile: 'xrpl',
    expiresAt: 0,
  });
  expect(
    open({ channelId: '18446744073709551615', profile: 'link', expiresAt: '2030-01-01T00:00:00.9Z' }),
  ).toMatchObject({
    channelId: 2n ** 64n - 1n,
    profile: 'link',
    expiresAt: 1893456000,
  });
});

test('the library takes an opening in text, numbers as bigints too, and leaves one of bytes as it is', () => {
  const keys = new KeyCheck();
  const bytes = open({});
  expect(openingOf(bytes, keys)).toBe(bytes);
  expect(openingOf({ ...opening, capacity: 1000n, channelId: 7n }, keys)).toEqual({ ...bytes, channelId: 7n });
  expect(openingOf(opening, keys)).toEqual(bytes);
  expect(() => openingOf({ ...opening, capacity: -1n }, keys)).toThrow(refusal('capacity: expected a decimal string'));
  expect(() => openingOf({ ...opening, publicKey: 'ED' }, keys)).toThrow(refusal('publicKey: expected 66 hex digits'));
});

test.each([
  ['a field too many', { amount: '1' }, 'channel: expected only ledgerChannelId, publicKey, capacity'],
  ['a misspelt field', { expires: null }, 'got "expires"'],
  [
    'a number for an amount',
    { capacity: 1000 },
    'capacity: expected a decimal string of 1..100000000000000000, got 1000',
  ],
  ['zero', { capacity: '0' }, 'capacity: expected'],
  ['over 10^17 under xrpl', { capacity: '100000000000000001' }, 'capacity: expected'],
  ['2^64 under link', { capacity: '18446744073709551616', profile: 'link' }, 'capacity: expected'],
  ['a leading zero', { capacity: '01' }, 'capacity: expected'],
  ['a sign', { capacity: '+1' }, 'capacity: expected'],
  ['space', { capacity: ' 1' }, 'capacity: expected'],
  ['a fraction', { capacity: '1.5' }, 'capacity: expected'],
  ['hex', { capacity: '0x10' }, 'capacity: expected'],
  ['an unknown profile', { profile: 'xrp' }, 'profile: expected "xrpl" or "link", got "xrp"'],
  ['a short ledger id', { ledgerChannelId: LEDGER_ID.slice(2) }, 'ledgerChannelId: expected 64 hex digits'],
  ['no hex', { ledgerChannelId: `${LEDGER_ID.slice(2)}0g` }, 'ledgerChannelId: expected 64 hex digits'],
  ['an array', { ledgerChannelId: [LEDGER_ID] }, 'ledgerChannelId: expected 64 hex digits'],
  [
    'an Ed25519 key off the curve',
    { publicKey: `ED02${'00'.repeat(31)}` },
    'expected ED and a point of the curve edwards',
  ],
  ['y = p + 1, another 1', { publicKey: `EDEE${'FF'.repeat(30)}7F` }, 'publicKey: expected ED and a point'],
  ['a signed x = 0', { publicKey: `ED01${'00'.repeat(30)}80` }, 'publicKey: expected ED and a point'],
  ['an uncompressed prefix', { publicKey: `04${KEY.slice(2)}` }, 'beginning 02 or 03, or an Ed25519 key beginning ED'],
  ['x not on the curve', { publicKey: `02${'00'.repeat(31)}05` }, 'publicKey: expected a point of the curve'],
  ['x over the field', { publicKey: `02${'FF'.repeat(32)}` }, 'publicKey: expected a point of the curve'],
  ['a handle over u64', { channelId: '18446744073709551616' }, 'channelId: expected'],
  ['a null handle', { channelId: null }, 'channelId: expected'],
])('refuses %s', (_name, change, message) => {
  expect(() => open(change)).toThrow(refusal(message));
});

test('names what is missing, and does not echo a megabyte', () => {
  const { publicKey: _, ...without } = opening;
  expect(() => parseOpening(without, new KeyCheck())).toThrow(
    refusal('publicKey: expected 66 hex digits, got nothing'),
  );
  for (const value of [null, [], 'text', 7])
    expect(() => parseOpening(value, new KeyCheck())).toThrow(refusal('a JSON object'));
  try {
    open({ ledgerChannelId: 'A'.repeat(1_000_000) });
    expect.unreachable();
  } catch (error) {
    expect((error as Error).message.length).toBeLessThan(200);
  }
});

test.each([
  ['2030-01-01T00:00:00Z', 1893456000],
  ['2030-01-01T01:00+01:00', 1893456000],
  ['1970-01-01T00:00:01Z', 1],
  ['2106-02-07T06:28:15Z', 2 ** 32 - 1],
])('takes the time %s', (text, seconds) => {
  expect(parseExpiry(text, 'expiresAt')).toBe(seconds);
});

test.each([
  '2030-01-01',
  '2030-01-01T00:00:00',
  '2030-02-30T00:00:00Z',
  '2030-13-01T00:00:00Z',
  'tomorrow',
  1893456000,
  undefined,
])('refuses the time %s', (value) => {
  expect(() => parseExpiry(value, 'expiresAt')).toThrow(refusal('expiresAt: expected an ISO 8601 time'));
});

test('times outside u32 seconds are refused', () => {
  for (const text of ['1970-01-01T00:00:00Z', '1969-01-01T00:00:00Z', '2106-02-07T06:28:16Z'])
    expect(() => parseExpiry(text, 'expiresAt')).toThrow(refusal('a time of 1970..2106'));
});

test('a change has at least one field and no other', () => {
  expect(parseChange({ capacity: '5', expiresAt: null }, 'xrpl')).toEqual({ capacity: 5n, expiresAt: 0 });
  expect(() => parseChange({}, 'xrpl')).toThrow(refusal('change: expected capacity or expiresAt'));
  expect(() => parseChange({ profile: 'link' }, 'xrpl')).toThrow(refusal('change: expected only'));
  expect(() => parseChange({ capacity: '100000000000000001' }, 'xrpl')).toThrow(refusal('capacity'));
  expect(parseChange({ capacity: '100000000000000001' }, 'link').capacity).toBe(10n ** 17n + 1n);
});

test('Ed25519: what decodes by RFC 8032’s own recipe and is not of small order is taken, nothing else', () => {
  const check = (encoded: Buffer) => {
    try {
      return new KeyCheck().check(`ED${encoded.toString('hex')}`, 'publicKey')[0] === 0xed;
    } catch (error) {
      expect(error).toEqual(refusal('publicKey: expected ED and a point of the curve edwards25519'));
      return false;
    }
  };
  let taken = 0;
  for (let index = 0; index < 200; index++) {
    const encoded = createHash('sha256').update(String(index)).digest();
    expect(check(encoded), encoded.toString('hex')).toBe(decodes(encoded));
    if (check(encoded)) taken++;
  }
  expect(taken).toBeGreaterThan(70);
  expect(taken).toBeLessThan(130);
  for (let index = 0; index < 20; index++) {
    const { publicKey } = generateKeyPairSync('ed25519');
    expect(check(publicKey.export({ format: 'der', type: 'spki' }).subarray(-32))).toBe(true);
  }
  // Around 0 and p, with and without the sign: where a missing bound shows.
  for (let low = -3n; low <= 18n; low++)
    for (const y of [low, low + 2n ** 255n - 19n].filter((y) => y >= 0n && y < 2n ** 255n))
      for (const sign of [0n, 1n << 255n]) {
        const encoded = Buffer.from((y | sign).toString(16).padStart(64, '0'), 'hex').reverse();
        // Of orders 4, 1 and 2.
        const isSmall = [0n, 1n, 2n ** 255n - 20n].includes(y);
        expect(check(encoded), encoded.toString('hex')).toBe(decodes(encoded) && !isSmall);
      }
});

/** RFC 8032, section 5.1.3, step by step. */
function decodes(encoded: Buffer): boolean {
  const p = 2n ** 255n - 19n;
  const power = (base: bigint, exponent: bigint): bigint => {
    if (exponent === 0n) return 1n;
    const root = power((base * base) % p, exponent >> 1n);
    return exponent & 1n ? (root * base) % p : root;
  };
  const d = p - ((121665n * power(121666n, p - 2n)) % p);
  const number = BigInt(`0x${Buffer.from(encoded).reverse().toString('hex')}`);
  const [sign, y] = [number >> 255n, number & (2n ** 255n - 1n)];
  if (y >= p) return false;
  const u = (y * y - 1n + p) % p;
  const v = (d * y * y + 1n) % p;
  const x = (((u * power(v, 3n)) % p) * power((u * power(v, 7n)) % p, (p - 5n) / 8n)) % p;
  const vx2 = (v * x * x) % p;
  if (vx2 !== u && vx2 !== (p - u) % p) return false;
  return x !== 0n || sign === 0n;
}

test('a key is checked once, and no more than a bounded number is remembered', () => {
  const keys = new KeyCheck();
  const first = keys.check(KEY, 'publicKey');
  expect(keys.check(KEY, 'publicKey')).toBe(first);
  const ed25519 = keys.check(ED25519_KEY, 'publicKey');
  expect(keys.check(ED25519_KEY, 'publicKey')).toBe(ed25519);
  expect(ed25519).toEqual(Uint8Array.from(Buffer.from(ED25519_KEY, 'hex')));
  expect(keys.check(KEY.toLowerCase(), 'publicKey')).toEqual(first);
});

test('a row survives the way to JSON and back', () => {
  const channel: Channel = {
    ...open({ expiresAt: '2031-05-06T07:08:09Z' }),
    committed: 7n,
    sequence: 3,
    timestampBits: 0n,
    signature: new Uint8Array(64).fill(0xab),
    state: 'closed',
  };
  const json = channelJson(channel);
  expect(json).toEqual({
    channelId: '6750926077978654334',
    ledgerChannelId: LEDGER_ID,
    publicKey: KEY,
    capacity: '1000',
    committed: '7',
    sequence: 3,
    signature: 'AB'.repeat(64),
    profile: 'xrpl',
    state: 'closed',
    expiresAt: '2031-05-06T07:08:09Z',
    throwAway: false,
  });
  expect(parseRow(JSON.parse(JSON.stringify(json)))).toEqual(channel);
  expect(channelJson({ ...channel, committed: 0n, expiresAt: 0 })).toMatchObject({ signature: null, expiresAt: null });
  expect(() => parseRow({ ...json, committed: '1001' })).toThrow(refusal('committed'));
  expect(() => parseRow({ ...json, signature: undefined })).toThrow(refusal('signature'));
  // The ledger paid a claim that the node never had.
  expect(parseRow({ ...json, signature: null }).signature).toEqual(new Uint8Array(64));
});

test('a row of a channel with leaves shows both, and a signature only with the amount that it is of', () => {
  const place = { lane: 0, segment: 1, offset: 0, leaf: 0 };
  const rooted = { committed: 7n, sequence: 3, timestampBits: 0n };
  const channel: Channel = {
    ...open({}),
    committed: 9n,
    sequence: 4,
    timestampBits: 0n,
    signature: new Uint8Array(64).fill(0xab),
    state: 'open',
    rooted: { ...rooted, leaf: { amount: 9n, sequence: 4, timestampBits: 0n, place } },
  };
  const json = channelJson(channel);
  expect(json).toMatchObject({
    committed: '9',
    signature: null,
    rooted: { committed: '7', sequence: 3, signature: 'AB'.repeat(64), leaf: { amount: '9', sequence: 4 } },
  });
  expect(parseRow(JSON.parse(JSON.stringify(json)))).toEqual({ ...channel, rooted });
  expect(JSON.stringify(channelJson(channel, false))).not.toContain('AB'.repeat(64));
  // Its claims have caught up with its leaves.
  const covered = { ...channel, rooted: { ...channel.rooted!, committed: 9n } };
  expect(channelJson(covered).signature).toBe('AB'.repeat(64));
  for (const bad of [{ ...json.rooted, committed: '10' }, { ...json.rooted, signature: 'AB' }, null])
    expect(() => parseRow({ ...json, rooted: bad })).toThrow(refusal('rooted'));
});

test('a row says expired from its second on, and comes back as the open channel that it is', () => {
  const channel: Channel = {
    ...open({ expiresAt: '2031-05-06T07:08:09Z' }),
    committed: 0n,
    sequence: 0,
    timestampBits: 0n,
    signature: new Uint8Array(64),
    state: 'open',
  };
  expect(channelJson(channel, true, channel.expiresAt - 1).state).toBe('open');
  const json = channelJson(channel, true, channel.expiresAt);
  expect(json.state).toBe('expired');
  expect(parseRow(JSON.parse(JSON.stringify(json)))).toEqual(channel);
  expect(channelJson({ ...channel, state: 'closed' }, true, channel.expiresAt).state).toBe('closed');
  expect(channelJson({ ...channel, expiresAt: 0 }, true, 2 ** 32).state).toBe('open');
  expect(() => parseRow({ ...json, state: 'removed' })).toThrow(
    refusal('state: expected "open", "expired" or "closed"'),
  );
});

test('lines become packed rows; each bad line is refused by its number, the others stand', () => {
  const text = [
    JSON.stringify(opening),
    '',
    'not json',
    JSON.stringify({ ...opening, capacity: 5 }),
    '\t ',
    JSON.stringify({ ...opening, channelId: '9' }),
    '\u0000\ufffd',
  ].join('\r\n');
  const { rows, lines, refused } = parseLines(Buffer.from(text));
  expect([...lines]).toEqual([0, 5]);
  expect(rows.length).toBe(2 * ROW_BYTES);
  expect(rowFault(rows.subarray(ROW_BYTES))).toBeUndefined();
  expect(decodeRow(rows.subarray(ROW_BYTES))).toMatchObject({
    channelId: 9n,
    capacity: 1000n,
    state: 'open',
    committed: 0n,
  });
  expect(refused.map(({ line }) => line)).toEqual([2, 3, 6]);
  expect(refused[0]).toEqual({
    line: 2,
    code: 'INPUT_INVALID',
    message: 'line: expected JSON, got "not json"',
  });
});

test('decimals and hex refuse what only looks like them', () => {
  for (const text of ['', '1n', '１', '1e3', '-1', '00', '999999999999999999999'])
    expect(() => parseDecimal(text, 0n, 2n ** 64n - 1n, 'x')).toThrow(refusal('x: expected'));
  for (const text of ['', '0', 'gg', ' 0', '0x', 'é0'])
    expect(() => parseHex(text, 1, 'x')).toThrow(refusal('x: expected'));
});
