/**
 * Spans over the JavaScript SDK of OpenTelemetry: this file alone imports it, when asked for. Main thread.
 *
 * The SDK makes identifiers, limits attributes, and speaks OTLP, with the variables OTEL_* for headers, certificates and
 * resource. Which operations are taken, and how many spans wait for the collector, is decided here, so that a span that is
 * not taken costs next to nothing and each one that is lost is counted.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import type { Span as ApiSpan, Context, Tracer } from '@opentelemetry/api';
import type { ReadableSpan, SpanExporter } from '@opentelemetry/sdk-trace-base';
import { ClaimwireError } from '../errors.ts';
import { type Clock, nodeSystem } from '../system/system.ts';
import { resolveSpans, type SpanOptions } from './settings.ts';
import { type SpanCounters, SpanQueue } from './span-queue.ts';
import { SpanSampler } from './span-sampler.ts';
import type { BeginOptions, Span, Spans } from './spans.ts';
import { parseTraceparent, type TraceContext, traceparentOf } from './trace-context.ts';

type Api = typeof import('@opentelemetry/api');

const EXPORT_MS_MAX = 5_000;
/** A stop waits this long for a collector. */
const CLOSE_MS_MAX = 2_000;
const TEXT_CHARACTERS_MAX = 1_024;
const PACKAGES = [
  '@opentelemetry/api',
  '@opentelemetry/resources',
  '@opentelemetry/sdk-trace-base',
  '@opentelemetry/exporter-trace-otlp-http',
];

/** Spans that go to a collector, with their counters; `close` sends what is left. */
export interface ExportedSpans extends Spans {
  readonly counters: SpanCounters & { begun: number; limited: number };
  close(): Promise<void>;
}

export interface SpanParts {
  warn: (line: string) => void;
  version: string;
  clock?: Clock;
  /** From 0 to below 1. */
  chance?: () => number;
}

/** @throws ClaimwireError CONFIG_INVALID, DEPENDENCY_MISSING */
export async function openSpans(options: SpanOptions, parts: SpanParts): Promise<ExportedSpans> {
  const { url, ...sampling } = resolveSpans(options);
  const { clock = nodeSystem.clock, chance = Math.random, warn, version } = parts;
  const { api, resources, sdk, otlp } = await load();
  const exporter = new otlp.OTLPTraceExporter({ ...(url !== undefined && { url }), timeoutMillis: EXPORT_MS_MAX });
  const queue = new SpanQueue<ReadableSpan>((spans) => sent(exporter, spans), clock, warn);
  const own = resources.resourceFromAttributes({ 'service.name': 'claimwire', 'service.version': version });
  const provider = new sdk.BasicTracerProvider({
    resource: own.merge(resources.detectResources({ detectors: [resources.envDetector] })),
    // What comes here was chosen by our own sampler, whatever OTEL_TRACES_SAMPLER says.
    sampler: new sdk.AlwaysOnSampler(),
    spanLimits: { attributeValueLengthLimit: TEXT_CHARACTERS_MAX },
    spanProcessors: [
      {
        onStart: () => {},
        onEnd: (span) => queue.add(span),
        forceFlush: async () => {},
        shutdown: async () => {},
      },
    ],
  });
  const tracer = provider.getTracer('claimwire', version);
  return new OpenTelemetrySpans(api, tracer, new SpanSampler(sampling, clock, chance), queue, async () => {
    await exporter.shutdown();
  });
}

/** An operation under way: its span, a caller's context, or `null` for one that is not taken, as nothing below it is. */
type Active = OpenTelemetrySpan | TraceContext | null;

class OpenTelemetrySpans implements ExportedSpans {
  readonly #api: Api;
  readonly #tracer: Tracer;
  readonly #sampler: SpanSampler;
  readonly #queue: SpanQueue<ReadableSpan>;
  readonly #shutdown: () => Promise<void>;
  readonly #active = new AsyncLocalStorage<Active>();
  #begun = 0;

  constructor(
    api: Api,
    tracer: Tracer,
    sampler: SpanSampler,
    queue: SpanQueue<ReadableSpan>,
    shutdown: () => Promise<void>,
  ) {
    this.#api = api;
    this.#tracer = tracer;
    this.#sampler = sampler;
    this.#queue = queue;
    this.#shutdown = shutdown;
  }

  get counters(): ExportedSpans['counters'] {
    return { begun: this.#begun, limited: this.#sampler.limited, ...this.#queue.counters };
  }

  begin(name: string, { kind = 'internal', traceparent, isRare = false }: BeginOptions = {}): Span | undefined {
    const active = this.#active.getStore();
    if (active === null && !isRare) return undefined;
    if (active instanceof OpenTelemetrySpan) return active.child(name);
    const caller = active ?? parseTraceparent(traceparent);
    if (!isRare && !this.#sampler.takes(caller)) return undefined;
    this.#begun++;
    const { ROOT_CONTEXT, SpanKind, trace, TraceFlags } = this.#api;
    const context =
      caller === undefined
        ? ROOT_CONTEXT
        : trace.setSpanContext(ROOT_CONTEXT, {
            traceId: caller.traceId,
            spanId: caller.spanId,
            traceFlags: TraceFlags.SAMPLED,
            isRemote: true,
          });
    const options = { kind: kind === 'server' ? SpanKind.SERVER : SpanKind.INTERNAL };
    return new OpenTelemetrySpan(this.#api, this.#tracer, this.#tracer.startSpan(name, options, context));
  }

  within<Result>(span: Span | undefined, work: () => Result): Result {
    return this.#active.run(span instanceof OpenTelemetrySpan ? span : null, work);
  }

  under<Result>(traceparent: string, work: () => Result): Result {
    const caller = parseTraceparent(traceparent);
    return caller === undefined ? work() : this.#active.run(caller, work);
  }

  async close(): Promise<void> {
    this.#sampler.stop();
    let timer: NodeJS.Timeout | undefined;
    const tooLate = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, CLOSE_MS_MAX);
    });
    await Promise.race([this.#queue.close().then(() => this.#shutdown()), tooLate]);
    clearTimeout(timer);
  }
}

class OpenTelemetrySpan implements Span {
  readonly #api: Api;
  readonly #tracer: Tracer;
  readonly #span: ApiSpan;
  readonly #context: Context;

  constructor(api: Api, tracer: Tracer, span: ApiSpan) {
    this.#api = api;
    this.#tracer = tracer;
    this.#span = span;
    this.#context = api.trace.setSpan(api.ROOT_CONTEXT, span);
  }

  get traceparent(): string {
    const { traceId, spanId } = this.#span.spanContext();
    return traceparentOf({ traceId, spanId, isSampled: true });
  }

  set(attributes: Parameters<Span['set']>[0]): void {
    this.#span.setAttributes(attributes);
  }

  event(name: string, attributes: Parameters<Span['event']>[1] = {}): void {
    this.#span.addEvent(name, attributes);
  }

  child(name: string): OpenTelemetrySpan {
    return new OpenTelemetrySpan(this.#api, this.#tracer, this.#tracer.startSpan(name, {}, this.#context));
  }

  end(error?: unknown): void {
    if (error !== undefined) {
      if (error instanceof ClaimwireError) this.#span.setAttribute('error.type', error.code);
      const message = error instanceof Error ? error.message : String(error);
      this.#span.setStatus({ code: this.#api.SpanStatusCode.ERROR, message });
    }
    this.#span.end();
  }
}

function sent(exporter: SpanExporter, spans: ReadableSpan[]): Promise<void> {
  return new Promise((resolve, reject) => {
    // 0 is success.
    exporter.export(spans, ({ code, error }) => (code === 0 ? resolve() : reject(error ?? new Error('no reason'))));
  });
}

async function load() {
  try {
    const [api, resources, sdk, otlp] = await Promise.all([
      import('@opentelemetry/api'),
      import('@opentelemetry/resources'),
      import('@opentelemetry/sdk-trace-base'),
      import('@opentelemetry/exporter-trace-otlp-http'),
    ]);
    return { api, resources, sdk, otlp };
  } catch (cause) {
    const message = `expected the packages of OpenTelemetry for --otel, got ${(cause as Error).message}; run npm install ${PACKAGES.join(' ')}`;
    throw new ClaimwireError('DEPENDENCY_MISSING', message, { packages: PACKAGES }, { cause });
  }
}
