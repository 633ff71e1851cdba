/** What fuzzers found, and inputs that take every branch they know of (test/fuzz/corpus): none fails again. */
import { expect, test } from 'vitest';
import { readCorpus } from '../../fuzz/corpus.ts';
import type { Target } from '../../fuzz/target.ts';
import { TARGETS } from '../../fuzz/targets.ts';

test.each(TARGETS)('%s', async (name) => {
  const { target } = (await import(`../../fuzz/targets/${name}.ts`)) as { target: Target };
  const inputs = readCorpus(name);
  expect(inputs.length).toBeGreaterThan(5);
  for (const bytes of [...target.seeds(), ...inputs]) {
    expect(bytes.length).toBeLessThanOrEqual(target.bytesMax);
    await target.run(bytes);
  }
});
