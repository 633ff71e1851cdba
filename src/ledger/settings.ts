/** How a node is connected to the XRP Ledger: defaults, limits and the reasons for them. Checked once, at start. */
import { ClaimwireError } from '../errors.ts';
import { isLoopback } from '../host-port.ts';
import { parseAddress } from './xrpl.ts';

/** What an operator says of the ledger. */
export interface LedgerOptions {
  /** Servers, ws:// or wss://; the next one is taken where one does not answer. */
  urls: readonly string[];
  /** The payee's classic address: only channels to it are opened. */
  account: string;
  /** Shortest SettleDelay of a channel that is opened. Default 3,600 s, as other implementations want. */
  minSettleDelaySeconds?: number | undefined;
  /** How often every channel is looked at. Default 60 s. */
  pollSeconds?: number | undefined;
  /** Opens channels of the ledger by itself once claims of an unknown channel come. Default false. */
  autoOpen?: boolean | undefined;
  /** The only network that is believed; by default the one that is seen first. */
  networkId?: number | undefined;
}

/** Complete settings. */
export interface LedgerSettings {
  urls: readonly string[];
  account: string;
  minSettleDelaySeconds: number;
  pollSeconds: number;
  autoOpen: boolean;
  networkId: number | undefined;
}

const URLS_MAX = 16;
const U32_MAX = 0xffff_ffff;
const SETTLE_DELAY_DEFAULT = 3_600;
const POLL_DEFAULT = 60;
/** At least so many polls fit into the shortest SettleDelay, so that some may fail before a payer's close is missed. */
const POLLS_PER_SETTLE_DELAY = 6;

/** Fills in defaults and checks ranges. Throws CONFIG_INVALID. */
export function resolveLedger(options: LedgerOptions): LedgerSettings {
  const { urls, minSettleDelaySeconds = SETTLE_DELAY_DEFAULT, pollSeconds = POLL_DEFAULT } = options;
  if (urls.length < 1 || urls.length > URLS_MAX)
    throw fault('ledger', `expected 1 to ${URLS_MAX} servers, got ${urls.length}`);
  for (const url of urls) expectServer(url);
  expectRange('min-settle-delay', minSettleDelaySeconds, 1, U32_MAX);
  expectRange('ledger-poll', pollSeconds, 1, 86_400);
  if (pollSeconds * POLLS_PER_SETTLE_DELAY > minSettleDelaySeconds)
    throw fault(
      'ledger-poll',
      `expected at most a ${POLLS_PER_SETTLE_DELAY}th of the shortest SettleDelay (${minSettleDelaySeconds} s), so that a payer who closes a channel is noticed in time, got ${pollSeconds} s`,
    );
  if (options.networkId !== undefined) expectRange('ledger-network', options.networkId, 0, U32_MAX);
  return {
    urls,
    account: accountOf(options.account),
    minSettleDelaySeconds,
    pollSeconds,
    autoOpen: options.autoOpen ?? false,
    networkId: options.networkId,
  };
}

/** A server's answers move money, so only one on this machine may be asked without TLS. */
function expectServer(text: string): void {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const isSafe = url?.protocol === 'wss:' || (url?.protocol === 'ws:' && isLoopback(url.hostname));
  if (!isSafe)
    throw fault(
      'ledger',
      `expected a URL like wss://s1.ripple.com, or ws:// on this machine, got ${JSON.stringify(text)}`,
    );
}

function accountOf(text: string): string {
  try {
    return parseAddress(text, 'account');
  } catch (error) {
    if (!(error instanceof ClaimwireError)) throw error;
    throw new ClaimwireError('CONFIG_INVALID', error.message, { setting: 'account' });
  }
}

function expectRange(name: string, value: number, min: number, max: number): void {
  if (!Number.isSafeInteger(value) || value < min || value > max)
    throw fault(name, `expected a whole number from ${min} to ${max}, got ${value}`);
}

/** A setting that is wrong on any machine; the command line reports it as a usage error. */
function fault(setting: string, message: string): ClaimwireError {
  return new ClaimwireError('CONFIG_INVALID', `${setting}: ${message}`, { setting });
}
