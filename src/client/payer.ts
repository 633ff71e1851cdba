/**
 * The payer: channels to one node, over one link (UDP, TCP, TLS, or whichever gets through).
 *
 * Runs on the main thread of the user's process and owns all its memory. `claim()` signs and sends at once while the
 * window has room; the promise settles with the ack that covers it.
 *
 * What an ack is worth: over UDP it is not authenticated. Who can send with the node's address and port, and knows a
 * channel's handle and a recent sequence, can make a payer believe that an amount is committed, refused, or is to be
 * sent later. It can not make the payer sign more: amounts come from the caller alone. The socket is connected, so that
 * on loopback or a link of one's own nobody else can; elsewhere ask the node (`resume`) before relying on an ack, or pay
 * over TLS.
 */
import { LEDGER_CHANNEL_ID_BYTES, type ProfileName, U64_MAX } from '../../protocol/layout.ts';
import { ClaimwireError } from '../errors.ts';
import { type Abortable, abortable } from './abort.ts';
import { invalid, PaymentChannel } from './channel.ts';
import { ClaimSlab } from './claim-slab.ts';
import { type Clock, systemClock } from './clock.ts';
import { PayerCounters, type PayerStats } from './counters.ts';
import { Flow } from './flow.ts';
import { Inflight } from './inflight.ts';
import { type KeyPair, keySigner } from './keys/key-file.ts';
import type { Signer } from './keys/signer.ts';
import type { DatagramSocket } from './links/datagram-socket.ts';
import { UdpLink } from './links/link-udp.ts';
import { type LinkOptions, openLink } from './links/open-link.ts';
import type { PeerLink } from './links/peer-link.ts';
import { checkBestClaim, type ResumedChannel, resumeRequest } from './resume.ts';
import { RTO_LIMITS, type RtoLimits, RttEstimator } from './rto.ts';
import { SendWindow } from './send-window.ts';
import { StateFile } from './state/state-file.ts';

/** Bounds of a payer; everything has a default. */
export interface PayerLimits {
  /** Claims unacknowledged at once, over all channels. Default 1,024, see WINDOW_DEFAULT. */
  window?: number;
  /** How long a claim waits for its ack before it fails with ACK_TIMEOUT, milliseconds. Default 10,000. */
  ackTimeoutMs?: number;
  /** Promises unsettled at once; further claims fail with PAYER_FULL. Default 1,000,000. */
  waitingMax?: number;
  /**
   * Where nothing listens at the node's address: wait for it as for an ack, instead of failing with NODE_UNREACHABLE at once.
   * A node that has been there is always waited for. Default false.
   */
  waitForNode?: boolean;
  /** Bounds of the retransmission timeout. */
  rto?: Partial<RtoLimits>;
  /** Time, for simulators. */
  clock?: Clock;
  /** Chance, for simulators: 0 up to 1, like Math.random. */
  random?: () => number;
}

/** What a payer keeps over restarts. */
export interface StateOptions {
  /**
   * A file that keeps each channel's amounts and sequences over restarts; made where there is none. It is locked for as
   * long as the payer lives, so that there is one live payer a channel; what a crash left open the node is asked.
   */
  state?: string;
}

/** A channel and the key that signs its claims. */
export interface ChannelOptions {
  /** 32 bytes, or 64 hex digits. */
  ledgerChannelId: Uint8Array | string;
  /** The u64 handle; by default the first 8 bytes of the ledger channel id. */
  channelId?: bigint;
  /** secp256k1 or Ed25519. Channels of one key share a Signer (keySigner), since a key pair is checked each time. */
  key: KeyPair | Signer;
  /** Default `xrpl`. */
  profile?: ProfileName;
  /**
   * Drops committed at the node so far, where the caller knows: checked before the first pay(), which adds to it. By
   * default the node is asked. Not looked at for a channel that the state file knows.
   */
  committed?: bigint;
  /**
   * Sequence of the last claim sent; the next has one more. A `link` channel's must rise over restarts: the state file
   * sees to that. Default 0.
   */
  lastSequence?: number;
}

/**
 * 69 full datagrams, each charged about 2.3 KB, are 160 KB: they fit the 208 KiB that Linux gives a socket to receive
 * into. Twice as many, sent at once, lost 6 % on loopback before the node had read one. More also only wait at the node.
 * Wrong where `retransmits` grows on a quiet network (too large) or the node idles while claims are `queued` (too small).
 */
const WINDOW_DEFAULT = 1024;
const ACK_TIMEOUT_MS_DEFAULT = 10_000;
const WAITING_MAX_DEFAULT = 1_000_000;

/** Channels to one node. Many payers may share a ConnectionPool. */
export class Payer {
  readonly #link: PeerLink;
  readonly #counters = new PayerCounters();
  readonly #slab = new ClaimSlab();
  readonly #rtt: RttEstimator;
  readonly #window: SendWindow;
  readonly #inflight: Inflight;
  readonly #state: StateFile | undefined;
  readonly #channels = new WeakSet<PaymentChannel>();
  #closing: Promise<void> | undefined;

  /**
   * Opens a payer to a node's address. Rejects with INPUT_INVALID, NODE_UNREACHABLE, or what is wrong with the state
   * file: STATE_LOCKED (another live payer has it), STATE_INVALID (it is damaged, or something else), STATE_FAILED; or with
   * the reason of `signal`.
   */
  static open({ signal, ...options }: PayerLimits & LinkOptions & StateOptions & Abortable): Promise<Payer> {
    return abortable(
      signal,
      () => Payer.#open(options),
      (payer) => payer.close(),
    );
  }

  static async #open(options: PayerLimits & LinkOptions & StateOptions): Promise<Payer> {
    const { clock = systemClock, random = Math.random } = options;
    const link = await openLink(options, clock, random);
    let state: StateFile | undefined;
    try {
      state = options.state === undefined ? undefined : await StateFile.open(options.state);
      return new Payer({ ...options, link }, state);
    } catch (error) {
      await Promise.all([link.close(), state?.close()]);
      throw error;
    }
  }

  /** A payer over a datagram socket or a link of one's own, which it closes with itself. */
  constructor(options: PayerLimits & ({ socket: DatagramSocket } | { link: PeerLink }), state?: StateFile) {
    this.#state = state;
    const clock = options.clock ?? systemClock;
    const window = positive(options.window, WINDOW_DEFAULT, 'window');
    this.#link = 'link' in options ? options.link : new UdpLink(options.socket, clock);
    this.#rtt = new RttEstimator({ ...RTO_LIMITS, ...options.rto });
    this.#window = new SendWindow(Math.floor(window));
    this.#inflight = new Inflight({
      link: this.#link,
      clock,
      random: options.random ?? Math.random,
      counters: this.#counters,
      rtt: this.#rtt,
      window: this.#window,
      ackTimeoutMs: positive(options.ackTimeoutMs, ACK_TIMEOUT_MS_DEFAULT, 'ackTimeoutMs'),
      waitingMax: positive(options.waitingMax, WAITING_MAX_DEFAULT, 'waitingMax'),
      waitForNode: options.waitForNode ?? false,
    });
    this.#link.listen(this.#inflight);
  }

  /**
   * A channel to pay through; it lasts as long as the payer. Throws ClaimwireError INPUT_INVALID, KEY_FILE_INVALID (a
   * key whose halves do not match), or CHANNEL_EXISTS where the handle is taken (by any payer of the same pool: their acks would be one another's).
   */
  channel(options: ChannelOptions): PaymentChannel {
    const { key, profile = 'xrpl', committed = 0n, lastSequence = 0 } = options;
    const ledgerChannelId = ledgerIdBytes(options.ledgerChannelId);
    const channelId = options.channelId ?? Buffer.from(ledgerChannelId).readBigUInt64BE(0);
    if (profile !== 'xrpl' && profile !== 'link') throw invalid(`profile: expected xrpl or link, got ${profile}`);
    expectU64(channelId, 'channelId');
    expectU64(committed, 'committed');
    if (lastSequence !== lastSequence >>> 0) throw invalid(`lastSequence: expected a u32, got ${lastSequence}`);
    const signer = 'signClaim' in key ? key : keySigner(key);
    const identity = { channelId, ledgerChannelId, profile, signer };
    const entry = this.#state?.entry(ledgerChannelId);
    const { committed: base = committed, sequence = 0 } = entry?.found ?? {};
    const flow = new Flow(identity, this.#slab.take(), base, Math.max(lastSequence, sequence));
    if (!this.#inflight.addFlow(flow))
      throw new ClaimwireError('CHANNEL_EXISTS', `channelId: expected a handle not in use, got ${channelId}`);
    const channel = new PaymentChannel({
      flow,
      inflight: this.#inflight,
      bounds: { least: committed, most: options.committed },
      state: this.#state && entry && { file: this.#state, entry },
      prove: () => this.#prove(flow),
    });
    this.#channels.add(channel);
    return channel;
  }

  /**
   * Asks the node for the channel's best claim and goes on from there: for a payer that lost its state, before its first
   * claim. Over TCP or TLS, for `udp` by TCP on the same port. The answer is checked by the channel's own signature, so nobody can make up an
   * amount; an older one than the newest could still be told, over an unprotected path.
   *
   * Rejects with ClaimwireError: INPUT_INVALID (a bare socket, or a signer that can not), UNAUTHORIZED, CHANNEL_UNKNOWN,
   * NODE_UNREACHABLE, NODE_FAILED (an answer that does not hold), PAYER_FULL.
   */
  resume(channel: PaymentChannel, options: Abortable = {}): Promise<ResumedChannel> {
    if (this.#channels.has(channel)) return channel.resume(options);
    return Promise.reject(invalid('channel: expected one of this payer, got another'));
  }

  async #prove({ identity }: Flow): Promise<ResumedChannel> {
    if (this.#link.ask === undefined)
      throw invalid('resume: expected a link with a control channel, got a bare socket');
    return checkBestClaim(identity, await this.#link.ask((nonce) => resumeRequest(identity, nonce)));
  }

  /** Counters, now. */
  stats(): PayerStats {
    const counters = this.#counters;
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
      inFlight: this.#window.used,
      window: Math.floor(this.#window.limit),
      queued: this.#inflight.queued,
      smoothedRttMs: this.#rtt.smoothedMs,
      rttVariationMs: this.#rtt.variationMs,
      rtoMs: this.#rtt.rtoMs,
      rtt: counters.rtt(),
    };
  }

  /** Rejects what still waits with PAYER_CLOSED and closes the link, not a pool it was given; nothing else keeps the process alive. */
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
      // Where the last acks cannot be written nothing is lost: the next payer asks the node.
      await this.#state?.close().catch(() => {});
    }
  }
}

function ledgerIdBytes(id: Uint8Array | string): Uint8Array {
  if (typeof id === 'string') {
    if (/^[0-9a-f]{64}$/i.test(id)) return Uint8Array.from(Buffer.from(id, 'hex'));
    throw invalid(`ledgerChannelId: expected 64 hex digits, got ${id.length} characters`);
  }
  if (id.length === LEDGER_CHANNEL_ID_BYTES) return id.slice();
  throw invalid(`ledgerChannelId: expected ${LEDGER_CHANNEL_ID_BYTES} bytes, got ${id.length}`);
}

function expectU64(value: bigint, name: string): void {
  if (value < 0n || value > U64_MAX) throw invalid(`${name}: expected 0..2^64-1, got ${value}`);
}

function positive(value: number | undefined, otherwise: number, name: string): number {
  if (value === undefined) return otherwise;
  if (value >= 1) return value;
  throw invalid(`${name}: expected a number of at least 1, got ${value}`);
}
