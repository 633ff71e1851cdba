/** What a node and what runs beside it refuse before anything starts. */
import { expect, test } from 'vitest';
import { serve } from '../../src/serve.ts';

test('nodes of a cluster go by one network of the ledger, and each says by which', async () => {
  const ledger = { urls: ['ws://127.0.0.1:1'], account: 'rHb9CJAWyB4rj91VRWn96DkukG4bwdtyTh' };
  const starting = serve({ cluster: true, store: 'postgres://claimwire@127.0.0.1:1/claimwire', ledger });
  await expect(starting).rejects.toMatchObject({
    code: 'CONFIG_INVALID',
    message: expect.stringContaining('ledger-network: expected the id of the network with --cluster'),
  });
});
