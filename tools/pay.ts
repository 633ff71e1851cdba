/**
 * `claimwire pay`: signs one claim, sends it until it is acknowledged, prints the ack.
 *
 * Main thread of its own process.
 */
import { readFileSync } from 'node:fs';
import { CLAIM_SIGNATURE, type ProfileName, SIGNATURE_BYTES, U64_MAX } from '../protocol/layout.ts';
import type { PaymentChannel } from '../src/client/channel.ts';
import { loadKeyFile } from '../src/client/key-file.ts';
import { Payer } from '../src/client/payer.ts';
import { ClaimwireError } from '../src/errors.ts';
import { COMMON_FLAGS, drops, hex, readArgs, required, usage, wholeNumber } from './args.ts';

const HELP = `Usage: claimwire pay --to udp://H:P --key FILE --ledger-channel HEX64 --amount DROPS
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
  --channel U64           its handle; default: first 8 bytes of the ledger id
  --profile xrpl|link     what the signature covers; default xrpl
  --sequence N            of this claim; default 1, for link the Unix time
  --timeout MS            gives up after that long; default 5000
  --json                  the ack as one JSON object
  --help                  this text

Exit code: 0 committed, 1 refused or no answer ("status" says which), 2 usage.
`;

const TIMEOUT_MS_DEFAULT = '5000';
const TIMEOUT_MS_MAX = 2 ** 31 - 1;
const SEQUENCE_MAX = 2 ** 32 - 1;

interface PayOptions {
  to: string;
  tlsCaFile: string | undefined;
  keyFile: string;
  ledgerChannelId: string;
  amount: bigint;
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
  const { keyFile, ledgerChannelId, channelId, amount, profile, sequence, json } = options;
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
    return await pay(channel, amount, json);
  } finally {
    await payer.close();
  }
}

/** Prints the ack, or how the claim failed: the node's refusal or its silence is this command's answer too. */
async function pay(channel: PaymentChannel, amount: bigint, json: boolean): Promise<number> {
  try {
    const ack = await channel.claim(amount);
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

async function openPayer({ to, tlsCaFile, timeoutMs }: PayOptions): Promise<Payer> {
  const tls = tlsCaFile === undefined ? {} : { tls: { ca: readText(tlsCaFile, '--tls-ca') } };
  try {
    return await Payer.open({ to, ackTimeoutMs: timeoutMs, ...tls });
  } catch (error) {
    if (error instanceof ClaimwireError && error.code === 'INPUT_INVALID') usage(`--${error.message}`);
    throw error;
  }
}

function readText(path: string, flag: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    return usage(`${flag}: expected a readable file, got ${(error as NodeJS.ErrnoException).code} for ${path}`);
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
    channel: { type: 'string' },
    profile: { type: 'string', default: 'xrpl' },
    sequence: { type: 'string' },
    timeout: { type: 'string', default: TIMEOUT_MS_DEFAULT },
  });
  if (values.help) return undefined;
  if (positionals.length > 0) usage(`pay: expected no operands, got ${positionals.length}`);
  const { profile, channel, sequence } = values;
  if (profile !== 'xrpl' && profile !== 'link') return usage(`--profile: expected xrpl or link, got ${profile}`);
  const sequenceDefault = profile === 'link' ? Math.floor(Date.now() / 1000) : 1;
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
    amount: drops(required(values.amount, '--amount', 'drops'), '--amount', 0n, U64_MAX),
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
