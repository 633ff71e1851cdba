/**
 * `--auto-tune`: looks at the node once a second, lets the tuner decide, changes the setting it names, and logs what came of it.
 * Main thread. It sees the node through src/control only, and can change nothing but the settings of TuneControl.
 */
import type { Setting, SettingName, TuneControl } from '../control/tune-control.ts';
import type { Logger } from '../log.ts';
import type { Sample } from '../metrics/sample.ts';
import type { Sampler } from '../metrics/sampler.ts';
import type { Files } from '../system/files.ts';
import { type Advice, adviceOf, type Layout } from './advice.ts';
import type { Score, Targets } from './score.ts';
import { loadState, saveState } from './state-file.ts';
import { type Decision, Tuner } from './tuner.ts';

/** Changes after which the state is saved. It is saved with each rest, and at the end, too. */
const SAVED_EVERY = 20;
/** Samples in a row that must give the same advice before it is told, so that one busy second is none. */
const ADVICE_SAMPLES = 30;
const P99_MS_DEFAULT = 100;

export interface TuneOptions {
  /** Milliseconds; by default 100. */
  targetP99Ms?: number | undefined;
  /** Cores that the process may use; by default no target. */
  targetCpu?: number | undefined;
  /** Bytes of the process in memory; by default no target. */
  targetMemory?: number | undefined;
}

export interface AutoTuneParts {
  tuning: TuneControl;
  sampler: Pick<Sampler, 'listen'>;
  options: TuneOptions;
  layout: Layout;
  /** Processor time of the process since it began, seconds. */
  cpuSeconds(): number;
  files: Files;
  /** The data folder. */
  data: string;
  logger: Logger;
}

/** What GET /stats shows of it. */
export interface TuneStats {
  readonly targets: Targets;
  readonly settings: readonly Setting[];
  readonly isResting: boolean;
  readonly kept: number;
  readonly undone: number;
  readonly last: Decision | null;
  /** What only the next start can change. */
  readonly advice: Advice | null;
}

export class AutoTune {
  readonly #parts: AutoTuneParts;
  readonly #targets: Targets;
  readonly #tuner: Tuner;
  #end: (() => void) | undefined;
  #cpuSeconds = 0;
  #saved: number;
  #last: Decision | null = null;
  #advice: Advice | null = null;
  #advised = 0;

  /** Applies what was saved, where the node still allows it. */
  constructor(parts: AutoTuneParts) {
    const { options, files, data, logger, tuning } = parts;
    this.#parts = parts;
    this.#targets = {
      p99Ms: options.targetP99Ms ?? P99_MS_DEFAULT,
      cpu: options.targetCpu,
      memoryBytes: options.targetMemory,
    };
    const state = loadState(files, data, (reason) => logger.warn(`tuning begins anew: ${reason}`));
    const known = new Set<string>(tuning.settings().map(({ name }) => name));
    const unknown = Object.keys(state?.settings ?? {}).filter((name) => !known.has(name));
    if (unknown.length > 0)
      logger.info(`tuning: saved settings that this node has not are ignored: ${unknown.join(', ')}`);
    for (const { name, value, min, max } of tuning.settings()) {
      const saved = state?.settings[name] ?? value;
      if (saved === value || saved < min || saved > max) continue;
      tuning.set(name, saved);
      logger.info(`tuning: ${name} ${value} -> ${saved}, as saved`);
    }
    this.#tuner = new Tuner(tuning.settings(), this.#targets, state);
    this.#saved = this.#tuner.changes;
  }

  start(): void {
    this.#cpuSeconds = this.#parts.cpuSeconds();
    this.#end = this.#parts.sampler.listen(({ sample }) => this.#look(sample));
  }

  /** Takes back what is being tried, and saves. */
  stop(): void {
    this.#end?.();
    this.#end = undefined;
    const back = this.#tuner.abandon();
    if (back !== undefined) this.#apply(back);
    this.#save();
  }

  stats(): TuneStats {
    const { kept, undone } = this.#tuner.state;
    const { isResting } = this.#tuner;
    const settings = this.#parts.tuning.settings();
    return { targets: this.#targets, settings, isResting, kept, undone, last: this.#last, advice: this.#advice };
  }

  #look(sample: Sample): void {
    const before = this.#cpuSeconds;
    this.#cpuSeconds = this.#parts.cpuSeconds();
    this.#advise(sample);
    if (!sample.ready) return;
    const decisions = this.#tuner.observe({
      committed: sample.rates.committed,
      cpu: (this.#cpuSeconds - before) / sample.seconds,
      p99Ms: sample.ack.p99,
      resident: sample.memory.resident,
      tables: sample.keyTables?.bytesUsed ?? 0,
    });
    for (const decision of decisions) this.#apply(decision);
    const hasEnded = decisions.some(({ kind }) => kind === 'rest');
    if (hasEnded || this.#tuner.changes >= this.#saved + SAVED_EVERY) this.#save();
  }

  #apply(decision: Decision): void {
    const { tuning, logger } = this.#parts;
    const { kind, name, from, to } = decision;
    const setting = tuning.settings().find((each) => each.name === name);
    if (setting !== undefined && setting.value !== to) tuning.set(name as SettingName, to!);
    // Each change is told once, when it is known what it brought.
    if (kind === 'try' || kind === 'back') return;
    this.#last = decision;
    logger.info(`tuning: ${textOf(decision, from, to)}`);
  }

  #advise(sample: Sample): void {
    const advice = adviceOf(sample, this.#parts.layout);
    const isSame = advice?.to === this.#advice?.to;
    this.#advised = isSame ? 0 : this.#advised + 1;
    if (this.#advised < ADVICE_SAMPLES) return;
    this.#advised = 0;
    this.#advice = advice;
    if (advice !== null)
      this.#parts.logger.info(
        `tuning: at the next start try ${advice.option} ${advice.to} instead of ${advice.from}: ${advice.because}`,
      );
  }

  #save(): void {
    const { files, data, logger } = this.#parts;
    this.#saved = this.#tuner.changes;
    try {
      saveState(files, data, this.#tuner.state);
    } catch (error) {
      logger.warn(`tuning: expected to save its state in ${data}, got ${(error as Error).message}`);
    }
  }
}

function textOf({ kind, name, before, after }: Decision, from?: number, to?: number): string {
  if (kind === 'rest') return 'rests: nothing that it can change makes it better';
  if (kind === 'wake') return 'goes on: the load, or what a claim costs, is another';
  if (kind === 'bound') return `${name} ${from} -> ${to}: the target for memory leaves no more`;
  const [old, tried] = kind === 'keep' ? [from, to] : [to, from];
  const range = (of: (score: Score) => string) => `${before && of(before)} -> ${after && of(after)}`;
  const rates = range(({ perCpuSecond }) => Math.round(perCpuSecond).toLocaleString('en-US'));
  const figures = `${rates} claims a second of processor time, p99 ${range(({ p99Ms }) => p99Ms.toFixed(1))} ms`;
  return `${name} ${old} -> ${tried}: ${figures}: ${kind === 'keep' ? 'kept' : `undone, ${old} again`}`;
}
