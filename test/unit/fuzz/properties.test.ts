/**
 * Properties of everything that reads bytes from outside, over values that fast-check makes and makes smaller. RUNS of each; a failure
 * prints the seed and the smallest value that fails.
 */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { claimBytes, decodeClaim } from '../../../protocol/claim.ts';
import { decodeControl, encodeControl } from '../../../protocol/control-codec.ts';
import { WALK_CUT_FRAME, WALK_EMPTY, WALK_UNKNOWN_TYPE, WALK_WHOLE, walkFrames } from '../../../protocol/frames.ts';
import { CLAIM_BYTES, DROPS_MAX, U64_MAX } from '../../../protocol/layout.ts';
import { decodeSessionToken, encodeSessionToken } from '../../../protocol/session.ts';
import { encodeStreamHeader, STREAM_SOUND, StreamParser } from '../../../protocol/stream.ts';
import { parseJson } from '../../../src/channel/json.ts';
import { channelJson, parseChange, parseOpening, parseRow } from '../../../src/channel/parse.ts';
import { type Channel, decodeRow, encodeRow, ROW_BYTES, rowFault } from '../../../src/channel/row.ts';
import { ClaimwireError } from '../../../src/errors.ts';
import { decodeHotKeys, encodeHotKeys } from '../../../src/node/hot-keys-file.ts';
import { decodeRecord, encodeRecord } from '../../../src/registry/check.ts';
import { brieflyOrAtLength } from '../../support/length.ts';
import { MemoryFiles } from '../../support/memory-files.ts';
import { commitGroup, LANE, openWriter, range, recoverNumbers, SEGMENT_BYTES } from '../journal/fixtures.ts';

const RUNS = brieflyOrAtLength(200, 20_000);
/** Of properties that write a journal. */
const SLOW_RUNS = brieflyOrAtLength(60, 5_000);

const u32 = fc.nat({ max: 0xffff_ffff });
const u64 = fc.bigInt({ min: 0n, max: U64_MAX });
const bytesOf = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
const claim = fc.record({
  channelId: u64,
  sequence: u32,
  amount: u64,
  signature: bytesOf(64),
  timestamp: fc.nat({ max: Number.MAX_SAFE_INTEGER }),
});
const key = fc.constantFrom(
  '0279BE667EF9DCBBAC55A06295CE870B07029BFCDB2DCE28D959F2815B16F81798',
  '03C6047F9441ED7D6D3045406E95C07CD85C778E4B8CEF3CA7ABAC09B95C709EE5',
);
const channel: fc.Arbitrary<Channel> = fc.record({
  channelId: u64,
  ledgerChannelId: bytesOf(32),
  publicKey: key.map((hex) => new Uint8Array(Buffer.from(hex, 'hex'))),
  capacity: fc.bigInt({ min: 1n, max: DROPS_MAX }),
  committed: fc.constant(0n),
  sequence: fc.constant(0),
  timestampBits: fc.constant(0n),
  signature: fc.constant(new Uint8Array(64)),
  profile: fc.constantFrom('xrpl' as const, 'link' as const),
  state: fc.constantFrom('open' as const, 'closed' as const),
  expiresAt: fc.nat({ max: 4_000_000_000 }),
});

function check<Values extends [unknown, ...unknown[]]>(property: fc.IProperty<Values>, numRuns = RUNS): void {
  fc.assert(property, { numRuns });
}

/** Only a refusal that says why may be thrown. */
function orRefused<T>(parse: () => T): T | undefined {
  try {
    return parse();
  } catch (error) {
    expect(error).toBeInstanceOf(ClaimwireError);
    expect((error as ClaimwireError).code).toBe('INPUT_INVALID');
    return undefined;
  }
}

test('a claim is read as it was written, at any place', () => {
  check(
    fc.property(claim, fc.nat(50), (fields, offset) => {
      const view = new DataView(new ArrayBuffer(offset + CLAIM_BYTES));
      new Uint8Array(view.buffer).set(claimBytes(fields), offset);
      expect(decodeClaim(view, offset)).toEqual(fields);
    }),
  );
});

test('a payload is walked to its first byte that begins no whole frame, and the end says why', () => {
  const frame = fc.constantFrom<[type: number, length: number]>([1, 93], [2, 32]);
  check(
    fc.property(fc.array(frame, { maxLength: 8 }), fc.uint8Array({ maxLength: 31 }), (frames, rest) => {
      const parts = frames.map(([type, length]) => Uint8Array.of(type, ...new Uint8Array(length - 1)));
      const bytes = new Uint8Array(Buffer.concat([...parts, rest]));
      const seen: number[] = [];
      const end = walkFrames(bytes, 0, bytes.length, { claim: () => seen.push(1), ack: () => seen.push(2) });
      expect(seen).toEqual(frames.map(([type]) => type));
      const isFrame = rest[0] === 1 || rest[0] === 2;
      if (rest.length > 0) expect(end).toBe(isFrame ? WALK_CUT_FRAME : WALK_UNKNOWN_TYPE);
      else expect(end).toBe(frames.length > 0 ? WALK_WHOLE : WALK_EMPTY);
    }),
  );
});

test('a stream cut anywhere gives its payloads', () => {
  check(
    fc.property(
      fc.array(fc.uint8Array({ minLength: 1, maxLength: 40 }), { maxLength: 6 }),
      fc.array(fc.integer({ min: 1, max: 30 }), { minLength: 1, maxLength: 10 }),
      (payloads, cuts) => {
        const header = Buffer.alloc(4);
        const stream = Buffer.concat(
          payloads.map((payload) => {
            encodeStreamHeader(new DataView(header.buffer, header.byteOffset), 0, payload.length);
            return Buffer.concat([header, payload]);
          }),
        );
        const parser = new StreamParser();
        const seen: Uint8Array[] = [];
        const sink = { payload: (bytes: Uint8Array, start: number, end: number) => seen.push(bytes.slice(start, end)) };
        for (let at = 0, cut = 0; at < stream.length; at += cuts[cut++ % cuts.length]!)
          expect(parser.push(new Uint8Array(stream.subarray(at, at + cuts[cut % cuts.length]!)), sink)).toBe(
            STREAM_SOUND,
          );
        expect(seen).toEqual(payloads);
        expect(parser.atBoundary).toBe(true);
      },
    ),
  );
});

test('a control message that is plain is read as it was written; cut or with bytes behind it, it is none', () => {
  const value = fc.dictionary(fc.string({ maxLength: 8 }), fc.jsonValue({ maxDepth: 2 }), {
    maxKeys: 4,
    noNullPrototype: true,
  });
  check(
    fc.property(value, fc.nat(1_000), (more, cut) => {
      const { __proto__: _proto, id: _id, ...fields } = more;
      const payload = encodeControl({ id: 7, ok: true, ...JSON.parse(JSON.stringify(fields)) });
      const length = payload.length - 1;
      expect(JSON.stringify(decodeControl(payload, 1, payload.length))).toBe(
        JSON.stringify({ id: 7, ok: true, ...fields }),
      );
      expect(decodeControl(payload, 1, 1 + (cut % length))).toBeUndefined();
      expect(decodeControl(Uint8Array.of(...payload, 0), 1, payload.length + 1)).toBeUndefined();
    }),
  );
});

test('a session token is read as it was written', () => {
  const token = fc.record({
    ledgerChannelId: bytesOf(32),
    expires: u64,
    nonce: bytesOf(32),
    signature: bytesOf(64),
  });
  check(
    fc.property(token, (fields) => {
      expect(decodeSessionToken(encodeSessionToken(fields))).toEqual(fields);
    }),
  );
});

test('text is what JSON.parse makes of it, or is refused', () => {
  check(
    fc.property(fc.oneof(fc.json({ maxDepth: 5 }), fc.string()), (text) => {
      const value = orRefused(() => parseJson(text, 'body'));
      if (value !== undefined) expect(value).toEqual(JSON.parse(text));
    }),
  );
});

test('any value as an opening, a change or a row is read or refused', () => {
  const field = fc.oneof(fc.jsonValue({ maxDepth: 1 }), u64.map(String), key, fc.string());
  const value = fc.oneof(
    fc.jsonValue({ maxDepth: 2 }),
    fc.record(
      { ledgerChannelId: field, publicKey: field, capacity: field, profile: field, expiresAt: field, channelId: field },
      { requiredKeys: [] },
    ),
  );
  check(
    fc.property(value, (given) => {
      orRefused(() => parseOpening(given));
      orRefused(() => parseChange(given, 'xrpl'));
      orRefused(() => parseRow(given));
    }),
  );
});

test('a channel shown as JSON is read as the same channel', () => {
  check(
    fc.property(channel, (row) => {
      expect(parseRow(JSON.parse(JSON.stringify(channelJson(row))))).toMatchObject({
        ...row,
        signature: expect.anything(),
      });
    }),
  );
});

test('a row in a file is read as it was written; with any bit changed it is a fault', () => {
  check(
    fc.property(channel, fc.nat(ROW_BYTES * 8 - 1), (row, bit) => {
      const bytes = new Uint8Array(ROW_BYTES);
      encodeRow(row, bytes, 0);
      expect(rowFault(bytes)).toBeUndefined();
      expect(decodeRow(bytes)).toMatchObject(row);
      bytes[bit >> 3]! ^= 1 << (bit & 7);
      expect(rowFault(bytes)).toBeDefined();
    }),
  );
});

test('a named record is read as it was written; with a bit changed it is none', () => {
  check(
    fc.property(fc.record({ a: fc.nat(), b: fc.string({ maxLength: 10 }) }), fc.nat(10_000), (value, pick) => {
      const bytes = encodeRecord(value);
      expect(decodeRecord(bytes)).toEqual(value);
      const bit = pick % (bytes.length * 8);
      bytes[bit >> 3]! ^= 1 << (bit & 7);
      expect(decodeRecord(bytes)).toBeUndefined();
    }),
  );
});

test('hot keys are read as they were written; with a bit changed they are none', () => {
  check(
    fc.property(fc.array(fc.tuple(fc.nat(255), bytesOf(33)), { maxLength: 8 }), fc.nat(10_000), (hot, pick) => {
      const kinds = Uint8Array.from(hot, ([kind]) => kind);
      const keys = new Uint8Array(Buffer.concat(hot.map(([, publicKey]) => publicKey)));
      const bytes = encodeHotKeys({ count: hot.length, kinds, keys });
      expect(decodeHotKeys(bytes)).toEqual({ count: hot.length, kinds, keys });
      const bit = pick % (bytes.length * 8);
      bytes[bit >> 3]! ^= 1 << (bit & 7);
      expect(decodeHotKeys(bytes)).toMatch(/^expected/);
    }),
  );
});

test('a journal with a byte changed gives its claims up to some group, and is whole only where it gives all', () => {
  check(
    fc.property(
      fc.array(fc.integer({ min: 1, max: 20 }), { minLength: 1, maxLength: 6 }),
      fc.nat(),
      fc.integer({ min: 1, max: 255 }),
      (groups, pick, change) => {
        const files = new MemoryFiles();
        files.mkdirSync(LANE, { recursive: true });
        const writer = openWriter(files);
        let claims = 0;
        for (const count of groups) {
          commitGroup(writer, claims, count);
          claims += count;
        }
        writer.close();
        const segments = [...files.names].filter(([name]) => name.endsWith('.seg'));
        const at = pick % (segments.length * SEGMENT_BYTES);
        segments[Math.floor(at / SEGMENT_BYTES)]![1].bytes[at % SEGMENT_BYTES]! ^= change;
        const { numbers, report } = recoverNumbers(files);
        expect(numbers).toEqual(range(0, numbers.length));
        if (report.end === 'whole') expect(numbers).toHaveLength(claims);
      },
    ),
    SLOW_RUNS,
  );
});
