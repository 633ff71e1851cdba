/**
 * `claimwire pay`: signs one claim, sends it until it is acknowledged, prints the ack. Says paid only where this claim
 * paid: a node that holds the amount already is told apart.
 *
 * Main thread of its own process.
 */
import { CLAIM_SIGNATURE, type ProfileName, SIGNATURE_BYTES, U64_MAX } from '../protocol/layout.ts';
import type { PaymentChannel } from '../src/client/channel.ts';
import { loadKeyFile } from '../src/client/keys/key-file.ts';
import { Payer } from '../src/client/payer.ts';
import { ClaimwireError } from '../src/errors.ts';
import { COMMON_FLAGS, drops, hex, readArgs, readFile, required, usage, wholeNumber } from './args.ts';

const HELP = `Usage: claimwire pay --to udp://H:P --key FILE --ledger-channel HEX64
                     (--amount DROPS | --more DROPS) [--state FILE]
                     [--channel U64] [--profile xrpl|link] [--sequence N]
                     [--tls-ca FILE] [--timeout MS] [--json]

Signs a claim, sends it until the node answers, and prints the ack.

  --to udp://H:P          the node's address; or tcp://H:P, tls://H:P, or auto://H:P:
                          UDP, and TCP while UDP gets no answer
  --tls-ca FILE           PEM certificates to trust instead of the system's; for tls://,
                          and for auto:// to a node whose TCP is TLS
  --key FILE              the channel's key file (claimwire keygen --out FILE)
  --ledger-channel HEX64  the channel's id on the ledger
  --amount DROPS          cumulative: all that is paid so far, not the increment
  --more DROPS            the increment: added to what the node holds, which it is asked
  --state FILE            keeps amounts and sequences over calls, and holds off a second
                          payer; made where there is none
  --channel U64           its handle; default: first 8 bytes of the ledger id
  --profile xrpl|link     what the signature covers; default xrpl
  --sequence N            of this claim; default 1, for link the Unix time; with --state
                          the next one
  --timeout MS            gives up after that long; default 5000
  --json                  the ack as one JSON object
  --help                  this text

Exit code: 0 paid, 1 refused, no answer, or nothing paid since the node holds the amount
already (ALREADY): "status" says which; 2 usage.
`;

const TIMEOUT_MS_DEFAULT = '5000';
const TIMEOUT_MS_MAX = 2 ** 31 - 1;
const SEQUENCE_MAX = 2 ** 32 - 1;

interface PayOptions {
  to: string;
  tlsCaFile: string | undefined;
  keyFile: string;
  ledgerChannelId: string;
  amount: bigint | undefined;
  more: bigint | undefined;
  state: string | undefined;
  channelId: bigint | undefined;
  profile: ProfileName;
  sequence: number;
  timeoutMs: number;
  json: boolean;
}

/** Runs the command; resolves to the exit code. */
export async function run(args: string[]): Promise<number> {
  const options = readOptions(args);
  if (options === undefined) {
    process.stdout.write(HELP);
    return 0;
  }
  const { keyFile, ledgerChannelId, channelId, profile, sequence } = options;
  const key = loadKeyFile(keyFile);
  const payer = await openPayer(options);
  try {
    const channel = payer.channel({
      ledgerChannelId,
      ...(channelId === undefined ? {} : { channelId }),
      key,
      profile,
      lastSequence: (sequence - 1) >>> 0,
    });
    return await pay(channel, options);
  } finally {
    await payer.close();
  }
}

/** Prints the ack, or how the claim failed: the node's refusal or its silence is this command's answer too. */
async function pay(channel: PaymentChannel, { amount, more, json }: PayOptions): Promise<number> {
  try {
    if (amount !== undefined && (await isPaidAlready(channel, amount))) {
      print({ status: 'ALREADY', channelId: String(channel.channelId), amount: String(amount) }, json);
      const remedy = '--amount is cumulative: choose a higher one, or pay --more';
      process.stderr.write(`claimwire: nothing was paid, the node holds ${amount} drops or more already; ${remedy}\n`);
      return 1;
    }
    const ack = await (amount === undefined ? channel.pay(more!) : channel.claim(amount));
    const fields = { ...ack, channelId: String(ack.channelId), amount: String(ack.amount) };
    print({ ...fields, signature: signatureOf(channel) }, json);
    return 0;
  } catch (error) {
    if (!(error instanceof ClaimwireError)) throw error;
    print({ status: error.code, ...error.details, signature: signatureOf(channel) }, json);
    process.stderr.write(`claimwire: ${error.message}\n`);
    return 1;
  }
}

/** Whether the amount was durable before this claim. A refusal of the channel is left for the claim to be told. */
async function isPaidAlready(channel: PaymentChannel, amount: bigint): Promise<boolean> {
  if (amount === 0n) return false;
  return await channel.isDurable(amount).catch((error: unknown) => {
    if (error instanceof ClaimwireError && error.code === 'CLAIM_REFUSED') return false;
    throw error;
  });
}

async function openPayer({ to, tlsCaFile, timeoutMs, state }: PayOptions): Promise<Payer> {
  const tls = tlsCaFile === undefined ? {} : { tls: { ca: readFile(tlsCaFile, '--tls-ca') } };
  try {
    return await Payer.open({ to, ackTimeoutMs: timeoutMs, ...tls, ...(state !== undefined && { state }) });
  } catch (error) {
    if (error instanceof ClaimwireError && error.code === 'INPUT_INVALID') usage(`--${error.message}`);
    throw error;
  }
}

/** Undefined after --help. */
function readOptions(args: string[]): PayOptions | undefined {
  const { values, positionals } = readArgs(args, {
    ...COMMON_FLAGS,
    to: { type: 'string' },
    'tls-ca': { type: 'string' },
    key: { type: 'string' },
    'ledger-channel': { type: 'string' },
    amount: { type: 'string' },
    more: { type: 'string' },
    state: { type: 'string' },
    channel: { type: 'string' },
    profile: { type: 'string', default: 'xrpl' },
    sequence: { type: 'string' },
    timeout: { type: 'string', default: TIMEOUT_MS_DEFAULT },
  });
  if (values.help) return undefined;
  if (positionals.length > 0) usage(`pay: expected no operands, got ${positionals.length}`);
  const { profile, channel, sequence } = values;
  if (profile !== 'xrpl' && profile !== 'link') return usage(`--profile: expected xrpl or link, got ${profile}`);
  if (values.amount !== undefined && values.more !== undefined)
    return usage('--amount: expected it or --more, got both');
  const sequenceDefault = values.state !== undefined ? 1 : profile === 'link' ? Math.floor(Date.now() / 1000) : 1;
  return {
    to: required(values.to, '--to', 'udp://HOST:PORT'),
    tlsCaFile: values['tls-ca'],
    keyFile: required(values.key, '--key', 'a key file'),
    ledgerChannelId: hex(
      required(values['ledger-channel'], '--ledger-channel', '64 hex digits'),
      32,
      '--ledger-channel',
    ),
    // Any u64: what the node makes of 0 or of too much is its answer to give.
    amount:
      values.more === undefined
        ? drops(required(values.amount, '--amount', 'drops'), '--amount', 0n, U64_MAX)
        : undefined,
    more: values.more === undefined ? undefined : drops(values.more, '--more', 1n, U64_MAX),
    state: values.state,
    channelId: channel === undefined ? undefined : drops(channel, '--channel', 0n, U64_MAX),
    profile,
    sequence: sequence === undefined ? sequenceDefault : wholeNumber(sequence, '--sequence', 0, SEQUENCE_MAX),
    timeoutMs: wholeNumber(values.timeout, '--timeout', 1, TIMEOUT_MS_MAX),
    json: values.json,
  };
}

function signatureOf(channel: PaymentChannel): string | undefined {
  const claim = channel.lastClaim()?.subarray(CLAIM_SIGNATURE, CLAIM_SIGNATURE + SIGNATURE_BYTES);
  return claim && Buffer.from(claim).toString('hex').toUpperCase();
}

function print(fields: Record<string, unknown>, json: boolean): void {
  const lines = Object.entries(fields).map(([name, value]) => `${name} ${value}`);
  process.stdout.write(`${json ? JSON.stringify(fields) : lines.join('\n')}\n`);
}
