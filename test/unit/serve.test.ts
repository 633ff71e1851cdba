/** What a node and what runs beside it refuse before anything starts. */
import { expect, test } from 'vitest';
import { serve } from '../../src/serve.ts';

test('a wrong setting of the ledger is refused before a database is asked', async () => {
  const ledger = { urls: ['http://127.0.0.1:1'], account: 'rHb9CJAWyB4rj91VRWn96DkukG4bwdtyTh' };
  const starting = serve({ cluster: true, store: 'postgres://claimwire@127.0.0.1:1/claimwire', ledger });
  await expect(starting).rejects.toMatchObject({ code: 'CONFIG_INVALID', details: { setting: 'ledger' } });
});
