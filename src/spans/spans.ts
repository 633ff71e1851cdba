/**
 * Spans: what one charge, one redemption or one request of the gateway did, and how long each of its steps took. Never of
 * claims, which are too many. Main thread.
 *
 * Who is watched sees this contract only; without `--otel` there are no Spans, and a call costs one comparison.
 */

type Attributes = Readonly<Record<string, string | number | boolean>>;

export interface Span {
  /** What is sent along to others, so that their spans become children of this one (W3C trace context). */
  readonly traceparent: string;
  set(attributes: Attributes): void;
  /** Something that happened just now. */
  event(name: string, attributes?: Attributes): void;
  child(name: string): Span;
  /** Ends it, and with an error it is marked as failed. */
  end(error?: unknown): void;
}

export interface BeginOptions {
  kind?: 'internal' | 'server';
  /** The header of that name which a request brought. */
  traceparent?: string | undefined;
  /** A rare one, which is taken whatever the rate of others is. */
  isRare?: boolean;
}

export interface Spans {
  /** Begins a span under the active one, or under the caller's; undefined where this one is not taken. */
  begin(name: string, options?: BeginOptions): Span | undefined;
  /** Spans begun in `work`, also after it has waited, are under this one; without one, none is begun there. */
  within<Result>(span: Span | undefined, work: () => Result): Result;
  /** Spans begun in `work` are under that of a caller's `traceparent`. */
  under<Result>(traceparent: string, work: () => Result): Result;
}
