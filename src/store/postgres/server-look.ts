/**
 * Looks at the primary and its standbys, on a connection of its own that writes nothing: so it is answered also while every
 * commit waits for a standby. In the event loop of whoever opened it.
 */
import type { PostgresLibrary } from '../../optional-libraries.ts';
import type { ReplicationFigures, StandbyFigures } from '../store-figures.ts';
import { Connection, type ConnectionOptions, type Row, type Statement } from './connection.ts';

/** More are not told: each is a label of a metric. */
const STANDBYS_MAX = 16;
/** A base backup is in that view too, and no standby. */
const STANDBYS: Statement = {
  name: 'standbys',
  text: `select current_setting('synchronous_standby_names') as names, coalesce((
      select json_agg(json_build_array(application_name, sync_state,
        pg_wal_lsn_diff(pg_current_wal_lsn(), flush_lsn)::float8, extract(epoch from flush_lag)::float8))
      from (select * from pg_stat_replication where state is null or state in ('streaming', 'catchup')
        order by application_name limit ${STANDBYS_MAX}) as following), '[]')::text as standbys`,
};
type StandbyRow = [name: string | null, sync: string | null, bytes: number | null, seconds: number | null];

export class ServerLook {
  readonly #library: PostgresLibrary;
  readonly #options: ConnectionOptions;
  #connection: Connection | undefined;
  #isClosed = false;

  constructor(library: PostgresLibrary, options: ConnectionOptions) {
    this.#library = library;
    // It writes nothing, so that it has nothing to replicate.
    this.#options = { ...options, mayBeUnreplicated: true };
  }

  /** See standbysOf. Rejects where no primary answers. */
  async look(): Promise<ReplicationFigures | null> {
    if (!this.#connection?.isOpen) this.#connection = await this.#open();
    const connection = this.#connection;
    if (this.#isClosed) connection.end();
    try {
      return await standbysOf(connection);
    } catch (error) {
      // It may be a standby by now.
      connection.end();
      throw error;
    }
  }

  close(): void {
    this.#isClosed = true;
    this.#connection?.end();
  }

  async #open(): Promise<Connection> {
    let fault: unknown;
    for (const host of this.#options.address.hosts)
      try {
        return await Connection.open(this.#library, host, this.#options);
      } catch (error) {
        fault = error;
      }
    throw fault;
  }
}

/** What follows a primary; null where it only speaks PostgreSQL's protocol. */
export async function standbysOf(connection: Connection): Promise<ReplicationFigures | null> {
  if (!connection.isPostgres) return null;
  const { rows } = await connection.run(STANDBYS, []);
  return replicationOf(rows[0]!);
}

/** Of standbys that share a name, the one farthest behind counts: a metric cannot tell them apart. */
function replicationOf(row: Row): ReplicationFigures {
  const rows = JSON.parse(row.standbys!) as StandbyRow[];
  const names = row.names!;
  // A user without the right sees that somebody follows, and nothing of who.
  if (rows.some(([, sync]) => sync === null)) return { names, standbys: null };
  const standbys = new Map<string, StandbyFigures>();
  for (const [name, sync, bytes, seconds] of rows) {
    const key = name ?? '';
    const known = standbys.get(key);
    standbys.set(key, {
      name: key,
      isSynchronous: sync === 'sync' || sync === 'quorum' || (known?.isSynchronous ?? false),
      lagBytes: Math.max(0, bytes ?? 0, known?.lagBytes ?? 0),
      lagSeconds: Math.max(0, seconds ?? 0, known?.lagSeconds ?? 0),
    });
  }
  return { names, standbys: [...standbys.values()] };
}
