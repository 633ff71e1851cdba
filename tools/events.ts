/**
 * `claimwire events`: prints the committed amounts of a running node's channels as they grow.
 *
 * Main thread of its own process.
 */
import { setTimeout } from 'node:timers/promises';
import { AdminClient } from '../src/http/client.ts';
import { followEvents } from '../src/http/event-follower.ts';
import { defineCommand } from './command.ts';
import { adminAddress, NODE_OPTIONS } from './options.ts';
import { complain, write } from './output.ts';

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
    once: { description: 'ends with the connection, instead of connecting again' },
    ...NODE_OPTIONS,
  },
  examples: [
    ['claimwire events', 'a line for each change: the channel and its committed drops'],
    ['claimwire events --snapshot --json | jq .committed', 'all amounts, and every change from then on'],
  ],
  notes: `It needs a token of scope read, which "claimwire token create" makes, or the operator's. Amounts are cumulative: where
lines are read slower than claims come, some steps are left out, and the newest amount of each channel is printed.

When the node stops or cannot be reached for a while, it connects again, and prints the amounts that have changed meanwhile.
Among them may be some of channels that it had not printed, and that have not changed.

With --json {channelId, committed}, one object a line.

Exit code: 0 the node has stopped (with --once), 1 failed, 2 usage.`,
  act: async (values) => {
    const { channels = [], snapshot, once, json } = values;
    const admin = AdminClient.open(adminAddress(values));
    const changes = once
      ? admin.events({ channels, snapshot })
      : followEvents(
          { channels, snapshot },
          {
            events: (options) => admin.events(options),
            wait: (milliseconds) => setTimeout(milliseconds),
            onEnd: (reason, milliseconds) => complain(`${reason}; connecting again in ${milliseconds} ms`),
          },
        );
    for await (const change of changes)
      await write(json ? `${JSON.stringify(change)}\n` : `${change.channelId} ${change.committed}\n`);
    return 0;
  },
});
export const { run } = command;
