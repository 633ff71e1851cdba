/**
 * A terminal that a program has for itself: alternate screen, no cursor, keys one by one. Whatever ends the program leaves the
 * terminal as it was.
 */
import { writeSync } from 'node:fs';

const ENTER = '\x1b[?1049h\x1b[?25l';
const LEAVE = '\x1b[0m\x1b[?25h\x1b[?1049l';
const HOME = '\x1b[H';
const END_OF_LINE = '\x1b[K';
const END_OF_SCREEN = '\x1b[J';
const CTRL_C = '\x03';
const CTRL_Z = '\x1a';

export interface Terminal {
  readonly columns: number;
  readonly rows: number;
  /** Replaces what is shown. */
  draw(lines: readonly string[]): void;
  /** Shows the terminal as it was; may be called more than once. */
  leave(): void;
}

interface TerminalEvents {
  /** Keys, as the text that they send; Ctrl-C is told as `q`. */
  onKey(keys: string): void;
  /** The size has changed, or the program goes on after a stop: draw anew. */
  onRedraw(): void;
  /** SIGTERM, SIGINT or SIGHUP came, or nobody reads any more: end. */
  onEnd(): void;
}

type Input = Pick<NodeJS.ReadStream, 'isTTY' | 'setRawMode' | 'on' | 'off' | 'resume' | 'pause'>;
type Output = Pick<NodeJS.WriteStream, 'columns' | 'rows' | 'write' | 'on' | 'off'>;

const SIGNALS = ['SIGTERM', 'SIGINT', 'SIGHUP'] as const;

/** Takes the terminal over. */
export function openTerminal(
  events: TerminalEvents,
  input: Input = process.stdin,
  output: Output = process.stdout,
): Terminal {
  let isEntered = false;
  const enter = () => {
    isEntered = true;
    if (input.isTTY) input.setRawMode(true);
    output.write(ENTER);
  };
  const leave = () => {
    if (!isEntered) return;
    isEntered = false;
    try {
      if (input.isTTY) input.setRawMode(false);
      // What is written to a stream as a process ends may not arrive; this does, or there is no terminal any more.
      if (output === process.stdout) writeSync(1, LEAVE);
      else output.write(LEAVE);
    } catch {
      events.onEnd();
    }
  };
  const onData = (data: Buffer | string) => {
    const keys = String(data);
    if (keys.includes(CTRL_Z)) {
      leave();
      process.kill(process.pid, 'SIGSTOP');
    } else events.onKey(keys.replaceAll(CTRL_C, 'q'));
  };
  const onContinue = () => {
    enter();
    events.onRedraw();
  };
  const end = () => events.onEnd();
  for (const name of SIGNALS) process.on(name, end);
  process.on('SIGCONT', onContinue);
  // Also after an error that nobody expected.
  process.on('exit', leave);
  output.on('error', end);
  output.on('resize', events.onRedraw);
  input.on('data', onData);
  input.resume();
  enter();
  return {
    // A terminal that does not know its size says 0.
    get columns() {
      return output.columns || 80;
    },
    get rows() {
      return output.rows || 24;
    },
    draw: (lines) => {
      output.write(HOME + lines.map((line) => line + END_OF_LINE).join('\r\n') + END_OF_SCREEN);
    },
    leave: () => {
      leave();
      for (const name of SIGNALS) process.off(name, end);
      process.off('SIGCONT', onContinue);
      process.off('exit', leave);
      output.off('error', end);
      output.off('resize', events.onRedraw);
      input.off('data', onData);
      input.pause();
    },
  };
}
