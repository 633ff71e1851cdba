/**
 * Session tokens: who streams claims by UDP shows once, by the channel key's signature, that the channel is its own. Naming a
 * channel is no proof, as its id is public. Main thread.
 */
import { LEDGER_CHANNEL_ID_BYTES } from '../../protocol/layout.ts';
import { decodeSessionToken, SESSION_TOKEN_BYTES, sessionPreimage } from '../../protocol/session.ts';
import { defaultChannelId } from '../channel/parse.ts';
import type { Channel } from '../channel/row.ts';
import type { NodeControl } from '../control/node-control.ts';
import type { Challenges } from './challenges.ts';
import type { ProblemType } from './scheme.ts';
import type { SignatureCheck } from './signature-check.ts';

const TOKEN_CHARACTERS = Math.ceil((SESSION_TOKEN_BYTES * 4) / 3);
/** Some 300 bytes each. */
const KNOWN_MAX = 16_384;

/** A token whose signature was found sound. */
export interface Session {
  handle: bigint;
  /** Unix seconds. */
  expires: number;
}

export type SessionFault = { problem: ProblemType; detail: string } | 'busy';

export class Sessions {
  readonly #node: Pick<NodeControl, 'channel' | 'ruleSeconds'>;
  readonly #challenges: Challenges;
  readonly #signatures: SignatureCheck;
  readonly #known = new Map<string, Session>();

  constructor(node: Pick<NodeControl, 'channel' | 'ruleSeconds'>, challenges: Challenges, signatures: SignatureCheck) {
    this.#node = node;
    this.#challenges = challenges;
    this.#signatures = signatures;
  }

  /** The session of a token as it stands in the header. A sound token is checked once and remembered until it ends. */
  find(text: string): Session | SessionFault {
    const known = this.#known.get(text);
    const now = this.#node.ruleSeconds;
    if (known !== undefined && known.expires > now) return known;
    if (known !== undefined) this.#known.delete(text);
    const token =
      text.length === TOKEN_CHARACTERS && /^[A-Za-z0-9_-]+$/.test(text)
        ? decodeSessionToken(Buffer.from(text, 'base64url'))
        : undefined;
    if (token === undefined) return { problem: 'malformed-credential', detail: 'expected a token of version 1' };
    const end = this.#challenges.nonceEnd(token.nonce);
    if (end === undefined) return { problem: 'invalid-challenge', detail: 'the nonce was not issued by this server' };
    if (token.expires > BigInt(end) || token.expires <= BigInt(now))
      return { problem: 'invalid-challenge', detail: 'the token has expired, or outlives its nonce' };
    const channel = this.#channel(token.ledgerChannelId);
    if (channel === undefined) return { problem: 'session/channel-not-found', detail: 'this channel is not open here' };
    const preimage = sessionPreimage(token, this.#challenges.merchant.realm);
    const verdict = this.#signatures.message(preimage, token.signature, channel.publicKey);
    if (verdict === 'busy') return 'busy';
    if (verdict === 'invalid')
      return { problem: 'session/invalid-signature', detail: 'the token is not signed by the key of its channel' };
    const session = { handle: channel.channelId, expires: Number(token.expires) };
    if (this.#known.size >= KNOWN_MAX) this.#known.delete(this.#known.keys().next().value!);
    this.#known.set(text, session);
    return session;
  }

  #channel(ledgerChannelId: Uint8Array): Channel | undefined {
    const channel = this.#node.channel(defaultChannelId(ledgerChannelId));
    return channel !== undefined && isSame(channel.ledgerChannelId, ledgerChannelId) ? channel : undefined;
  }
}

export function isSame(left: Uint8Array, right: Uint8Array): boolean {
  return left.length === right.length && Buffer.compare(left, right) === 0 && left.length === LEDGER_CHANNEL_ID_BYTES;
}
