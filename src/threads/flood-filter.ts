/**
 * Decides when a socket gets a packet filter, and how much it lets through. Net thread or lane, beside the claim path.
 *
 * A flood that comes faster than datagrams are read fills the socket's receive buffer: honest ones wait behind it, or are
 * dropped with the rest. So as soon as the buffer fills, with little in it that was worth reading, the kernel is given a
 * program (transport/packet-filter.ts) that drops datagrams before they take room. Sources in good standing pass always. What
 * passes of others follows from the buffer. While it fills, less passes: first of sources that sent much that was worth
 * nothing, then of networks over their budget of wrong signatures, at last of all strangers. While it does not, more passes
 * again. So a new payer gets through at once where the flood has one source, and by sending again where it has many. When
 * nothing was dropped for a while the filter goes away.
 */
import type { Standing } from '../path/standing.ts';
import { STANDING_BUDGETS, STANDING_SOURCES } from '../ring/arena.ts';
import { type CounterName, type Counters, counterIndex } from '../ring/counters.ts';
import { SOURCE_WORDS } from '../ring/slot.ts';
import type { System } from '../system/system.ts';
import { type FilterPlan, filterProgram } from '../transport/packet-filter.ts';

/**
 * From so much of the buffer on, a flood is looked for; and from so much on strangers get less. The kernel may give back what
 * was read as late as when it is a quarter of the buffer, so less says nothing.
 */
const FILLED = 0.5;
const PRESSED = 0.3;
/**
 * How much of what was received is worth nothing, for it to be a flood, and for the next level: payers who send too much are
 * none, and where theirs is most of what fills the buffer the next level would not empty it.
 */
const FLOOD_SHARE = 0.25;
const RISE_SHARE = 0.5;
/**
 * What passes at each level: of held sources, of held networks, of all other strangers. A lane that verifies 200,000 claims a
 * second has room for some thousand datagrams of strangers.
 */
const LEVELS = [
  { source: 1 / 64, network: 1, stranger: 1 },
  { source: 1 / 512, network: 1, stranger: 1 },
  { source: 1 / 1_024, network: 1 / 4, stranger: 1 },
  { source: 1 / 1_024, network: 1 / 16, stranger: 1 },
  { source: 1 / 1_024, network: 1 / 64, stranger: 1 / 4 },
  { source: 1 / 1_024, network: 1 / 256, stranger: 1 / 16 },
  { source: 1 / 1_024, network: 1 / 256, stranger: 1 / 64 },
  { source: 1 / 1_024, network: 1 / 256, stranger: 1 / 256 },
] as const;

/** Between two programs, which may take a millisecond for thousands of sources. */
const TICK_MS = 50;
/**
 * Whether the next level is due is looked at after so many milliseconds, and half a buffer of datagrams: what waits in it came
 * by the level before. Where datagrams are read slowly, after so many milliseconds all the same.
 */
const LOOK_MS = 10;
const LOOK_MS_MAX = 100;
/** What a datagram of 15 claims takes of the buffer, with what the kernel needs for itself. */
const DATAGRAM_BUFFER_BYTES = 2_304;
/**
 * A level down after so many ticks without a full buffer; at once while next to nothing is dropped. Where that was one too
 * many it is taken back at once, and the next time comes after twice as many ticks.
 */
const FALL_TICKS = { min: 5, max: 80 } as const;
const FEW_DROPS = 8;
/** Quiet ticks after which the filter goes away. A flood that comes in pulses finds it in place. */
const END_TICKS = 40;
/** Held back for so long after they were over their budget: each second begins with a new one. */
const HELD_SECONDS = 2;
/** How long counts of what was worth nothing are gathered before they are begun anew. */
const WINDOW_MS = 200;

const FILTERED = counterIndex('dropped.floodFilter');
const SOCKET_BUFFER = counterIndex('dropped.socketBuffer');
const RECEIVED = counterIndex('received');
const DATAGRAMS = counterIndex('datagrams');
/** Claims that were worth nothing; and datagrams, each as much as one full of claims. */
const USELESS_CLAIMS = indexes(
  'refused.unknownChannel',
  'refused.badSignature',
  'strangers.heldBack',
  'strangers.overBudget',
);
const USELESS_DATAGRAMS = indexes('dropped.emptyDatagram', 'dropped.unknownType', 'dropped.cutFrame');
const DATAGRAM_CLAIMS = 15;
function indexes(...names: CounterName[]): number[] {
  return names.map(counterIndex);
}

/** What was known at a time. */
interface Look {
  at: number;
  datagrams: number;
  /** Claims, received in all and of no worth. */
  claims: number;
  useless: number;
  full: number;
}
const NO_LOOK: Look = { at: Number.NEGATIVE_INFINITY, datagrams: 0, claims: 0, useless: 0, full: 0 };

/** What it needs of a socket (transport/udp-batch.ts). */
export interface FilterSocket {
  /** Messages dropped since opening. */
  readonly drops: number;
  /** How much of the receive buffer was taken when `drops` was last read, 0 to 1. */
  readonly full: number;
  /** As the system granted it. */
  readonly receiveBufferBytes: number;
  /** An empty program takes the filter away. Returns whether the system took it. */
  filter(program: Uint32Array): boolean;
}

export interface FloodFilterParts {
  socket: FilterSocket;
  /** Without it the kernel's drops are only counted. */
  standing: Standing | undefined;
  counters: Counters;
  random: System['random'];
  /** Milliseconds of the monotonic clock, and the seconds that `standing` goes by. */
  monotonic: () => number;
  nowSeconds: () => number;
  /** Calls again and again while there is a filter: an idle thread has no turns. Returns how to end it. */
  every: (ms: number, call: () => void) => () => void;
}

const NO_PROGRAM = new Uint32Array(0);

export class FloodFilter {
  readonly #parts: FloodFilterParts;
  readonly #halfBuffer: number;
  #drops = 0;
  #endTicks: (() => void) | undefined;
  /** The system takes no filters, or only small ones. */
  #isRefused = false;
  #isSmall = false;
  #level = 0;
  /** Whether the last change of the level was one down; and ticks until the next. */
  #hasFallen = false;
  #fallTicks: number = FALL_TICKS.min;
  /** When the level was last thought about, or a flood was begun to be looked for. */
  #look = NO_LOOK;
  /** Ticks without a full buffer; and those in which next to nothing was dropped. */
  #unpressed = 0;
  #quiet = 0;
  #isPressed = false;
  #tickDrops = 0;
  readonly #standing = new Uint32Array(STANDING_SOURCES * SOURCE_WORDS);
  /** The second in which the sources, and networks, of a place were last over their budget. */
  readonly #sourceSpentAt = new Uint32Array(STANDING_BUDGETS);
  readonly #networkSpentAt = new Uint32Array(STANDING_BUDGETS);

  constructor(parts: FloodFilterParts) {
    this.#parts = parts;
    this.#halfBuffer = parts.socket.receiveBufferBytes / DATAGRAM_BUFFER_BYTES / 2;
  }

  get isAttached(): boolean {
    return this.#endTicks !== undefined;
  }
  /** How little passes, from 0. */
  get level(): number {
    return this.#level;
  }

  /** Once a turn: counts what the kernel dropped, and looks whether it fills up. */
  afterTurn(): void {
    const { socket, counters, standing } = this.#parts;
    const { drops } = socket;
    const dropped = drops - this.#drops;
    if (dropped === 0 && socket.full < PRESSED) return;
    if (dropped > 0) counters.add(this.isAttached ? FILTERED : SOCKET_BUFFER, dropped);
    this.#drops = drops;
    this.#tickDrops += dropped;
    if (standing === undefined || this.#isRefused) return;
    if (this.isAttached) this.#press();
    else if (dropped > 0 || socket.full >= FILLED) this.#lookForFlood();
  }

  close(): void {
    this.#endTicks?.();
    this.#endTicks = undefined;
  }

  /** Begins where much of what was received since the buffer began to fill was worth nothing. */
  #lookForFlood(): void {
    const now = this.#lookNow();
    if (now.at - this.#look.at > WINDOW_MS) this.#look = now;
    else if (uselessShare(this.#look, now) >= FLOOD_SHARE) this.#begin();
  }

  #begin(): void {
    this.#level = 0;
    this.#hasFallen = false;
    this.#fallTicks = FALL_TICKS.min;
    this.#look = this.#lookNow();
    this.#unpressed = 0;
    this.#quiet = 0;
    this.#tickDrops = 0;
    if (this.#attach()) this.#endTicks = this.#parts.every(TICK_MS, () => this.#tick());
    else this.#isRefused = true;
  }

  #lookNow(): Look {
    const { monotonic, counters, socket } = this.#parts;
    const sum = (indexes: readonly number[]) => indexes.reduce((total, index) => total + counters.get(index), 0);
    const bytes = DATAGRAM_CLAIMS * sum(USELESS_DATAGRAMS);
    return {
      at: monotonic(),
      datagrams: counters.get(DATAGRAMS),
      claims: counters.get(RECEIVED) + bytes,
      useless: sum(USELESS_CLAIMS) + bytes,
      full: socket.full,
    };
  }

  /** The next level, where the buffer is full, does not empty, and what is read is still of little worth. */
  #press(): void {
    if (this.#parts.socket.full < PRESSED) return;
    this.#isPressed = true;
    const last = this.#look;
    const now = this.#lookNow();
    const waited = now.at - last.at;
    const isDue = waited >= LOOK_MS && (now.datagrams - last.datagrams >= this.#halfBuffer || waited >= LOOK_MS_MAX);
    if (!isDue && !this.#hasFallen) return;
    this.#look = now;
    if (uselessShare(last, now) < RISE_SHARE || this.#level === LEVELS.length - 1) return;
    if (this.#hasFallen) this.#fallTicks = Math.min(2 * this.#fallTicks, FALL_TICKS.max);
    else if (now.full < last.full) return;
    this.#hasFallen = false;
    this.#level++;
    this.#attach();
  }

  #tick(): void {
    // No turn comes while all that arrives is dropped.
    this.afterTurn();
    const isQuiet = this.#tickDrops <= FEW_DROPS;
    this.#unpressed = this.#isPressed ? 0 : this.#unpressed + 1;
    this.#quiet = isQuiet && !this.#isPressed ? this.#quiet + 1 : 0;
    this.#isPressed = false;
    this.#tickDrops = 0;
    if (this.#quiet >= END_TICKS) {
      this.close();
      this.#parts.socket.filter(NO_PROGRAM);
      return;
    }
    if (this.#quiet > 0) this.#fallTicks = FALL_TICKS.min;
    if (this.#level > 0 && (this.#quiet > 0 || this.#unpressed >= this.#fallTicks)) {
      this.#level--;
      this.#hasFallen = true;
      this.#look = this.#lookNow();
      this.#unpressed = 0;
    }
    this.#attach();
  }

  /** Another program, by what is known now. Where the system refuses it, the one before it stays. */
  #attach(): boolean {
    const { socket, random } = this.#parts;
    const standing = this.#parts.standing!;
    const nowSeconds = this.#parts.nowSeconds();
    const { source, network, stranger } = LEVELS[this.#level]!;
    standing.eachSpentSource(nowSeconds, (place) => {
      this.#sourceSpentAt[place] = nowSeconds;
    });
    standing.eachSpentNetwork(nowSeconds, (place) => {
      this.#networkSpentAt[place] = nowSeconds;
    });
    const plan: FilterPlan = {
      seed: random(4).readUInt32LE(),
      standing: this.#standing,
      count: standing.sources.collect(nowSeconds, this.#standing),
      sources: { seed: standing.seed, places: heldAt(this.#sourceSpentAt, nowSeconds), share: source },
      networks: { seed: standing.seed, places: heldAt(this.#networkSpentAt, nowSeconds), share: network },
      strangersShare: stranger,
    };
    const program = this.#isSmall ? undefined : filterProgram(plan);
    if (program !== undefined && socket.filter(program)) return true;
    // Before Linux 6.9 a socket's options have 20 KB, old program and new together.
    if (program !== undefined) this.#isSmall = true;
    const small = filterProgram({ ...plan, isSmall: true });
    return small !== undefined && socket.filter(small);
  }
}

function uselessShare(since: Look, now: Look): number {
  return (now.useless - since.useless) / Math.max(1, now.claims - since.claims);
}

/** A bit for each that was over its budget lately. */
function heldAt(spentAt: Uint32Array, nowSeconds: number): Uint32Array {
  const places = new Uint32Array(spentAt.length / 32);
  for (let place = 0; place < spentAt.length; place++)
    if (nowSeconds - spentAt[place]! <= HELD_SECONDS) places[place >>> 5]! |= 1 << (place & 31);
  return places;
}
