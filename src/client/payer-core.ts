/**
 * The payer: channels to one node, over one link (UDP, TCP, TLS, or whichever gets through).
 *
 * Runs on the main thread of the user's process and owns all its memory. `claim()` signs and sends at once while the
 * window has room; its promise resolves with the ack that covers it.
 *
 * Over UDP an ack is not authenticated. Whoever can send with the node's address and port, and knows a channel's handle
 * and a recent sequence, can make a payer believe that an amount is committed, refused, or to be sent later, but can not
 * make it sign more: amounts come from the caller alone. The socket is connected, so on loopback or a private link nobody
 * else can do this. Elsewhere ask the node (`resume`, or `channel.receipt`, which the node signs) before relying on an ack, or pay
 * over TLS.
 */
import { MERKLE_BLOCK_LEAVES } from '../../protocol/layout.ts';
import { portableTreeHash, type TreeHash } from '../../protocol/merkle.ts';
import { ClaimwireError } from '../errors.ts';
import type { Abortable } from './abort.ts';
import { type ChannelParts, PaymentChannel } from './channel.ts';
import { invalid } from './claim-errors.ts';
import type { Clock } from './clock.ts';
import { PayerCounters, type PayerStats } from './counters.ts';
import { ClaimSlab, Flow } from './flow.ts';
import type { Member } from './group/member.ts';
import { type GroupOptions, PaymentGroup } from './group/payment-group.ts';
import { type ChannelIdentityOptions, channelIdentity, expectU64 } from './identity.ts';
import { Inflight, type InflightParts } from './inflight.ts';
import type { KeyPair } from './keys/key-pair.ts';
import type { Signer } from './keys/secp256k1-signer.ts';
import type { PeerLink } from './links/peer-link.ts';
import { type Receipt, ReceiptCheck, type ReceiptExpectation } from './receipt.ts';
import { checkBestClaim, type ResumedChannel, resumeRequest, type VerifyEd25519 } from './resume.ts';
import { type RootsOptions, rootsOptions } from './roots.ts';
import { RTO_LIMITS, type RtoLimits, RttEstimator } from './rto.ts';
import { SendPath } from './send-path.ts';
import { SendWindow } from './send-window.ts';
import type { PayerState } from './state/payer-state.ts';

/** Bounds of a payer; everything has a default. */
export interface PayerLimits {
  /** Claims unacknowledged at once, over all channels. Default 1,024, see WINDOW_DEFAULT; with `roots` 4,416. */
  window?: number;
  /** How long a claim waits for its ack before it fails with ACK_TIMEOUT, milliseconds. Default 10,000. */
  ackTimeoutMs?: number;
  /** Promises that may wait at once; further claims fail with PAYER_FULL. Default 1,000,000. */
  waitingMax?: number;
  /**
   * Whether to wait for a node where nothing listens yet, instead of failing with NODE_UNREACHABLE at once. A node that has
   * answered before is always waited for. Default false.
   */
  waitForNode?: boolean;
  /**
   * Signs one root for the claims of many channels of a key (Merkle batches), `{}` for the defaults: for a hub, and for keys in a slow module.
   * For nodes with `--roots`, by any address. Under `xrpl` what leaves have paid is not
   * redeemable until an ordinary claim follows (`PaymentChannel.cover`): the node takes as much of it as its operator allows.
   */
  roots?: RootsOptions;
  /** Bounds of the retransmission timeout. */
  rto?: Partial<RtoLimits>;
  /** Time, for simulators. */
  clock?: Clock;
  /** Chance, for simulators: 0 up to 1, like Math.random. */
  random?: () => number;
}

/** A channel, the key that signs its claims, and what is known of it. */
export interface ChannelOptions extends ChannelIdentityOptions {
  /**
   * Drops committed at the node so far, if the caller knows: checked before the first pay(), which adds to it. By default
   * the node is asked. Ignored for a channel that the state file knows.
   */
  committed?: bigint;
  /** Sequence of the last claim sent, default 0. A `link` channel's must rise over restarts; a state file ensures it. */
  lastSequence?: number;
}

/**
 * 69 full datagrams, each counted as about 2.3 KB, are 160 KB, and fit the 208 KiB of a socket's receive buffer on Linux.
 * Of twice as many, sent at once, 6 % were lost on loopback before the node had read one; more also only wait at the node.
 * Too large where `retransmits` grows on a quiet network, too small where the node idles while claims are `queued`.
 */
const WINDOW_DEFAULT = 1024;
/** As many datagrams of 64 leaves. */
const WINDOW_DEFAULT_ROOTS = 69 * MERKLE_BLOCK_LEAVES;
const ACK_TIMEOUT_MS_DEFAULT = 10_000;
const WAITING_MAX_DEFAULT = 1_000_000;

/** What a payer is made of, in Node (payer.ts) or in a page (browser/payer.ts). */
export interface PayerParts {
  readonly link: PeerLink;
  readonly clock: Clock;
  readonly state: PayerState | undefined;
  readonly keySigner: (key: KeyPair) => Signer;
  readonly verifyEd25519: VerifyEd25519;
  /** Of Merkle batches; noble's by default. */
  readonly treeHash?: () => TreeHash;
}

/** Channels to one node. */
export class PayerCore {
  readonly #link: PeerLink;
  readonly #counters = new PayerCounters();
  readonly #slab = new ClaimSlab();
  readonly #inflight: Inflight;
  readonly #inflightParts: InflightParts;
  readonly #parts: PayerParts;
  readonly #receipts: ReceiptCheck;
  readonly #channels = new WeakMap<PaymentChannel, ChannelParts>();
  #closing: Promise<void> | undefined;

  constructor(options: PayerLimits, parts: PayerParts) {
    this.#parts = parts;
    const { link, clock } = parts;
    this.#link = link;
    const { roots } = options;
    if (roots !== undefined && link.sendFrame === undefined)
      throw invalid('roots: expected a link that carries frames of Merkle batches, got one without sendFrame');
    this.#receipts = new ReceiptCheck(parts.verifyEd25519);
    this.#inflightParts = {
      link,
      clock,
      random: options.random ?? Math.random,
      counters: this.#counters,
      path: link.path ?? newSendPath(options),
      ackTimeoutMs: positive(options.ackTimeoutMs, ACK_TIMEOUT_MS_DEFAULT, 'ackTimeoutMs'),
      waitingMax: positive(options.waitingMax, WAITING_MAX_DEFAULT, 'waitingMax'),
      waitForNode: options.waitForNode ?? false,
      roots: roots && { options: roots, hash: (parts.treeHash ?? (() => portableTreeHash))() },
    };
    this.#inflight = new Inflight(this.#inflightParts);
    link.listen(this.#inflight);
  }

  /**
   * Adds a channel to pay through, for as long as the payer lives. Throws ClaimwireError INPUT_INVALID, KEY_FILE_INVALID (a
   * key whose halves do not match), or CHANNEL_EXISTS where the handle is in use: payers of one pool could not tell whose
   * its acks are.
   */
  channel(options: ChannelOptions): PaymentChannel {
    const { committed = 0n, lastSequence = 0 } = options;
    const identity = channelIdentity(options, this.#parts.keySigner);
    const { channelId, ledgerChannelId } = identity;
    expectU64(committed, 'committed');
    if (lastSequence !== lastSequence >>> 0) throw invalid(`lastSequence: expected a u32, got ${lastSequence}`);
    const { state } = this.#parts;
    const entry = state?.entry(ledgerChannelId);
    const { committed: base = committed, sequence = 0 } = entry?.found ?? {};
    const flow = new Flow(identity, this.#slab.next(), base, Math.max(lastSequence, sequence));
    if (!this.#inflight.addFlow(flow))
      throw new ClaimwireError('CHANNEL_EXISTS', `channelId: expected a handle not in use, got ${channelId}`);
    const parts: ChannelParts = {
      flow,
      inflight: this.#inflight,
      bounds: { least: committed, most: options.committed },
      state: state && entry && { kept: state, entry },
      prove: () => this.#prove(flow),
      receipt: (amount, key) => this.#receipt(flow, { amount, key }),
    };
    const channel = new PaymentChannel(parts);
    this.#channels.set(channel, parts);
    return channel;
  }

  /**
   * Channels that are paid together from now on, and by the group alone: for a payer with `roots`, thousands of channels, and one key.
   * Throws ClaimwireError INPUT_INVALID where they are not of this payer or of several keys, are in a group, or have a claim under way.
   */
  group(channels: readonly PaymentChannel[], options: GroupOptions = {}): PaymentGroup {
    const { roots } = this.#inflightParts;
    if (roots === undefined) throw invalid('group: expected a payer with `roots`, got one without');
    const members = channels.map((channel): Member => {
      const parts = this.#channels.get(channel);
      if (parts === undefined) throw invalid('channels: expected those of this payer, got another');
      const { flow, state } = parts;
      const record = state && ((amount: bigint) => state.kept.record(state.entry, amount, flow));
      return { channel, flow, known: () => channel.known(), record };
    });
    const { leavesMax } = rootsOptions(roots.options);
    const { hash } = roots;
    const group = new PaymentGroup(
      { inflight: this.#inflight, parts: this.#inflightParts, members, hash, leavesMax },
      options,
    );
    this.#inflight.addGroup(
      group,
      members.map(({ flow }) => flow),
    );
    return group;
  }

  /**
   * Asks the node for the channel's best claim and goes on from there: for a payer that lost its state, before its first
   * claim. It goes the way of the claims, for `udp` over TCP on the same port. The channel's own signature proves the answer, so
   * nobody can invent an amount; over an unprotected path somebody could still send an older claim than the newest.
   *
   * Rejects with ClaimwireError: INPUT_INVALID (a bare socket, or a signer without signMessage), UNAUTHORIZED,
   * CHANNEL_UNKNOWN, NODE_UNREACHABLE, NODE_FAILED (an answer without a valid signature), PAYER_FULL.
   */
  resume(channel: PaymentChannel, options: Abortable = {}): Promise<ResumedChannel> {
    if (this.#channels.has(channel)) return channel.resume(options);
    return Promise.reject(invalid('channel: expected one of this payer, got another'));
  }

  async #prove({ identity }: Flow): Promise<ResumedChannel> {
    if (this.#link.ask === undefined)
      throw invalid('resume: expected a link that carries requests (any but a bare socket), got one without');
    const answer = await this.#link.ask((nonce) => resumeRequest(identity, nonce), identity.channelId);
    return await checkBestClaim(identity, answer, this.#parts.verifyEd25519);
  }

  async #receipt({ identity }: Flow, { amount, key }: ReceiptExpectation & { amount: bigint }): Promise<Receipt> {
    const { channelId, ledgerChannelId } = identity;
    if (this.#link.ask === undefined)
      throw invalid('receipt: expected a link that carries requests (any but a bare socket), got one without');
    const request = { type: 'receipt', channelId: String(channelId), amount: String(amount) } as const;
    const answer = await this.#link.ask(() => request, channelId);
    return await this.#receipts.check(answer, { key, ledgerChannelId, amount });
  }

  /** Counters, now. */
  stats(): PayerStats {
    const counters = this.#counters;
    const paths = [...this.#inflight.paths];
    const slowest = paths.reduce((slow, path) => (path.rtt.smoothedMs > slow.rtt.smoothedMs ? path : slow));
    return {
      ...this.#link.stats(),
      claimsSent: counters.claimsSent,
      retransmits: counters.retransmits,
      questionsSent: counters.questionsSent,
      acks: counters.acks(),
      unmatched: counters.unmatched,
      malformed: counters.malformed,
      socketErrors: counters.socketErrors,
      waiting: this.#inflight.waiting,
      inFlight: paths.reduce((sum, { window }) => sum + window.used, 0),
      window: paths.reduce((sum, { window }) => sum + Math.floor(window.limit), 0),
      queued: this.#inflight.queued,
      ...(this.#inflight.rootsSigned !== undefined && { rootsSigned: this.#inflight.rootsSigned }),
      smoothedRttMs: slowest.rtt.smoothedMs,
      rttVariationMs: slowest.rtt.variationMs,
      rtoMs: slowest.rtt.rtoMs,
      rtt: counters.rtt(),
    };
  }

  /** Rejects what still waits with PAYER_CLOSED and closes the link, but not a pool that it was given. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  /** For `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    this.#inflight.close();
    try {
      await this.#link.close();
    } finally {
      // Where the last acks cannot be written, nothing is lost: the next payer asks the node.
      await this.#parts.state?.close().catch(() => {});
    }
  }
}

/** A path within a payer's limits. Throws INPUT_INVALID. */
export function newSendPath({ rto, window, roots }: PayerLimits): SendPath {
  const otherwise = roots === undefined ? WINDOW_DEFAULT : WINDOW_DEFAULT_ROOTS;
  const limit = Math.floor(positive(window, otherwise, 'window'));
  return new SendPath(new RttEstimator({ ...RTO_LIMITS, ...rto }), new SendWindow(limit));
}

function positive(value: number | undefined, otherwise: number, name: string): number {
  if (value === undefined) return otherwise;
  if (value >= 1) return value;
  throw invalid(`${name}: expected a number of at least 1, got ${value}`);
}
