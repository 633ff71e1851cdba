/**
 * `claimwire settle`: the transactions that redeem a node's best claims on the XRP Ledger, unsigned.
 *
 * Main thread of its own process. Nothing is sent anywhere: the payee's wallet fills in the fee, signs and submits.
 */

import { DROPS_MAX } from '../protocol/layout.ts';
import { isoTime, parseRow } from '../src/channel/parse.ts';
import type { Channel } from '../src/channel/row.ts';
import { ClaimwireError } from '../src/errors.ts';
import { AdminClient } from '../src/http/client.ts';
import {
  notRedeemable,
  type PaymentChannelClaim,
  parseAddress,
  paymentChannelClaim,
  redeemAdvice,
  rippleTime,
} from '../src/ledger/xrpl.ts';
import { drops, usage } from './args.ts';
import { defineCommand } from './command.ts';
import { readExportedClaim } from './exported-claim.ts';
import { adminAddress, NODE_OPTIONS } from './options.ts';
import { write } from './output.ts';

interface Settlement {
  channelId: string;
  worthRedeeming: boolean;
  warnings: string[];
  expiresAt: string | null;
  /** The value of the channel's Expiration or CancelAfter on the ledger. */
  expiration: number | null;
  transaction: PaymentChannelClaim;
}

interface Terms {
  account: string;
  feeDrops: bigint;
  now: number;
}

export const command = defineCommand({
  name: 'settle',
  summary: 'makes the transactions that redeem the best claims, offline',
  description:
    "prints the unsigned PaymentChannelClaim transaction of a channel's best claim. The payee's wallet adds Fee, Sequence and LastLedgerSequence, signs and submits it.",
  operands: { name: 'ID|--all|--claim FILE', count: 'any' },
  options: {
    account: {
      value: 'rPAYEE',
      description: "the payee's classic address",
      required: "the payee's address",
      read: accountOf,
    },
    fee: {
      value: 'DROPS',
      description: 'what the transaction will cost',
      default: '10',
      read: (text, flag) => drops(text, flag, 0n, DROPS_MAX),
    },
    all: { description: 'every channel worth redeeming' },
    claim: { value: 'FILE', description: 'a best claim that the live page has exported; no node is asked' },
    'include-unprofitable': { description: 'with --all: also those not worth it (fee too high, or expired)' },
    ...NODE_OPTIONS,
  },
  examples: [
    ['claimwire settle --all --account rHb9CJAWyB4rj91VRWn96DkukG4bwdtyTh', 'what is worth redeeming, as an array'],
    ['claimwire settle --claim 7.json --account rHb9CJAWyB4rj91VRWn96DkukG4bwdtyTh', 'where there is no node'],
  ],
  notes: `With --json, for an ID one object, for --all an array of them, a line each:
  {"channelId", "worthRedeeming", "warnings": [text], "expiresAt": ISO|null,
   "expiration": seconds since 2000-01-01|null, "transaction": {…}}
A wallet takes "transaction" as it is; a machine checks "worthRedeeming" before, and treats
any warning as a reason to hurry or to ask a person. What was redeemed earlier is not known
here: if nothing was committed since, redeeming again pays nothing.
A node that runs with --ledger and --wallet does all of it by itself, knows what was
redeemed, and survives a loss of power on the way: claimwire redeem.
Channels of the link profile are no matter of the ledger and are left out, and so are
throw-away channels, which load makes: the ledger knows none of them.

Exit code: 0 fine, 1 nothing redeemable under that ID or the node failed, 2 usage.`,
  act: async (values, operands) => {
    const { claim } = values;
    if (claim !== undefined && values.all) usage('settle: expected --claim or --all, got both');
    if (operands.length !== (values.all || claim !== undefined ? 0 : 1))
      usage(`settle: expected one ID, --all or --claim FILE, got ${operands.length} IDs`);
    const terms: Terms = { account: values.account, feeDrops: values.fee, now: Math.floor(Date.now() / 1000) };
    if (claim !== undefined) return settleExported(claim, terms, values.json);
    const admin = AdminClient.open({ ...adminAddress(values), forSignatures: true });
    const [id] = operands;
    if (id !== undefined) return settleOne(admin, id, terms, values.json);
    return settleAll(admin, terms, values.json, values['include-unprofitable']);
  },
});
export const { run } = command;

function accountOf(text: string, flag: string): string {
  try {
    return parseAddress(text, flag);
  } catch (error) {
    return usage((error as Error).message);
  }
}

async function settleOne(admin: AdminClient, id: string, terms: Terms, json: boolean): Promise<number> {
  return settleChannel(id, parseRow(await admin.channel(id)), terms, json);
}

function settleExported(file: string, terms: Terms, json: boolean): number {
  const channel = readExportedClaim(file);
  process.stderr.write(`${file}: when the channel ends is not known from a file; a late claim pays nothing\n`);
  return settleChannel(String(channel.channelId), channel, terms, json);
}

function settleChannel(id: string, channel: Channel, terms: Terms, json: boolean): number {
  const reason = channel.throwAway ? THROW_AWAY : notRedeemable(channel);
  if (reason !== undefined)
    throw new ClaimwireError('INPUT_INVALID', `channel ${id}: expected a claim to redeem, got none: ${reason}`, { id });
  const settlement = settle(channel, terms);
  process.stdout.write(`${JSON.stringify(json ? settlement : settlement.transaction, undefined, json ? 0 : 2)}\n`);
  if (!json) for (const warning of settlement.warnings) process.stderr.write(`channel ${id}: ${warning}\n`);
  return 0;
}

const THROW_AWAY = 'it is a throw-away channel, made to try the node out, which the ledger does not know';

async function settleAll(admin: AdminClient, terms: Terms, json: boolean, all: boolean): Promise<number> {
  let printed = 0;
  const left = { empty: 0, link: 0, unprofitable: 0, throwAway: 0 };
  for await (const row of admin.channels()) {
    const channel = parseRow(row);
    if (channel.throwAway) left.throwAway++;
    else if (channel.profile !== 'xrpl') left.link++;
    else if (notRedeemable(channel) !== undefined) left.empty++;
    else {
      const settlement = settle(channel, terms);
      if (!settlement.worthRedeeming && !all) {
        left.unprofitable++;
        continue;
      }
      process.stdout.write(
        `${printed++ === 0 ? '[' : ','}\n${JSON.stringify(json ? settlement : settlement.transaction)}`,
      );
      if (!json)
        for (const warning of settlement.warnings)
          process.stderr.write(`channel ${settlement.channelId}: ${warning}\n`);
    }
  }
  await write(printed === 0 ? '[]\n' : '\n]\n');
  process.stderr.write(
    `${printed} transactions; left out: ${left.empty} without a claim, ${left.unprofitable} not worth redeeming, ${left.link} of the link profile, ${left.throwAway} throw-away\n`,
  );
  return 0;
}

function settle(channel: Channel, terms: Terms): Settlement {
  const { worthRedeeming, warnings } = redeemAdvice(channel, terms);
  const { channelId, expiresAt } = channel;
  return {
    channelId: channelId.toString(),
    worthRedeeming,
    warnings,
    expiresAt: isoTime(expiresAt),
    expiration: expiresAt === 0 ? null : rippleTime(expiresAt),
    transaction: paymentChannelClaim({ account: terms.account, channel }),
  };
}
