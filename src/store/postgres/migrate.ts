/** Brings a database's tables to the version that this program has. Nodes that start at once wait for one another. */
import { ClaimwireError } from '../../errors.ts';
import type { Connection } from './connection.ts';
import { MIGRATIONS, POSTGRES_TUNING, VERSION_TABLE } from './schema.ts';

const TABLE_MISSING = '42P01';
/** Two nodes make the same table at once: the later one is told so. */
const MADE_MEANWHILE = ['23505', '42P07', '42710'];

/** May be done twice. @throws ClaimwireError STORE_FAILED where a newer program has been here */
export async function migrate(connection: Connection): Promise<void> {
  if ((await versionOf(connection)) === MIGRATIONS.length) return;
  for (const statement of VERSION_TABLE) await unless(MADE_MEANWHILE, connection.script([statement]));
  try {
    const results = await connection.script(['begin', 'select version from schema_version where id = 1 for update']);
    const version = Number(results[1]!.rows[0]!.version);
    const steps = MIGRATIONS.slice(version);
    const isFirst = version === 0 && connection.isPostgres;
    await connection.script([
      ...steps.flat(),
      ...(isFirst ? POSTGRES_TUNING : []),
      `update schema_version set version = ${version + steps.length} where id = 1`,
      'commit',
    ]);
  } catch (error) {
    // With it goes what the transaction did so far.
    connection.end();
    throw error;
  }
}

async function versionOf(connection: Connection): Promise<number> {
  const results = await unless([TABLE_MISSING], connection.script(['select version from schema_version where id = 1']));
  const version = Number(results?.[0]?.rows[0]?.version ?? 0);
  if (version <= MIGRATIONS.length) return version;
  const message = `store: expected tables of version ${MIGRATIONS.length} at most, got ${version}; update claimwire`;
  throw new ClaimwireError('STORE_FAILED', message);
}

async function unless<T>(codes: readonly string[], work: Promise<T>): Promise<T | undefined> {
  try {
    return await work;
  } catch (error) {
    if (codes.includes((error as { code?: string }).code ?? '')) return undefined;
    throw error;
  }
}
