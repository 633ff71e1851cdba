/** POST and GET /redemptions: redeems a claim on the ledger and waits for it, and lists what was redeemed. Main thread. */
import { got, isoTime } from '../channel/parse.ts';
import type { LedgerControl, RedemptionRecord, RedemptionResult } from '../control/ledger-control.ts';
import { expectReady, type NodeControl } from '../control/node-control.ts';
import { ClaimwireError } from '../errors.ts';
import { findChannel } from './channels.ts';
import type { Hold, Holds } from './holds.ts';
import { errorJson, HttpRefusal, readJson, sendJson } from './message.ts';
import type { Call, Route } from './route.ts';

/** What POST /redemptions answers. Drops as decimal strings. */
export interface RedemptionResultJson {
  channelId: string;
  outcome: RedemptionResult['outcome'];
  reason: string;
  paid: string;
  feeDrops: string;
  hash: string | null;
}

/** A row of GET /redemptions. Times in ISO 8601. */
export type RedemptionJson = Omit<RedemptionRecord, 'channelId' | 'paid' | 'feeDrops' | 'startedAt' | 'endedAt'> & {
  channelId: string;
  paid: string;
  feeDrops: string;
  startedAt: string | null;
  endedAt: string | null;
};

/** A redemption takes seconds, or as long as the ledger is away. Meanwhile white space tells the client that it goes on. */
const SIGN_OF_LIFE_MS = 10_000;
const LIMIT_DEFAULT = 100;
const LIMIT_MAX = 1_000;

/** Of a node without a ledger undefined stands for it. */
type Redeemed = Pick<LedgerControl, 'redeem' | 'redemptions'>;

export function redemptionRoutes(
  control: NodeControl,
  ledger: Redeemed | undefined,
  holds: Holds,
  signOfLifeMs: number = SIGN_OF_LIFE_MS,
): Route[] {
  const path = '/redemptions';
  const post = (call: Call) => redeem(control, expectLedger(ledger), holds.begin(call), call, signOfLifeMs);
  const get = (call: Call) => list(expectLedger(ledger), call);
  return [
    { method: 'POST', path, scope: 'admin', takesBody: true, mayWait: true, answer: post },
    { method: 'GET', path, scope: 'admin', takesBody: false, answer: get },
  ];
}

function expectLedger(ledger: Redeemed | undefined): Redeemed {
  if (ledger !== undefined) return ledger;
  throw new HttpRefusal(404, 'redemptions: expected a node started with --ledger, got one without');
}

/** `{id, close?}`. The redemption goes on where its client leaves. */
async function redeem(
  control: NodeControl,
  ledger: Redeemed,
  hold: Hold,
  { response }: Call,
  signOfLifeMs: number,
): Promise<void> {
  const timer = setInterval(() => {
    if (!response.headersSent)
      response.writeHead(200, { 'content-type': 'application/json', 'cache-control': 'no-store' });
    response.write('\n');
  }, signOfLifeMs);
  try {
    expectReady(control);
    const { id, close } = parseBody(await readJson(response.req));
    const { channelId } = findChannel(control, id);
    const result = resultJson(await ledger.redeem(channelId, { close, signal: hold.signal }));
    if (response.headersSent) response.end(`${JSON.stringify(result)}\n`);
    else sendJson(response, 200, result);
  } catch (error) {
    if (hold.end === 'gone') response.destroy();
    // The status is sent already, so the body alone says what went wrong.
    else if (response.headersSent) response.end(`${JSON.stringify(errorJson(error))}\n`);
    else throw error;
  } finally {
    clearInterval(timer);
    hold.release();
  }
}

function parseBody(body: unknown): { id: string; close: boolean } {
  const fields = typeof body === 'object' && body !== null ? (body as Record<string, unknown>) : {};
  const { id, close = false, ...others } = fields;
  const [stranger] = Object.keys(others);
  if (stranger !== undefined)
    throw new ClaimwireError('INPUT_INVALID', `redemption: expected id and close, got ${got(stranger)}`);
  if (typeof id !== 'string')
    throw new ClaimwireError('INPUT_INVALID', `id: expected a channel's ID as a string, got ${got(id)}`);
  if (typeof close !== 'boolean')
    throw new ClaimwireError('INPUT_INVALID', `close: expected true or false, got ${got(close)}`);
  return { id, close };
}

function list(ledger: Redeemed, { url, response }: Call): void {
  const text = url.searchParams.get('limit') ?? String(LIMIT_DEFAULT);
  const limit = /^\d{1,4}$/.test(text) ? Number(text) : 0;
  if (limit < 1 || limit > LIMIT_MAX)
    throw new ClaimwireError('INPUT_INVALID', `limit: expected 1 to ${LIMIT_MAX}, got ${got(text)}`);
  sendJson(response, 200, ledger.redemptions(limit).map(recordJson));
}

function resultJson({ channelId, outcome, reason, paid, feeDrops, hash }: RedemptionResult): RedemptionResultJson {
  return { channelId: String(channelId), outcome, reason, paid: String(paid), feeDrops: String(feeDrops), hash };
}

function recordJson(record: RedemptionRecord): RedemptionJson {
  const { channelId, ledgerChannelId, state, reason, paid, feeDrops, close, hash, sequence, lastLedger } = record;
  const amounts = { channelId: String(channelId), paid: String(paid), feeDrops: String(feeDrops) };
  const times = { startedAt: isoTime(record.startedAt), endedAt: isoTime(record.endedAt) };
  return { ...amounts, ledgerChannelId, state, reason, close, hash, sequence, lastLedger, ...times };
}
