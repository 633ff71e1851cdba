/**
 * The suites on `--store postgres`, as on the embedded store: one primary and a synchronous standby for all of them. Briefly few
 * cases of the three that matter most, in `make test-long` all of every suite.
 */
import { describe } from 'vitest';
import { brieflyOrAtLength } from '../support/length.ts';
import { hasPostgres } from '../support/postgres/programs.ts';
import { usePostgres } from '../support/postgres/suite-databases.ts';

const isLong = brieflyOrAtLength(0, 1) === 1;

if (hasPostgres()) {
  usePostgres();
  describe('conformance', () => import('./conformance/conformance.test.ts').then(() => {}));
  describe('faults', () => import('../e2e/faults.test.ts').then(() => {}));
  describe('charges', () => import('./meter-crash.test.ts').then(() => {}));
}
