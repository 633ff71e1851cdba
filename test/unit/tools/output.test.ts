/** Text for terminals. */
import { describe, expect, it } from 'vitest';
import { complain, fieldLines, forTerminal, wrapped } from '../../../tools/output.ts';

const RESULT = `load udp://127.0.0.1:56082: backend native; some processor, 2 cores, Node v20.20.2
rate         2000000 asked, 20000 sent, 1234 acknowledged a second over 3.0 s

latency      p50 5.92  p90 33.22  p99 67.01  p99.9 80.64  p99.99 83.65  max 83.84 ms
`;

describe('a result on a terminal', () => {
  it.each([40, 60, 80])('is broken between words, below its text, within %i columns', (columns) => {
    const text = forTerminal(RESULT, columns);
    for (const line of text.split('\n')) expect(line.length).toBeLessThan(columns);
    expect(text.replace(/\s+/g, ' ')).toBe(
      RESULT.replace('2000000', '2,000,000').replace('20000 ', '20,000 ').replace(/\s+/g, ' '),
    );
    expect(text).toMatch(/^latency {6}p50 5\.92[\s\S]*^ {13}\S/m);
  });

  it('leaves ports, small figures and words that are too long alone', () => {
    expect(forTerminal('127.0.0.1:56082 9999 0.123456 10000', 80)).toBe('127.0.0.1:56082 9999 0.123456 10,000');
    expect(forTerminal('x'.repeat(50), 20)).toBe('x'.repeat(50));
  });
});

describe('a table on a terminal', () => {
  it('keeps its columns below each other where figures get separators', () => {
    const table = '   asked/s  late\n      5000     3\n    150000 12345\n1234567890     0\n';
    expect(forTerminal(table, 80)).toBe('   asked/s  late\n      5000     3\n   150,000 12,345\n1,234,567,890     0\n');
  });
});

it('leaves process ids and handles alone, and separates drops', () => {
  const text = 'pid 12345, channel 5515662257852798203 of 1000000000 drops on 127.0.0.1:19393';
  expect(forTerminal(text, 100)).toBe(text.replace('1000000000', '1,000,000,000'));
});

it('breaks complaints on a terminal only, and changes no figure of theirs', () => {
  const written: string[] = [];
  const stream = { columns: 30, write: (text: string) => written.push(text) };
  complain('claimwire: channel 12345: expected an opened channel', stream);
  complain('claimwire: channel 12345: expected an opened channel', { ...stream, isTTY: true });
  expect(written).toEqual([
    'claimwire: channel 12345: expected an opened channel\n',
    'claimwire: channel 12345:\n  expected an opened channel\n',
  ]);
});

it('puts the values of fields below each other', () =>
  expect(fieldLines({ path: 'a', publicKey: 'b', signature: null })).toBe(
    'path             a\npublicKey        b\nsignature        -\n',
  ));

it('wraps words', () => expect(wrapped('aa bb cc', 6)).toBe('aa bb\ncc'));
