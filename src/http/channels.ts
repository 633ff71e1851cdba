/**
 * The /channels endpoints: open, list, show, change, close. Main thread; see admin.ts for what is checked before.
 */
import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { setImmediate } from 'node:timers/promises';
import { LEDGER_CHANNEL_ID_BYTES, U64_MAX } from '../../protocol/layout.ts';
import type { LineParser } from '../channel/import-pool.ts';
import {
  channelJson,
  defaultChannelId,
  got,
  KeyCheck,
  parseChange,
  parseDecimal,
  parseHex,
  parseOpening,
  upperHex,
} from '../channel/parse.ts';
import type { Channel } from '../channel/row.ts';
import type { ChannelOpening, NodeControl } from '../control.ts';
import { ClaimwireError, type ErrorCode } from '../errors.ts';
import { addRefused, addResult, emptyResult, openLines } from './bulk.ts';
import { HttpRefusal, mediaType, partsOf, readJson, sendJson } from './message.ts';

const LIMIT_DEFAULT = 100;
const LIMIT_MAX = 10_000;
/** Rows made into text before the event loop has its turn: about 2 ms. */
const PAGE_ROWS = 500;
const NEXT_FROM_HEADER = 'x-next-from';

const keys = new KeyCheck();

/** POST /channels: one opening, an array of them, or NDJSON of any length. */
export async function openChannels(
  control: NodeControl,
  parser: LineParser,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  expectReady(control);
  if (mediaType(request) === 'application/x-ndjson') {
    await openBulk(control, parser, request, response);
    return;
  }
  const body = await readJson(request);
  if (Array.isArray(body)) await openMany(control, body, response);
  else await openOne(control, body, response);
}

async function openBulk(
  control: NodeControl,
  parser: LineParser,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const total = emptyResult();
  try {
    await openLines(partsOf(request), control, parser, total);
  } catch (error) {
    // What was opened stays opened: the answer says how far it went.
    if (error instanceof ClaimwireError)
      throw new ClaimwireError(error.code, error.message, { ...error.details, ...total }, { cause: error });
    if (request.errored !== null) return;
    throw error;
  }
  sendJson(response, 200, total);
}

async function openMany(control: NodeControl, items: unknown[], response: ServerResponse): Promise<void> {
  const total = emptyResult();
  const openings: ChannelOpening[] = [];
  const lines: number[] = [];
  for (const [index, item] of items.entries()) {
    try {
      openings.push(parseOpening(item, keys));
      lines.push(index + 1);
    } catch (error) {
      if (!(error instanceof ClaimwireError)) throw error;
      addRefused(total, index + 1, error.code, error.message);
    }
  }
  if (openings.length > 0) addResult(total, await control.openChannels(openings), (index) => lines[index]!);
  total.refused.sort((a, b) => a.line - b.line);
  sendJson(response, 200, total);
}

/** 201 with the row when it was opened, 200 with it when it was there already. */
async function openOne(control: NodeControl, body: unknown, response: ServerResponse): Promise<void> {
  const opening = parseOpening(body, keys);
  const { opened, refused } = await control.openChannels([opening]);
  const [refusal] = refused;
  if (refusal !== undefined) throw new ClaimwireError(refusal.code as ErrorCode, refusal.message);
  const channel = control.channel(opening.channelId);
  if (channel === undefined) throw new Error(`channel ${opening.channelId}: expected it after opening it, got none`);
  sendJson(response, opened === 1 ? 201 : 200, channelJson(channel));
}

/**
 * GET /channels: a JSON array of `limit` rows from position `from`, of one `state` if asked for; the header x-next-from
 * says where the next page begins, and is absent on the last. With Accept: application/x-ndjson, all rows, one a line.
 */
export async function listChannels(
  control: NodeControl,
  request: IncomingMessage,
  response: ServerResponse,
  url: URL,
): Promise<void> {
  const query = listQuery(url);
  if ((request.headers.accept ?? '').includes('application/x-ndjson')) {
    await streamChannels(control, response, query);
    return;
  }
  const rows: Channel[] = [];
  let position = query.from;
  let more = true;
  while (more && rows.length < query.limit) {
    const page = control.channels(position, Math.min(PAGE_ROWS, query.limit - rows.length));
    position += page.length;
    more = page.length > 0;
    for (const channel of page) if (query.state === null || channel.state === query.state) rows.push(channel);
    if (more) await setImmediate();
  }
  const last = !more || control.channels(position, 1).length === 0;
  sendJson(response, 200, rows.map(channelJson), last ? {} : { [NEXT_FROM_HEADER]: String(position) });
}

async function streamChannels(
  control: NodeControl,
  response: ServerResponse,
  query: { from: number; state: string | null },
): Promise<void> {
  response.writeHead(200, { 'content-type': 'application/x-ndjson', 'cache-control': 'no-store' });
  const closed = new AbortController();
  response.once('close', () => closed.abort());
  for (let position = query.from; ; ) {
    const page = control.channels(position, PAGE_ROWS);
    if (page.length === 0 || response.destroyed) break;
    position += page.length;
    let text = '';
    for (const channel of page)
      if (query.state === null || channel.state === query.state) text += `${JSON.stringify(channelJson(channel))}\n`;
    if (!response.write(text) && !(await drained(response, closed.signal))) return;
    await setImmediate();
  }
  response.end();
}

/** False when the reader went away instead. */
async function drained(response: ServerResponse, signal: AbortSignal): Promise<boolean> {
  try {
    await once(response, 'drain', { signal });
    return true;
  } catch {
    return false;
  }
}

function listQuery(url: URL): { from: number; limit: number; state: string | null } {
  for (const name of url.searchParams.keys())
    if (name !== 'from' && name !== 'limit' && name !== 'state')
      throw new ClaimwireError('INPUT_INVALID', `query: expected from, limit or state, got ${got(name)}`);
  const state = url.searchParams.get('state');
  if (state !== null && state !== 'open' && state !== 'closed')
    throw new ClaimwireError('INPUT_INVALID', `state: expected open or closed, got ${got(state)}`);
  const number = (name: string, byDefault: number, minimum: bigint, maximum: bigint) => {
    const text = url.searchParams.get(name);
    return text === null ? byDefault : Number(parseDecimal(text, minimum, maximum, name));
  };
  return {
    from: number('from', 0, 0n, BigInt(2 ** 32)),
    limit: number('limit', LIMIT_DEFAULT, 1n, BigInt(LIMIT_MAX)),
    state,
  };
}

export function showChannel(control: NodeControl, id: string, response: ServerResponse): void {
  sendJson(response, 200, channelJson(findChannel(control, id)));
}

/** PATCH /channels/ID: `{capacity?, expiresAt?}`. Answers with the row as it is then. */
export async function changeChannel(
  control: NodeControl,
  id: string,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  expectReady(control);
  const body = await readJson(request);
  const { channelId, profile } = findChannel(control, id);
  sendJson(response, 200, channelJson(await control.updateChannel(channelId, parseChange(body, profile))));
}

export async function closeChannel(control: NodeControl, id: string, response: ServerResponse): Promise<void> {
  expectReady(control);
  const { channelId } = findChannel(control, id);
  sendJson(response, 200, channelJson(await control.closeChannel(channelId)));
}

/** By handle (u64, decimal) or by ledger channel id (64 hex digits), the latter only for channels with the default handle. */
function findChannel(control: NodeControl, id: string): Channel {
  const ledgerId = id.length === LEDGER_CHANNEL_ID_BYTES * 2 ? parseHex(id, LEDGER_CHANNEL_ID_BYTES, 'ID') : undefined;
  if (ledgerId === undefined && !/^\d+$/.test(id))
    throw new HttpRefusal(400, `ID: expected a u64 in decimal or 64 hex digits, got ${got(id)}`);
  const channelId = ledgerId === undefined ? parseDecimal(id, 0n, U64_MAX, 'ID') : defaultChannelId(ledgerId);
  const channel = control.channel(channelId);
  if (channel !== undefined && (ledgerId === undefined || upperHex(channel.ledgerChannelId) === upperHex(ledgerId)))
    return channel;
  const hint = ledgerId === undefined ? '' : '; a channel opened under a handle of its own is found by that handle';
  throw new ClaimwireError('CHANNEL_UNKNOWN', `channel ${id}: expected an opened channel, got none${hint}`, {
    id,
  });
}

function expectReady(control: NodeControl): void {
  if (!control.ready)
    throw new ClaimwireError(
      'NODE_STOPPING',
      'node: expected it ready, got it starting, stopping or waiting for its disk; try again shortly',
    );
}
