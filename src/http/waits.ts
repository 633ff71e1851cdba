/** GET /channels/ID/wait: a long poll for an amount. Main thread. Here too is what each held request shares: its time. */
import { U64_MAX } from '../../protocol/layout.ts';
import { got, parseDecimal } from '../channel/parse.ts';
import { expectChannel } from '../control/access.ts';
import type { MeterControl } from '../control/meter-control.ts';
import type { NodeControl } from '../control/node-control.ts';
import { ClaimwireError } from '../errors.ts';
import { findChannel } from './channels.ts';
import type { Holds } from './holds.ts';
import { sendJson, sendNothing } from './message.ts';
import type { Call, Route } from './route.ts';

/** Proxies often give up after a minute. Who waits longer asks again. */
const WAIT_MS_MAX = 60_000;
const WAIT_DEFAULT = '30s';
const UNIT_MS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000 };

/** Milliseconds of a text like 30s, 500ms or 1m. Throws INPUT_INVALID. */
export function parseWait(value: unknown, field: string): number {
  const [, digits, unit] = (typeof value === 'string' && /^(\d{1,6})(ms|s|m)$/.exec(value)) || [];
  const ms = Number(digits) * (UNIT_MS[unit ?? ''] ?? Number.NaN);
  if (ms >= 1 && ms <= WAIT_MS_MAX) return ms;
  throw new ClaimwireError('INPUT_INVALID', `${field}: expected 1ms to 60s, like 30s, got ${got(value)}`, { field });
}

export function waitRoutes(control: NodeControl, meter: MeterControl, holds: Holds): Route[] {
  const answer = (call: Call) => waitForAmount(control, meter, holds, call);
  return [{ method: 'GET', path: '/channels/{id}/wait', scope: 'read', takesBody: false, mayWait: true, answer }];
}

async function waitForAmount(control: NodeControl, meter: MeterControl, holds: Holds, call: Call): Promise<void> {
  const { url, id, access, response } = call;
  for (const name of url.searchParams.keys())
    if (name !== 'amount' && name !== 'timeout')
      throw new ClaimwireError('INPUT_INVALID', `query: expected amount or timeout, got ${got(name)}`);
  const amount = parseDecimal(url.searchParams.get('amount') ?? undefined, 0n, U64_MAX, 'amount');
  const timeoutMs = parseWait(url.searchParams.get('timeout') ?? WAIT_DEFAULT, 'timeout');
  const { channelId } = findChannel(control, id);
  expectChannel(access!, channelId);
  const hold = holds.begin(call, timeoutMs);
  try {
    const committed = await meter.waitForAmount(channelId, amount, { signal: hold.signal });
    sendJson(response, 200, { channelId: String(channelId), committed: String(committed) });
  } catch (error) {
    if (hold.end === 'late') sendNothing(response);
    else if (hold.end === 'gone') response.destroy();
    else throw error;
  } finally {
    hold.release();
  }
}
