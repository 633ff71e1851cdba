/** Claims of one way are under way until the cursor has passed the turn that they came in. */
import { expect, test } from 'vitest';
import { UnderWay } from '../../../src/ring/under-way.ts';

test('what came in a turn counts until all of the turn is decided', () => {
  const claims = new UnderWay();
  claims.enter(3);
  expect(claims.count(0)).toBe(3);
  claims.endTurn(5);
  claims.enter(2);
  claims.endTurn(9);
  expect([claims.count(4), claims.count(5), claims.count(8), claims.count(9)]).toEqual([5, 2, 2, 0]);
});

test('turns without any are not kept, and sequence numbers wrap', () => {
  const claims = new UnderWay();
  claims.endTurn(2 ** 32 - 2);
  claims.enter(4);
  claims.endTurn(2);
  expect([claims.count(2 ** 32 - 1), claims.count(1), claims.count(2)]).toEqual([4, 4, 0]);
});
