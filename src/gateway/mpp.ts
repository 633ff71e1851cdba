/**
 * `claimwire/mpp`: payment by XRP Ledger channels as a method for servers of mppx, so that an app keeps its own framework. The
 * node in the process verifies, commits and charges; mppx has the headers and the challenges. Main thread.
 *
 * @module claimwire/mpp
 */

import { upperHex } from '../channel/parse.ts';
import { ClaimwireError } from '../errors.ts';
import { nodeSystem } from '../system/system.ts';
import { Challenges } from './challenges.ts';
import { newCounters } from './counters.ts';
import { Payments } from './payments.ts';
import { PROBLEM_TITLES, type ProblemType } from './scheme.ts';
import type { GatewayNode, PaymentSettings, Unpaid } from './verdict.ts';

/** Which node takes the payments, and for whom. */
export interface XrplSessionOptions extends GatewayNode {
  /** The payee, a classic address. */
  recipient: string;
  /** mainnet, testnet, devnet, or a number. Default mainnet. */
  network?: string;
  payments?: Partial<PaymentSettings>;
}

/** What mppx hands to a method; of its types only what is used here. */
interface Call {
  credential: {
    challenge: { id: string };
    payload: Record<string, unknown>;
    source?: string | undefined;
  };
  request: { amount: string };
}

/** What an app asks for a resource. */
export interface XrplSessionRequest {
  /** Drops, a decimal string. */
  amount: string;
  description?: string;
}

/** A receipt of mppx. */
export interface XrplReceipt {
  method: 'xrpl';
  /** CHANNELID:CUMULATIVE. */
  reference: string;
  externalId: string;
  status: 'success';
  timestamp: string;
}

/** A method as mppx's Method.toServer makes one. */
export interface XrplSessionMethod {
  name: 'xrpl';
  intent: 'session';
  // biome-ignore lint/suspicious/noExplicitAny: schemas of zod, which is mppx's dependency and not ours
  schema: any;
  /** What is asked of a payer who comes without. */
  request(call: { request: XrplSessionRequest }): object;
  /** Takes the payment that came, or rejects. */
  verify(call: Call): Promise<XrplReceipt>;
}

const SETTINGS: PaymentSettings = { settleMarginSeconds: 300, claimWaitMs: 2_000 };

/**
 * The method for `Mppx.create({ methods: [await xrplSession(…)], … })`. Rejects with DEPENDENCY_MISSING where mppx (0.11 or
 * later) is not installed. A request that the app then fails to serve is not refunded: mppx does not tell.
 */
export async function xrplSession(options: XrplSessionOptions): Promise<XrplSessionMethod> {
  const { recipient, network = 'mainnet' } = options;
  const PaymentError = await paymentError();
  const merchant = { realm: '', recipient, network };
  // mppx issues the challenges, and knows its own; these are never shown.
  const unused = {
    merchant,
    secret: nodeSystem.random(32),
    challengeSeconds: 0,
    sessionSeconds: 0,
    system: nodeSystem,
  };
  const settings = { ...SETTINGS, ...options.payments };
  const payments = new Payments(options, new Challenges(unused), settings, newCounters(), nodeSystem.clock);
  return {
    name: 'xrpl',
    intent: 'session',
    schema: { request: requestOnly, credential: { payload: asIs } },
    request: ({ request }) => ({ channelId: '', currency: 'XRP', ...request, recipient, methodDetails: { network } }),
    verify: async ({ credential, request }) => {
      const { challenge, payload, source } = credential;
      const known = { challenge: challenge as Parameters<Payments['takeCredential']>[0]['challenge'], payload, source };
      const verdict = await payments.takeCredential(known, BigInt(request.amount), true);
      if (verdict.kind !== 'paid') throw problemOf(PaymentError, verdict);
      const { channel, spent } = verdict.payment;
      return {
        method: 'xrpl',
        reference: `${upperHex(channel.ledgerChannelId)}:${spent}`,
        externalId: challenge.id,
        status: 'success',
        timestamp: new Date().toISOString(),
      };
    },
  };
}

/** Payments checks the payload itself. */
const asIs = { parse: (value: unknown) => value };
const REQUEST_FIELDS = ['amount', 'channelId', 'currency', 'recipient', 'methodDetails', 'externalId'];
/** mppx hands over the app's other options as well, such as the expiry. */
const requestOnly = {
  parse: (value: Record<string, unknown>) =>
    Object.fromEntries(Object.entries(value).filter(([name]) => REQUEST_FIELDS.includes(name))),
};

type ErrorClass = new (message: string) => Error;

/**
 * The class of errors that mppx answers 402 for. Of what loads without viem nothing exports it, but an expiry that is missing
 * is refused with one of its children.
 */
async function paymentError(): Promise<ErrorClass> {
  let core: { Expires: { assert(expires: string | undefined): void } };
  try {
    core = await import('mppx/server/core');
  } catch (error) {
    throw new ClaimwireError(
      'DEPENDENCY_MISSING',
      'mppx: expected version 0.11 or later to be installed, got none; do npm install mppx',
      {},
      { cause: error },
    );
  }
  try {
    core.Expires.assert(undefined);
  } catch (error) {
    return Object.getPrototypeOf(Object.getPrototypeOf(error)).constructor as ErrorClass;
  }
  throw new ClaimwireError('DEPENDENCY_MISSING', 'mppx: expected version 0.11, got one with other errors');
}

function problemOf(PaymentError: ErrorClass, verdict: Unpaid): Error {
  const [type, detail] = wordsOf(verdict);
  const error = new PaymentError(detail);
  return Object.assign(error, { type: `https://paymentauth.org/problems/${type}`, title: PROBLEM_TITLES[type] });
}

function wordsOf(verdict: Unpaid): [ProblemType, string] {
  switch (verdict.kind) {
    case 'refused':
      return [verdict.refusal.problem, verdict.refusal.detail];
    case 'repeated':
      return ['verification-failed', 'what this credential pays was charged before; sign a higher amount'];
    case 'denied':
      return ['verification-failed', verdict.detail];
    case 'done':
      return ['session/channel-finalized', 'the channel was closed, as asked'];
    case 'busy':
      return ['verification-failed', 'the server is busy; try again shortly'];
  }
}
