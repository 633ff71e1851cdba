/**
 * `claimwire receipt …`: fetches what a node signs of a channel's committed amount, and checks such a receipt without a node.
 *
 * Main thread of its own process.
 */
import { writeFileSync } from 'node:fs';
import { LEDGER_CHANNEL_ID_BYTES, PUBLIC_KEY_BYTES, U64_MAX } from '../protocol/layout.ts';
import type { Receipt } from '../protocol/receipt.ts';
import { generateKey } from '../src/client/keys/key-file.ts';
import { Payer } from '../src/client/payer.ts';
import { verifyReceipt } from '../src/client/verify-receipt.ts';
import { ClaimwireError } from '../src/errors.ts';
import { AdminClient } from '../src/http/client.ts';
import { drops, hex, readFile, usage } from './args.ts';
import { type CommandGroup, defineCommand, defineGroup } from './command.ts';
import { adminAddress, NODE_OPTIONS } from './options.ts';
import { complain, fieldLines, writeJson } from './output.ts';

const anyU64 = (text: string, flag: string) => drops(text, flag, 0n, U64_MAX);

const KEY_OPTION = {
  value: 'HEX66',
  description: "the node's receipt key, as its operator told it; without it any key's signature will do",
  read: (text: string, flag: string) => hex(text, PUBLIC_KEY_BYTES, flag),
} as const;

const getting = defineCommand({
  name: 'receipt get',
  summary: 'fetches a receipt and checks it',
  description:
    'asks a node for a receipt: signed, that so many drops of a channel are durable there. It is checked and printed as JSON.',
  operands: { name: 'ID', count: 'one' },
  options: {
    amount: {
      value: 'DROPS',
      description: 'how many in all, cumulative: what was acknowledged',
      defaultText: 'what is committed, which --http tells; --to needs it',
      read: anyU64,
    },
    key: KEY_OPTION,
    to: {
      value: 'tcp://H:P',
      description:
        'asks as a payer does, without a token: tcp://H:P, tls://H:P, or udp://H:P, which asks over TCP; ID is then the 64 digits of the ledger',
      defaultText: 'the admin interface, --http',
    },
    channel: {
      value: 'U64',
      description: 'with --to: its handle; without it, the first 8 bytes of the ledger id',
      read: anyU64,
    },
    'tls-ca': { value: 'FILE', description: "with tls://: PEM certificates to trust instead of the system's" },
    out: { value: 'FILE', description: 'writes it to a new file and prints nothing' },
    ...NODE_OPTIONS,
  },
  examples: [
    ['claimwire receipt get 6750926077978654334 --out receipt.json', 'of what is committed, from a node of your own'],
    [
      `claimwire receipt get 5DB0…BDB3 --amount 500 --to tls://node.example:9393 --key 02A1…9F`,
      'as a payer, who was told 500',
    ],
  ],
  notes: `ID is a channel's handle or its ledger id, and "get" may be left out. The node needs
--receipt-key. It makes a receipt within a fifth of a second, or says RECEIPT_NOT_YET: so
much is not durable there.

Exit code: 0 a sound receipt, 1 none, 2 usage.`,
  act: async (values, [id = '']) => {
    const { amount, key, to, out } = values;
    const receipt = to === undefined ? await fromAdmin(id, values) : await asPayer(id, { ...values, to });
    await verifyReceipt(receipt, { key, amount });
    if (key === undefined) complain('claimwire: any key will do: --key HEX66 says which is the node’s');
    if (out === undefined) writeJson(receipt);
    else keep(out, receipt);
    return 0;
  },
});

const verifying = defineCommand({
  name: 'receipt verify',
  summary: 'checks a receipt, without a node',
  operands: { name: 'FILE', count: 'one' },
  options: { key: KEY_OPTION },
  examples: [['claimwire receipt verify receipt.json --key 02A1…9F', 'says what the node has signed, and when']],
  notes: `With --json {valid, channel, amount, time, key}, or the error. Without --key it shows only that
the holder of the key in the receipt has signed it.

Exit code: 0 it is valid, 1 it is not, 2 usage.`,
  act: async ({ key, json }, [file = '']) => {
    const { ledgerChannelId, amount, time, publicKey } = await verifyReceipt(parse(readFile(file, 'receipt')), { key });
    const shown = { valid: true, channel: ledgerChannelId, amount, time: new Date(time).toISOString(), key: publicKey };
    if (json) writeJson(shown);
    else process.stdout.write(fieldLines(shown));
    if (key === undefined) complain('claimwire: any key will do: --key HEX66 says which is the node’s');
    return 0;
  },
});

const group = defineGroup({
  name: 'receipt',
  summary: 'fetches what a node signs of a committed amount, and checks it',
  commands: [getting, verifying],
  notes: '"claimwire receipt ID" is "claimwire receipt get ID".\n\nExit code: 0 fine, 1 failed, 2 usage.',
});
export const command: CommandGroup = {
  ...group,
  run: (args) => (/^[0-9a-f]+$/i.test(args[0] ?? '') ? getting.run(args) : group.run(args)),
};
export const { run } = command;

async function fromAdmin(
  id: string,
  values: Parameters<typeof adminAddress>[0] & { amount: bigint | undefined },
): Promise<Receipt> {
  return await AdminClient.open(adminAddress(values)).receipt(id, values.amount);
}

/** Over the way that claims go, where nobody needs a token. The payer's key signs nothing. */
async function asPayer(
  id: string,
  values: {
    to: string;
    amount: bigint | undefined;
    key: string | undefined;
    channel: bigint | undefined;
    'tls-ca': string | undefined;
  },
): Promise<Receipt> {
  const { to, amount, key, channel: channelId, 'tls-ca': tlsCa } = values;
  if (amount === undefined) usage('--amount: expected drops, as --to is there, got nothing');
  const ledgerChannelId = hex(id, LEDGER_CHANNEL_ID_BYTES, 'ID');
  const payer = await Payer.open({ to, ...(tlsCa !== undefined && { tls: { ca: readFile(tlsCa, '--tls-ca') } }) });
  try {
    const own = { ledgerChannelId, key: generateKey(), ...(channelId !== undefined && { channelId }) };
    return await payer.channel(own).receipt({ amount, key });
  } finally {
    await payer.close();
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new ClaimwireError(
      'RECEIPT_INVALID',
      'receipt: expected JSON as "receipt get" prints it, got something else',
    );
  }
}

function keep(path: string, receipt: Receipt): void {
  try {
    writeFileSync(path, `${JSON.stringify(receipt)}\n`, { flag: 'wx' });
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    throw new ClaimwireError('INPUT_INVALID', `--out ${path}: expected to write a new file, got ${code ?? message}`);
  }
}
