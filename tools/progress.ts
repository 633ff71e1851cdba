/**
 * Shows progress: on a terminal one line with a bar, a rate and the time left, rewritten in place; elsewhere plain lines.
 * Always on stderr, since programs read stdout.
 */
import { durationText } from './units.ts';

const BAR_CELLS_MAX = 30;
const BAR_CELLS_MIN = 8;
/** The shortest time between two redraws, as faster ones are not readable. */
const REDRAW_MS = 100;
/** Below this share the time left cannot be estimated. */
const SHARE_MIN = 0.02;

/** The parts of a terminal that Progress uses; tests provide their own. */
export interface ProgressStream {
  isTTY?: boolean;
  columns?: number;
  write(text: string): unknown;
}

export interface ProgressOptions {
  stream?: ProgressStream;
  /** Without a terminal, the least time between two lines; 0 prints them all. */
  linesEveryMs?: number;
  /** Milliseconds, monotonic. */
  now?: () => number;
}

export class Progress {
  readonly #stream: ProgressStream;
  readonly #linesEveryMs: number;
  readonly #now: () => number;
  readonly #startedAt: number;
  #printedAt = Number.NEGATIVE_INFINITY;
  #isDrawn = false;

  constructor({ stream = process.stderr, linesEveryMs = 0, now = () => performance.now() }: ProgressOptions = {}) {
    this.#stream = stream;
    this.#linesEveryMs = linesEveryMs;
    this.#now = now;
    this.#startedAt = now();
  }

  get seconds(): number {
    return (this.#now() - this.#startedAt) / 1_000;
  }

  /**
   * @param share done so far, 0..1
   * @param text what is done, for the terminal
   * @param plain the line without a terminal
   * @param leftMs the time left, where it is known better than from the share done so far
   */
  update(share: number, text: string, plain: string = text, leftMs?: number): void {
    const { isTTY = false } = this.#stream;
    const now = this.#now();
    if (share < 1 && now - this.#printedAt < (isTTY ? REDRAW_MS : this.#linesEveryMs)) return;
    this.#printedAt = now;
    if (!isTTY) this.#stream.write(`${plain}\n`);
    else this.#stream.write(`\r\x1b[K${this.#barLine(Math.min(Math.max(share, 0), 1), text, leftMs)}`);
    this.#isDrawn = isTTY;
  }

  /** Prints a line that stays. */
  line(text: string): void {
    this.end();
    this.#stream.write(`${text}\n`);
  }

  /** Leaves the bar as it is and goes to the next line. */
  end(): void {
    if (this.#isDrawn) this.#stream.write('\n');
    this.#isDrawn = false;
  }

  #barLine(share: number, text: string, leftMs = this.#leftMs(share)): string {
    const left = share >= 1 || leftMs === Number.POSITIVE_INFINITY ? '' : `  ${durationText(leftMs)} left`;
    const figures = `${String(Math.floor(share * 100)).padStart(3)} %  ${text}${left}`;
    // The last column stays free, since a terminal would wrap there.
    const columns = (this.#stream.columns ?? 80) - 1;
    const cells = Math.min(columns - figures.length - 3, BAR_CELLS_MAX);
    if (cells < BAR_CELLS_MIN) return figures.slice(0, columns);
    const full = Math.round(share * cells);
    return `[${'#'.repeat(full)}${'.'.repeat(cells - full)}] ${figures}`;
  }

  #leftMs(share: number): number {
    return share < SHARE_MIN ? Number.POSITIVE_INFINITY : ((this.#now() - this.#startedAt) * (1 - share)) / share;
  }
}
