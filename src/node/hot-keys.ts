/**
 * A start goes on where the last run ended: it makes the key tables of the keys that were hottest then, so that payers do not wait
 * while their keys earn them anew. Main thread.
 *
 * Both ways the work is done in small pieces, on a timer and for a part of its time: making a table takes some 15 to 300 µs, and
 * the lanes go on meanwhile with what they have. Which keys were hot is written every minute, and at a stop. The file is advice: a key is
 * taken from it only where an open channel has it, and gets what a few valid claims would have earned it, no more.
 */
import { PUBLIC_KEY_BYTES } from '../../protocol/layout.ts';
import { type ChannelTable, FLAG_OPEN, HOT_FLAGS, HOT_KEY } from '../channel/table.ts';
import type { Logger } from '../log.ts';
import type { System } from '../system/system.ts';
import { type Kernel, type KeyList, LISTED_MAX, LISTED_PARTS, TABLE_KINDS } from '../verify/kernel.ts';
import { HOT_KEYS_MAX, type HotKeys, readHotKeys, writeHotKeys } from './hot-keys-file.ts';

/**
 * How often work is done, and for how long where the lanes wait for claims and where they do not. 100,000 of the smallest tables take
 * two seconds. A table costs less than two claims that are verified without it, so a quarter of a core goes to that even then.
 */
const TURN_MS = 8;
const WORK_MS = 6;
const WORK_BUSY_MS = 2;
const WRITE_MS = 60_000;
/** Of one call, so that a piece ends in time: eight tables of the largest kind take 2 ms. */
const KEYS_OF_CALL = 8;
const ROWS_OF_PIECE = 8_192;
const KINDS = Object.values(TABLE_KINDS).filter((kind) => kind !== TABLE_KINDS.none).length;

export interface HotKeyKeeperOptions {
  kernel: Pick<Kernel, 'listKeys' | 'warmKeys'>;
  table: ChannelTable;
  /** Whether the lanes have enough to do: then a turn is shorter. */
  isBusy: () => boolean;
  /** Of the file. */
  path: string;
  system: Pick<System, 'files' | 'clock'>;
  logger: Logger;
}

export class HotKeyKeeper {
  readonly #options: HotKeyKeeperOptions;
  /** What is under way, a piece at a time. */
  #work: Iterator<void> | undefined;
  #endTurns: (() => void) | undefined;
  #endWrites: (() => void) | undefined;
  #isWarming = false;
  /** Keys whose tables were asked for since the start. */
  warmed = 0;

  constructor(options: HotKeyKeeperOptions) {
    this.#options = options;
  }

  /** Begins to make the tables, and to write from time to time. */
  start(): void {
    const { clock } = this.#options.system;
    this.#isWarming = true;
    this.#begin(this.#warm());
    this.#endWrites = clock.every(WRITE_MS, () => this.#begin(this.#write()));
  }

  /** Writes, unless what the last run left is not all made yet: then its file stays. */
  stop(): void {
    this.#endWrites?.();
    this.#end();
    if (!this.#isWarming) for (const _ of this.#write());
  }

  /** Has `work` done in pieces; other work that is under way is ended first. */
  #begin(work: Iterator<void>): void {
    if (this.#work !== undefined) return;
    this.#work = work;
    this.#endTurns = this.#options.system.clock.every(TURN_MS, () => this.#turn());
  }

  #turn(): void {
    const { clock } = this.#options.system;
    const until = clock.monotonic() + (this.#options.isBusy() ? WORK_BUSY_MS : WORK_MS);
    do
      if (this.#work?.next().done !== false) {
        this.#end();
        return;
      }
    while (clock.monotonic() < until);
  }

  #end(): void {
    this.#endTurns?.();
    this.#work = undefined;
  }

  *#warm(): Generator<void> {
    const { path, system, logger } = this.#options;
    const found = readHotKeys(path, system.files);
    if (typeof found === 'string') logger.warn(`${path}: ${found}; key tables are made as claims come`);
    if (typeof found === 'object') yield* this.#make(found);
    this.#isWarming = false;
  }

  /** Makes tables, the hottest keys first, until there is no room. */
  *#make(found: HotKeys): Generator<void> {
    const { kernel, logger } = this.#options;
    const isOpen = yield* this.#openKeys();
    const view = new DataView(found.keys.buffer);
    const calls = Array.from({ length: KINDS }, () => ({ count: 0, keys: new Uint8Array(KEYS_OF_CALL * 33) }));
    for (let index = 0, hasRoom = true; index < found.count && hasRoom; index++) {
      const key = this.#options.table.findKey(found.keys, view, index * PUBLIC_KEY_BYTES);
      const call = calls[found.kinds[index]!];
      if (key < 0 || !isOpen(key) || call === undefined) continue;
      call.keys.set(found.keys.subarray(index * PUBLIC_KEY_BYTES, (index + 1) * PUBLIC_KEY_BYTES), call.count++ * 33);
      if (call.count < KEYS_OF_CALL) continue;
      hasRoom = kernel.warmKeys(found.kinds[index]!, call.keys);
      this.warmed += call.count;
      call.count = 0;
      yield;
    }
    for (const [kind, { count, keys }] of calls.entries()) {
      if (count > 0) kernel.warmKeys(kind, keys.subarray(0, count * 33));
      this.warmed += count;
    }
    logger.info(`key tables of ${this.warmed} hot keys of the last run are made`);
  }

  /** Which keys an open channel has, by their numbers. */
  *#openKeys(): Generator<void, (key: number) => boolean> {
    const { table } = this.#options;
    const bits = new Uint32Array(Math.ceil(table.capacity / 32));
    for (let row = 0; row < table.rows; row++) {
      const hot = table.hot(row);
      const key = table.words[hot + HOT_KEY]!;
      if ((table.words[hot + HOT_FLAGS]! & FLAG_OPEN) !== 0) bits[key >>> 5]! |= 1 << (key & 31);
      if (row % ROWS_OF_PIECE === 0) yield;
    }
    return (key) => (bits[key >>> 5]! & (1 << (key & 31))) !== 0;
  }

  *#write(): Generator<void> {
    const { path, system, logger } = this.#options;
    const list = yield* this.#list();
    try {
      writeHotKeys(path, list, system.files);
    } catch (error) {
      logger.warn(`${path}: not written, ${(error as Error).message}; the next start makes key tables as claims come`);
    }
  }

  /** The hottest keys that have a table now. */
  *#list(): Generator<void, HotKeys> {
    const { kernel } = this.#options;
    const into: KeyList = {
      keys: new Uint8Array(LISTED_MAX * 33),
      kinds: new Uint8Array(LISTED_MAX),
      heat: new Uint32Array(LISTED_MAX),
    };
    const keys: Uint8Array[] = [];
    const kinds: Uint8Array[] = [];
    const heat: number[] = [];
    for (let part = 0, count = 0; count >= 0; part += LISTED_PARTS) {
      count = kernel.listKeys(part, into);
      if (count <= 0) continue;
      keys.push(into.keys.slice(0, count * 33));
      kinds.push(into.kinds.slice(0, count));
      for (let index = 0; index < count; index++) heat.push(into.heat[index]!);
      yield;
    }
    return hottest(Buffer.concat(keys), Buffer.concat(kinds), heat);
  }
}

/** The first HOT_KEYS_MAX by heat. */
function hottest(keys: Uint8Array, kinds: Uint8Array, heat: readonly number[]): HotKeys {
  // Heat has 24 bits, and there are fewer than 2^28 keys: both fit a double, which sorts without a comparison in JavaScript.
  const order = Float64Array.from(heat, (value, index) => -value * 2 ** 28 + index).sort();
  const count = Math.min(order.length, HOT_KEYS_MAX);
  const chosen = { count, kinds: new Uint8Array(count), keys: new Uint8Array(count * PUBLIC_KEY_BYTES) };
  for (let at = 0; at < count; at++) {
    const from = ((order[at]! % 2 ** 28) + 2 ** 28) % 2 ** 28;
    chosen.kinds[at] = kinds[from]!;
    chosen.keys.set(keys.subarray(from * PUBLIC_KEY_BYTES, (from + 1) * PUBLIC_KEY_BYTES), at * PUBLIC_KEY_BYTES);
  }
  return chosen;
}
