/** POST /charge and POST /charges: what services charge on channels. Main thread. */
import { setImmediate } from 'node:timers/promises';
import { U64_MAX } from '../../protocol/layout.ts';
import { got, objectWith, parseDecimal } from '../channel/parse.ts';
import { type Access, expectChannel } from '../control/access.ts';
import type { ChargeResult, MeterControl } from '../control/meter-control.ts';
import { expectReady, type NodeControl } from '../control/node-control.ts';
import { ClaimwireError } from '../errors.ts';
import type { Spans } from '../spans/spans.ts';
import { findChannel } from './channels.ts';
import type { Holds } from './holds.ts';
import { errorJson, readJson, sendJson } from './message.ts';
import type { Call, Route } from './route.ts';
import { parseWait } from './waits.ts';

/** Charges of one request: with their channels and keys they fit the limit of a body. */
const CHARGES_MAX = 5_000;
/** Requests with many charges under way; each has its answer in memory, some 1 MB. */
const BULKS_MAX = 8;
/** Charges begun before the event loop has its turn. */
const TURN_CHARGES = 128;
const KEY_CHARACTERS_MAX = 64;
const FIELDS = ['channelId', 'drops', 'key'];

/** What POST /charge answers. Amounts in drops. */
export interface ChargeJson {
  channelId: string;
  drops: string;
  spent: string;
  committed: string;
  repeated: boolean;
}

/** An item of what POST /charges answers: the charge, or why it was not made. */
export type ChargeItemJson = ChargeJson | { error: { code: string; message: string } };

interface Charge {
  channelId: bigint;
  drops: bigint;
  key: string | undefined;
}

export class Charges {
  readonly #control: NodeControl;
  readonly #meter: MeterControl;
  readonly #holds: Holds;
  readonly #spans: Spans | undefined;
  #bulks = 0;

  constructor(control: NodeControl, meter: MeterControl, holds: Holds, spans?: Spans) {
    this.#spans = spans;
    this.#control = control;
    this.#meter = meter;
    this.#holds = holds;
  }

  routes(): Route[] {
    const post = (path: string, answer: Route['answer']): Route => {
      return { method: 'POST', path, scope: 'charge', takesBody: true, mayWait: true, answer };
    };
    return [
      post('/charge', (call) => this.#under(call, () => this.#one(call))),
      post('/charges', (call) => this.#under(call, () => this.#many(call))),
    ];
  }

  #under({ request }: Call, work: () => Promise<void>): Promise<void> {
    const { traceparent } = request.headers;
    return this.#spans === undefined || typeof traceparent !== 'string' ? work() : this.#spans.under(traceparent, work);
  }

  /** One charge: at once, or with `wait` as soon as claims cover it within that time. */
  async #one(call: Call): Promise<void> {
    expectReady(this.#control);
    const body = objectWith(await readJson(call.request), [...FIELDS, 'wait'], 'charge');
    const { wait, ...fields } = body;
    const charge = this.#parse(fields, call.access!);
    const waitMs = wait === undefined ? undefined : parseWait(wait, 'wait');
    if (waitMs === undefined) {
      // Without a signal: who leaves after asking is charged all the same, and a key tells a retry from another charge.
      const made = await this.#meter.charge(charge.channelId, charge.drops, { key: charge.key, wait: false });
      sendJson(call.response, 200, chargeJson(made));
    } else await this.#waiting(call, charge, waitMs);
  }

  async #waiting(call: Call, { channelId, drops, key }: Charge, waitMs: number): Promise<void> {
    const hold = this.#holds.begin(call, waitMs);
    try {
      const made = await this.#meter.charge(channelId, drops, { key, signal: hold.signal });
      sendJson(call.response, 200, chargeJson(made));
    } catch (error) {
      if (hold.end === 'late') throw this.#missing(channelId, drops, waitMs);
      if (hold.end !== 'gone') throw error;
      call.response.destroy();
    } finally {
      hold.release();
    }
  }

  /** Many charges, begun in their order; none waits for claims. Each has its own result, in the same order. */
  async #many({ request, response, access }: Call): Promise<void> {
    expectReady(this.#control);
    if (this.#bulks >= BULKS_MAX)
      throw new ClaimwireError('NODE_BUSY', `charges: expected at most ${BULKS_MAX} requests at a time, got one more`);
    this.#bulks++;
    try {
      const { charges } = objectWith(await readJson(request), ['charges'], 'charges');
      if (!Array.isArray(charges) || charges.length === 0 || charges.length > CHARGES_MAX)
        throw new ClaimwireError('INPUT_INVALID', `charges: expected 1 to ${CHARGES_MAX}, got ${got(charges)}`);
      const results: Promise<ChargeItemJson>[] = [];
      for (const [index, item] of charges.entries()) {
        if (index % TURN_CHARGES === TURN_CHARGES - 1) await setImmediate();
        const result = this.#item(item, access!);
        // One that fails before all are begun is seen by the end of this request, and is no rejection that nobody handles.
        result.catch(() => {});
        results.push(result);
      }
      sendJson(response, 200, { results: await Promise.all(results) });
    } finally {
      this.#bulks--;
    }
  }

  async #item(item: unknown, access: Access): Promise<ChargeItemJson> {
    try {
      const { channelId, drops, key } = this.#parse(objectWith(item, FIELDS, 'charge'), access);
      return chargeJson(await this.#meter.charge(channelId, drops, { key, wait: false }));
    } catch (error) {
      if (error instanceof ClaimwireError) return errorJson(error);
      throw error;
    }
  }

  #parse(fields: Record<string, unknown>, access: Access): Charge {
    const { channelId: id, drops, key } = fields;
    if (typeof id !== 'string')
      throw new ClaimwireError('INPUT_INVALID', `channelId: expected a string, got ${got(id)}`, { field: 'channelId' });
    if (key !== undefined && (typeof key !== 'string' || key.length === 0 || key.length > KEY_CHARACTERS_MAX)) {
      const expected = `expected 1 to ${KEY_CHARACTERS_MAX} characters`;
      throw new ClaimwireError('INPUT_INVALID', `key: ${expected}, got ${got(key)}`, { field: 'key' });
    }
    const { channelId } = findChannel(this.#control, id);
    expectChannel(access, channelId);
    return { channelId, drops: parseDrops(drops), key };
  }

  #missing(channelId: bigint, drops: bigint, waitMs: number): ClaimwireError {
    const committed = this.#control.channel(channelId)?.committed ?? 0n;
    const spent = this.#meter.spent(channelId);
    const message = `charge: expected ${spent + drops} drops committed on channel ${channelId} within ${waitMs} ms, got ${committed}`;
    const missing = spent + drops - committed;
    return new ClaimwireError('PAYMENT_REQUIRED', message, { channelId, drops, spent, committed, missing });
  }
}

/** Drops of a charge; with a minus sign before them, of a refund. */
function parseDrops(value: unknown): bigint {
  const isRefund = typeof value === 'string' && value.startsWith('-');
  const amount = parseDecimal(isRefund ? value.slice(1) : value, 1n, U64_MAX, 'drops');
  return isRefund ? -amount : amount;
}

function chargeJson({ channelId, drops, spent, committed, repeated }: ChargeResult): ChargeJson {
  return {
    channelId: String(channelId),
    drops: String(drops),
    spent: String(spent),
    committed: String(committed),
    repeated,
  };
}
