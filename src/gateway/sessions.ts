/**
 * Session tokens: who streams claims by UDP shows once, by the channel key's signature, that the channel is its own. Naming a
 * channel is no proof, as its id is public. Main thread.
 */
import { LEDGER_CHANNEL_ID_BYTES } from '../../protocol/layout.ts';
import { decodeSessionToken, SESSION_SCHEME, SESSION_TOKEN_BYTES, sessionPreimage } from '../../protocol/session.ts';
import { defaultChannelId, upperHex } from '../channel/parse.ts';
import type { Channel } from '../channel/row.ts';
import type { NodeControl } from '../control/node-control.ts';
import type { Challenges } from './challenges.ts';
import { isElsewhere } from './refusals.ts';
import type { ProblemType } from './scheme.ts';
import type { SignatureCheck } from './signature-check.ts';

const TOKEN_CHARACTERS = Math.ceil((SESSION_TOKEN_BYTES * 4) / 3);
/** Some 800 bytes each. */
const KNOWN_MAX = 16_384;

/** A token whose signature was found sound, and what its requests need of its channel. */
export interface Session {
  token: string;
  /** Unix seconds. */
  expires: number;
  /** The channel's id on the ledger in upper-case hex. */
  id: string;
  /** As it was at `version`. Its committed amount may have grown since. */
  channel: Channel;
  /** The channel's `channelVersion`; undefined where the node tells none, and the channel is read for each request. */
  version: number | undefined;
}

export type SessionFault = { problem: ProblemType; detail: string } | 'busy' | 'moved';

type Node = Pick<NodeControl, 'channel' | 'channelVersion' | 'expectHere' | 'ruleSeconds'>;

export class Sessions {
  readonly #node: Node;
  readonly #challenges: Challenges;
  readonly #signatures: SignatureCheck;
  /** By the header's value as most clients write it, which is how they are found without reading it. */
  readonly #known = new Map<string, Session>();

  constructor(node: Node, challenges: Challenges, signatures: SignatureCheck) {
    this.#node = node;
    this.#challenges = challenges;
    this.#signatures = signatures;
  }

  /** The session of an Authorization header whose token was found sound before, and which has not ended. */
  known(authorization: string): Session | undefined {
    const known = this.#known.get(authorization);
    if (known === undefined) return undefined;
    if (known.expires > this.#node.ruleSeconds && this.#isCurrent(known)) return known;
    this.#known.delete(authorization);
    return undefined;
  }

  /** The session of a token as it stands in the header. A sound token is checked once and remembered until it ends. */
  find(text: string): Session | SessionFault {
    const authorization = `${SESSION_SCHEME} ${text}`;
    const known = this.known(authorization);
    if (known !== undefined) return known;
    const now = this.#node.ruleSeconds;
    const token =
      text.length === TOKEN_CHARACTERS && /^[A-Za-z0-9_-]+$/.test(text)
        ? decodeSessionToken(Buffer.from(text, 'base64url'))
        : undefined;
    if (token === undefined) return { problem: 'malformed-credential', detail: 'expected a token of version 1' };
    const end = this.#challenges.nonceEnd(token.nonce);
    if (end === undefined) return { problem: 'invalid-challenge', detail: 'the nonce was not issued by this server' };
    if (token.expires > BigInt(end) || token.expires <= BigInt(now))
      return { problem: 'invalid-challenge', detail: 'the token has expired, or outlives its nonce' };
    if (isElsewhere(this.#node, defaultChannelId(token.ledgerChannelId))) return 'moved';
    const channel = this.#channel(token.ledgerChannelId);
    if (channel === undefined) return { problem: 'session/channel-not-found', detail: 'this channel is not open here' };
    const preimage = sessionPreimage(token, this.#challenges.merchant.realm);
    const verdict = this.#signatures.message(preimage, token.signature, channel.publicKey);
    if (verdict === 'busy') return 'busy';
    if (verdict === 'invalid')
      return { problem: 'session/invalid-signature', detail: 'the token is not signed by the key of its channel' };
    const version = this.#node.channelVersion?.(channel.channelId);
    const id = upperHex(channel.ledgerChannelId);
    const session = { token: text, expires: Number(token.expires), id, channel, version };
    if (this.#known.size >= KNOWN_MAX) this.#known.delete(this.#known.keys().next().value!);
    this.#known.set(authorization, session);
    return session;
  }

  /** Sees that the session has its channel as it is now; false where that is not there any more, whoever has its handle. */
  #isCurrent(session: Session): boolean {
    const { channelId, ledgerChannelId } = session.channel;
    const version = this.#node.channelVersion?.(channelId);
    if (version !== undefined && version === session.version) return true;
    const channel = this.#channel(ledgerChannelId, channelId);
    if (channel === undefined) return false;
    session.channel = channel;
    session.version = version;
    return true;
  }

  #channel(ledgerChannelId: Uint8Array, handle = defaultChannelId(ledgerChannelId)): Channel | undefined {
    const channel = this.#node.channel(handle);
    return channel !== undefined && isSame(channel.ledgerChannelId, ledgerChannelId) ? channel : undefined;
  }
}

export function isSame(left: Uint8Array, right: Uint8Array): boolean {
  return left.length === right.length && Buffer.compare(left, right) === 0 && left.length === LEDGER_CHANNEL_ID_BYTES;
}
