/** Debian's Prometheus, promtool, Alertmanager and amtool, where they are installed. */
import { spawnSync } from 'node:child_process';

/** The packages that have them. */
const PACKAGES = {
  promtool: 'prometheus',
  prometheus: 'prometheus',
  amtool: 'prometheus-alertmanager',
  'prometheus-alertmanager': 'prometheus-alertmanager',
};
export type Program = keyof typeof PACKAGES;

/** Whether all of them are there. A missing one is told loudly, and is a failure where CI is set: nothing passes for tried that was not. */
export function hasPrograms(...programs: Program[]): boolean {
  const missing = programs.filter((program) => spawnSync(program, ['--version']).error !== undefined);
  if (missing.length === 0) return true;
  const packages = [...new Set(missing.map((program) => PACKAGES[program]))].join(' ');
  const message = `NOT TRIED: expected ${missing.join(', ')}, got none; sudo apt-get install --no-install-recommends ${packages}`;
  if (process.env.CI === 'true') throw new Error(message);
  console.warn(message);
  return false;
}

/** Runs one of them to its end. */
export function runProgram(
  program: Program,
  args: readonly string[],
  input = '',
): { code: number | null; output: string } {
  const { status, stdout, stderr } = spawnSync(program, args, { input, encoding: 'utf8' });
  return { code: status, output: `${stdout}${stderr}` };
}
