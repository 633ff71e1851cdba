/**
 * `claimwire top`: a running node, live in the terminal, from GET /feed; a line a second where stdout is no terminal.
 *
 * Main thread of its own process.
 */
import { AdminClient } from '../src/http/client.ts';
import type { Sample } from '../src/metrics/sample.ts';
import { defineCommand } from './command.ts';
import { adminAddress, NODE_OPTIONS } from './options.ts';
import { complain, write } from './output.ts';
import { rateText, timeText } from './top/figures.ts';
import { runLive } from './top/live.ts';
import { follow } from './top/samples.ts';
import { openTerminal } from './top/terminal.ts';

export const command = defineCommand({
  name: 'top',
  summary: 'shows a running node, live in the terminal',
  description: 'shows rates, latency, where the time goes, rings, refusals and channels of a running node.',
  options: NODE_OPTIONS,
  examples: [
    ['claimwire top', 'the node of this machine'],
    ['claimwire top --http 127.0.0.1:9394 | tee top.log', 'a line a second, for a log'],
    ['claimwire top --json | jq .ack.p99', 'a JSON object a second'],
  ],
  notes: `Keys: q leaves, p pauses, s sorts the channels another way, ? explains the words. It needs no
token. A node that goes away is waited for. With NO_COLOR it has no colours.

With --json a sample a line, as GET /feed sends it (protocol/openapi.json).

Exit code: 0 left by a key or a signal, 1 no node there, 2 usage.`,
  act: async (values) => {
    const address = adminAddress(values);
    const admin = AdminClient.open(address);
    if (values.json || !process.stdout.isTTY || process.env.TERM === 'dumb') return runLines(admin, values.json);
    const { http } = address;
    const inColour = !process.env.NO_COLOR;
    return runLive({ admin, http, inColour, open: openTerminal });
  },
});
export const { run } = command;

/** Until nobody reads any more, or a signal ends the process. */
async function runLines(admin: AdminClient, inJson: boolean): Promise<number> {
  const { signal } = new AbortController();
  for await (const look of follow(admin, { history: 0, signal })) {
    if ('lost' in look) complain(`claimwire top: lost the node: ${look.lost}; trying again`);
    else await write(inJson ? `${JSON.stringify(look.sample)}\n` : sampleLine(look.sample));
  }
  return 0;
}

/** A line with what matters most, its fields at fixed places. */
export function sampleLine({ at, rates, ack, sync, ring, ready }: Sample): string {
  const time = new Date(at).toISOString().slice(0, 19);
  const fields = [
    `received ${rateText(rates.received).padEnd(8)}`,
    `committed ${rateText(rates.committed).padEnd(8)}`,
    `refused ${rateText(rates.refused).padEnd(7)}`,
    `dropped ${rateText(rates.dropped).padEnd(7)}`,
    `ack p50 ${timeText(ack.p50).padEnd(8)} p99 ${timeText(ack.p99).padEnd(8)}`,
    `sync p99 ${timeText(sync.p99).padEnd(8)}`,
    `ring ${ring.depth}/${ring.slots}`,
  ];
  return `${time}Z ${fields.join(' ')}${ready ? '' : ' NOT READY'}\n`;
}
