/**
 * The conformance, crash and recovery suites on `--store postgres`, as on the embedded store: one primary and a synchronous standby
 * for all of them. Briefly few cases of the two that matter most, in `make test-long` all cases of all; what only a database has is
 * in store-crash.test.ts.
 *
 * Not here, as they are about the files of the embedded store: a damaged journal in one lane and a journal that fails
 * (lanes, node-stop), which are passed over in their suites; checkpoint.test.ts, whose twin is there;
 * old-folder.test.ts, an earlier release's folder; disk-faults.test.ts and test/powerloss, a disk's faults and what it keeps of
 * them; e2e/backup.test.ts, copies of a folder; and the units of src/journal and src/registry.
 */
import { afterAll, describe } from 'vitest';
import { brieflyOrAtLength } from '../support/length.ts';
import { hasPostgres } from '../support/postgres/programs.ts';
import { usePostgres } from '../support/postgres/suite-databases.ts';

const BRIEFLY: Record<string, () => Promise<unknown>> = {
  conformance: () => import('./conformance/conformance.test.ts'),
  'nodes that are killed': () => import('../e2e/faults.test.ts'),
};
const AT_LENGTH: typeof BRIEFLY = {
  ...BRIEFLY,
  'charges, killed': () => import('./meter-crash.test.ts'),
  lanes: () => import('./lanes.test.ts'),
  'removed channels': () => import('./channel-remove.test.ts'),
  'redemptions, killed': () => import('./redeem-crash.test.ts'),
  'payers that are killed': () => import('./payer-crash.test.ts'),
  'payers that begin again': () => import('./payer-restart.test.ts'),
  nodes: () => import('./node.test.ts'),
  'stopped nodes': () => import('./node-stop.test.ts'),
  'nodes that do not start': () => import('./start-failure.test.ts'),
  'locked nodes': () => import('./node-lock.test.ts'),
  processes: () => import('./node-process.test.ts'),
};

describe.skipIf(!hasPostgres())('on PostgreSQL', () => {
  const dropDatabases = usePostgres();
  for (const [name, load] of Object.entries(brieflyOrAtLength(0, 1) === 0 ? BRIEFLY : AT_LENGTH))
    describe(name, async () => {
      afterAll(dropDatabases);
      await load();
    });
});
