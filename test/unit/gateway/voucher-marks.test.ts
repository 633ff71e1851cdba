/** Up to which amount a channel's vouchers have paid. Test's thread. */
import { expect, test } from 'vitest';
import { VoucherMarks } from '../../../src/gateway/voucher-marks.ts';

test('a mark never falls, and the one that was raised longest ago is forgotten first', () => {
  const marks = new VoucherMarks(2);
  marks.note(1n, 50n);
  marks.note(2n, 10n);
  marks.note(1n, 20n);
  expect([marks.of(1n), marks.of(2n), marks.of(3n)]).toEqual([50n, 10n, 0n]);
  marks.note(3n, 5n);
  expect([marks.of(1n), marks.of(2n), marks.of(3n)]).toEqual([50n, 0n, 5n]);
});
