/**
 * Shows progress: on a terminal one line with a bar, a rate and the time left, rewritten in place; elsewhere plain lines.
 * Always on stderr, since programs read stdout.
 */
import { complain, type TextStream } from './output.ts';
import { durationText } from './units.ts';

const BAR_CELLS_MAX = 30;
const BAR_CELLS_MIN = 8;
/** The shortest time between two redraws, as faster ones are not readable. */
const REDRAW_MS = 100;
/** Back to the beginning of the line, which is emptied. */
const ERASE = '\r\x1b[K';
/** Below this share the time left cannot be estimated. */
const SHARE_MIN = 0.02;

export interface ProgressOptions {
  stream?: TextStream;
  /** The kind of terminal, as TERM names it: a dumb one cannot rewrite a line. */
  term?: string | undefined;
  /** Without a terminal, the least time between two lines; 0 prints them all. */
  linesEveryMs?: number;
  /** Milliseconds, monotonic. */
  now?: () => number;
}

export class Progress {
  readonly #stream: TextStream;
  readonly #isLive: boolean;
  readonly #linesEveryMs: number;
  readonly #now: () => number;
  readonly #startedAt: number;
  #printedAt = Number.NEGATIVE_INFINITY;
  #isDrawn = false;

  constructor({
    stream = process.stderr,
    term = process.env.TERM,
    linesEveryMs = 0,
    now = () => performance.now(),
  }: ProgressOptions = {}) {
    this.#stream = stream;
    this.#isLive = stream.isTTY === true && term !== 'dumb';
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
    const now = this.#now();
    if (share < 1 && now - this.#printedAt < (this.#isLive ? REDRAW_MS : this.#linesEveryMs)) return;
    this.#printedAt = now;
    if (!this.#isLive) this.#stream.write(`${plain}\n`);
    else this.#stream.write(`${ERASE}${this.#barLine(Math.min(Math.max(share, 0), 1), text, leftMs)}`);
    this.#isDrawn = this.#isLive;
  }

  /** Prints a line that stays, in the place of the bar, which the next update draws below it. */
  line(text: string): void {
    this.clear();
    complain(text, this.#stream);
  }

  /** Removes the bar, whose last figures are not the result. */
  clear(): void {
    if (this.#isDrawn) this.#stream.write(ERASE);
    this.#isDrawn = false;
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
