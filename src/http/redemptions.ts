/** POST and GET /redemptions: redeems a claim on the ledger and waits for it, and lists what was redeemed. Main thread. */
import type { ServerResponse } from 'node:http';
import { got, isoTime } from '../channel/parse.ts';
import type { LedgerControl, RedemptionRecord, RedemptionResult } from '../control/ledger-control.ts';
import { expectReady, type NodeControl } from '../control/node-control.ts';
import { ClaimwireError } from '../errors.ts';
import { findChannel } from './channels.ts';
import { errorJson, readJson, sendJson } from './message.ts';
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

/** Requests that wait: each keeps a connection. */
const WAITING_MAX = 64;
/** A redemption takes seconds, or as long as the ledger is away. Meanwhile white space tells the client that it goes on. */
const SIGN_OF_LIFE_MS = 10_000;
const LIMIT_DEFAULT = 100;
const LIMIT_MAX = 1_000;

export function redemptionRoutes(
  control: NodeControl,
  ledger: LedgerControl,
  signOfLifeMs: number = SIGN_OF_LIFE_MS,
): Route[] {
  let waiting = 0;
  const post = async ({ response }: Call) => {
    if (waiting >= WAITING_MAX)
      throw new ClaimwireError('NODE_BUSY', `redemptions: expected at most ${WAITING_MAX} at a time, got one more`);
    waiting++;
    try {
      await redeem(control, ledger, response, signOfLifeMs);
    } finally {
      waiting--;
    }
  };
  return [
    { method: 'POST', path: '/redemptions', scope: 'admin', takesBody: true, answer: post },
    { method: 'GET', path: '/redemptions', scope: 'admin', takesBody: false, answer: (call) => list(ledger, call) },
  ];
}

/** `{id, close?}`. The redemption goes on where its client leaves. */
async function redeem(control: NodeControl, ledger: LedgerControl, response: ServerResponse, signOfLifeMs: number) {
  expectReady(control);
  const { id, close } = parseBody(await readJson(response.req));
  const { channelId } = findChannel(control, id);
  const left = new AbortController();
  const leave = () => left.abort(new Error('the client has left'));
  response.once('close', leave);
  const timer = setInterval(() => {
    if (!response.headersSent)
      response.writeHead(200, { 'content-type': 'application/json', 'cache-control': 'no-store' });
    response.write('\n');
  }, signOfLifeMs);
  try {
    const result = resultJson(await ledger.redeem(channelId, { close, signal: left.signal }));
    if (response.headersSent) response.end(`${JSON.stringify(result)}\n`);
    else sendJson(response, 200, result);
  } catch (error) {
    if (left.signal.aborted) return;
    // The status is sent already, so the body alone says what went wrong.
    if (!response.headersSent) throw error;
    response.end(`${JSON.stringify(errorJson(error))}\n`);
  } finally {
    clearInterval(timer);
    response.off('close', leave);
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

function list(ledger: LedgerControl, { url, response }: Call): void {
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
