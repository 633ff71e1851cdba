/**
 * The conformance suite: one list of cases, every transport. The suite judges the wire, so its payer is a bare one.
 */
import { afterAll, beforeAll, describe, test } from 'vitest';
import { CASES } from './cases.ts';
import { Stage } from './stage.ts';
import { TRANSPORTS } from './transports.ts';

describe.each(TRANSPORTS)('$name', (entry) => {
  let stage: Stage;
  beforeAll(async () => {
    stage = await Stage.start(entry);
  });
  afterAll(() => stage.stop());

  const cases = CASES.filter(({ appliesTo }) => appliesTo === undefined || appliesTo(entry));
  test.for(cases)('$name', { timeout: 120_000 }, async ({ run, options }) => {
    try {
      await stage.runWith(options);
      await run(stage);
      stage.expectNoFaults();
    } finally {
      stage.closeWires();
    }
  });
});
