/**
 * `claimwire charge`: charges drops on a channel of a running node, or refunds them.
 *
 * Main thread of its own process.
 */
import { U64_MAX } from '../protocol/layout.ts';
import { AdminClient } from '../src/http/client.ts';
import { drops, usage } from './args.ts';
import { defineCommand } from './command.ts';
import { adminAddress, NODE_OPTIONS } from './options.ts';
import { writeJson } from './output.ts';
import { duration } from './units.ts';

const WAIT_SECONDS_MAX = 60;

export const command = defineCommand({
  name: 'charge',
  summary: 'charges drops on a channel, against what is committed',
  operands: { name: 'ID DROPS', count: 'any' },
  options: {
    key: { value: 'KEY', description: 'makes the charge once, however often it is asked for: 1 to 64 characters' },
    wait: {
      value: 'TIME',
      description: 'waits so long for claims that cover it; without it the answer comes at once',
      read: duration('s', 0.001, WAIT_SECONDS_MAX),
    },
    refund: { description: 'gives DROPS back, of what was charged' },
    ...NODE_OPTIONS,
  },
  examples: [
    ['claimwire charge 6750926077978654334 250 --key order-17', 'charges 250 drops, once'],
    ['claimwire charge 6750926077978654334 250 --wait 30s', 'as soon as the payer has sent a claim for them'],
    ['claimwire charge 6750926077978654334 250 --refund', 'gives them back'],
  ],
  notes: `ID is a channel's u64 handle, or its 64-hex ledger id where the handle was not chosen. It needs a token of scope charge,
which "claimwire token create" makes, or the operator's.

With --json {channelId, drops, spent, committed, repeated}: drops are this charge's, spent is charged in all, and
repeated tells that a charge with this key had been made before.

Exit code: 0 charged, 1 refused: PAYMENT_REQUIRED where claims do not cover it, 2 usage.`,
  act: async (values, [id, text, ...others]) => {
    if (id === undefined || text === undefined || others.length > 0)
      return usage(`charge: expected ID and DROPS, got ${[id, text, ...others].filter(Boolean).length} operands`);
    const amount = drops(text, 'DROPS', 1n, U64_MAX);
    const options: { key?: string; wait?: string } = {};
    if (values.key !== undefined) options.key = values.key;
    if (values.wait !== undefined) options.wait = `${Math.ceil(values.wait)}ms`;
    const admin = AdminClient.open(adminAddress(values));
    const made = await admin.charge(id, values.refund ? -amount : amount, options);
    if (values.json) writeJson(made);
    else
      process.stdout.write(
        `${made.repeated ? 'charged before' : 'charged'} ${made.drops}, spent ${made.spent} of ${made.committed} drops\n`,
      );
    return 0;
  },
});
export const { run } = command;
