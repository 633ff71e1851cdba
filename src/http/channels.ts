/**
 * The /channels endpoints: open, show, change, close, remove; listing.ts lists. Main thread. admin.ts checks the token,
 * the host and the method before.
 */
import type { ServerResponse } from 'node:http';
import { setImmediate } from 'node:timers/promises';
import { LEDGER_CHANNEL_ID_BYTES, U64_MAX } from '../../protocol/layout.ts';
import type { ChannelOpening } from '../channel/changes.ts';
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
import { expectReady, type NodeControl, openChannel } from '../control/node-control.ts';
import { ClaimwireError } from '../errors.ts';
import { REFUSED_MAX } from '../registry/import-lines.ts';
import type { LineParser } from '../registry/import-pool.ts';
import { addRefused, addResult, emptyResult, openLines, REFUSED_LISTED_MAX } from './bulk.ts';
import { type Ledger, rowJson } from './ledger.ts';
import { type Listings, seesSignature } from './listing.ts';
import { HttpRefusal, mediaType, partsOf, readJson, sendJson } from './message.ts';
import type { Call, Route } from './route.ts';

/** Openings checked before the event loop has its turn: each new key costs some 0.05 ms. */
const TURN_OPENINGS = 64;
/** Imports under way. Each has a few blocks and their rows in memory, 10 MB at most. */
const IMPORTS_MAX = 8;

const keys = new KeyCheck();
let imports = 0;

const READ = { scope: undefined, takesBody: false } as const;
const CHANGE = { scope: 'admin', takesBody: true } as const;

export function channelRoutes(
  control: NodeControl,
  ledger: Ledger | undefined,
  parser: LineParser,
  listings: Listings,
): Route[] {
  return [
    { method: 'GET', path: '/channels', ...READ, answer: (call) => listings.list(call) },
    {
      method: 'POST',
      path: '/channels',
      ...CHANGE,
      answer: ({ response }) => openChannels(control, ledger, parser, response),
    },
    {
      method: 'POST',
      path: '/channels/remove',
      ...CHANGE,
      answer: ({ response }) => removeChannels(control, response),
    },
    { method: 'GET', path: '/channels/{id}', ...READ, answer: (call) => showChannel(control, ledger, call) },
    { method: 'PATCH', path: '/channels/{id}', ...CHANGE, answer: (call) => changeChannel(control, call) },
    {
      method: 'DELETE',
      path: '/channels/{id}',
      ...CHANGE,
      takesBody: false,
      answer: (call) => closeChannel(control, call),
    },
  ];
}

/** POST /channels: one opening, an array of them, or NDJSON of any length; an id on the ledger alone is looked up there. */
async function openChannels(
  control: NodeControl,
  ledger: Ledger | undefined,
  parser: LineParser,
  response: ServerResponse,
): Promise<void> {
  expectReady(control);
  if (mediaType(response.req) === 'application/x-ndjson') return await openBulk(control, parser, response);
  const body = await readJson(response.req);
  if (Array.isArray(body)) await openMany(control, body, response);
  else if (isLedgerIdAlone(body)) await openFromLedger(control, ledger, body, response);
  else await openOne(control, body, response);
}

async function openBulk(control: NodeControl, parser: LineParser, response: ServerResponse): Promise<void> {
  const tooMany = `imports: expected at most ${IMPORTS_MAX} at a time, got one more; try later`;
  if (imports >= IMPORTS_MAX) throw new ClaimwireError('NODE_BUSY', tooMany);
  const total = emptyResult();
  imports++;
  try {
    await openLines(partsOf(response.req), control, parser, total);
  } catch (error) {
    // The channels opened so far stay open, so the error says how many they are.
    if (error instanceof ClaimwireError)
      throw new ClaimwireError(error.code, error.message, { ...error.details, ...total }, { cause: error });
    if (response.req.errored !== null) return;
    throw error;
  } finally {
    imports--;
  }
  sendJson(response, 200, total);
}

async function openMany(control: NodeControl, items: unknown[], response: ServerResponse): Promise<void> {
  const total = emptyResult();
  const openings: ChannelOpening[] = [];
  const lines: number[] = [];
  for (const [index, item] of items.entries()) {
    if (index % TURN_OPENINGS === TURN_OPENINGS - 1) await setImmediate();
    if (total.refusedCount >= REFUSED_MAX) {
      total.stoppedAt = index;
      break;
    }
    try {
      const opening = parseOpening(item, keys);
      control.expectHere?.(opening.channelId);
      openings.push(opening);
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

/** Answers with the row: 201 where the channel is new, 200 where it was open already. */
async function openOne(control: NodeControl, body: unknown, response: ServerResponse): Promise<void> {
  const opening = parseOpening(body, keys);
  const isNew = await openChannel(control, opening);
  const channel = control.channel(opening.channelId);
  if (channel === undefined) throw new Error(`channel ${opening.channelId}: expected it after opening it, got none`);
  sendJson(response, isNew ? 201 : 200, channelJson(channel, true, control.ruleSeconds));
}

function isLedgerIdAlone(body: unknown): body is { ledgerChannelId: unknown } {
  return typeof body === 'object' && body !== null && Object.keys(body).join() === 'ledgerChannelId';
}

/** Opens a channel with the terms that a validated ledger has. Answers with the row: 201 where it is new, else 200. */
async function openFromLedger(
  control: NodeControl,
  ledger: Ledger | undefined,
  body: { ledgerChannelId: unknown },
  response: ServerResponse,
): Promise<void> {
  const ledgerChannelId = parseHex(body.ledgerChannelId, LEDGER_CHANNEL_ID_BYTES, 'ledgerChannelId');
  if (ledger === undefined)
    throw new ClaimwireError(
      'INPUT_INVALID',
      'publicKey: expected it and the capacity, or a node started with --ledger that looks them up, got neither',
    );
  const isNew = control.channel(defaultChannelId(ledgerChannelId)) === undefined;
  const channel = await ledger.openFromLedger(ledgerChannelId);
  sendJson(response, isNew ? 201 : 200, rowJson(channel, true, ledger, control.ruleSeconds));
}

/** GET /channels/ID: the row, with its signature for holders of a token for it. */
function showChannel(control: NodeControl, ledger: Ledger | undefined, { id, access, response }: Call): void {
  const channel = findChannel(control, id);
  const withSignature = seesSignature(access, channel.channelId);
  sendJson(response, 200, rowJson(channel, withSignature, ledger, control.ruleSeconds));
}

/** PATCH /channels/ID: `{capacity?, expiresAt?}`. Answers with the changed row. */
async function changeChannel(control: NodeControl, { id, request, response }: Call): Promise<void> {
  expectReady(control);
  const body = await readJson(request);
  const { channelId, profile } = findChannel(control, id);
  const channel = await control.updateChannel(channelId, parseChange(body, profile));
  sendJson(response, 200, channelJson(channel, true, control.ruleSeconds));
}

async function closeChannel(control: NodeControl, { id, response }: Call): Promise<void> {
  expectReady(control);
  const { channelId } = findChannel(control, id);
  sendJson(response, 200, channelJson(await control.closeChannel(channelId)));
}

const REMOVALS_MAX = 10_000;

/** What POST /channels/remove answers. All refusals are counted, and at most REFUSED_LISTED_MAX are listed. */
export interface RemovalJson {
  removed: number;
  refusedCount: number;
  refused: { id: string; code: string; message: string }[];
}

/** POST /channels/remove: `{ids: [ID, …], force?}`, all in one commit. Answers with the refusals; the others are removed. */
async function removeChannels(control: NodeControl, response: ServerResponse): Promise<void> {
  expectReady(control);
  const { ids, force } = parseRemoval(await readJson(response.req));
  const refused: RemovalJson['refused'] = [];
  const found: string[] = [];
  const channelIds: bigint[] = [];
  for (const id of ids) {
    try {
      channelIds.push(findChannel(control, id).channelId);
      found.push(id);
    } catch (error) {
      if (!(error instanceof ClaimwireError)) throw error;
      refused.push({ id, code: error.code, message: error.message });
    }
  }
  const result = await control.removeChannels(channelIds, { force });
  for (const { index, code, message } of result.refused) refused.push({ id: found[index]!, code, message });
  const listed = refused.slice(0, REFUSED_LISTED_MAX);
  const answer: RemovalJson = { removed: result.removed, refusedCount: refused.length, refused: listed };
  sendJson(response, 200, answer);
}

function parseRemoval(body: unknown): { ids: string[]; force: boolean } {
  const fields = typeof body === 'object' && body !== null ? (body as Record<string, unknown>) : {};
  const { ids, force = false, ...others } = fields;
  const [stranger] = Object.keys(others);
  if (stranger !== undefined)
    throw new ClaimwireError('INPUT_INVALID', `removal: expected ids and force, got ${got(stranger)}`);
  if (typeof force !== 'boolean')
    throw new ClaimwireError('INPUT_INVALID', `force: expected true or false, got ${got(force)}`);
  const isList = Array.isArray(ids) && ids.length > 0 && ids.length <= REMOVALS_MAX;
  if (!isList || !ids.every((id) => typeof id === 'string'))
    throw new ClaimwireError('INPUT_INVALID', `ids: expected 1 to ${REMOVALS_MAX} IDs as strings, got ${got(ids)}`);
  return { ids, force };
}

/** Finds a channel by its handle (decimal u64), or by its ledger channel id (64 hex digits) if it has the default handle. */
export function findChannel(control: NodeControl, id: string): Channel {
  const ledgerId = id.length === LEDGER_CHANNEL_ID_BYTES * 2 ? parseHex(id, LEDGER_CHANNEL_ID_BYTES, 'ID') : undefined;
  if (ledgerId === undefined && !/^\d+$/.test(id))
    throw new HttpRefusal(400, `ID: expected a u64 in decimal or 64 hex digits, got ${got(id)}`);
  const channelId = ledgerId === undefined ? parseDecimal(id, 0n, U64_MAX, 'ID') : defaultChannelId(ledgerId);
  control.expectHere?.(channelId);
  const channel = control.channel(channelId);
  if (channel !== undefined && (ledgerId === undefined || upperHex(channel.ledgerChannelId) === upperHex(ledgerId)))
    return channel;
  const hint = ledgerId === undefined ? '' : '; a channel opened under a handle of its own is found by that handle';
  throw new ClaimwireError('CHANNEL_UNKNOWN', `channel ${id}: expected an opened channel, got none${hint}`, { id });
}
