/** Says at the end which tests passed only when they were run once more, as CI does. Main process of vitest. */
import type { Reporter, TestCase } from 'vitest/node';

export class ToldTwice implements Reporter {
  readonly #names: string[] = [];

  onTestCaseResult(test: TestCase): void {
    if ((test.diagnostic()?.retryCount ?? 0) === 0 || test.result().state !== 'passed') return;
    const why = test.result().errors?.[0]?.message.split('\n')[0] ?? 'unknown';
    this.#names.push(`${test.module.relativeModuleId}: ${test.fullName}: ${why}`);
  }

  onTestRunEnd(): void {
    for (const name of this.#names) console.warn(`PASSED ONLY WHEN RUN AGAIN: ${name}`);
  }
}
