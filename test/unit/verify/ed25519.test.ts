/**
 * Ed25519: what the verifier takes and refuses, and that its slots are judged beside a backend that never sees them.
 */
import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import { KeyCheck } from '../../../src/channel/parse.ts';
import { ChannelTable } from '../../../src/channel/table.ts';
import { Ed25519Signer } from '../../../src/client/keys/signer.ts';
import { SLOT_ROW, SLOT_VERDICT, VERDICT_INVALID, VERDICT_PENDING, VERDICT_VALID } from '../../../src/ring/slot.ts';
import { Ed25519Verifier } from '../../../src/verify/ed25519.ts';
import { Ed25519Backend } from '../../../src/verify/ed25519-backend.ts';
import { claimOf, Rig, sourceOf } from '../../support/rig.ts';

const L = 2n ** 252n + 27742317777372353535851937790883648493n;
const bytes = (hex: string) => Uint8Array.from(Buffer.from(hex, 'hex'));
const littleEndian = (value: bigint) => bytes(value.toString(16).padStart(64, '0')).reverse();
const fromLittleEndian = (value: Uint8Array) => BigInt(`0x${Buffer.from(value).reverse().toString('hex')}`);
const join = (...parts: Uint8Array[]) => Uint8Array.from(Buffer.concat(parts));
const keyOf = (encoded: Uint8Array) => join(Uint8Array.of(0xed), encoded);
const sha512 = (...parts: Uint8Array[]) => createHash('sha512').update(Buffer.concat(parts)).digest();
/** h of the equation R = S·B − h·A. */
const challenge = (r: Uint8Array, a: Uint8Array, message: Uint8Array) => fromLittleEndian(sha512(r, a, message)) % L;

/** RFC 8032, section 7.1, tests 1 to 3: key, message, signature. */
const RFC_8032 = [
  [
    'd75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a',
    '',
    'e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b',
  ],
  [
    '3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c',
    '72',
    '92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00',
  ],
  [
    'fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025',
    'af82',
    '6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a',
  ],
] as const;

const verifier = new Ed25519Verifier();

test.each(RFC_8032)('RFC 8032: key %s', (key, message, signature) => {
  const good = [bytes(message), bytes(signature), keyOf(bytes(key))] as const;
  expect(verifier.verify(...good)).toBe(true);
  for (let bit = 0; bit < 512; bit += 7) {
    const altered = bytes(signature);
    altered[bit >> 3]! ^= 1 << (bit & 7);
    expect(verifier.verify(good[0], altered, good[2]), `bit ${bit}`).toBe(false);
  }
  expect(verifier.verify(join(good[0], Uint8Array.of(0)), good[1], good[2])).toBe(false);
});

test('S has one value: S + L, S + 2L and so on are refused, and so is L itself', () => {
  for (const [key, message, signature] of RFC_8032) {
    const r = bytes(signature.slice(0, 64));
    const s = fromLittleEndian(bytes(signature.slice(64)));
    for (let twin = s + L; twin < 2n ** 256n; twin += L)
      expect(verifier.verify(bytes(message), join(r, littleEndian(twin)), keyOf(bytes(key)))).toBe(false);
  }
});

/** y of the eight points of small order, little-endian (RFC 8032 decodes them); with a sign or p added some have others. */
const SMALL_ORDER = [
  littleEndian(0n),
  littleEndian(1n),
  littleEndian(2n ** 255n - 20n),
  bytes('26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05'),
  bytes('c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a'),
];
const OTHER_ENCODINGS = [littleEndian(2n ** 255n - 19n), littleEndian(2n ** 255n - 18n)];
const withSign = (encoded: Uint8Array) => encoded.with(31, encoded[31]! | 0x80);

test('a key of small order signs nothing, on every Node.js, since anybody could', () => {
  const identity = littleEndian(1n);
  for (const y of [...SMALL_ORDER, ...OTHER_ENCODINGS])
    for (const key of [y, withSign(y)])
      for (let index = 0; index < 16; index++) {
        // S = 0 and R at infinity hold for a key at infinity, and now and then for the others.
        const message = Uint8Array.of(index);
        const signed = verifier.verify(message, join(identity, littleEndian(0n)), keyOf(key));
        expect(signed, Buffer.from(key).toString('hex')).toBe(false);
      }
});

test('R of small order is refused, on every Node.js, in each encoding', () => {
  const seed = new Uint8Array(32).fill(5);
  const key = new Ed25519Signer(seed).publicKey;
  const scalar = sha512(seed).subarray(0, 32);
  scalar[0]! &= 248;
  scalar[31]! = (scalar[31]! & 127) | 64;
  const message = new Uint8Array(44).fill(9);
  // S = h·a makes R the point at infinity, which has three encodings that a lenient decoder takes.
  const withR = (r: Uint8Array) => {
    const s = (challenge(r, key.subarray(1), message) * fromLittleEndian(scalar)) % L;
    return verifier.verify(message, join(r, littleEndian(s)), key);
  };
  for (const r of [littleEndian(1n), withSign(littleEndian(1n)), littleEndian(2n ** 255n - 18n)])
    expect(withR(r), Buffer.from(r).toString('hex')).toBe(false);
});

test('no channel opens with a key of small order, in whatever encoding', () => {
  const check = (encoded: Uint8Array) => new KeyCheck().check(Buffer.from(keyOf(encoded)).toString('hex'), 'publicKey');
  for (const y of SMALL_ORDER) expect(() => check(y)).toThrow('that is not of small order, got');
  for (const y of [...OTHER_ENCODINGS, withSign(littleEndian(1n))])
    expect(() => check(y)).toThrow('expected ED and a point of the curve');
});

test('malformed is invalid, never a throw; keys beyond the cache are right too', () => {
  const [key, message, signature] = RFC_8032[0];
  const good = keyOf(bytes(key));
  for (const length of [0, 1, 32, 63, 65, 128])
    expect(verifier.verify(bytes(message), join(bytes(signature), bytes(signature)).subarray(0, length), good)).toBe(
      false,
    );
  for (const length of [0, 1, 32, 34])
    expect(verifier.verify(bytes(message), bytes(signature), join(good, good).subarray(0, length))).toBe(false);
  expect(verifier.verify(bytes(message), bytes(signature), good.with(0, 2))).toBe(false);
  expect(verifier.verify(bytes(message), bytes(signature), keyOf(new Uint8Array(32).fill(255)))).toBe(false);
  expect(verifier.verify(bytes(message), bytes(signature), keyOf(littleEndian(2n)))).toBe(false);
  const small = new Ed25519Verifier();
  for (let index = 0; index < 5_000; index++) {
    expect(small.verify(bytes(message), bytes(signature), keyOf(littleEndian(BigInt(index))))).toBe(false);
    if (index % 1_000 === 0) expect(small.verify(bytes(message), bytes(signature), good)).toBe(true);
  }
});

const secp256k1Key = Uint8Array.of(2, ...new Uint8Array(32).fill(7));

test('the table says whether any key is Ed25519, to every thread that looks', () => {
  const rig = new Rig();
  const elsewhere = new ChannelTable(rig.arena);
  expect(elsewhere.hasEd25519).toBe(false);
  rig.open({ channelId: 1n, publicKey: secp256k1Key });
  expect(elsewhere.hasEd25519).toBe(false);
  const row = rig.open({ channelId: 2n, publicKey: keyOf(littleEndian(9n)) });
  expect(elsewhere.hasEd25519).toBe(true);
  rig.table.change(row, { open: false });
  expect(elsewhere.hasEd25519).toBe(true);
});

test('the other backend gets whole batches without Ed25519 channels, and only its own slots with them', () => {
  const calls: [number, number][] = [];
  const others = {
    name: 'noble',
    batchMax: 64,
    verifySlots: (first: number, count: number) => calls.push([first, count]),
  };
  const rig = new Rig({ firstSequence: 0xffff_fffa, channelsMax: 8 });
  const backend = new Ed25519Backend(others as never, rig.arena, rig.ring, rig.table);
  expect(backend).toMatchObject({ name: 'noble', batchMax: 64 });
  rig.open({ channelId: 1n, publicKey: secp256k1Key });
  let amount = 0n;
  const fill = (channels: string) => {
    const first = rig.ring.received;
    for (const channel of channels)
      rig.datagram(claimOf({ channelId: BigInt(channel), amount: ++amount }), sourceOf('192.0.2.1', 9));
    expect(rig.ring.publish()).toBe(channels.length);
    return first;
  };
  const plain = fill('1111');
  backend.verifySlots(plain, 4);
  expect(calls.splice(0)).toEqual([[0xffff_fffa, 4]]);

  rig.open({ channelId: 2n, publicKey: new Ed25519Signer(new Uint8Array(32).fill(1)).publicKey });
  const mixed = fill('2112212');
  backend.verifySlots(mixed, 7);
  expect(calls.splice(0)).toEqual([
    [0xffff_ffff, 2],
    [3, 1],
  ]);
  const verdicts = Array.from({ length: 7 }, (_, index) => rig.ring.verdict(mixed + index));
  const [pending, invalid] = [VERDICT_PENDING, VERDICT_INVALID];
  expect(verdicts).toEqual([invalid, pending, pending, invalid, invalid, pending, invalid]);
  backend.verifySlots(mixed, 0);
  expect(calls).toEqual([]);
});

test('a slot with a verdict is never touched again, whatever it holds by then', () => {
  const rig = new Rig({ ringSlots: 16 });
  const signer = new Ed25519Signer(new Uint8Array(32).fill(1));
  const rows = [
    rig.open({ channelId: 1n, publicKey: secp256k1Key }),
    rig.open({ channelId: 2n, publicKey: signer.publicKey }),
  ];
  const kinds = '2212112212221122';
  for (const [index, kind] of [...kinds].entries()) {
    const claim = claimOf({ channelId: BigInt(kind), amount: BigInt(index + 1) });
    if (kind === '2') signer.signClaim(claim, 0, rig.table.ledgerId(rows[1]!), 'xrpl');
    rig.datagram(claim, sourceOf('192.0.2.1', 9));
  }
  rig.ring.publish();
  const word = (sequence: number, field: number) => (rig.ring.slot(sequence) + field) >>> 2;
  const given = new Map<number, number>();
  /** What a committer and a receiver may do at once: every slot up to the first pending one is another claim's now. */
  const reuse = () => {
    for (let sequence = given.size; sequence < kinds.length; sequence++) {
      const verdict = rig.ring.verdict(sequence);
      if (verdict === VERDICT_PENDING) return;
      given.set(sequence, verdict);
      rig.arena.ints[word(sequence, SLOT_VERDICT)] = VERDICT_PENDING;
      rig.arena.words[word(sequence, SLOT_ROW)] = rows[sequence & 1]!;
    }
  };
  const others = {
    name: 'noble',
    batchMax: 64,
    verifySlots: (first: number, count: number) => {
      reuse();
      expect(given.size).toBe(first);
      for (let sequence = first; sequence < first + count; sequence++) {
        expect(kinds[sequence]).toBe('1');
        rig.arena.ints[word(sequence, SLOT_VERDICT)] = VERDICT_VALID;
        reuse();
      }
    },
  };
  new Ed25519Backend(others as never, rig.arena, rig.ring, rig.table).verifySlots(0, kinds.length);
  const untouched = given.size;
  expect(untouched).toBe(kinds.lastIndexOf('1') + 1);
  for (let sequence = 0; sequence < untouched; sequence++) expect(rig.ring.verdict(sequence)).toBe(VERDICT_PENDING);
  reuse();
  expect([...given.values()]).toEqual([...kinds].map(() => VERDICT_VALID));
});
