/**
 * `claimwire events`: prints the committed amounts of a running node's channels as they grow.
 *
 * Main thread of its own process.
 */
import { AdminClient } from '../src/http/client.ts';
import { defineCommand } from './command.ts';
import { adminAddress, NODE_OPTIONS } from './options.ts';
import { write } from './output.ts';

export const command = defineCommand({
  name: 'events',
  summary: 'prints committed amounts as they grow',
  options: {
    channels: {
      value: 'ID,…',
      description: 'only these, at most 256',
      read: (text: string) => text.split(','),
    },
    snapshot: { description: 'prints the present amounts first' },
    ...NODE_OPTIONS,
  },
  examples: [
    ['claimwire events', 'a line for each change: the channel and its committed drops'],
    ['claimwire events --snapshot --json | jq .committed', 'all amounts, and every change from then on'],
  ],
  notes: `It needs a token of scope read, which "claimwire token create" makes, or the operator's. Amounts are cumulative: where
lines are read slower than claims come, some steps are left out, and the newest amount of each channel is printed.

With --json {channelId, committed}, one object a line.

Exit code: 0 the node has stopped, 1 failed, 2 usage.`,
  act: async (values) => {
    const { channels = [], snapshot, json } = values;
    const admin = AdminClient.open(adminAddress(values));
    for await (const change of admin.events({ channels, snapshot }))
      await write(json ? `${JSON.stringify(change)}\n` : `${change.channelId} ${change.committed}\n`);
    return 0;
  },
});
export const { run } = command;
