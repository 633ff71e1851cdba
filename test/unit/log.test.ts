/** Log lines: levels and formats. */
import { afterEach, expect, test, vi } from 'vitest';
import { type Logger, lineLogger } from '../../src/log.ts';

afterEach(() => vi.restoreAllMocks());

function lines(logger: Logger): string[] {
  const written = vi.spyOn(process.stderr, 'write').mockReturnValue(true);
  logger.info('a');
  logger.warn('b "quoted"\nand more');
  logger.error('c');
  return written.mock.calls.map(([text]) => String(text));
}

test('text has a time, a level and the message', () => {
  expect(lines(lineLogger())[0]).toMatch(/^\d{4}-\d\d-\d\dT[\d:.]+Z info {2}a\n$/);
});

test.each([
  ['info', 3],
  ['warn', 2],
  ['error', 1],
  ['none', 0],
] as const)('from %s on there are %i lines', (level, count) => expect(lines(lineLogger(level)).length).toBe(count));

test('JSON is an object a line, whatever the message holds', () => {
  const [line] = lines(lineLogger('warn', 'json'));
  expect(line!.trim().split('\n').length).toBe(1);
  expect(JSON.parse(line!)).toEqual({ time: expect.any(String), level: 'warn', message: 'b "quoted"\nand more' });
});
