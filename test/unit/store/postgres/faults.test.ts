import { expect, test } from 'vitest';
import { ClaimwireError } from '../../../../src/errors.ts';
import { NotReplicated, remedyFor, storeFailed } from '../../../../src/store/postgres/faults.ts';

const withCode = (code: string) => Object.assign(new Error('it failed'), { code });

test.each([
  ['again', new NotReplicated('might not have been replicated')],
  ['again', withCode('40P01')],
  ['again', withCode('57014')],
  ['elsewhere', withCode('57P01')],
  ['elsewhere', withCode('25006')],
  ['elsewhere', withCode('53100')],
  ['elsewhere', withCode('ECONNRESET')],
  ['elsewhere', new Error('Connection terminated unexpectedly')],
  ['never', withCode('42501')],
  ['never', withCode('23505')],
  ['never', withCode('XX001')],
  ['never', new ClaimwireError('STORE_FENCED', 'fenced')],
])('%s: %s', (remedy, error) => {
  expect(remedyFor(error)).toBe(remedy);
});

test('what another try does not mend is STORE_FAILED with the server’s code, and a refusal stays itself', () => {
  expect(storeFailed(withCode('42501'))).toMatchObject({ code: 'STORE_FAILED', details: { sqlstate: '42501' } });
  const fenced = new ClaimwireError('STORE_FENCED', 'fenced');
  expect(storeFailed(fenced)).toBe(fenced);
});
