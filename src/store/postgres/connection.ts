/**
 * One connection to one server, from its opening to its end. A statement that is not answered in time ends it, since nobody knows
 * then what the next answer belongs to.
 */
import type { Client, QueryConfig, QueryResult } from 'pg';
import { ClaimwireError } from '../../errors.ts';
import { type HostPort, hostPortText } from '../../host-port.ts';
import type { PostgresLibrary } from '../../optional-libraries.ts';
import { type PostgresAddress, readPassword } from './address.ts';
import { NotReplicated } from './faults.ts';

export interface ConnectionOptions {
  readonly address: PostgresAddress;
  readonly passwordFile: string | undefined;
  /** Whether a server without synchronous standbys will do. */
  readonly mayBeUnreplicated: boolean;
  readonly connectMs: number;
  readonly statementMs: number;
  /** Tells this handle's connections from all others. */
  readonly name: string;
}

/** A prepared statement: its text is sent once in a connection. */
export interface Statement {
  readonly name: string;
  readonly text: string;
}

export type Row = Record<string, string | null>;

/**
 * What the user's or the database's defaults must not change: what a commit waits for, that the warning of a commit that did not
 * wait arrives, how statements see one another, and how bytes are written. A transaction whose client was stopped ends, so that
 * its locks do not keep others from taking over.
 */
const SETTINGS = [
  'set synchronous_commit = on',
  'set client_min_messages = warning',
  "set default_transaction_isolation = 'read committed'",
  'set default_transaction_read_only = off',
  "set bytea_output = 'hex'",
].join('; ');
/** For PostgreSQL alone; what speaks its protocol need not know them. */
const POSTGRES_SETTINGS = 'set idle_in_transaction_session_timeout = 2000; set jit = off';

const LOOK = `select pg_is_in_recovery() as standby, current_setting('synchronous_standby_names') as replicas`;
/** What an earlier connection of this handle still does may only wait, and is made again here. */
const END_EARLIER =
  'select pg_terminate_backend(pid) from pg_stat_activity where application_name = $1 and pid <> pg_backend_pid()';

/** Values are what the server wrote, as text. */
const AS_TEXT = { getTypeParser: () => (value: string) => value };

export class Connection {
  readonly #client: Client;
  readonly #statementMs: number;
  /** A write was confirmed here, so that what was visible before it is replicated. */
  isConfirmed = false;
  /** Whether the server is PostgreSQL itself. */
  isPostgres = true;
  #warning: string | undefined;
  #fault: Error | undefined;

  private constructor(client: Client, statementMs: number) {
    this.#client = client;
    this.#statementMs = statementMs;
    client.on('error', (error) => {
      this.#fault ??= error;
    });
    client.on('end', () => {
      this.#fault ??= new Error('the connection has ended');
    });
    // Only its code is in no language of the server's: a warning is never 00000.
    client.on('notice', ({ code, message }) => {
      if (code !== '00000') this.#warning = message ?? code ?? 'a warning';
    });
  }

  /** @throws ClaimwireError STORE_UNREPLICATED, or what the library says */
  static async open({ Client }: PostgresLibrary, host: HostPort, options: ConnectionOptions): Promise<Connection> {
    const { address, passwordFile, connectMs, statementMs, name } = options;
    const client = new Client({
      host: host.host,
      port: host.port,
      database: address.database,
      ssl: address.tls === false ? false : { ...address.tls },
      application_name: name,
      connectionTimeoutMillis: connectMs,
      keepAlive: true,
      keepAliveInitialDelayMillis: 10_000,
      enableChannelBinding: true,
      types: AS_TEXT,
      ...(address.user === undefined ? {} : { user: address.user }),
      ...(passwordFile === undefined ? {} : { password: readPassword(passwordFile) }),
    });
    const self = new Connection(client, statementMs);
    try {
      await client.connect();
      await self.#prepare(host, options);
      return self;
    } catch (error) {
      self.end();
      throw error;
    }
  }

  get isOpen(): boolean {
    return this.#fault === undefined;
  }

  /** Runs a prepared statement. Its answer is not confirmed where a warning came with it. */
  async run({ name, text }: Statement, values: readonly unknown[]): Promise<QueryResult<Row>> {
    return (await this.#ask({ name, text, values: values as unknown[] })) as QueryResult<Row>;
  }

  /** Runs statements without parameters, all in one message, so that no lock waits for this side. @returns a result of each */
  async script(statements: readonly string[]): Promise<QueryResult<Row>[]> {
    const results = await this.#ask({ text: statements.join(';\n') });
    return Array.isArray(results) ? results : [results];
  }

  /** Ends it at once, whatever is under way. */
  end(): void {
    this.#fault ??= new Error('the connection was ended');
    this.#streamOf().destroy();
  }

  async #ask(query: QueryConfig): Promise<QueryResult<Row> | QueryResult<Row>[]> {
    if (this.#fault !== undefined) throw this.#fault;
    this.#warning = undefined;
    const timer = setTimeout(() => {
      this.#fault ??= new Error(`no answer within ${this.#statementMs} ms`);
      this.#streamOf().destroy();
    }, this.#statementMs);
    try {
      const result = await this.#client.query<Row>(query);
      if (this.#warning !== undefined) throw new NotReplicated(this.#warning);
      return result;
    } finally {
      clearTimeout(timer);
    }
  }

  async #prepare(host: HostPort, { mayBeUnreplicated, name }: ConnectionOptions): Promise<void> {
    const [{ rows }] = (await this.script(['select version()', ...SETTINGS.split('; ')])) as [QueryResult<Row>];
    this.isPostgres = rows[0]!.version!.startsWith('PostgreSQL') && !rows[0]!.version!.includes('-YB-');
    if (!this.isPostgres) return;
    const [look] = (await this.script([LOOK, ...POSTGRES_SETTINGS.split('; ')])) as [QueryResult<Row>];
    const { standby, replicas } = look.rows[0]!;
    if (standby === 't') throw Object.assign(new Error(`${hostPortText(host)} is a standby`), { code: '25006' });
    if (replicas === '' && !mayBeUnreplicated) throw unreplicated(host);
    await this.#ask({ text: END_EARLIER, values: [name] });
  }

  /** Undocumented, and the only way to end a connection that does not answer. */
  #streamOf(): { destroy(): void } {
    return (this.#client as unknown as { connection: { stream: { destroy(): void } } }).connection.stream;
  }
}

function unreplicated(host: HostPort): ClaimwireError {
  const message = `store: ${hostPortText(host)}: expected synchronous_standby_names to name a standby, got none; set it, or say that one server is enough`;
  return new ClaimwireError('STORE_UNREPLICATED', message);
}
