/** Log lines: time, level, message, on stderr. stdout belongs to what a command was asked for. */
export type LogLevel = 'info' | 'warn' | 'error';

export function log(level: LogLevel, message: string): void {
  process.stderr.write(`${new Date().toISOString()} ${level.padEnd(5)} ${message}\n`);
}
