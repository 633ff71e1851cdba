/**
 * A primary and its standbys on free ports of loopback, of a test. Their folders and processes go when the test says so or when its
 * process dies, in whatever way.
 */
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, chownSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { Watchdog } from '../watchdog.ts';
import { programs, serverUser } from './programs.ts';
import { PostgresServer } from './server.ts';
import { copyTemplate, DATABASE, USER } from './template.ts';

const STREAMING_MS_MAX = 30_000;
/** Self-signed, for localhost. */
const pem = (name: string) => readFileSync(join(import.meta.dirname, `../wire-tls-${name}.pem`), 'utf8');

export interface ServersOptions {
  /** Names of the standbys. */
  standbys?: readonly string[];
  /** What a commit waits for: `synchronous_standby_names`. By default any one of the standbys. */
  synchronous?: string;
  /** Off only where nothing is killed but processes: it says so, and such a server does not wait for its disk. */
  fsync?: boolean;
  /** More settings, in place of those of tests, which spare memory and disk. */
  settings?: Readonly<Record<string, string>>;
}

export class PostgresServers {
  /** Has the servers' folders. */
  readonly folder: string;
  readonly #watchdog: Watchdog;
  readonly #byName = new Map<string, PostgresServer>();
  readonly #settings: Record<string, string>;
  /** Who took writes last, as far as the test has told. */
  primary!: PostgresServer;

  private constructor(folder: string, settings: Record<string, string>) {
    this.folder = folder;
    this.#settings = settings;
    this.#watchdog = new Watchdog(folder);
  }

  /** Resolves once the primary takes writes and each standby follows it. */
  static async start({
    standbys = [],
    synchronous,
    fsync = true,
    settings = {},
  }: ServersOptions = {}): Promise<PostgresServers> {
    const folder = realpathSync(mkdtempSync(join(tmpdir(), 'claimwire-postgres-')));
    const { uid, gid } = serverUser();
    if (uid !== undefined) chownSync(folder, uid, gid!);
    chmodSync(folder, 0o755);
    const names = synchronous ?? (standbys.length === 0 ? '' : `ANY 1 (${standbys.join(', ')})`);
    const self = new PostgresServers(folder, {
      listen_addresses: '127.0.0.1',
      unix_socket_directories: folder,
      shared_buffers: '16MB',
      max_wal_size: '64MB',
      min_wal_size: '4MB',
      wal_keep_size: '128MB',
      wal_retrieve_retry_interval: '100ms',
      max_parallel_workers_per_gather: '0',
      jit: 'off',
      fsync: fsync ? 'on' : 'off',
      synchronous_standby_names: names,
      ...settings,
    });
    try {
      self.primary = await self.#make('primary');
      await self.primary.start();
      const followers = await Promise.all(standbys.map((name) => self.#make(name)));
      await Promise.all(
        followers.map(async (standby) => {
          standby.follow(self.primary);
          await standby.start();
        }),
      );
      for (const standby of standbys) await self.streaming(standby);
    } catch (error) {
      await self.close();
      throw error;
    }
    return self;
  }

  server(name: string): PostgresServer {
    const server = this.#byName.get(name);
    if (server === undefined) throw new Error(`expected one of ${[...this.#byName.keys()]}, got ${name}`);
    return server;
  }

  /** Names every server, in the order in which they were made. */
  get url(): string {
    const places = [...this.#byName.values()].map(({ port }) => `127.0.0.1:${port}`);
    return this.urlOf(...places);
  }

  /** @param places HOST:PORT each, such as that of a proxy */
  urlOf(...places: readonly string[]): string {
    return `postgres://${USER}@${places.join(',')}/${DATABASE}`;
  }

  /** What a commit waits for from now on; empty for nobody. */
  async setSynchronous(names: string): Promise<void> {
    this.#settings.synchronous_standby_names = names;
    this.primary.configure({ synchronous_standby_names: names });
    this.primary.reload();
    const isSet = async () => {
      const [row] = await this.primary.query('show synchronous_standby_names');
      return row!.synchronous_standby_names === names;
    };
    await until(isSet, `synchronous_standby_names '${names}'`);
  }

  /** The primary takes no connection of the tests' user but by TLS and with a password. @returns the path of the certificate */
  useTls(): string {
    const [certificate, key] = [join(this.folder, 'cert.pem'), join(this.folder, 'key.pem')];
    writeFileSync(certificate, pem('cert'));
    writeFileSync(key, pem('key'), { mode: 0o600 });
    const { uid, gid } = serverUser();
    if (uid !== undefined) chownSync(key, uid, gid!);
    this.primary.configure({ ssl: 'on', ssl_cert_file: certificate, ssl_key_file: key });
    this.#allow(`hostssl all ${USER} 127.0.0.1/32 scram-sha-256`, `host all ${USER} 127.0.0.1/32 reject`);
    return certificate;
  }

  trustAll(): void {
    this.#allow();
  }

  /** Lines of pg_hba.conf before those that trust everybody. */
  #allow(...lines: readonly string[]): void {
    const rest = ['host all all 127.0.0.1/32 trust', 'host replication all 127.0.0.1/32 trust'];
    writeFileSync(join(this.primary.data, 'pg_hba.conf'), `${[...lines, ...rest].join('\n')}\n`);
    this.primary.reload();
  }

  /** Resolves once a standby follows the primary. */
  async streaming(name: string): Promise<void> {
    const sql = "select 1 from pg_stat_replication where application_name = $1 and state = 'streaming'";
    await until(async () => (await this.primary.query(sql, [name])).length === 1, `${name} to follow`);
  }

  /** Makes a standby the primary. What was the primary before is not stopped. */
  async promote(name: string, synchronous: string): Promise<void> {
    const server = this.server(name);
    server.configure({ synchronous_standby_names: synchronous });
    server.reload();
    await server.promote();
    this.primary = server;
  }

  /** Makes a dead server a standby of the primary, from a fresh copy of it. */
  async rejoin(name: string): Promise<void> {
    const server = this.server(name);
    await server.kill();
    rmSync(server.data, { recursive: true, force: true });
    const source = `host=127.0.0.1 port=${this.primary.port} user=postgres`;
    // It takes seconds where the machine is busy, in which other nodes and payers of the test go on.
    await promisify(execFile)(
      join(programs!, 'pg_basebackup'),
      ['-D', server.data, '-d', source, '--checkpoint=fast', '--no-sync'],
      { ...serverUser(), cwd: '/' },
    );
    server.configure({ port: String(server.port) });
    server.follow(this.primary);
    await server.start();
    await this.streaming(name);
  }

  /** Ends the servers and removes their folders. */
  async close(): Promise<void> {
    await Promise.all([...this.#byName.values()].map((server) => server.kill()));
    rmSync(this.folder, { recursive: true, force: true });
    this.#watchdog.done();
  }

  async #make(name: string): Promise<PostgresServer> {
    const server = new PostgresServer(name, await freePort(), this.folder);
    copyTemplate(server.data);
    server.configure({ ...this.#settings, port: String(server.port) });
    this.#byName.set(name, server);
    return server;
  }
}

/** Asks again and again until it is so. */
async function until(isSo: () => Promise<boolean>, what: string): Promise<void> {
  for (const since = Date.now(); Date.now() < since + STREAMING_MS_MAX; await sleep(20)) if (await isSo()) return;
  throw new Error(`expected ${what}, got nothing of it within ${STREAMING_MS_MAX} ms`);
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, 'close');
  return port;
}
