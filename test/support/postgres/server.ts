/** One PostgreSQL server of a test: its folder, its port, its processes. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readdirSync, readFileSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { programs, serverUser } from './programs.ts';
import { DATABASE } from './template.ts';

const START_MS_MAX = 30_000;

export class PostgresServer {
  readonly name: string;
  readonly port: number;
  /** Its data; the log and the sockets are beside it. */
  readonly data: string;
  #child: ChildProcess | undefined;
  #settings: Record<string, string> = {};

  constructor(name: string, port: number, folder: string) {
    this.name = name;
    this.port = port;
    this.data = join(folder, name);
  }

  /** Settings of the server from its next start or `reload` on. */
  configure(settings: Readonly<Record<string, string>>): void {
    this.#settings = { ...this.#settings, ...settings };
    const lines = Object.entries(this.#settings).map(([name, value]) => `${name} = '${value.replaceAll("'", "''")}'\n`);
    writeFileSync(join(this.data, 'postgresql.auto.conf'), lines.join(''));
  }

  reload(): void {
    this.#child!.kill('SIGHUP');
  }

  /** Makes it a standby of `primary` at its next start. */
  follow(primary: PostgresServer): void {
    const conninfo = `host=127.0.0.1 port=${primary.port} user=postgres application_name=${this.name}`;
    this.configure({ primary_conninfo: conninfo });
    writeFileSync(join(this.data, 'standby.signal'), '');
  }

  /** Resolves once it takes connections. */
  async start(): Promise<void> {
    rmSync(join(this.data, 'postmaster.pid'), { force: true });
    const log = openSync(`${this.data}.log`, 'a');
    const child = spawn(join(programs!, 'postgres'), ['-D', this.data], {
      ...serverUser(),
      cwd: this.data,
      stdio: ['ignore', log, log],
    });
    closeSync(log);
    this.#child = child;
    for (const since = Date.now(); Date.now() < since + START_MS_MAX; await sleep(20)) {
      if (child.exitCode !== null) break;
      if (await this.#isReady()) return;
    }
    throw new Error(`expected PostgreSQL to start, got\n${this.log()}`);
  }

  get isRunning(): boolean {
    const child = this.#child;
    return child !== undefined && child.exitCode === null && child.signalCode === null;
  }

  /** Ends it in order, with all that it has written on its standbys. */
  async stop(): Promise<void> {
    const child = this.#child;
    if (child === undefined || !this.isRunning) return;
    const ended = once(child, 'exit');
    child.kill('SIGINT');
    await ended;
  }

  /** Kills every process of it at once, as a machine that fails does. */
  async kill(): Promise<void> {
    const ended = this.isRunning ? once(this.#child!, 'exit') : undefined;
    while (this.#signal('SIGKILL') > 0) await sleep(5);
    await ended;
  }

  /** Stops every process of it where it is, until `resume`. */
  pause(): void {
    this.#signal('SIGSTOP');
  }

  resume(): void {
    this.#signal('SIGCONT');
  }

  /** Makes a standby a primary. Resolves once it takes writes. */
  async promote(): Promise<void> {
    await this.query('select pg_promote()');
  }

  /**
   * Bytes of the log that a standby has, where no more come. One that has just started names none as received until it
   * follows a primary, and replays what is on its disk meanwhile.
   */
  async receivedBytes(): Promise<bigint> {
    const sql =
      "select pg_wal_lsn_diff(greatest(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn()), '0/0')::text as bytes, pg_last_wal_receive_lsn() is not null as follows";
    for (let last: string | undefined; ; await new Promise((resolve) => setTimeout(resolve, 50))) {
      const [row] = await this.query(sql);
      const { bytes, follows } = row as { bytes: string; follows: boolean };
      if (follows || bytes === last) return BigInt(bytes);
      last = bytes;
    }
  }

  /** Asks as superuser. */
  async query(sql: string, values: unknown[] = [], database = DATABASE): Promise<Record<string, unknown>[]> {
    const client = new pg.Client({ host: '127.0.0.1', port: this.port, user: 'postgres', database });
    client.on('error', () => undefined);
    await client.connect();
    try {
      return (await client.query(sql, values)).rows as Record<string, unknown>[];
    } finally {
      await client.end();
    }
  }

  log(): string {
    return readFileSync(`${this.data}.log`, 'utf8');
  }

  async #isReady(): Promise<boolean> {
    try {
      await this.query('select 1');
      return true;
    } catch {
      return false;
    }
  }

  /** @returns to how many processes: each of them works in the data folder */
  #signal(signal: NodeJS.Signals): number {
    let count = 0;
    for (const name of readdirSync('/proc').filter((entry) => /^\d+$/.test(entry))) {
      try {
        if (readlinkSync(`/proc/${name}/cwd`) !== this.data) continue;
        // One that has ended stays listed until its parent has asked for it.
        if (/^State:\s+Z/m.test(readFileSync(`/proc/${name}/status`, 'utf8'))) continue;
        process.kill(Number(name), signal);
        count += 1;
      } catch {
        // It ended meanwhile, or belongs to somebody else.
      }
    }
    return count;
  }
}
