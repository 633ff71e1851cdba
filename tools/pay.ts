/**
 * `claimwire pay`: signs one claim, sends it until it is acknowledged, and prints the ack. It says "paid" only when this claim
 * paid, and says so when the node had the amount already.
 *
 * Main thread of its own process.
 */
import { CLAIM_SIGNATURE, type ProfileName, SIGNATURE_BYTES, U64_MAX } from '../protocol/layout.ts';
import type { ChannelJson } from '../src/channel/parse.ts';
import type { PaymentChannel } from '../src/client/channel.ts';
import { Payer } from '../src/client/payer.ts';
import { ClaimwireError } from '../src/errors.ts';
import { AdminClient } from '../src/http/client.ts';
import { drops, hex, readFile, usage } from './args.ts';
import { defineCommand } from './command.ts';
import { quoted } from './doctor/check.ts';
import { adminAddress, NODE_OPTIONS, type Values } from './options.ts';
import { complain, fieldLines, writeJson } from './output.ts';
import { KEY_VALUE, openPayerKey, TOKEN_NOTE } from './payer-key.ts';
import { count, duration } from './units.ts';

const TIMEOUT_MS_MAX = 2 ** 31 - 1;
const SEQUENCE_MAX = 2 ** 32 - 1;
/** Searching more channels than these for a key's takes longer than writing its id. */
const ROWS_MAX = 100_000;

const anyU64 = (text: string, flag: string) => drops(text, flag, 0n, U64_MAX);

export const command = defineCommand({
  name: 'pay',
  summary: 'sends one signed claim and prints its ack',
  description: 'signs a claim, sends it until the node answers, and prints the ack.',
  options: {
    to: {
      value: 'udp://H:P',
      description:
        "the node's address; or tcp://H:P, tls://H:P, or auto://H:P: UDP, and TCP while UDP gets no answer; ws://, wss://, webrtc+http:// and webrtc+https:// reach its --web address; of a cluster several nodes, udp://H:P,H:P",
      default: 'udp://127.0.0.1:9393',
    },
    key: {
      value: KEY_VALUE,
      description: "the channel's key: a file (claimwire keygen --out FILE), or one in a hardware module",
      required: 'a key file',
    },
    amount: {
      value: 'DROPS',
      description: 'cumulative: all that is paid so far, not the increment',
      // Any u64 is sent: the node answers an amount of 0 or one that is too large.
      read: anyU64,
    },
    more: {
      value: 'DROPS',
      description: 'the increment: added to what the node holds, which it is asked',
      read: (text, flag) => drops(text, flag, 1n, U64_MAX),
    },
    'ledger-channel': {
      value: 'HEX64',
      description:
        "the channel's id on the ledger; without it, the key's only open channel, which --http and --token-file find at a node of one's own",
      read: (text, flag) => hex(text, 32, flag),
    },
    channel: { value: 'U64', description: 'its handle; without it, the first 8 bytes of the ledger id', read: anyU64 },
    profile: { value: 'NAME', description: 'what the signature covers', choices: ['xrpl', 'link'], default: 'xrpl' },
    state: {
      value: 'FILE',
      description: 'keeps amounts and sequences over calls, and holds off a second payer; made where there is none',
    },
    sequence: {
      value: 'N',
      description: 'of this claim',
      defaultText: '1; for link the Unix time; with --state the next one',
      read: count(0, SEQUENCE_MAX),
    },
    timeout: {
      value: 'MS',
      description: 'gives up after that long; 5s is fine too',
      default: '5000',
      read: duration('ms', 1, TIMEOUT_MS_MAX),
    },
    'tls-ca': {
      value: 'FILE',
      description:
        "PEM certificates to trust instead of the system's; for tls://, wss://, webrtc+https://, and for auto:// to a node whose TCP is TLS",
    },
    ...NODE_OPTIONS,
  },
  examples: [
    ['claimwire pay --key payer.json --more 25', 'pays 25 drops over the only open channel of that key'],
    [
      'claimwire pay --to auto://node.example:9393 --key payer.json --amount 500',
      'until 500 drops are paid in all, over TCP where UDP is blocked',
    ],
  ],
  notes: `${TOKEN_NOTE}

Exit code: 0 paid, 1 refused, no answer, or nothing paid since the node holds the amount
already (ALREADY): "status" says which; 2 usage.`,
  act: async (values) => {
    const { amount, more, sequence, state } = values;
    if (amount !== undefined && more !== undefined) usage('--amount: expected it or --more, got both');
    if (amount === undefined && more === undefined) usage('--amount: expected drops, got nothing');
    const { key, publicKey, close } = await openPayerKey(values.key);
    try {
      const found = await channelOf(values, publicKey);
      const sequenceDefault = state === undefined && found.profile === 'link' ? Math.floor(Date.now() / 1000) : 1;
      const payer = await openPayer(values);
      try {
        const lastSequence = ((sequence ?? sequenceDefault) - 1) >>> 0;
        return await pay(payer.channel({ ...found, key, lastSequence }), values);
      } finally {
        await payer.close();
      }
    } finally {
      close();
    }
  },
});
export const { run } = command;

interface Amounts {
  amount: bigint | undefined;
  more: bigint | undefined;
  json: boolean;
}

interface FoundChannel {
  ledgerChannelId: string;
  channelId?: bigint;
  profile: ProfileName;
}

/** The channel that was named, or the key's only open one at the node that --http names. */
async function channelOf(
  values: Values<typeof NODE_OPTIONS> & {
    'ledger-channel': string | undefined;
    channel: bigint | undefined;
    profile: ProfileName;
    key: string;
  },
  publicKey: string,
): Promise<FoundChannel> {
  const { 'ledger-channel': ledgerChannelId, channel: channelId, profile } = values;
  if (ledgerChannelId !== undefined) return { ledgerChannelId, profile, ...(channelId !== undefined && { channelId }) };
  const found: ChannelJson[] = [];
  let looked = 0;
  for await (const row of AdminClient.open(adminAddress(values)).channels('open')) {
    const isRight = channelId === undefined || row.channelId === String(channelId);
    if (row.publicKey === publicKey && isRight) found.push(row);
    if (found.length > 1 || ++looked >= ROWS_MAX) break;
  }
  const [row] = found;
  if (found.length === 1 && row !== undefined)
    return { ledgerChannelId: row.ledgerChannelId, channelId: BigInt(row.channelId), profile: row.profile };
  const got = found.length > 1 ? 'several' : `none among ${looked}`;
  const help =
    found.length > 1
      ? 'say which with --ledger-channel'
      : `open one with "claimwire channel open --key ${quoted(values.key)}", or name it with --ledger-channel`;
  throw new ClaimwireError(
    'INPUT_INVALID',
    `channel: expected one open channel of the key in ${values.key} at ${values.http}, got ${got}; ${help}`,
  );
}

/** Prints the ack, or how the claim failed: refused by the node or not answered. */
async function pay(channel: PaymentChannel, { amount, more, json }: Amounts): Promise<number> {
  try {
    if (amount !== undefined && (await isPaidAlready(channel, amount))) {
      print({ status: 'ALREADY', channelId: String(channel.channelId), amount: String(amount) }, json);
      const remedy = '--amount is cumulative: choose a higher one, or pay --more';
      complain(`claimwire: nothing was paid, the node holds ${amount} drops or more already; ${remedy}`);
      return 1;
    }
    const ack = await (amount === undefined ? channel.pay(more!) : channel.claim(amount));
    const fields = { ...ack, channelId: String(ack.channelId), amount: String(ack.amount) };
    print({ ...fields, signature: signatureOf(channel) }, json);
    return 0;
  } catch (error) {
    if (!(error instanceof ClaimwireError)) throw error;
    print({ status: error.code, ...error.details, signature: signatureOf(channel) }, json);
    complain(`claimwire: ${error.message}`);
    return 1;
  }
}

/** Whether the amount was durable before this claim. If the channel is refused here, the claim will report it. */
async function isPaidAlready(channel: PaymentChannel, amount: bigint): Promise<boolean> {
  if (amount === 0n) return false;
  return await channel.isDurable(amount).catch((error: unknown) => {
    if (error instanceof ClaimwireError && error.code === 'CLAIM_REFUSED') return false;
    throw error;
  });
}

async function openPayer(values: {
  to: string;
  'tls-ca': string | undefined;
  timeout: number;
  state: string | undefined;
}): Promise<Payer> {
  const { to, 'tls-ca': tlsCa, timeout, state } = values;
  const tls = tlsCa === undefined ? {} : { tls: { ca: readFile(tlsCa, '--tls-ca') } };
  try {
    return await Payer.open({ to, ackTimeoutMs: timeout, ...tls, ...(state !== undefined && { state }) });
  } catch (error) {
    if (error instanceof ClaimwireError && error.code === 'INPUT_INVALID') usage(`--${error.message}`);
    throw error;
  }
}

function signatureOf(channel: PaymentChannel): string | undefined {
  const claim = channel.lastClaim()?.subarray(CLAIM_SIGNATURE, CLAIM_SIGNATURE + SIGNATURE_BYTES);
  return claim && Buffer.from(claim).toString('hex').toUpperCase();
}

function print(fields: Record<string, unknown>, json: boolean): void {
  if (json) writeJson(fields);
  else process.stdout.write(fieldLines(readable(fields)));
}

/** An ack's fields as people read them: the time of the claim as a date, the round trip in tenths. */
function readable(fields: Record<string, unknown>): Record<string, unknown> {
  const { timestamp, rttMs, ...others } = fields;
  const shown = { ...others };
  if (typeof timestamp === 'number') shown.timestamp = new Date(timestamp).toISOString();
  if (typeof rttMs === 'number') shown.rttMs = rttMs.toFixed(1);
  return Object.fromEntries(Object.keys(fields).map((name) => [name, shown[name]]));
}
