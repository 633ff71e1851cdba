/**
 * The load itself: it paces, fills and sends claims, reads acks and records, in turns of its own thread's event loop.
 *
 * The loop is open: a claim that is due leaves whatever was answered before, and a late claim is counted, never skipped.
 * At most once a turn the thread sleeps until the next claim is due or an ack may be there. At high rates it rests between
 * bursts, because the node may need the core; latency counts from the intended time anyway.
 */
import type { TransportSink } from '../transport/transport.ts';
import { AckReader } from './acks.ts';
import { BATCH_CLAIMS_MAX, Batch, FaultDraw } from './batch.ts';
import type { Capture } from './capture.ts';
import type { LoadChannels } from './channels.ts';
import type { Deal } from './cluster/deal.ts';
import { Resends } from './cluster/resends.ts';
import type { Departures } from './departures.ts';
import { Dispatch } from './dispatch.ts';
import type { LoadLink } from './links/link.ts';
import { Outstanding } from './outstanding.ts';
import { Random } from './random.ts';
import { LATE_MS, Recorder } from './recorder.ts';
import type { LoadInterval, LoadStep } from './result.ts';
import { listedSchedule, RateSchedule, type Schedule } from './schedule.ts';
import { CONTROL_MOVED, CONTROL_STOP, type LoadSettings, type ReplayClaims } from './settings.ts';
import type { ClaimSource, SignedSource } from './source.ts';

/** From this many claims a second on, claims leave in bursts this far apart. */
const BURST_RATE_MIN = 50_000;
const BURST_MS = 0.1;
/** The longest sleep while acks are outstanding, some on sockets that cannot wake the thread; and while none are. */
const SLEEP_MS_MAX = 0.1;
const IDLE_MS_MAX = 1;

export interface SendTotals {
  /** Claims handed to the sockets, copies included. */
  sent: number;
  acknowledged: number;
  acknowledgedByNewer: number;
  ackDrops: number;
}

export interface GeneratorParts {
  settings: LoadSettings;
  channels: LoadChannels;
  source: ClaimSource;
  replay: ReplayClaims | undefined;
  capture: Capture | undefined;
  control: Int32Array;
  /** @param waiting claims without an answer so far */
  onInterval: (interval: LoadInterval, waiting: number) => void;
}

export class Generator {
  readonly #parts: GeneratorParts;
  readonly #outstanding: Outstanding;
  readonly #acks: AckReader;
  readonly #batch = new Batch();
  /** Whether the link has the whole batch, so that its slots are free. */
  #hasLeft = true;
  readonly #faults: FaultDraw;
  readonly #arrivals: Random;
  #recorder = new Recorder(0);
  #link!: LoadLink;
  #dispatch!: Dispatch;
  /** Only over a cluster. */
  #resends: Resends | undefined;
  /** What the current step needs. Without a schedule claims leave as fast as the window allows. */
  #schedule: Schedule | undefined;
  #endsAt = 0;
  #sendAfter = 0;
  #burstMs = 0;
  readonly #hearInterval = (interval: LoadInterval) => this.#parts.onInterval(interval, this.#outstanding.count);

  constructor(parts: GeneratorParts) {
    const { settings, channels, source } = parts;
    this.#parts = parts;
    this.#outstanding = new Outstanding(capacityFor(settings), channels.queues, this.#recorder);
    this.#acks = new AckReader(channels, this.#outstanding, this.#recorder, !source.isVerbatim);
    this.#faults = new FaultDraw(settings.faults, new Random(settings.seed, 'faults'));
    this.#arrivals = new Random(settings.seed, 'arrivals');
  }

  /** When claims left, which the link knows. */
  get departures(): Departures {
    return this.#outstanding.departures;
  }

  /** Receives what comes in on the link. */
  get sink(): TransportSink {
    return this.#acks;
  }

  attach(link: LoadLink): void {
    const { settings, channels, source, capture } = this.#parts;
    this.#link = link;
    const random = new Random(settings.seed, 'corruption');
    const { perDatagram } = settings;
    const { isVerbatim } = source;
    const parts = { channels, link, outstanding: this.#outstanding, random, perDatagram, isVerbatim, capture };
    this.#dispatch = new Dispatch(parts, this.#recorder);
  }

  /** After `attach`: claims whose channel has another node go there. Returns what sends them. */
  follow(deal: Deal, source: SignedSource): Resends {
    const { channels, control, settings } = this.#parts;
    const [link, outstanding, perDatagram] = [this.#link, this.#outstanding, settings.perDatagram];
    const onMoved = () => void Atomics.add(control, CONTROL_MOVED, 1);
    const parts = { channels, outstanding, link, source, deal, perDatagram, onMoved };
    this.#resends = new Resends(parts, this.#recorder);
    this.#acks.moves = this.#resends;
    return this.#resends;
  }

  /** What was sent and acknowledged so far, warm-up included. */
  get totals(): SendTotals {
    const { acknowledged, acknowledgedByNewer } = this.#outstanding;
    const sent = this.#dispatch.claims + (this.#resends?.claims ?? 0);
    return { sent, acknowledged, acknowledgedByNewer, ackDrops: this.#link.drops };
  }

  get isStopped(): boolean {
    return Atomics.load(this.#parts.control, CONTROL_STOP) !== 0;
  }

  /** Runs one rate: the warm-up, the run's duration, and the wait for the last acks. */
  async step(rate: number | null): Promise<LoadStep> {
    const { settings, replay } = this.#parts;
    const { warmupMs, durationMs, drainMs, arrivals } = settings;
    const startMs = performance.now();
    const measuredFrom = startMs + warmupMs;
    const recorder = new Recorder(measuredFrom);
    this.#recorder = recorder;
    this.#dispatch.recorder = recorder;
    if (this.#resends !== undefined) this.#resends.recorder = recorder;
    this.#acks.recorder = recorder;
    this.#outstanding.ends = recorder;
    this.#endsAt = measuredFrom + durationMs;
    this.#burstMs = rate !== null && rate >= BURST_RATE_MIN ? BURST_MS : 0;
    this.#sendAfter = 0;
    if (rate !== null) this.#schedule = new RateSchedule(arrivals, rate, startMs, this.#arrivals);
    else this.#schedule = replay && listedSchedule(replay.offsets, startMs);
    await turns(() => this.#turn());
    const endedAt = Math.min(this.#endsAt, performance.now());
    // A claim due within the last `LATE_MS` could still have left in time on the next turn.
    const unsent = this.#overdue(endedAt - LATE_MS);
    this.#recorder.lastTick(endedAt, this.#hearInterval);
    this.#dispatch.releaseHeld();
    const giveUpAt = performance.now() + drainMs;
    await turns(() => this.#drain(giveUpAt));
    this.#outstanding.expire(Number.POSITIVE_INFINITY);
    return this.#recorder.step(rate, endedAt, unsent);
  }

  /** Returns whether the step goes on. */
  #turn(): boolean {
    const { settings, source } = this.#parts;
    this.#link.receive();
    const now = performance.now();
    // The last interval ends with the step.
    if (now < this.#endsAt) this.#recorder.tick(now, this.#hearInterval);
    const batch = this.#batch;
    if (this.#hasLeft) {
      if (now >= this.#endsAt || source.left === 0 || this.isStopped) return false;
      this.#resends?.send(now);
      if (now >= this.#sendAfter && this.#collect(now) > 0) source.fill(batch);
    }
    const sentAt = performance.now();
    let isFull = false;
    if (batch.sent < batch.count || !this.#hasLeft) {
      if (this.#schedule === undefined) batch.dueAt.fill(sentAt, batch.sent, batch.count);
      this.#hasLeft = this.#dispatch.send(batch, sentAt);
      if (!this.#hasLeft) this.#recorder.fullAt = sentAt;
      this.#sendAfter = now + this.#burstMs;
      // The batch was as large as it can be, so more claims may be due.
      isFull = this.#hasLeft && batch.count > source.batchMax - settings.perDatagram;
    }
    // Every turn, since a socket that was full still has datagrams to send.
    this.#link.flush();
    if (!isFull) this.#sleep(sentAt);
    return sentAt < this.#endsAt + settings.drainMs;
  }

  /** Begins a batch of the claims that are due, or of as many as the window has room for. Returns their number. */
  #collect(now: number): number {
    const { settings, source } = this.#parts;
    const batch = this.#batch;
    const most = Math.min(source.batchMax, source.left);
    batch.sent = 0;
    batch.count = 0;
    const schedule = this.#schedule;
    if (schedule === undefined) {
      const room = settings.window - this.#outstanding.count;
      if (room < Math.min(settings.perDatagram, settings.window)) this.#outstanding.expire(now - settings.drainMs);
      else batch.count = wholeDatagrams(Math.min(most, room), settings.perDatagram);
    } else {
      for (; batch.count < most && schedule.due <= now && schedule.due < this.#endsAt; schedule.advance())
        batch.dueAt[batch.count++] = schedule.due;
    }
    for (let index = 0; index < batch.count; index++) batch.faults[index] = this.#faults.draw();
    return batch.count;
  }

  #sleep(now: number): void {
    const due = this.#schedule === undefined ? Number.POSITIVE_INFINITY : this.#schedule.due;
    const longest = this.#outstanding.count > 0 ? SLEEP_MS_MAX : IDLE_MS_MAX;
    const next = Math.min(Math.max(due, this.#sendAfter), this.#endsAt, now + longest);
    this.#link.wait((next - performance.now()) * 1_000);
  }

  /** Counts claims that were due by then and never left, and those of them that waited for a full socket. */
  #overdue(until: number): { claims: number; blocked: number } {
    const { dueAt, count } = this.#batch;
    const overdue = { claims: 0, blocked: 0 };
    const add = (due: number) => {
      overdue.claims += 1;
      if (due <= this.#recorder.fullAt) overdue.blocked += 1;
    };
    for (let index = this.#batch.sent; index < count; index++) if (dueAt[index]! < until) add(dueAt[index]!);
    this.#batch.sent = count;
    if (this.#schedule instanceof RateSchedule && !this.isStopped && this.#parts.source.left > 0)
      for (; this.#schedule.due < until; this.#schedule.advance()) add(this.#schedule.due);
    return overdue;
  }

  #drain(giveUpAt: number): boolean {
    const now = performance.now();
    this.#hasLeft = this.#dispatch.send(this.#batch, now);
    if (this.#hasLeft) this.#resends?.send(now);
    this.#link.flush();
    this.#link.receive();
    if ((this.#hasLeft && this.#outstanding.count === 0) || now >= giveUpAt) return false;
    this.#link.wait(SLEEP_MS_MAX * 1_000);
    return true;
  }
}

/** Room for every claim that may be outstanding, and for older ones, so that late acks still find their claims. */
function capacityFor({ rates, window, inflightMax }: LoadSettings): number {
  const most = rates.some((rate) => rate !== null) ? Math.max(inflightMax, window) : window * 4;
  return 2 ** Math.ceil(Math.log2(Math.max(most, 2 * BATCH_CLAIMS_MAX)));
}

/** Rounds down to full datagrams where there is at least one. */
function wholeDatagrams(claims: number, perDatagram: number): number {
  return claims > perDatagram ? claims - (claims % perDatagram) : claims;
}

/** Calls `turn` once in each turn of the event loop until it returns false. */
function turns(turn: () => boolean): Promise<void> {
  return new Promise((resolve, reject) => {
    const next = () => {
      try {
        if (turn()) setImmediate(next);
        else resolve();
      } catch (error) {
        reject(error as Error);
      }
    };
    next();
  });
}
