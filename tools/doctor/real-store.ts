/** Asks the servers of a database what `claimwire doctor` wants to know. Each is asked once, for a few seconds. */
import { randomBytes } from 'node:crypto';
import { hostPortText } from '../../src/host-port.ts';
import { loadPostgres } from '../../src/optional-libraries.ts';
import { parsePostgresAddress } from '../../src/store/postgres/address.ts';
import { Connection } from '../../src/store/postgres/connection.ts';
import { standbysOf } from '../../src/store/postgres/server-look.ts';
import type { StoreWanted } from './check.ts';
import type { StoreFacts } from './machine.ts';

const ANSWER_MS_MAX = 5_000;
/** As many bytes as a claim has in its group. */
const RECORD_BYTES = 96;
/** SQLSTATE of a server that takes no writes. */
const STANDBY = '25006';

export async function storeFacts({ url, passwordFile }: StoreWanted, commits: number): Promise<StoreFacts | string> {
  try {
    const address = parsePostgresAddress(url);
    const library = await loadPostgres();
    const name = `claimwire-doctor-${randomBytes(6).toString('hex')}`;
    const limits = { connectMs: ANSWER_MS_MAX, statementMs: ANSWER_MS_MAX };
    const options = { address, passwordFile, mayBeUnreplicated: true, name, ...limits };
    const hosts: StoreFacts['hosts'][number][] = [];
    let primary: StoreFacts['primary'];
    for (const place of address.hosts) {
      const host = hostPortText(place);
      try {
        const connection = await Connection.open(library, place, options);
        hosts.push({ host, state: 'primary' });
        primary ??= await primaryFacts(connection, commits).finally(() => connection.end());
        connection.end();
      } catch (error) {
        const { code, message } = error as { code?: string; message: string };
        if (code === STANDBY) hosts.push({ host, state: 'standby' });
        else hosts.push({ host, state: 'unreachable', fault: message === '' ? (code ?? 'no answer') : message });
      }
    }
    return primary === undefined ? { hosts } : { hosts, primary };
  } catch (error) {
    return (error as Error).message;
  }
}

async function primaryFacts(connection: Connection, commits: number): Promise<StoreFacts['primary']> {
  const { isPostgres } = connection;
  const replication = await standbysOf(connection);
  const standbys = replication?.standbys ?? null;
  const synchronous = standbys?.filter(({ isSynchronous }) => isSynchronous).length ?? null;
  const names = replication?.names ?? '';
  // Each commit would wait for a standby that is not there.
  const isStuck = names !== '' && synchronous === 0;
  return {
    isPostgres,
    names,
    synchronous,
    other: standbys === null ? null : standbys.length - synchronous!,
    commitMs: isStuck ? undefined : await timedCommits(connection, commits).catch((error: Error) => error.message),
  };
}

/** Into a table of its own: a temporary one is not replicated, so that nothing would be waited for. */
async function timedCommits(connection: Connection, commits: number): Promise<number[]> {
  const table = `claimwire_doctor_${randomBytes(6).toString('hex')}`;
  await connection.script([`create table ${table} (number bigint primary key, record bytea not null)`]);
  try {
    const insert = { name: table, text: `insert into ${table} values ($1::bigint, $2::bytea)` };
    const times: number[] = [];
    for (let number = 0; number < commits; number++) {
      const since = performance.now();
      await connection.run(insert, [number, randomBytes(RECORD_BYTES)]);
      times.push(performance.now() - since);
    }
    return times;
  } finally {
    await connection.script([`drop table ${table}`]);
  }
}
