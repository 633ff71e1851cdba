/**
 * A data folder as initdb makes it, with the database and the user of the tests. It takes a second of processor time, so it is made
 * once for a machine and copied: standbys too are copies, for all of them begin at the same place of the same history.
 */
import { spawnSync } from 'node:child_process';
import { appendFileSync, chownSync, existsSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { programs, serverUser } from './programs.ts';

/** Raise it with any change of what `make` does. */
const RECIPE = 2;

/** The user of the tests, not a superuser, owns this database. */
export const DATABASE = 'claimwire';
export const USER = 'claimwire';

/** Runs a program of PostgreSQL to its end. @throws Error with what it printed */
export function runServerProgram(program: string, args: readonly string[], input = ''): void {
  const ran = spawnSync(join(programs!, program), args, { ...serverUser(), cwd: '/', input, encoding: 'utf8' });
  if (ran.status !== 0) throw new Error(`${program}: ${ran.error?.message ?? ran.stdout + ran.stderr}`);
}

/** Copies the template to a folder that is not there yet. */
export function copyTemplate(target: string): void {
  const { status, stderr } = spawnSync('cp', ['-a', '--reflink=auto', template(), target], { encoding: 'utf8' });
  if (status !== 0) throw new Error(`expected a copy of the data folder, got ${stderr}`);
}

function template(): string {
  const version = programs!.match(/\d+/)?.[0] ?? 'any';
  const folder = join(tmpdir(), `claimwire-postgres-${version}-${RECIPE}-${process.getuid!()}`);
  if (!existsSync(folder)) make(folder);
  return folder;
}

function make(folder: string): void {
  const parent = mkdtempSync(join(tmpdir(), 'claimwire-initdb-'));
  try {
    const { uid, gid } = serverUser();
    if (uid !== undefined) chownSync(parent, uid, gid!);
    const data = join(parent, 'data');
    // Short segments of the log, as most of a new folder would be one of 16 MB.
    const options = [
      '--no-sync',
      '--no-locale',
      '--encoding=UTF8',
      '--auth=trust',
      '--username=postgres',
      '--wal-segsize=1',
    ];
    runServerProgram('initdb', [...options, '-D', data]);
    // A standby wants as many as the primary had whose history it follows, from its beginning on.
    appendFileSync(join(data, 'postgresql.conf'), 'max_connections = 40\n');
    const sql = `create role ${USER} login\n\ncreate database ${DATABASE} owner ${USER}\n`;
    runServerProgram('postgres', ['--single', '-F', '-D', data, 'postgres'], sql);
    renameSync(data, folder);
  } catch (error) {
    // Another test may have been faster.
    if (!existsSync(folder)) throw error;
  } finally {
    rmSync(parent, { recursive: true, force: true });
  }
}
