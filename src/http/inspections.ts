/**
 * GET /channels/{id}/trace and POST /profile: a look into the running node, for its operator alone. Main thread.
 */
import { got, parseDecimal } from '../channel/parse.ts';
import type { InspectControl, NodeProfile, TracedClaim } from '../control/inspect-control.ts';
import type { NodeControl } from '../control/node-control.ts';
import { ClaimwireError } from '../errors.ts';
import { flamePage } from '../inspect/flame-page.ts';
import { findChannel } from './channels.ts';
import type { Holds } from './holds.ts';
import { sendJson } from './message.ts';
import type { Call, Route } from './route.ts';

const TRACE_SECONDS_MAX = 300;
const PROFILE_SECONDS_MAX = 60;
const SECONDS_DEFAULT = '10';
/** Waiting for a reader that is slow; what comes beyond it is left out, and counted. */
const UNSENT_BYTES_MAX = 1 << 20;

interface Inspected {
  control: NodeControl;
  inspect: InspectControl;
  holds: Holds;
}

export function inspectionRoutes(inspected: Inspected): Route[] {
  const admin = { scope: 'admin', takesBody: false } as const;
  return [
    { method: 'GET', path: '/channels/{id}/trace', ...admin, answer: (call) => trace(call, inspected) },
    { method: 'POST', path: '/profile', ...admin, answer: (call) => profile(call, inspected) },
  ];
}

async function trace(call: Call, { control, inspect, holds }: Inspected): Promise<void> {
  const { response, url, id } = call;
  const seconds = secondsOf(url, TRACE_SECONDS_MAX, []);
  const { channelId } = findChannel(control, id);
  const hold = holds.begin(call);
  let untold = 0;
  const onClaims = (claims: readonly TracedClaim[]) => {
    begin(call);
    if (response.writableLength > UNSENT_BYTES_MAX) untold += claims.length;
    else response.write(claims.map((claim) => `event: claim\ndata: ${JSON.stringify(claim)}\n\n`).join(''));
  };
  try {
    const traced = inspect.trace(channelId, { seconds, signal: hold.signal, onClaims });
    begin(call);
    const summary = await traced;
    if (hold.end === 'gone') response.destroy();
    else {
      const all = { ...summary, untold: summary.untold + untold };
      response.end(`event: summary\ndata: ${JSON.stringify(all)}\n\n`);
    }
  } finally {
    hold.release();
  }
}

/** The head goes out at once, so that a reader knows that the trace runs; an error before it has its own status. */
function begin({ response }: Call): void {
  if (response.headersSent) return;
  response.writeHead(200, {
    'content-type': 'text/event-stream',
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
  });
  response.flushHeaders();
}

async function profile(call: Call, { inspect, holds }: Inspected): Promise<void> {
  const { response, url } = call;
  const seconds = secondsOf(url, PROFILE_SECONDS_MAX, ['format']);
  const format = url.searchParams.get('format') ?? 'json';
  if (format !== 'json' && format !== 'html')
    throw new ClaimwireError('INPUT_INVALID', `format: expected json or html, got ${got(format)}`);
  const hold = holds.begin(call);
  let made: NodeProfile;
  try {
    made = await inspect.profile(seconds, hold.signal);
  } finally {
    hold.release();
  }
  if (hold.end === 'gone') response.destroy();
  else if (format === 'json') sendJson(response, 200, made);
  else {
    const page = flamePage(made);
    response.writeHead(200, {
      'content-type': 'text/html; charset=utf-8',
      'content-length': Buffer.byteLength(page),
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
    });
    response.end(page);
  }
}

function secondsOf({ searchParams }: URL, most: number, others: readonly string[]): number {
  for (const name of searchParams.keys())
    if (name !== 'seconds' && !others.includes(name))
      throw new ClaimwireError(
        'INPUT_INVALID',
        `query: expected ${['seconds', ...others].join(' or ')}, got ${got(name)}`,
      );
  return Number(parseDecimal(searchParams.get('seconds') ?? SECONDS_DEFAULT, 1n, BigInt(most), 'seconds'));
}
