/**
 * The texts of the `Payment` scheme (draft-httpauth-payment-00): challenges, credentials, receipts, problem details. Pure.
 *
 * The gateway reads and writes them itself, since every request has two of them. mppx is the slow twin: a test holds each
 * text to the bytes that mppx makes, and reads what mppx wrote.
 */

/** A credential is a few hundred bytes; whatever is longer is not read. */
const CREDENTIAL_CHARACTERS_MAX = 8 << 10;
const BASE64URL = /^[A-Za-z0-9_-]+={0,2}$/;
const PROBLEMS = 'https://paymentauth.org/problems/';

/** A challenge as a client echoes it; `request` is base64url of canonical JSON. */
export interface Challenge {
  id: string;
  realm: string;
  method: string;
  intent: string;
  request: string;
  /** RFC 3339. */
  expires?: string | undefined;
  digest?: string | undefined;
  opaque?: string | undefined;
}

/** An Authorization value of the scheme, its shape checked and nothing else. */
export interface Credential {
  challenge: Challenge;
  source: string | undefined;
  payload: Record<string, unknown>;
}

/** What a challenge asks for: intent `session` of method `xrpl`. Amounts in drops. */
export interface SessionRequest {
  /** Price of the resource: the client pays `cumulativeAmount + amount`. */
  amount: string;
  /** 64 hex digits, or empty where the payer is not known yet. */
  channelId: string;
  recipient: string;
  cumulativeAmount: string;
  network: string;
  /** Different for each challenge. */
  reference: string;
}

/** The last part of a problem's type, with its title. */
export const PROBLEM_TITLES = {
  'payment-required': 'Payment Required',
  'malformed-credential': 'Malformed Credential',
  'invalid-challenge': 'Invalid Challenge',
  'verification-failed': 'Verification Failed',
  'session/channel-not-found': 'Channel Not Found',
  'session/channel-finalized': 'Channel Closed',
  'session/amount-exceeds-deposit': 'Amount Exceeds Deposit',
  'session/invalid-signature': 'Invalid Signature',
  'session/delta-too-small': 'Delta Too Small',
} as const;
export type ProblemType = keyof typeof PROBLEM_TITLES;

/** What the id of a challenge binds, in seven slots whatever is absent. */
export function bindingText(challenge: Omit<Challenge, 'id'>): string {
  const { realm, method, intent, request, expires = '', digest = '', opaque = '' } = challenge;
  return `${realm}|${method}|${intent}|${request}|${expires}|${digest}|${opaque}`;
}

/** The value of WWW-Authenticate. No parameter of the gateway's has a quote, a backslash or a line end. */
export function challengeText({ id, realm, method, intent, request, expires }: Challenge): string {
  return `Payment id="${id}", realm="${realm}", method="${method}", intent="${intent}", request="${request}", expires="${expires}"`;
}

/** Canonical JSON (RFC 8785) in base64url: names are sorted, and no value needs an escape. */
export function requestText(request: SessionRequest): string {
  const { amount, channelId, recipient, cumulativeAmount, network, reference } = request;
  const details = `{"cumulativeAmount":"${cumulativeAmount}","network":"${network}","reference":"${reference}"}`;
  const json = `{"amount":"${amount}","channelId":"${channelId}","currency":"XRP","methodDetails":${details},"recipient":"${recipient}"}`;
  return Buffer.from(json).toString('base64url');
}

/** Of an Authorization value with one scheme or several, the part after `SCHEME `; undefined where it is not there. */
export function credentialOf(authorization: string | undefined, scheme: string): string | undefined {
  if (authorization === undefined || authorization.length > 4 * CREDENTIAL_CHARACTERS_MAX) return undefined;
  for (const part of authorization.split(',')) {
    const text = part.trim();
    const isIts = text[scheme.length] === ' ' && text.slice(0, scheme.length).toLowerCase() === scheme.toLowerCase();
    if (isIts) return text.slice(scheme.length).trim();
  }
  return undefined;
}

/** Reads what follows `Payment `, or says what is wrong with it. Never throws. */
export function parseCredential(text: string): Credential | string {
  if (text.length > CREDENTIAL_CHARACTERS_MAX) return `expected at most ${CREDENTIAL_CHARACTERS_MAX} characters`;
  const wire = jsonOf(text);
  if (wire === undefined) return 'expected base64url of a JSON object';
  const { challenge, source, payload } = wire;
  if (!isObject(challenge) || !isObject(payload)) return 'expected the objects challenge and payload';
  if (source !== undefined && typeof source !== 'string') return 'expected source to be a string';
  for (const name of ['id', 'realm', 'method', 'intent', 'request'])
    if (typeof challenge[name] !== 'string') return `expected challenge.${name} to be a string`;
  for (const name of ['expires', 'digest', 'opaque'])
    if (challenge[name] !== undefined && typeof challenge[name] !== 'string')
      return `expected challenge.${name} to be a string`;
  return { challenge: challenge as unknown as Challenge, source, payload };
}

/** The JSON object in base64url, or undefined. */
export function jsonOf(text: string): Record<string, unknown> | undefined {
  if (!BASE64URL.test(text)) return undefined;
  try {
    const value: unknown = JSON.parse(Buffer.from(text, 'base64url').toString());
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The value of Payment-Receipt. `timestamp` is RFC 3339. */
export function receiptText(channelId: string, cumulative: bigint, timestamp: string, challengeId?: string): string {
  const external = challengeId === undefined ? '' : `"externalId":"${challengeId}",`;
  const json = `{"method":"xrpl","reference":"${channelId}:${cumulative}",${external}"status":"success","timestamp":"${timestamp}"}`;
  return Buffer.from(json).toString('base64url');
}

/** A problem's body (RFC 9457). */
export function problemText(type: ProblemType, detail: string, challengeId?: string): string {
  const problem = { type: `${PROBLEMS}${type}`, title: PROBLEM_TITLES[type], status: 402, detail };
  return JSON.stringify(challengeId === undefined ? problem : { ...problem, challengeId });
}
