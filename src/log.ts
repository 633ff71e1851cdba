/** Where the library logs to: a logger of the host program, or lines on stderr. Only commands write to stdout. */

/** `console` and the usual loggers have this form. */
export interface Logger {
  /** What the node does and runs with. */
  info(message: string): void;
  /** Something was passed over, repaired or left out; the node goes on. */
  warn(message: string): void;
  /** Something failed. */
  error(message: string): void;
}

const LOG_LEVELS = ['info', 'warn', 'error'] as const;

/**
 * Writes messages of at least `level`, a line each, as text or JSON: time, level, message.
 * @param write takes each line, without its end; by default it goes to stderr
 */
export function lineLogger(
  level: (typeof LOG_LEVELS)[number] | 'none' = 'info',
  format: 'text' | 'json' = 'text',
  write: (line: string) => void = (line) => void process.stderr.write(`${line}\n`),
): Logger {
  const first = level === 'none' ? LOG_LEVELS.length : LOG_LEVELS.indexOf(level);
  const [info, warn, error] = LOG_LEVELS.map((name, index) => (message: string) => {
    if (index < first) return;
    const time = new Date().toISOString();
    const line =
      format === 'json' ? JSON.stringify({ time, level: name, message }) : `${time} ${name.padEnd(5)} ${message}`;
    write(line);
  });
  return { info: info!, warn: warn!, error: error! };
}

export const stderrLogger: Logger = lineLogger();
