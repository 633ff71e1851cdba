/**
 * Carries out control messages that came over TCP, WebSocket or WebRTC, by means of NodeControl. Main thread.
 *
 * Anybody may ask. `open`, `close` and `stats` need the operator's token, which is accepted only where nobody on a network
 * can read it. `resume` needs a signature of the channel's key over this connection's nonce: what a channel has spent, and
 * the claim that proves it, is for its payer and the operator only. `status` says no more than the ledger does, and `receipt` only
 * whether so much as the asker names is durable, which a claim without a signature would be told too.
 */
import type { MessagePort } from 'node:worker_threads';
import {
  type BestClaimResult,
  CONTROL_CODE,
  CONTROL_OUTSTANDING_MAX,
  CONTROL_PER_SECOND_MAX,
  CONTROL_REQUEST_BYTES_MAX,
  type ControlReply,
  type ControlRequest,
  type HelloResult,
  PROTOCOL_VERSION,
  refuseControl,
  resumePreimage,
  type StatusResult,
} from '../../protocol/control.ts';
import { ED25519_KEY_PREFIX, PROFILE_LINK, STREAM_PAYLOAD_BYTES_MAX } from '../../protocol/layout.ts';
import type { Receipt } from '../../protocol/receipt.ts';
import type { RouteResult } from '../../protocol/route.ts';
import { channelJson, isoTime, KeyCheck, parseOpening, stateAt } from '../channel/parse.ts';
import type { Channel } from '../channel/row.ts';
import { ClaimwireError } from '../errors.ts';
import { type Logger, stderrLogger } from '../log.ts';
import type { ControlPort, ControlSession } from '../transport/control-port.ts';
import { Ed25519Verifier } from '../verify/ed25519.ts';
import { OpensslVerifier } from '../verify/openssl.ts';
import { expectReady, type NodeControl, openChannel } from './node-control.ts';
import { noReceipts, type ReceiptControl } from './receipt-control.ts';
import type { ControlCall, ControlResult } from './remote.ts';
import type { RouteBoard } from './route-control.ts';
import { isAuthorized } from './token.ts';

/** Signatures of `resume` checked in a second, from all connections: some 0.3 ms each, a sixth of this thread's time. */
const RESUMES_PER_SECOND_MAX = 500;

export interface ControlServerOptions {
  control: NodeControl;
  /** Left out by a node without a key for receipts. */
  receipts?: ReceiptControl | undefined;
  /** Which channels are held here; without it all are. */
  route?: Pick<RouteBoard, 'shown' | 'expectHere'>;
  /** From loadAdminToken. */
  token: string;
  /** Name and version, for `hello`. */
  server: string;
  /** Ports on which the node receives claims: udp, tcp, tls. */
  transports: Record<string, number>;
  /** How long a connection may be idle, milliseconds; told to peers in `hello`. */
  idleMsMax: number;
  logger?: Logger;
}

export class ControlServer implements ControlPort {
  readonly #options: ControlServerOptions;
  readonly #keys = new KeyCheck();
  readonly #ecdsa = new OpensslVerifier();
  readonly #ed25519 = new Ed25519Verifier();
  #resumes = 0;
  #resumesSince = 0;

  constructor(options: ControlServerOptions) {
    this.#options = options;
  }

  /** Answers what a RemoteControl sends over the other end of `port`, until either end closes it. */
  serve(port: MessagePort): void {
    port.on('message', async ({ call, request, session }: ControlCall) => {
      port.postMessage({ call, reply: await this.request(request, session) } satisfies ControlResult);
    });
    port.unref();
  }

  async request(request: ControlRequest, session: ControlSession): Promise<ControlReply> {
    const { id } = request;
    try {
      return { ...(await this.#carryOut(request, session)), id, ok: true };
    } catch (error) {
      if (error instanceof ControlRefused) return refuseControl(id, error.code, error.message);
      if (error instanceof ClaimwireError) {
        const { version } = error.details;
        return {
          ...refuseControl(id, error.code, error.message),
          ...(error.code === CONTROL_CODE.MOVED && { version: String(version) }),
        };
      }
      const reason = error instanceof Error ? error.stack : error;
      (this.#options.logger ?? stderrLogger).error(`control ${request.type}: ${reason}`);
      return refuseControl(id, 'NODE_FAILED', 'the node failed at this request; its log says more');
    }
  }

  async #carryOut(request: ControlRequest, session: ControlSession): Promise<object> {
    if ('token' in request) this.#authorize(request.token, session);
    const { control, route } = this.#options;
    if ('channelId' in request) route?.expectHere(BigInt(request.channelId));
    switch (request.type) {
      case 'hello':
        return this.#hello(request.versions, session);
      case 'status':
        return statusOf(control.channel(BigInt(request.channelId)), control.ruleSeconds);
      case 'resume':
        return this.#resume(request.channelId, request.signature, session);
      case 'receipt':
        return this.#receipt(request.channelId, request.amount);
      case 'route':
        return this.#route();
      case 'stats':
        return { stats: control.stats() };
      case 'open':
        expectReady(control);
        return this.#open(request.channel);
      case 'close':
        expectReady(control);
        return bestClaim(await control.closeChannel(this.#channel(request.channelId).channelId));
    }
  }

  #hello(versions: readonly number[], session: ControlSession): HelloResult {
    if (!versions.includes(PROTOCOL_VERSION))
      throw new ControlRefused(CONTROL_CODE.UNSUPPORTED_VERSION, `versions: expected ${PROTOCOL_VERSION} among them`);
    const { server, transports, idleMsMax, route } = this.#options;
    const shown = route?.shown;
    return {
      version: PROTOCOL_VERSION,
      server,
      nonce: session.nonce,
      profiles: ['xrpl', 'link'],
      transports,
      limits: {
        payloadBytes: STREAM_PAYLOAD_BYTES_MAX,
        controlBytes: CONTROL_REQUEST_BYTES_MAX,
        controlOutstanding: CONTROL_OUTSTANDING_MAX,
        controlPerSecond: CONTROL_PER_SECOND_MAX,
        idleMs: idleMsMax,
      },
      ...(shown && { cluster: { node: shown.node, version: shown.version } }),
    };
  }

  /** One that says no more than what was asked about: that so much is durable. */
  async #receipt(channelId: string, amount: string): Promise<Receipt> {
    const { receipts } = this.#options;
    if (receipts === undefined) throw noReceipts();
    try {
      return await receipts.receipt(BigInt(channelId), BigInt(amount));
    } catch (error) {
      if (!(error instanceof ClaimwireError) || error.code !== 'NODE_BUSY') throw error;
      throw new ControlRefused(CONTROL_CODE.OVERLOADED, error.message);
    }
  }

  #route(): RouteResult {
    const shown = this.#options.route?.shown;
    if (shown !== undefined) return shown;
    throw new ControlRefused(CONTROL_CODE.NO_CLUSTER, 'route: expected a node of a cluster, got one that is alone');
  }

  async #open(fields: unknown): Promise<{ opened: boolean; channelId: string }> {
    const opening = parseOpening(fields, this.#keys);
    this.#options.route?.expectHere(opening.channelId);
    const opened = await openChannel(this.#options.control, opening);
    return { opened, channelId: opening.channelId.toString() };
  }

  #resume(channelId: string, signature: string, session: ControlSession): BestClaimResult {
    const channel = this.#channel(channelId);
    const second = Math.floor(performance.now() / 1_000);
    if (second !== this.#resumesSince) {
      this.#resumesSince = second;
      this.#resumes = 0;
    }
    if (++this.#resumes > RESUMES_PER_SECOND_MAX)
      throw new ControlRefused(CONTROL_CODE.OVERLOADED, 'node: too many resumes, try again shortly');
    const preimage = resumePreimage(channel.ledgerChannelId, Buffer.from(session.nonce, 'hex'));
    const bytes = Buffer.from(signature, 'hex');
    const { publicKey } = channel;
    const isSigned =
      publicKey[0] === ED25519_KEY_PREFIX
        ? this.#ed25519.verify(preimage, bytes, publicKey)
        : this.#ecdsa.verify(PROFILE_LINK, preimage, bytes, publicKey);
    if (isSigned) return bestClaim(channel);
    throw unauthorized("signature: expected the channel key's over this connection's nonce, got another");
  }

  #authorize(token: string, session: ControlSession): void {
    if (!session.isProtected)
      throw unauthorized("connection: expected TLS or a peer on this machine for the operator's token");
    if (!isAuthorized(`Bearer ${token}`, this.#options.token))
      throw unauthorized('token: expected the one in DIR/admin-token, got another');
  }

  #channel(channelId: string): Channel {
    const channel = this.#options.control.channel(BigInt(channelId));
    if (channel !== undefined) return channel;
    throw new ClaimwireError('CHANNEL_UNKNOWN', `channelId: expected one of this node's channels, got ${channelId}`);
  }
}

/** A refusal whose code is one of the control protocol, not an ErrorCode. */
class ControlRefused extends Error {
  readonly code: string;

  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}

function unauthorized(message: string): ClaimwireError {
  return new ClaimwireError('UNAUTHORIZED', message);
}

function statusOf(channel: Channel | undefined, nowSeconds: number): StatusResult {
  if (channel === undefined || channel.state === 'removed') return { state: 'unknown' };
  const { profile, capacity, expiresAt } = channel;
  const state = stateAt(channel, nowSeconds) as 'open' | 'expired' | 'closed';
  return { state, profile, capacity: capacity.toString(), expiresAt: isoTime(expiresAt) };
}

function bestClaim(channel: Channel): BestClaimResult {
  const { channelId, committed, sequence, signature } = channelJson(channel);
  const timestamp = channel.timestampBits.toString(16).padStart(16, '0').toUpperCase();
  return { channelId, committed, sequence, timestamp, signature: signature ?? null };
}
