/** The admin server's turns: one piece in each, token holders first, requests in the order of arrival. */
import { setImmediate } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { Turns } from '../../../src/http/turns.ts';

test('one piece a turn of the event loop, token holders’ first', async () => {
  const turns = new Turns();
  const made: string[] = [];
  const turnOf: number[] = [];
  let turn = 0;
  const piece = (name: string) => () => {
    made.push(name);
    turnOf.push(turn);
  };
  const all = Promise.all([
    turns.piece(false, piece('a')),
    turns.piece(false, piece('b')),
    turns.piece(true, piece('operator 1')),
    turns.piece(true, piece('operator 2')),
  ]);
  let isOver = false;
  void all.then(() => {
    isOver = true;
  });
  for (; !isOver; turn++) await setImmediate();
  expect(made).toEqual(['operator 1', 'operator 2', 'a', 'b']);
  expect(new Set(turnOf).size).toBe(4);
});

test('a piece that fails rejects for its asker only, and the next are made', async () => {
  const turns = new Turns();
  const failing = turns.piece(false, () => {
    throw new Error('a fault');
  });
  const sound = turns.piece(false, () => 'sound');
  await expect(failing).rejects.toThrow('a fault');
  expect(await sound).toBe('sound');
});

test('requests begin in order, also while pieces wait and connections come in', async () => {
  const turns = new Turns();
  const begun: number[] = [];
  const piece = turns.piece(false, () => 'made');
  await new Promise<void>((resolve) => {
    for (let index = 0; index < 50; index++)
      turns.next(() => {
        turns.onAccept();
        begun.push(index);
        if (index === 49) resolve();
      });
  });
  expect(begun).toEqual(Array.from({ length: 50 }, (_, index) => index));
  expect(await piece).toBe('made');
});
