/** PostgreSQL's programs, where they are installed: Debian keeps them outside of PATH. */
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** What a server of ours and the tests need. */
const NEEDED = ['initdb', 'postgres', 'pg_ctl', 'pg_basebackup'];
const DEBIAN = '/usr/lib/postgresql';

/** The folder of the newest PostgreSQL, or undefined. */
export const programs: string | undefined = [...debianFolders(), ...configured()].find((folder) =>
  NEEDED.every((program) => existsSync(join(folder, program))),
);

/** Whether PostgreSQL is there. Told loudly where it is not, and a failure where CI is set: nothing passes for tried that was not. */
export function hasPostgres(): boolean {
  if (programs !== undefined) return true;
  const message =
    'NOT TRIED: expected PostgreSQL 15, got none; sudo apt-get install --no-install-recommends postgresql-15';
  if (process.env.CI === 'true') throw new Error(message);
  console.warn(message);
  return false;
}

function debianFolders(): string[] {
  if (!existsSync(DEBIAN)) return [];
  const versions = readdirSync(DEBIAN).filter((name) => /^\d+$/.test(name));
  return versions.sort((left, right) => Number(right) - Number(left)).map((version) => join(DEBIAN, version, 'bin'));
}

function configured(): string[] {
  const { error, status, stdout } = spawnSync('pg_config', ['--bindir'], { encoding: 'utf8' });
  return error === undefined && status === 0 ? [stdout.trim()] : [];
}

/** PostgreSQL refuses to run as root: then it runs as its own user, whom the package has made. */
export function serverUser(): { uid?: number; gid?: number } {
  if (process.getuid!() !== 0) return {};
  const line = readFileSync('/etc/passwd', 'utf8').match(/^postgres:[^:]*:(\d+):(\d+):/m);
  if (line === null) throw new Error('expected a user postgres for a test that runs as root, got none');
  return { uid: Number(line[1]), gid: Number(line[2]) };
}
