/**
 * UDP while it gets through, TCP while it does not. In a page the same goes for WebRTC and a WebSocket. Payer's thread.
 *
 * Where UDP is silent for a few round trips while an answer is due, everything unacknowledged is sent again by TCP. From
 * then on one claim a second is also sent by UDP, as a probe, and all of them while TCP accepts none. When several probes
 * in a row are answered, claims go by UDP again. A switch needs no agreement with the node: a claim that came both ways is
 * answered twice and counts once, since amounts are cumulative.
 */
import type { Clock } from '../clock.ts';
import type { LinkReceiver, LinkStats, PeerLink } from './peer-link.ts';

/**
 * UDP may be silent for this many timeouts of the payer (each at least two round trips), within these bounds: the lower
 * since a slow sync is no blocked port, the upper so that a claim's ten seconds do not pass on a dead path. Before the
 * first measurement it is the lower.
 */
const SILENCE_RTOS = 2;
const SILENCE_MS_MIN = 250;
const SILENCE_MS_MAX = 2_000;
const PROBE_MS = 1_000;
/** Answered probes in a row that lead back to UDP; twice as many each time it failed again within a minute. */
const ANSWERS_MIN = 3;
const ANSWERS_MAX = 32;
const STABLE_MS = 60_000;

export class AutoLink implements PeerLink {
  readonly #udp: PeerLink;
  readonly #tcp: PeerLink;
  readonly ask: PeerLink['ask'];
  readonly #clock: Clock;
  #receiver: LinkReceiver | undefined;
  #current: 'udp' | 'tcp' = 'udp';
  #listening = false;
  #switches = 0;
  /** Over UDP: when the first claim since the node's last message was sent, or 0. */
  #unansweredSince = 0;
  #cancelTimer: (() => void) | undefined;
  /** Over TCP: probes. */
  #probedAt = 0;
  #answers = 0;
  #answered = true;
  #answersNeeded = ANSWERS_MIN;
  #returnedAt = Number.NEGATIVE_INFINITY;

  constructor(udp: PeerLink, tcp: PeerLink, clock: Clock) {
    this.#udp = udp;
    this.#tcp = tcp;
    this.#clock = clock;
    const ask = tcp.ask?.bind(tcp);
    this.ask =
      ask &&
      ((request) => {
        this.#listenTcp();
        return ask(request);
      });
  }

  get peer(): string {
    return this.#udp.peer;
  }

  listen(receiver: LinkReceiver): void {
    this.#receiver = receiver;
    this.#udp.listen({
      rtt: receiver.rtt,
      message: (bytes, start, end) => {
        this.#heardUdp();
        receiver.message(bytes, start, end);
      },
      fault: (error) => receiver.fault(error, false),
      resend: (channelId) => receiver.resend(channelId),
      resendAll: () => receiver.resendAll(),
    });
  }

  open(channelId: bigint): boolean {
    return this.#udp.open(channelId) && this.#tcp.open(channelId);
  }

  send(claims: DataView, offset: number): boolean {
    if (this.#isByUdp()) return this.#udp.send(claims, offset);
    const isSent = this.#tcp.send(claims, offset);
    if (this.#isProbe() || !isSent) this.#udp.send(claims, offset);
    return isSent;
  }

  sendFrame(bytes: Uint8Array, offset: number, size: number): boolean {
    if (this.#isByUdp()) return this.#udp.sendFrame!(bytes, offset, size);
    const isSent = this.#tcp.sendFrame!(bytes, offset, size);
    if (this.#isProbe() || !isSent) this.#udp.sendFrame!(bytes, offset, size);
    return isSent;
  }

  /** Whether what is about to be sent goes by UDP, which owes an answer then. */
  #isByUdp(): boolean {
    if (this.#current !== 'udp') return false;
    if (this.#unansweredSince === 0) this.#unansweredSince = this.#clock.now();
    this.#armTimer(this.#silenceMs);
    return true;
  }

  /** Whether what goes by TCP is also a probe of UDP: one is due. */
  #isProbe(): boolean {
    const now = this.#clock.now();
    if (now - this.#probedAt < Math.max(PROBE_MS, this.#silenceMs)) return false;
    if (!this.#answered) this.#answers = 0;
    this.#answered = false;
    this.#probedAt = now;
    return true;
  }

  stats(): LinkStats {
    const udp = this.#udp.stats();
    const tcp = this.#tcp.stats();
    const { transport } = this.#current === 'udp' ? udp : tcp;
    return { ...udp, ...tcp, transport, transportSwitches: this.#switches, datagramsSent: udp.datagramsSent };
  }

  async close(): Promise<void> {
    this.#cancelTimer?.();
    await Promise.all([this.#udp.close(), this.#tcp.close()]);
  }

  get #silenceMs(): number {
    const { smoothedMs, rtoMs } = this.#receiver!.rtt;
    if (smoothedMs === 0) return SILENCE_MS_MIN;
    return Math.min(Math.max(SILENCE_RTOS * rtoMs, SILENCE_MS_MIN), SILENCE_MS_MAX);
  }

  #heardUdp(): void {
    this.#unansweredSince = 0;
    if (this.#current === 'udp' || this.#answered) return;
    this.#answered = true;
    this.#answers += 1;
    if (this.#answers < this.#answersNeeded) return;
    this.#current = 'udp';
    this.#switches += 1;
    this.#returnedAt = this.#clock.now();
  }

  /** There is one timer at most, and it is checked when it fires, so that an ack sets none. */
  #armTimer(delayMs: number): void {
    this.#cancelTimer ??= this.#clock.after(Math.ceil(delayMs), () => {
      // After a stall of this thread the acks that came meanwhile are read first.
      this.#clock.afterInput(() => {
        this.#cancelTimer = undefined;
        if (this.#current !== 'udp' || this.#unansweredSince === 0) return;
        const left = this.#unansweredSince + this.#silenceMs - this.#clock.now();
        if (left > 0) this.#armTimer(left);
        else this.#fallBack();
      });
    });
  }

  #fallBack(): void {
    const now = this.#clock.now();
    const failedSoon = now - this.#returnedAt < STABLE_MS;
    this.#answersNeeded = failedSoon ? Math.min(2 * this.#answersNeeded, ANSWERS_MAX) : ANSWERS_MIN;
    this.#current = 'tcp';
    this.#switches += 1;
    this.#answers = 0;
    this.#answered = true;
    this.#probedAt = now;
    this.#listenTcp();
    this.#receiver!.resendAll();
  }

  /** Connections are opened when they are first needed. */
  #listenTcp(): void {
    if (this.#listening) return;
    this.#listening = true;
    this.#tcp.listen(this.#receiver!);
  }
}
