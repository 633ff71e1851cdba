/** Progress on a terminal and elsewhere. */
import { describe, expect, it } from 'vitest';
import { Progress, type ProgressOptions } from '../../../tools/progress.ts';

function setUp(options: ProgressOptions & { isTTY?: boolean; columns?: number } = {}) {
  const written: string[] = [];
  const clock = { now: 0 };
  const { isTTY = false, columns = 80, term = 'xterm', ...rest } = options;
  const stream = { isTTY, columns, write: (text: string) => written.push(text) };
  return { written, clock, progress: new Progress({ stream, term, now: () => clock.now, ...rest }) };
}

describe('on a terminal', () => {
  it('rewrites one line with a bar, a share and the time left', () => {
    const { written, clock, progress } = setUp({ isTTY: true });
    clock.now = 10_000;
    progress.update(0.25, '250k claims, 25.0k/s');
    progress.end();
    expect(written[0]).toBe('\r\x1b[K[########......................]  25 %  250k claims, 25.0k/s  30.0 s left');
    expect(written[1]).toBe('\n');
  });

  it.each([20, 40, 60, 80, 200])('fits %i columns', (columns) => {
    const { written, clock, progress } = setUp({ isTTY: true, columns });
    for (let step = 0; step <= 100; step++) {
      clock.now += 1_000;
      progress.update(step / 100, `${step} of 100 things that are counted`);
    }
    for (const text of written) expect(text.replace('\r\x1b[K', '').length).toBeLessThan(columns);
    expect(written.at(-1)).toContain('100 %'.slice(0, columns));
  });

  it('redraws no more often than can be read, and always the end', () => {
    const { written, clock, progress } = setUp({ isTTY: true });
    for (let step = 1; step <= 1_000; step++) {
      clock.now += 1;
      progress.update(step / 1_000, 'x');
    }
    expect(written.length).toBeLessThanOrEqual(11);
    expect(written.at(-1)).toContain('100 %');
  });

  it('puts a line that stays in the place of the bar, broken between words', () => {
    const { written, progress } = setUp({ isTTY: true, columns: 20 });
    progress.update(0.5, 'half');
    progress.line('a fault of twenty columns and more');
    expect(written.slice(1)).toEqual(['\r\x1b[K', 'a fault of twenty\n  columns and more\n']);
  });

  it('leaves no bar whose last figures would pass for the result', () => {
    const { written, progress } = setUp({ isTTY: true });
    progress.update(1, '300k/s');
    progress.clear();
    progress.end();
    expect(written.slice(1)).toEqual(['\r\x1b[K']);
  });
});

it('rewrites nothing on a dumb terminal', () => {
  const { written, progress } = setUp({ isTTY: true, term: 'dumb' });
  progress.update(0.5, 'for a terminal', 'half');
  progress.line('a fault');
  progress.end();
  expect(written).toEqual(['half\n', 'a fault\n']);
});

describe('elsewhere', () => {
  it('prints plain lines, no oftener than asked', () => {
    const { written, clock, progress } = setUp({ linesEveryMs: 5_000 });
    for (let second = 0; second <= 10; second++) {
      clock.now = second * 1_000;
      progress.update(second / 10, 'for a terminal', `${second} s`);
    }
    progress.end();
    expect(written).toEqual(['0 s\n', '5 s\n', '10 s\n']);
  });
});
