/**
 * `claimwire decode`, run in this process with its output caught.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { afterAll, afterEach, describe, expect, it, vi } from 'vitest';
import { ClaimwireError } from '../../../src/errors.ts';
import { writePcap } from '../../../src/pcap.ts';
import { run } from '../../../tools/decode.ts';
import { random } from '../../support/random.ts';

const directory = mkdtempSync(join(tmpdir(), 'claimwire-decode-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));
afterEach(() => void vi.restoreAllMocks());

const vectors = (name: string): { wire: string; name: string; end: string; frames: string }[] =>
  JSON.parse(readFileSync(new URL(`../../../protocol/vectors/${name}`, import.meta.url), 'utf8')).vectors;
const CLAIM = vectors('claims.json')[0]!.wire;
const ACK = vectors('acks.json')[0]!.wire;

async function decode(...args: string[]): Promise<{ code: number; lines: string[]; errors: string }> {
  let [output, errors] = ['', ''];
  vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
    output += String(text);
    return true;
  });
  vi.spyOn(process.stderr, 'write').mockImplementation((text) => {
    errors += String(text);
    return true;
  });
  // The command line turns errors into a line and an exit code; here that is done by hand.
  const code = await run(args).catch((error: unknown) => {
    if (!(error instanceof ClaimwireError)) throw error;
    errors += `${error.message}\n`;
    return error.code === 'USAGE' ? 2 : 1;
  });
  vi.restoreAllMocks();
  return { code, lines: output.split('\n').slice(0, -1), errors };
}

function capture(name: string, payloads: readonly Uint8Array[]): string {
  const ends = { source: '10.0.0.1', sourcePort: 40_000, target: '10.0.0.2' };
  const file = join(directory, name);
  const datagrams = payloads.map((payload, index) => ({ ...ends, payload, targetPort: 9393 + index }));
  writeFileSync(file, writePcap(datagrams.map((each) => ({ ...each, seconds: 1_767_323_045, nanoseconds: 678e6 }))));
  return file;
}

describe('decode', () => {
  it('prints a claim and an ack in words', async () => {
    const { code, lines } = await decode(CLAIM + ACK);
    expect(code).toBe(0);
    expect(lines).toEqual([
      'claim channel=6750926077978654334 sequence=1 amount=1000000 timestamp=2026-01-02T03:04:05.678Z ' +
        `signature=${CLAIM.slice(42, 170).toUpperCase()}`,
      'ack COMMITTED channel=6750926077978654334 sequence=4294967280 amount=9007199254740993 ' +
        'timestamp=2026-01-02T03:04:05.678Z',
    ]);
  });

  it('prints JSON with amounts as strings, and bits where a timestamp is no number', async () => {
    const nan = vectors('claims.json').find(({ name }) => name.startsWith('xrpl, NaN'))!.wire;
    const { lines } = await decode('--json', nan + ACK);
    const [claim, ack] = lines.map((line) => JSON.parse(line));
    expect(claim).toMatchObject({ type: 'claim', amount: '6', timestamp: null, timestampBits: '0x7FF4DEAD0000BEEF' });
    expect(claim).toMatchObject({
      channelId: '6750926077978654334',
      signature: nan.slice(42, 170).toUpperCase(),
      highS: false,
    });
    expect(ack).toMatchObject({ type: 'ack', status: 0, statusName: 'COMMITTED', amount: '9007199254740993' });
  });

  it('prints a Merkle batch: its root, then each leaf', async () => {
    const { frames } = vectors('merkle.json')[4] as unknown as { frames: { wire: string }[] };
    const { code, lines } = await decode(frames[1]!.wire);
    expect(code).toBe(0);
    expect(lines).toEqual([
      'merkle sequence=7 block=1 leaves=1/65 timestamp=2026-01-02T03:04:05.678Z ' +
        `signature=${frames[1]!.wire.slice(40, 168).toUpperCase()}`,
      `leaf channel=${BigInt(`0x${frames[1]!.wire.slice(168, 184)}`)} sequence=7 amount=1000064`,
    ]);
    const json = await decode('--json', frames[0]!.wire);
    expect(json.lines).toHaveLength(65);
    expect(JSON.parse(json.lines[0]!)).toMatchObject({ type: 'merkle', sequence: 7, block: 0, count: 64, leaves: 65 });
    expect(JSON.parse(json.lines[64]!)).toMatchObject({ type: 'leaf', sequence: 7, amount: '1000063' });
  });

  it('says where and why a walk ended early, keeps what came before, and exits 1', async () => {
    const walks = vectors('walks.json').filter(({ wire }) => wire !== '');
    for (const { wire, frames, end, name } of walks) {
      const { code, lines } = await decode('--json', wire);
      const objects = lines.map((line) => JSON.parse(line));
      const whole = objects.filter(({ type }) => type !== 'undecoded');
      expect(whole.map(({ type }) => type[0]).join(''), name).toBe(frames);
      expect(code, name).toBe(end === 'WHOLE' ? 0 : 1);
      if (end === 'WHOLE') continue;
      const offset = [...frames].reduce((sum, frame) => sum + (frame === 'c' ? 93 : 32), 0);
      const type = wire.slice(2 * offset, 2 * offset + 2);
      const reason = end === 'CUT_FRAME' ? 'cut frame' : `unknown type 0x${type}`;
      expect(objects.at(-1), name).toEqual({ type: 'undecoded', offset, bytes: wire.length / 2 - offset, reason });
    }
  });

  it('marks a high-S signature', async () => {
    const highS = vectors('refusals.json').find(({ name }) => name.startsWith('high-S'))!.wire;
    expect((await decode(highS)).lines[0]).toMatch(/ high-s$/);
  });

  it('reads a capture, by port where asked, and says what it passed over', async () => {
    const claim = Buffer.from(CLAIM, 'hex');
    const file = capture('three.pcap', [claim, Uint8Array.of(), Buffer.from(ACK, 'hex')]);
    const all = await decode(file);
    expect(all.code).toBe(1);
    expect(all.lines.map((line) => line.slice(0, 66))).toEqual([
      '2026-01-02T03:04:05.678Z 10.0.0.1:40000 > 10.0.0.2:9393 claim chan',
      '2026-01-02T03:04:05.678Z 10.0.0.1:40000 > 10.0.0.2:9394 undecoded ',
      '2026-01-02T03:04:05.678Z 10.0.0.1:40000 > 10.0.0.2:9395 ack COMMIT',
    ]);
    expect(all.lines[1]).toContain('empty datagram');
    const one = await decode('--json', '--port', '9393', file);
    expect(one.code).toBe(0);
    expect(one.lines.map((line) => JSON.parse(line))).toMatchObject([{ type: 'claim', source: '10.0.0.1:40000' }]);
    expect(one.errors).toContain('1 datagrams; passed over: 2 of other ports');
  });

  it('keeps what a cut capture still holds', async () => {
    const file = capture('cut.pcap', [Buffer.from(CLAIM, 'hex'), Buffer.from(CLAIM, 'hex')]);
    writeFileSync(file, readFileSync(file).subarray(0, -10));
    const { code, lines, errors } = await decode(file);
    expect([code, lines.length]).toEqual([1, 1]);
    expect(errors).toMatch(/byte 177: expected 121 bytes of packet, got 111 before the end/);
  });

  it('reads no more of a file without end than it takes to see that it is no capture', async () => {
    const before = process.memoryUsage().rss;
    const { code, errors } = await decode('/dev/zero');
    expect([code, errors]).toEqual([1, 'expected hex (an even number of digits) or a capture, got /dev/zero\n']);
    expect(process.memoryUsage().rss - before).toBeLessThan(64 << 20);
  });

  it('takes a capture, or hex by the line, from standard input, as it comes', async () => {
    const file = capture('piped.pcap', [Buffer.from(CLAIM, 'hex'), Buffer.from(ACK, 'hex')]);
    const claimLine = CLAIM.replace(/(..)/g, '$1 ');
    const cases: [Buffer[], number, RegExp][] = [
      [[...readFileSync(file)].map((byte) => Buffer.of(byte)), 2, /^2 datagrams/],
      [[Buffer.from(`${claimLine}\n\n${ACK}`)], 2, /^$/],
      [[...`${CLAIM}\n${ACK}\n`].map((digit) => Buffer.from(digit)), 2, /^$/],
      [[Buffer.from(`${CLAIM}\nabc\n`)], 1, /^line 2: expected an even number of hex digits/],
      [[Buffer.from('\n \n')], 0, /^standard input: expected .* got nothing/],
      [[], 0, /^standard input: expected .* got nothing/],
      [Array.from({ length: 20 }, () => Buffer.from('ab'.repeat(10_000))), 0, /^line 1: expected .* at most 262144/],
    ];
    for (const [pieces, count, message] of cases) {
      vi.spyOn(process, 'stdin', 'get').mockReturnValue(Readable.from(pieces) as typeof process.stdin);
      const { lines, errors } = await decode('-');
      expect(lines.length).toBe(count);
      expect(errors).toMatch(message);
    }
  });

  it('answers wrong usage with 2 and wrong input with 1, in one line', async () => {
    const text = join(directory, 'text');
    writeFileSync(text, 'no capture');
    const cases: [string[], number, string][] = [
      [[], 2, 'got 0 operands'],
      [['a', 'b'], 2, 'got 2 operands'],
      [['--bogus', CLAIM], 2, '--bogus'],
      [['--port', '0', CLAIM], 2, '--port: expected a whole number from 1 to 65535, got "0"'],
      [['abc'], 1, 'expected hex (an even number of digits)'],
      [[text], 1, 'a capture'],
      [[directory], 1, 'EISDIR'],
      [['f\u0000g'], 1, 'expected hex'],
    ];
    for (const [args, expected, message] of cases) {
      const { code, errors } = await decode(...args);
      expect(code, args.join(' ')).toBe(expected);
      expect(errors).toContain(message);
      expect(errors.split('\n').length).toBe(2);
    }
    expect((await decode('--help')).code).toBe(0);
  });

  it('takes any hex and any capture-like noise without throwing', async () => {
    const rng = random(21);
    const file = capture('noise.pcap', [rng.bytes(93)]);
    const sound = readFileSync(file);
    for (let round = 0; round < 300; round++) {
      const bytes = Uint8Array.from(sound);
      for (let flips = 0; flips < 4; flips++) bytes[rng.below(bytes.length)] = rng.u32() & 0xff;
      writeFileSync(file, bytes);
      expect([0, 1]).toContain((await decode('--json', file)).code);
      expect([0, 1]).toContain((await decode(Buffer.from(rng.bytes(1 + rng.below(200))).toString('hex'))).code);
    }
  });
});
