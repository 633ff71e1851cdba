/** The settings that may change while the node runs: their bounds, and how each reaches the threads. Main thread. */
import type { NodeConfig } from '../config.ts';
import { SETTING_NAMES, type Setting, type SettingName, type TuneControl } from '../control/tune-control.ts';
import { ClaimwireError } from '../errors.ts';
import { GROUP_CLAIMS_MAX } from '../path/commit-group.ts';
import type { Arena } from '../ring/arena.ts';
import { SettingWords } from '../ring/setting-words.ts';
import type { Kernel } from '../verify/kernel.ts';
import { BATCH_MAX } from '../verify/kernel-backend.ts';
import { SHARED_CLAIMS_MAX } from './parts.ts';

/** With fewer a lane would be nothing but syncs, and answer too late for anybody to send the next claim. */
const GROUP_CLAIMS_MIN = 64;
/** A group that waited for longer would be most of what a payer waits for. */
const GROUP_WAIT_MS_MAX = 16;
/** Some 100 µs of empty turns where Atomics.pause is there. */
const IDLE_SPINS_MAX = 16_384;
/** Two of the pieces that the memory for tables is shared out in (src/kernel/key_pool.h). */
const KEY_CACHE_MIN = 2 ** 22;

type Bounds = Omit<Setting, 'name'>;

export class LiveSettings implements TuneControl {
  readonly #words: SettingWords;
  readonly #kernel: Kernel | undefined;
  readonly #settings = new Map<SettingName, Bounds>();

  constructor(config: NodeConfig, arena: Arena, kernel: Kernel | undefined, idleSpins: number) {
    this.#words = new SettingWords(arena);
    this.#kernel = kernel;
    const isShared = config.layout === 'pipeline';
    const batch = Math.min(BATCH_MAX[config.backend], isShared ? SHARED_CLAIMS_MAX : BATCH_MAX[config.backend]);
    const bounds: Partial<Record<SettingName, Bounds>> = {
      verifyBatch: { value: batch, min: 1, max: batch },
      groupClaims: { value: GROUP_CLAIMS_MAX, min: GROUP_CLAIMS_MIN, max: GROUP_CLAIMS_MAX },
      groupWaitMs: { value: 0, min: 0, max: GROUP_WAIT_MS_MAX },
      ...(isShared && { idleSpins: { value: idleSpins, min: 0, max: IDLE_SPINS_MAX } }),
    };
    if (kernel !== undefined) {
      const bytes = config.keyCacheBytes;
      bounds.keyCacheBytes = { value: bytes, min: Math.min(KEY_CACHE_MIN, bytes), max: bytes };
    }
    for (const name of SETTING_NAMES) if (bounds[name] !== undefined) this.#settings.set(name, bounds[name]);
  }

  settings(): Setting[] {
    return [...this.#settings].map(([name, bounds]) => ({ name, ...bounds }));
  }

  set(name: SettingName, value: number): void {
    const bounds = this.#settings.get(name);
    if (bounds === undefined) throw invalid(`expected one of ${[...this.#settings.keys()].join(', ')}, got ${name}`);
    const { min, max } = bounds;
    if (!Number.isSafeInteger(value) || value < min || value > max)
      throw invalid(`${name}: expected a whole number from ${min} to ${max}, got ${value}`);
    this.#settings.set(name, { value, min, max });
    if (name === 'keyCacheBytes') this.#kernel!.limitTables(value);
    else this.#words.set(name, value);
  }
}

function invalid(message: string): ClaimwireError {
  return new ClaimwireError('INPUT_INVALID', `setting: ${message}`);
}
