/**
 * `claimwire trace`: follows one channel's claims through a running node for a while.
 *
 * Main thread of its own process.
 */
import type { Quantiles, TracedClaim, TraceSummary } from '../src/control/inspect-control.ts';
import { AdminClient } from '../src/http/client.ts';
import { defineCommand } from './command.ts';
import { nextSignal } from './node.ts';
import { adminAddress, NODE_OPTIONS } from './options.ts';
import { say, write, writeJson } from './output.ts';
import { timeText } from './top/figures.ts';
import { count } from './units.ts';

const SECONDS_MAX = 300;
/** A narrower terminal has no room for addresses. */
const WIDE_COLUMNS = 100;

export const command = defineCommand({
  name: 'trace',
  summary: "follows one channel's claims through the node",
  operands: { name: 'CHANNEL', count: 'one' },
  options: {
    seconds: { value: 'N', description: 'how long; Ctrl-C ends it before', default: '10', read: count(1, SECONDS_MAX) },
    ...NODE_OPTIONS,
  },
  examples: [
    ['claimwire trace 6743924028402237286', 'a line for each claim of the channel, for 10 seconds'],
    ['claimwire trace 7 --seconds 60 --json | jq -r .claim.doneUs', 'for a minute, as JSON'],
  ],
  notes: `The node looks at its rings from beside the claim path, some thousand times a second, so the times
are known to within two looks: RESOLUTION says how far apart these were. VERIFY is the time from the first
sight of a claim in its ring until its verdict was seen; a dash where it was judged before the first sight.
DONE is the time until it had left the ring: durable, or refused. Claims that are refused on receipt enter no
ring and are not seen; of slots that were used again between two looks the summary counts how many.

With --json {claim: …} a line, and {summary: …} the last; protocol/openapi.json describes both.

Exit code: 0 fine, 1 failed, 2 usage.`,
  act: async (values, [channel = '']) => {
    const admin = AdminClient.open(adminAddress(values));
    const ended = new AbortController();
    void nextSignal().then(() => ended.abort());
    let lines = 0;
    for await (const told of admin.trace(channel, { seconds: values.seconds, signal: ended.signal })) {
      if (values.json) writeJson(told);
      else if ('summary' in told) say(summaryText(told.summary));
      else await write(`${lines++ === 0 ? HEAD : ''}${claimLine(told.claim)}`);
    }
    return 0;
  },
});
export const { run } = command;

const row = (
  at: string,
  lane: string,
  amount: string,
  verify: string,
  done: string,
  resolution: string,
  more: string,
) =>
  `${at.padEnd(15)} ${lane.padStart(4)} ${amount.padStart(14)} ${verify.padStart(8)} ${done.padStart(8)} ${resolution.padStart(10)}  ${more}\n`;
const HEAD = row('SEEN (UTC)', 'LANE', 'AMOUNT', 'VERIFY', 'DONE', 'RESOLUTION', 'OUTCOME');

const usText = (microseconds: number) => timeText(microseconds / 1_000);

function claimLine({ at, lane, amount, verifyUs, doneUs, resolutionUs, outcome, from }: TracedClaim): string {
  const whole = Math.floor(at);
  const fraction = String(Math.floor((at - whole) * 1_000)).padStart(3, '0');
  const time = `${new Date(whole).toISOString().slice(11, 23)}${fraction}`;
  const verify = verifyUs === null ? '-' : usText(verifyUs);
  // A text of the node must not steer the terminal.
  const isWide = (process.stdout.columns ?? WIDE_COLUMNS) >= WIDE_COLUMNS;
  const more = (isWide ? `${outcome} ${from}` : outcome).replace(/\p{Cc}/gu, '');
  return row(time, String(lane), amount, verify, usText(doneUs), usText(resolutionUs), more);
}

function summaryText({
  seconds,
  claims,
  untold,
  slots,
  missedSlots,
  looks,
  resolutionUs,
  verifyUs,
  doneUs,
}: TraceSummary) {
  const figures = ({ p50, p99, max }: Quantiles) => `p50 ${usText(p50)}, p99 ${usText(p99)}, max ${usText(max)}`;
  const all = slots + missedSlots;
  const missed = all === 0 ? '' : ` (${((missedSlots / all) * 100).toFixed(missedSlots === 0 ? 0 : 2)} %)`;
  return `
claims      ${claims} in ${seconds.toFixed(1)} s${untold > 0 ? `, ${untold} of them without a line` : ''}
verify      ${verifyUs.count === 0 ? 'not seen apart from the first sight' : figures(verifyUs)}
done        ${figures(doneUs)}
looks       ${looks}, a look every ${figures(resolutionUs)}
missed      ${missedSlots} of ${all} slots of the rings${missed}
`;
}
