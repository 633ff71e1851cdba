import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';
import { ToldTwice } from './test/support/told-twice.ts';

const FAST = ['test/unit/**/*.test.ts', 'test/differential/**/*.test.ts', 'test/soak/**/*.test.ts'];

/** Files that mock modules or choose what modules do, or that want a process of their own, as they look at what all of it shares. */
const ALONE = [
  'test/integration/key-cache.test.ts',
  'test/integration/on-postgres.test.ts',
  'test/unit/pkcs11/token-key.test.ts',
  'test/unit/tools/cli.test.ts',
  'test/unit/verify/self-test.test.ts',
];

/** Of the folders of quick tests, the files that take most of the processor's time. */
const SLOW = [
  'test/differential/acceptance.test.ts',
  'test/differential/backends.test.ts',
  'test/differential/native-path.test.ts',
  'test/differential/slots.test.ts',
  'test/unit/client/udp.test.ts',
  'test/unit/folder/folder-lock.test.ts',
  'test/unit/http/admin.test.ts',
  'test/unit/http/admin-connections.test.ts',
  'test/unit/journal/crash-points.test.ts',
  'test/unit/path/native-path-suites.test.ts',
  'test/unit/path/native-path-threads.test.ts',
  'test/unit/registry/damage.test.ts',
  'test/unit/transport/tcp-flood.test.ts',
];

/** Quick tests with LMDB, whose read transactions do not outlive the threads of one process that come and go. */
const LMDB = ['test/unit/registry/**/*.test.ts', 'test/unit/journal/lane-journals*.test.ts'];

/** They begin first, so that none of them is still running when all others are done. */
const LONGEST = [
  'test/integration/conformance/conformance.test.ts',
  'test/native/c-tests.test.ts',
  'test/siege/siege.test.ts',
  'test/e2e/packages.test.ts',
  'test/integration/disk-faults.test.ts',
  'test/e2e/faults.test.ts',
  'test/integration/lanes.test.ts',
  'test/e2e/load.test.ts',
  'test/e2e/examples.test.ts',
  'test/e2e/backup.test.ts',
  'test/differential/backends.test.ts',
  'test/integration/node-process.test.ts',
  'test/unit/path/native-path-suites.test.ts',
  'test/integration/node-stop.test.ts',
];

/** A worker goes on, with the modules that it has loaded, while the next file is of the same project. */
const PROJECTS = ['warm', 'nodes', 'alone', 'fast-lmdb', 'fast'];

class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const place = ({ moduleId, project }: TestSpecification) => {
      const found = LONGEST.findIndex((name) => moduleId.endsWith(name));
      return PROJECTS.indexOf(project.name) * LONGEST.length + (found < 0 ? LONGEST.length - 1 : found);
    };
    return (await super.sort(files)).sort((left, right) => place(left) - place(right));
  }
}

/** Nodes as an operator runs them, the warm-up with it. */
const WARM = ['test/e2e/operator.test.ts', 'test/siege/*.test.ts'];

/** Hundreds of nodes are started where latency does not count: the warm-up would be much of the work. */
const COLD = { CLAIMWIRE_WARM_UP: 'off' };

export default defineConfig({
  test: {
    // For two cores: what two files at a time leave idle while they wait, two more use.
    maxWorkers: 4,
    // What was compiled is what Node.js loads: there is nothing to transform in it.
    server: { deps: { external: [/\/dist\//] } },
    // Machines of CI are shared, and some stand still for seconds: there what failed is run once more, and that is said at the end.
    retry: process.env.CI === 'true' ? 1 : 0,
    reporters: ['default', new ToldTwice()],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    sequence: { sequencer: LongestFirst },
    projects: [
      // Modules that the files share are loaded once a worker, and threads cost a third less than processes. A file that mocks
      // modules or keeps state in them belongs to those that are alone.
      {
        extends: true,
        test: {
          name: 'fast',
          include: FAST,
          exclude: [...SLOW, ...ALONE, ...LMDB],
          env: COLD,
          pool: 'threads',
          isolate: false,
        },
      },
      { extends: true, test: { name: 'fast-lmdb', include: LMDB, exclude: SLOW, env: COLD, isolate: false } },
      {
        extends: true,
        test: {
          name: 'nodes',
          include: ['test/{cluster,e2e,hostile,integration,native,powerloss,simulation}/**/*.test.ts', ...SLOW],
          exclude: [...WARM, ...ALONE],
          env: COLD,
          isolate: false,
        },
      },
      { extends: true, test: { name: 'alone', include: ALONE, env: COLD } },
      { extends: true, test: { name: 'warm', include: WARM, isolate: false } },
    ],
  },
});
