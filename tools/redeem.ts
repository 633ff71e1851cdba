/**
 * `claimwire redeem`: has a running node redeem best claims on the XRP Ledger, and waits for what became of each.
 *
 * Main thread of its own process. The node signs, submits and goes on, also where this program ends before.
 */
import { parseRow } from '../src/channel/parse.ts';
import { ClaimwireError } from '../src/errors.ts';
import { AdminClient } from '../src/http/client.ts';
import type { RedemptionJson, RedemptionResultJson } from '../src/http/redemptions.ts';
import { neverRedeemed } from '../src/ledger/redeem-rules.ts';
import { usage } from './args.ts';
import { defineCommand } from './command.ts';
import { adminAddress, NODE_OPTIONS } from './options.ts';
import { write, writeJson } from './output.ts';
import { Progress } from './progress.ts';
import { count } from './units.ts';

/** Requests at a time; the node has eight transactions under way at most. */
const REQUESTS = 8;

type Failed = { channelId: string; outcome: 'error'; reason: string; paid: '0'; feeDrops: '0'; hash: null };
type Result = RedemptionResultJson | Failed;

export const command = defineCommand({
  name: 'redeem',
  summary: 'redeems the best claims on the ledger',
  description:
    "has a node that runs with --ledger and --wallet redeem a channel's best claim, and waits until a validated ledger says what was paid.",
  operands: { name: 'ID|--all', count: 'any' },
  options: {
    all: { description: 'every channel with something to redeem' },
    close: {
      description:
        'close the channel as well: it takes no more claims, and what is left goes back to the payer at once',
    },
    list: { description: 'redeems nothing: lists what was redeemed, newest first' },
    limit: { value: 'N', description: 'with --list: at most so many', default: '20', read: count(1, 1_000) },
    ...NODE_OPTIONS,
  },
  examples: [
    ['claimwire redeem 6750926077978654334', 'a line with what was paid'],
    ['claimwire redeem --all', 'a line for each channel with something to redeem'],
    ['claimwire redeem --list', 'the last redemptions, and those under way'],
  ],
  notes: `With --json a line for each: {"channelId", "outcome": "paid"|"nothing"|"failed"|"error",
"reason", "paid": "DROPS", "feeDrops": "DROPS", "hash": HEX64|null}. What was paid is what the
validated metadata says. A redemption that has begun is brought to its end, also by the node's
next start. Without a node's wallet, claimwire settle makes the transactions.

Exit code: 0 nothing failed, 1 a redemption failed or the node did, 2 usage.`,
  act: async (values, operands) => {
    const admin = AdminClient.open({ ...adminAddress(values), forSignatures: true });
    if (values.list) return list(admin, values.limit, values.json);
    if (operands.length !== (values.all ? 0 : 1)) usage(`redeem: expected one ID or --all, got ${operands.length} IDs`);
    const { close, json } = values;
    const [id] = operands;
    // An error of a single one is the command's.
    if (id !== undefined) return print(await admin.redeem(id, close), json);
    return redeemAll(admin, close, json);
  },
});
export const { run } = command;

async function redeemAll(admin: AdminClient, close: boolean, json: boolean): Promise<number> {
  const ids: string[] = [];
  for await (const row of admin.channels()) {
    const isPaidOut = row.ledger !== undefined && row.ledger.exposure === '0';
    if (row.state !== 'removed' && neverRedeemed(parseRow(row)) === undefined && (close || !isPaidOut))
      ids.push(row.channelId);
  }
  const progress = new Progress({ linesEveryMs: 10_000 });
  let done = 0;
  let failed = 0;
  let next = 0;
  const work = async () => {
    for (let id = ids[next++]; id !== undefined; id = ids[next++]) {
      const result = await redeemOne(admin, id, close);
      // What is not worth a fee is no news.
      if (result.outcome !== 'nothing' || json) {
        progress.end();
        failed += await print(result, json);
      }
      progress.update(++done / ids.length, `${done} of ${ids.length} channels`);
    }
  };
  await Promise.all(Array.from({ length: REQUESTS }, work));
  progress.line(`${ids.length} channels with a claim; ${failed} failed`);
  return failed === 0 ? 0 : 1;
}

async function redeemOne(admin: AdminClient, id: string, close: boolean): Promise<Result> {
  try {
    return await admin.redeem(id, close);
  } catch (error) {
    if (!(error instanceof ClaimwireError) || error.code === 'NODE_UNREACHABLE') throw error;
    const reason = `${error.message} (${error.code})`;
    return { channelId: id, outcome: 'error', reason, paid: '0', feeDrops: '0', hash: null };
  }
}

/** Returns the exit code. */
async function print(result: Result, json: boolean): Promise<number> {
  const { channelId, outcome, reason, paid, feeDrops, hash } = result;
  if (json) writeJson(result);
  else {
    const sum = outcome === 'paid' ? `${paid} drops for a fee of ${feeDrops}, ` : '';
    await write(`${channelId} ${outcome}: ${sum}${reason}${hash === null ? '' : `, ${hash}`}\n`);
  }
  return outcome === 'failed' || outcome === 'error' ? 1 : 0;
}

async function list(admin: AdminClient, limit: number, json: boolean): Promise<number> {
  const rows = await admin.redemptions(limit);
  if (json) for (const row of rows) writeJson(row);
  else for (const row of rows) await write(`${line(row)}\n`);
  return 0;
}

function line({ startedAt, channelId, state, paid, feeDrops, reason, hash }: RedemptionJson): string {
  return `${startedAt} ${channelId} ${state} ${paid} drops, fee ${feeDrops}${reason === '' ? '' : `, ${reason}`}, ${hash}`;
}
