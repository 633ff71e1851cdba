/** What a node and what runs beside it refuse before anything starts. */
import { expect, test } from 'vitest';
import { serve } from '../../src/serve.ts';

test('a node of a cluster takes no ledger, since redemptions do not move with a shard', async () => {
  const ledger = { urls: ['ws://127.0.0.1:1'], account: 'rHb9CJAWyB4rj91VRWn96DkukG4bwdtyTh' };
  const starting = serve({ cluster: true, store: 'postgres://claimwire@127.0.0.1:1/claimwire', ledger });
  await expect(starting).rejects.toMatchObject({
    code: 'CONFIG_INVALID',
    message: expect.stringContaining('expected a node without --cluster'),
  });
});
