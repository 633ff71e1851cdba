/**
 * One address of a node: its link, opened when it is first needed, and whether it answers. Part of a routed link
 * (routed-link.ts), payer's thread.
 */
import type { ControlAnswer } from '../../../protocol/control.ts';
import { frameChannels } from '../../../protocol/merkle-frame.ts';
import { ClaimwireError } from '../../errors.ts';
import type { Clock } from '../clock.ts';
import type { LinkReceiver, PeerLink } from '../links/peer-link.ts';
import type { SendPath } from '../send-path.ts';

/**
 * An address is silent when an answer has been due for so many time-outs of its path, and so long at least. After slow answers, as
 * while the database fails over, the time-out is seconds long: by then others may have taken the node over, and asking costs little.
 */
const SILENCE_RTOS = 2;
const SILENCE_MS_MIN = 250;
const SILENCE_MS_MAX = 750;
/** After so long without a claim sent nobody waits for an answer: one that is waited for is sent again every second. */
const ABANDONED_MS = 3_000;
const ABANDONED_RTOS = 4;
/** So long a silent or refusing address is passed over where there is another. */
const SHUNNED_MS = 2_000;
/** Weight of a new measurement of how long the place takes to answer for the route. */
const ASK_SMOOTHING = 1 / 4;

export interface PlaceOwner {
  readonly clock: Clock;
  readonly receiver: LinkReceiver;
  openPlace(address: string): Promise<PeerLink>;
  /** The place began to be waited for. */
  waiting(): void;
  /** What the receiver is given next came from it. */
  hears(place: Place): void;
  /** Its socket failed, or could not be opened. */
  fault(place: Place, error: Error, isOnlyWay?: boolean): void;
  /** Calls back for the channels that are there now. */
  resendAll(place: Place): void;
}

export class Place {
  readonly address: string;
  readonly path: SendPath;
  /** How long an answer to `route` took, smoothed; 0 before the first. */
  askMs = 0;
  link: PeerLink | undefined;
  readonly #owner: PlaceOwner;
  /** Channels that the link knows, and those whose claim waits for it to be opened. */
  readonly #channels = new Set<bigint>();
  readonly #held = new Set<bigint>();
  #opening: Promise<PeerLink> | undefined;
  #shunnedUntil = 0;
  /** When the first claim since the last message was sent, or 0; and the last one. */
  #unansweredSince = 0;
  #sentAt = 0;
  #closed = false;

  constructor(address: string, path: SendPath, owner: PlaceOwner) {
    this.address = address;
    this.path = path;
    this.#owner = owner;
  }

  /** See PeerLink.open; of a link that is not open yet nothing speaks against it. */
  open(channelId: bigint): boolean {
    if (this.link === undefined || this.#channels.has(channelId)) return true;
    if (!this.link.open(channelId)) return false;
    this.#channels.add(channelId);
    return true;
  }

  /** See PeerLink.send. The channel was opened where the link is. */
  send(claims: DataView, offset: number, channelId: bigint): boolean {
    const link = this.#awaitAnswer();
    if (link === undefined) {
      this.#held.add(channelId);
      return false;
    }
    return link.send(claims, offset);
  }

  /** See PeerLink.sendFrame. */
  sendFrame(bytes: Uint8Array, offset: number, size: number): boolean {
    const link = this.#awaitAnswer();
    for (const channelId of frameChannels(bytes, offset, size))
      if (link === undefined) this.#held.add(channelId);
      else this.open(channelId);
    return link?.sendFrame?.(bytes, offset, size) ?? false;
  }

  /** The same where the link is open and knows the channels. */
  passFrame(bytes: Uint8Array, offset: number, size: number): boolean {
    return this.#awaitAnswer()?.sendFrame?.(bytes, offset, size) ?? false;
  }

  /** Something is about to be sent: the link for it, or undefined while that is opened. */
  #awaitAnswer(): PeerLink | undefined {
    const now = this.#owner.clock.now();
    this.#sentAt = now;
    if (this.#unansweredSince === 0) {
      this.#unansweredSince = now;
      this.#owner.waiting();
    }
    if (this.link === undefined) this.opened().catch(() => {});
    return this.link;
  }

  /** The link, opened now if it was not. Rejects with ClaimwireError. */
  opened(): Promise<PeerLink> {
    if (this.link !== undefined) return Promise.resolve(this.link);
    this.#opening ??= this.#open();
    return this.#opening;
  }

  /** Asks it for the route, on a connection. */
  async route(): Promise<ControlAnswer> {
    const { clock } = this.#owner;
    const link = await this.opened();
    const since = clock.now();
    const answer = await ask(link, () => ({ type: 'route' }));
    const took = clock.now() - since;
    this.askMs = this.askMs === 0 ? took : this.askMs + ASK_SMOOTHING * (took - this.askMs);
    return answer;
  }

  /** Whether claims are waited for. */
  get isWaiting(): boolean {
    return this.#unansweredSince > 0;
  }

  /** Whether an answer has been due for long. */
  isSilent(now: number): boolean {
    if (this.#unansweredSince === 0) return false;
    const { rtoMs } = this.path.rtt;
    if (now - this.#sentAt >= Math.max(ABANDONED_MS, ABANDONED_RTOS * rtoMs)) this.#unansweredSince = 0;
    const patienceMs = Math.min(SILENCE_MS_MAX, Math.max(SILENCE_MS_MIN, SILENCE_RTOS * rtoMs));
    return this.#unansweredSince > 0 && now - this.#unansweredSince >= patienceMs;
  }

  /** Passes it over for a while, where there is another. Returns whether it was not passed over already. */
  shun(now: number): boolean {
    const isNew = !this.isShunned(now);
    this.#shunnedUntil = now + SHUNNED_MS;
    return isNew;
  }
  isShunned(now: number): boolean {
    return now < this.#shunnedUntil;
  }

  /** What a claim would wait for here: the round trip, and more of it the fuller the window is. 0 before it was measured. */
  get cost(): number {
    const { rtt, window } = this.path;
    return rtt.smoothedMs * (1 + window.used / window.limit);
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#unansweredSince = 0;
    const link = this.link ?? (await this.#opening?.catch(() => undefined));
    await link?.close();
  }

  async #open(): Promise<PeerLink> {
    try {
      this.link = await this.#owner.openPlace(this.address);
      this.listen();
      for (const channelId of this.#held) this.open(channelId);
      for (const channelId of this.#held) this.#owner.receiver.resend(channelId);
      this.#held.clear();
      return this.link;
    } catch (error) {
      this.#opening = undefined;
      if (!this.#closed) this.#owner.fault(this, error as Error, false);
      throw error;
    }
  }

  /** Begins to hear what comes over its link. The owner calls it for a link that it opened before it had a receiver. */
  listen(): void {
    const owner = this.#owner;
    this.link?.listen({
      rtt: this.path.rtt,
      message: (bytes, start, end) => {
        this.#unansweredSince = 0;
        this.#shunnedUntil = 0;
        owner.hears(this);
        owner.receiver.message(bytes, start, end);
      },
      fault: (error, isOnlyWay) => owner.fault(this, error, isOnlyWay),
      resend: (channelId) => owner.receiver.resend(channelId),
      resendAll: () => owner.resendAll(this),
    });
  }
}

/** Asks over a link. Rejects with INPUT_INVALID where it carries no requests. */
export async function ask(
  link: PeerLink,
  ...request: Parameters<NonNullable<PeerLink['ask']>>
): Promise<ControlAnswer> {
  if (link.ask !== undefined) return await link.ask(...request);
  throw new ClaimwireError('INPUT_INVALID', 'request: expected a link that carries requests (any but a bare socket)');
}
