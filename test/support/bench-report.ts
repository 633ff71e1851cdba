/** A small report of `claimwire bench`, for tests of what reads one. */
import type { BenchReport, FigureReport } from '../../bench/framework/schema.ts';
import { summarize } from '../../bench/framework/statistics.ts';

export function figureOf(name: string, values: number[], more: Partial<FigureReport> = {}): FigureReport {
  return { part: 'node', name, unit: 'claims/s', better: 'higher', ...summarize(values, 1, name), ...more };
}

export function benchReport(figures: FigureReport[], more: Partial<BenchReport> = {}): BenchReport {
  return {
    schema: 1,
    kind: 'claimwire bench',
    startedAt: '2026-01-02T03:04:05.000Z',
    seconds: 100,
    quick: true,
    seed: 1,
    machine: {
      processor: 'A processor <of> tests',
      cores: 2,
      memoryGiB: 16,
      system: 'Linux 6',
      node: 'v20',
      kernel: 'avx2',
      filesystem: 'ext4',
      loadBefore: 0,
    },
    figures,
    optimisations: [],
    curves: [],
    extrapolation: null,
    readiness: { limits: [], failures: [], alarms: '' },
    bottleneck: null,
    skipped: [],
    notes: [],
    ...more,
  };
}
