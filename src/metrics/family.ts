/** What a metric is before it is written out: a name, what it counts, and how its values are read. Any thread. */
import type { ExposureTotals } from '../control/exposure.ts';
import type { LedgerHealth } from '../control/ledger-control.ts';
import type { Distribution, LaneMeasures } from '../control/measure-control.ts';
import type { NodeStats } from '../control/node-control.ts';
import { cumulative } from './buckets.ts';
import type { MachineState } from './machine.ts';

/** Everything that a scrape tells, read at one moment. */
export interface Facts {
  readonly ready: boolean;
  readonly stats: NodeStats;
  /** What services beside the node count, by their name in /stats. */
  readonly beside: Readonly<Record<string, unknown>>;
  /** Counters of the admin server. */
  readonly http: Readonly<Record<string, number>>;
  /** Undefined for a node without a ledger. */
  readonly ledger: LedgerHealth | undefined;
  readonly exposure: ExposureTotals;
  /** Empty where latencies are not measured. */
  readonly lanes: readonly LaneMeasures[];
  readonly machine: MachineState;
  readonly version: string;
}

interface Value {
  readonly value: number;
  readonly labels?: Readonly<Record<string, string>>;
  /** Where it is not the family's own: the parts of a histogram. */
  readonly metricName?: string;
}

/** A metric with all of its label values, which are few and known. */
export interface Family {
  readonly name: string;
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly help: string;
  readonly labels: readonly string[];
  /** No value where the node has nothing of the kind. */
  read(facts: Facts): Value[];
}

type Read = (facts: Facts) => number | undefined;

function one(type: Family['type'], name: string, help: string, read: Read): Family {
  return {
    name,
    type,
    help,
    labels: [],
    read: (facts) => {
      const value = read(facts);
      return value === undefined ? [] : [{ value }];
    },
  };
}

export function gauge(name: string, help: string, read: Read): Family {
  return one('gauge', name, help, read);
}
export function counter(name: string, help: string, read: Read): Family {
  return one('counter', name, help, read);
}

/** A family with one label. */
export function labelled(
  type: Exclude<Family['type'], 'histogram'>,
  name: string,
  help: string,
  label: string,
  read: (facts: Facts) => Iterable<readonly [string, number | undefined]>,
): Family {
  return {
    name,
    type,
    help,
    labels: [label],
    read: (facts) =>
      [...read(facts)].flatMap(([of, value]) => (value === undefined ? [] : [{ value, labels: { [label]: of } }])),
  };
}

/** A histogram over fixed buckets, made out of the node's fine ones. `read` gives one for each label, or one without. */
export function histogram(
  name: string,
  help: string,
  buckets: readonly number[],
  label: string | undefined,
  read: (facts: Facts) => Iterable<readonly [string, readonly Distribution[]]>,
): Family {
  return {
    name,
    type: 'histogram',
    help,
    labels: label === undefined ? [] : [label],
    read: (facts) =>
      [...read(facts)].flatMap(([of, parts]) => {
        const labels = label === undefined ? {} : { [label]: of };
        const { counts, count, sum } = cumulative(parts, buckets);
        return [
          ...counts.map((value, index) => ({
            metricName: `${name}_bucket`,
            labels: { ...labels, le: String(buckets[index]) },
            value,
          })),
          { metricName: `${name}_bucket`, labels: { ...labels, le: '+Inf' }, value: count },
          { metricName: `${name}_sum`, labels, value: sum },
          { metricName: `${name}_count`, labels, value: count },
        ];
      }),
  };
}

/** A counter of the claim path or of the web process by its name in /stats, with a dot where it is in a group. */
export function counted(facts: Facts, name: string): number | undefined {
  const [group, reason] = name.split('.') as [string, string | undefined];
  const value = facts.stats.counters[group];
  if (reason === undefined) return typeof value === 'number' ? value : undefined;
  return typeof value === 'object' ? value[reason] : undefined;
}

/** The same for several of a group, each with its name as label. */
export function countedEach(
  facts: Facts,
  group: string,
  names: readonly string[],
): (readonly [string, number | undefined])[] {
  return names.map((name) => [name, counted(facts, `${group}.${name}`)] as const);
}
