/** What a node's threads have measured, as a test says. Test's thread. */
import {
  type Distribution,
  type LaneMeasures,
  type MeasureControl,
  STAGES,
} from '../../src/control/measure-control.ts';

/** A distribution that tests add values to, with buckets whose bounds are these values. */
class FakeDistribution {
  readonly #counts = new Map<number, number>();
  #sum = 0;

  add(value: number, count = 1): void {
    this.#counts.set(value, (this.#counts.get(value) ?? 0) + count);
    this.#sum += value * count;
  }

  now(): Distribution {
    const sorted = [...this.#counts].sort(([left], [right]) => left - right);
    return {
      count: sorted.reduce((total, [, count]) => total + count, 0),
      sum: this.#sum,
      bounds: Float64Array.from(sorted, ([bound]) => bound),
      counts: Float64Array.from(sorted, ([, count]) => count),
    };
  }
}

class FakeLane {
  ringDepth = 0;
  readonly ack = new FakeDistribution();
  readonly sync = new FakeDistribution();
  readonly group = new FakeDistribution();
  readonly stages = Object.fromEntries(STAGES.map((stage) => [stage, new FakeDistribution()])) as Record<
    (typeof STAGES)[number],
    FakeDistribution
  >;

  now(): LaneMeasures {
    const stages = Object.fromEntries(STAGES.map((stage) => [stage, this.stages[stage].now()]));
    return {
      ringDepth: this.ringDepth,
      ringSlots: 4_096,
      ack: this.ack.now(),
      stages: stages as LaneMeasures['stages'],
      sync: this.sync.now(),
      group: this.group.now(),
    };
  }
}

export class FakeMeasures implements MeasureControl {
  readonly lanes = [new FakeLane(), new FakeLane()];

  measures(): LaneMeasures[] {
    return this.lanes.map((lane) => lane.now());
  }
}
