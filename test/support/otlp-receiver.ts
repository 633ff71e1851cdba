/**
 * A double of a collector of OpenTelemetry: it takes OTLP over HTTP as JSON and keeps what came. It is no collector: it checks
 * nothing but what tests ask of it. Test's thread.
 */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gunzipSync } from 'node:zlib';

interface Value {
  stringValue?: string;
  intValue?: number | string;
  boolValue?: boolean;
}
interface RawSpan {
  traceId: string;
  spanId: string;
  parentSpanId?: string;
  name: string;
  kind: number;
  startTimeUnixNano: string;
  endTimeUnixNano: string;
  attributes: { key: string; value: Value }[];
  events: { name: string; attributes: { key: string; value: Value }[] }[];
  status: { code: number; message?: string };
}

/** A span as it came, with its attributes as an object. */
export interface ReceivedSpan extends Omit<RawSpan, 'attributes' | 'events'> {
  attributes: Record<string, unknown>;
  events: { name: string; attributes: Record<string, unknown> }[];
}

export class OtlpReceiverDouble implements AsyncDisposable {
  readonly spans: ReceivedSpan[] = [];
  readonly paths: string[] = [];
  /** Of the first resource that came. */
  resource: Record<string, unknown> = {};
  /** What it answers. */
  status = 200;
  readonly #server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      this.paths.push(request.url!);
      const body = Buffer.concat(chunks);
      if (this.status === 200)
        this.#take((request.headers['content-encoding'] === 'gzip' ? gunzipSync(body) : body).toString());
      response.writeHead(this.status, { 'content-type': 'application/json' }).end('{}');
    });
  });

  static async start(): Promise<OtlpReceiverDouble> {
    const receiver = new OtlpReceiverDouble();
    await new Promise<void>((resolve) => receiver.#server.listen(0, '127.0.0.1', resolve));
    return receiver;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** The spans of this name. */
  named(name: string): ReceivedSpan[] {
    return this.spans.filter((span) => span.name === name);
  }

  #take(body: string): void {
    for (const { resource, scopeSpans } of JSON.parse(body).resourceSpans) {
      this.resource = objectOf(resource.attributes);
      for (const { spans } of scopeSpans as { spans: RawSpan[] }[])
        for (const span of spans) {
          const events = span.events.map((event) => ({ ...event, attributes: objectOf(event.attributes) }));
          this.spans.push({ ...span, events, attributes: objectOf(span.attributes) });
        }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

function objectOf(attributes: RawSpan['attributes'] = []): Record<string, unknown> {
  return Object.fromEntries(
    attributes.map(({ key, value }) => [
      key,
      value.stringValue ?? value.boolValue ?? (value.intValue === undefined ? undefined : Number(value.intValue)),
    ]),
  );
}
