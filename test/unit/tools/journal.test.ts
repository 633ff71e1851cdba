import { appendFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { ClaimwireError } from '../../../src/errors.ts';
import { segmentName } from '../../../src/journal/segment.ts';
import { JournalWriter } from '../../../src/journal/writer.ts';
import { nodeSystem } from '../../../src/system/system.ts';
import { run } from '../../../tools/journal.ts';
import { BLOCK_BYTES, commitGroup, JOURNAL_ID, SEGMENT_BYTES, TIME } from '../journal/fixtures.ts';

let data: string;
const lane = (name: string) => join(data, 'journal', name);

/** Runs the command with what it prints caught. */
async function runCaught(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  const caught = { out: '', err: '' };
  const catchInto = (stream: 'out' | 'err') => (text: unknown) => {
    caught[stream] += String(text);
    return true;
  };
  vi.spyOn(process.stdout, 'write').mockImplementation(catchInto('out'));
  vi.spyOn(process.stderr, 'write').mockImplementation(catchInto('err'));
  // The command line turns errors into a line and an exit code; here that is done by hand.
  const code = await run(args).catch((error: unknown) => {
    if (!(error instanceof ClaimwireError)) throw error;
    caught.err += `claimwire: ${error.message}\n`;
    return error.code === 'USAGE' ? 2 : 1;
  });
  vi.restoreAllMocks();
  return { code, ...caught };
}

function flip(name: string, segment: number, offset: number): string {
  const path = join(lane(name), segmentName(segment));
  const bytes = readFileSync(path);
  bytes[offset]! ^= 1;
  writeFileSync(path, bytes);
  return path;
}

beforeEach(() => {
  data = mkdtempSync(join(tmpdir(), 'journal-tool-'));
  for (const name of ['0', '1']) {
    const writer = new JournalWriter({
      directory: lane(name),
      segmentBytes: SEGMENT_BYTES,
      blockBytes: BLOCK_BYTES,
      groupClaimsMax: 20,
      journalId: JOURNAL_ID,
      segment: 1,
      group: 1,
      ...nodeSystem,
    });
    for (let group = 0; group < 3; group++) commitGroup(writer, group * 10, 10);
    writer.close();
  }
});
afterEach(() => rmSync(data, { recursive: true }));

describe('claimwire journal verify', () => {
  it('says what each lane holds, whichever folder it is given', async () => {
    const whole = await runCaught('verify', data);
    expect(whole.code).toBe(0);
    const from = new Date(TIME).toISOString();
    const to = new Date(TIME + 20).toISOString();
    const lines = (name: string) => [
      `${lane(name)}: whole`,
      '  2 segments, 3 groups, 30 claims, 7 channels',
      `  groups 1 to 3, from ${from} to ${to}`,
    ];
    expect(whole.out).toBe(`${[...lines('0'), ...lines('1')].join('\n')}\n`);
    expect((await runCaught('verify', join(data, 'journal'))).out).toBe(whole.out);
    expect((await runCaught('verify', lane('1'))).out).toBe(`${lines('1').join('\n')}\n`);
  });

  it('prints the same as JSON', async () => {
    const { code, out } = await runCaught('verify', data, '--json');
    expect(code).toBe(0);
    expect(JSON.parse(out)).toMatchObject({
      sound: true,
      lanes: [
        { lane: '0', end: 'whole', claims: 30, channels: 7, journalId: Buffer.from(JOURNAL_ID).toString('hex') },
        { lane: '1', firstTime: new Date(TIME).toISOString() },
      ],
    });
  });

  it('names the first bad byte; exit code 0 for a torn end, 1 for a corrupt journal', async () => {
    const torn = flip('1', 2, 600);
    let result = await runCaught('verify', data);
    expect(result.code).toBe(0);
    expect(result.out).toContain(`${lane('1')}: torn\n`);
    expect(result.out).toMatch(new RegExp(`first bad byte ${torn}:512: expected group checksum .*, got .*\n`));
    const corrupt = flip('0', 1, 600);
    result = await runCaught('verify', data);
    expect(result.code).toBe(1);
    expect(result.out).toContain(`first bad byte ${corrupt}:512: `);
    expect(result.out).toMatch(/from there on \d+ bytes that are not zero, 2 sound groups\n/);
    appendFileSync(torn, 'x');
    expect((await runCaught('verify', lane('0'), '--json')).code).toBe(1);
  });

  it('answers misuse in one line, with its exit code', async () => {
    expect((await runCaught('verify', '--help')).out).toMatch(/^Usage: claimwire journal verify DIR/);
    mkdirSync(join(data, 'empty'));
    const cases: [string[], number][] = [
      [[], 2],
      [['verify'], 2],
      [['verify', data, 'more'], 2],
      [['mend', data], 2],
      [['verify', data, '--force'], 2],
      [['verify', join(data, 'none')], 1],
      [['verify', join(data, 'empty')], 1],
      [['verify', join(lane('0'), segmentName(1))], 1],
      [['verify', data, '--signatures'], 1],
    ];
    for (const [args, code] of cases) {
      const result = await runCaught(...args);
      expect([result.code, result.out], args.join(' ')).toEqual([code, '']);
      expect(result.err, args.join(' ')).toMatch(/^claimwire: .*expected.*\n$/is);
      expect(result.err.trim().split('\n'), args.join(' ')).toHaveLength(1);
    }
  });
});
