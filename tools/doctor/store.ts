/** Checks of the database that a node would keep its channels in. */
import { type Check, error, ok, quoted, warning } from './check.ts';
import type { Machine, StoreFacts } from './machine.ts';

const COMMITS = 50;
/** A claim waits so long at least for its ack: above it, look at the way to the standby, and at its disk. */
const COMMIT_MS_SLOW = 10;

export const store: Check = async (machine: Machine, { store: wanted }) => {
  if (wanted === undefined) return ok('No database was named (--store URL), so none was asked.', { asked: false });
  const answer = await machine.store(wanted, COMMITS);
  if (typeof answer === 'string')
    return error(`The database cannot be asked: ${answer}.`, 'npm install pg', { asked: false });
  const { hosts, primary } = answer;
  const [first] = hosts;
  const list = hosts
    .map(({ host, state, fault }) => `${host} ${state}${fault === undefined ? '' : ` (${fault})`}`)
    .join(', ');
  if (primary === undefined)
    return error(`No primary answers: ${list}.`, `pg_isready --host ${quoted(first!.host.replace(/:\d+$/, ''))}`, {
      asked: true,
      primary: false,
    });
  return primaryFinding(primary, list);
};

function primaryFinding(primary: NonNullable<StoreFacts['primary']>, list: string) {
  const { isPostgres, names, synchronous, other, commitMs } = primary;
  const times = typeof commitMs === 'object' ? commitMs.toSorted((left, right) => left - right) : [];
  const p50 = times.length === 0 ? null : times[Math.floor(times.length / 2)]!;
  const p99 = times.length === 0 ? null : times[Math.floor(times.length * 0.99)]!;
  const facts = {
    asked: true,
    primary: true,
    isPostgres,
    names,
    synchronous,
    other,
    commitP50Ms: p50,
    commitP99Ms: p99,
  };
  if (isPostgres && names === '')
    return error(
      'The database has no synchronous standby (synchronous_standby_names is empty), so what is acknowledged would rest on one machine; a node refuses it without --store-unreplicated.',
      `psql -c "alter system set synchronous_standby_names = 'ANY 1 (standby1, standby2)'" -c 'select pg_reload_conf()'`,
      facts,
    );
  if (synchronous === 0)
    return error(
      `No standby of synchronous_standby_names (${names}) follows the primary, so nothing would be acknowledged.`,
      "psql -c 'select application_name, state, sync_state from pg_stat_replication'",
      facts,
    );
  if (p50 === null || p99 === null)
    return error(
      `A table of its own could not be written to (${typeof commitMs === 'string' ? commitMs : 'not tried'}).`,
      'psql -c "grant create on schema public to claimwire"',
      facts,
    );
  const commits = `a commit of 96 bytes takes ${p50.toFixed(2)} ms (p99 ${p99.toFixed(2)} ms)`;
  if (p50 > COMMIT_MS_SLOW)
    return warning(
      `The database answers, and ${commits}, which each claim waits for: look at its disk, and at the way to its standby.`,
      "psql -c 'select application_name, write_lag, flush_lag from pg_stat_replication'",
      facts,
    );
  if (isPostgres && synchronous === null)
    return warning(
      `The database answers, and ${commits}; but this user may not see its standbys, so nothing would tell how far they are.`,
      'psql -c "grant pg_monitor to claimwire"',
      facts,
    );
  const seen = `${synchronous} synchronous and ${other} other standbys follow`;
  return ok(
    `${list}: ${isPostgres ? seen : 'a server of another make, whose copies are its own affair'}; ${commits}.`,
    facts,
  );
}
