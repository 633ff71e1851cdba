/**
 * GET /metrics: everything that the node counts and measures, as text for Prometheus, through the registry of prom-client.
 * Main thread, beside the claim path.
 *
 * A scrape reads counters from shared memory and asks no thread. Its text is kept for a moment, so that many scrapers cost no
 * more than ten scrapes a second. The library is loaded, and the process is watched, from the first scrape on.
 */
import type { Metric, Registry } from 'prom-client';
import type { ExposureControl } from '../control/exposure.ts';
import type { LedgerControl } from '../control/ledger-control.ts';
import type { MeasureControl } from '../control/measure-control.ts';
import type { NodeControl } from '../control/node-control.ts';
import type { Clock } from '../system/system.ts';
import { CLUSTER_FAMILIES } from './cluster-families.ts';
import { NODE_FAMILIES } from './families.ts';
import type { Facts, Family } from './family.ts';
import type { Machine } from './machine.ts';
import { PEER_FAMILIES } from './peer-families.ts';

export const FAMILIES: readonly Family[] = [...NODE_FAMILIES, ...CLUSTER_FAMILIES, ...PEER_FAMILIES];

export const CONTENT_TYPES = {
  prometheus: 'text/plain; version=0.0.4; charset=utf-8',
  openmetrics: 'application/openmetrics-text; version=1.0.0; charset=utf-8',
} as const;
export type ExpositionFormat = keyof typeof CONTENT_TYPES;

/** Ten a second. */
const KEPT_MS = 100;

export interface ExpositionOptions {
  control: Pick<NodeControl, 'stats' | 'ready'>;
  exposure: ExposureControl;
  /** Left out: the histograms have no values. */
  measures?: MeasureControl | undefined;
  ledger?: Pick<LedgerControl, 'health'> | undefined;
  machine: Machine;
  clock: Clock;
  version: string;
}

interface Kept {
  at: number;
  text: Promise<string>;
}

/** A metric as the registry asks for it. */
interface Collected {
  readonly name: string;
  readonly help: string;
  readonly type: string;
  get(): Promise<object>;
}

export class Exposition {
  readonly #options: ExpositionOptions;
  readonly #kept = new Map<ExpositionFormat, Kept>();
  readonly #registries = new Map<ExpositionFormat, Promise<Registry>>();
  #facts: Facts | undefined;

  constructor(options: ExpositionOptions) {
    this.#options = options;
  }

  /**
   * The text of a scrape, at most 100 ms old.
   * @param http counters of the admin server
   */
  text(format: ExpositionFormat, http: Facts['http']): Promise<string> {
    const now = this.#options.clock.monotonic();
    const known = this.#kept.get(format);
    if (known !== undefined && now - known.at < KEPT_MS) return known.text;
    const text = this.#collect(format, http);
    this.#kept.set(format, { at: now, text });
    text.catch(() => this.#kept.delete(format));
    return text;
  }

  async #collect(format: ExpositionFormat, http: Facts['http']): Promise<string> {
    const known = this.#registries.get(format) ?? this.#register(format);
    this.#registries.set(format, known);
    const registry = await known;
    this.#facts = this.#look(http);
    return registry.metrics();
  }

  #look(http: Facts['http']): Facts {
    const { control, exposure, measures, ledger, machine, version } = this.#options;
    const stats = control.stats();
    return {
      ready: control.ready,
      stats,
      beside: stats as unknown as Record<string, unknown>,
      http: { ...http },
      ledger: ledger?.health(),
      exposure: exposure.exposure(),
      lanes: measures?.measures() ?? [],
      machine: machine.state(),
      version,
    };
  }

  /**
   * A registry for each format: the library takes `_total` off the names of counters where it writes OpenMetrics, for good.
   * What counts the process is shared, since it runs timers.
   */
  async #register(format: ExpositionFormat): Promise<Registry> {
    const client = await import('prom-client');
    const registry = new client.Registry();
    registry.setContentType(CONTENT_TYPES[format] as Registry['contentType']);
    for (const { name, help, type, read } of FAMILIES) {
      const shown = shownName(name, type, format);
      const get = async () => ({ name: shown, help, type, values: this.#facts === undefined ? [] : read(this.#facts) });
      register(registry, { name, help, type, get });
    }
    for (const metric of await processMetrics()) {
      const { name, help, type } = metric;
      const shown = shownName(name, type, format);
      register(registry, { name, help, type, get: async () => ({ ...(await metric.get()), name: shown }) });
    }
    return registry;
  }
}

function shownName(name: string, type: string, format: ExpositionFormat): string {
  return format === 'openmetrics' && type === 'counter' ? name.replace(/_total$/, '') : name;
}

function register(registry: Registry, metric: Collected): void {
  registry.registerMetric(metric as unknown as Metric);
}

let watched: Promise<Collected[]> | undefined;

/** The library's own metrics of the process and of its event loop, once for all nodes in it. */
function processMetrics(): Promise<Collected[]> {
  watched ??= import('prom-client').then(({ collectDefaultMetrics, Registry }) => {
    const registry = new Registry();
    collectDefaultMetrics({ register: registry });
    const all = registry.getMetricsAsArray() as unknown as Collected[];
    // Three gauges have names of counters, which neither promtool nor OpenMetrics takes.
    return all.filter(({ name, type }) => type === 'counter' || !name.endsWith('_total'));
  });
  return watched;
}

/** What an Accept header wants; without one, or with anything else in it, the older format, which everybody reads. */
export function formatOf(accept: string | undefined): ExpositionFormat {
  const weight = (type: string) => {
    const part = (accept ?? '').split(',').find((each) => each.trim().toLowerCase().startsWith(type));
    if (part === undefined) return 0;
    const given = /;\s*q=([\d.]+)/.exec(part)?.[1];
    return given === undefined ? 1 : Number(given);
  };
  const openmetrics = weight('application/openmetrics-text');
  return openmetrics > 0 && openmetrics >= weight('text/plain') ? 'openmetrics' : 'prometheus';
}
