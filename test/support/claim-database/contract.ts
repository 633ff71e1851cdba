/** What every ClaimDatabase does, as cases for each of them: PostgreSQL on a server, and the twin in memory. */
import { afterEach, beforeEach, describe } from 'vitest';
import type { ClaimDatabase } from '../../../src/store/claim-database.ts';
import { hostile, map, nodes } from './nodes.ts';
import type { DatabaseRig } from './rig.ts';
import { channels, groups, shardSides, sides } from './rows.ts';
import { handOvers, takeOvers } from './takeovers.ts';

export function claimDatabaseContract(name: string, start: () => Promise<DatabaseRig>): void {
  describe(name, () => {
    let rig: DatabaseRig;
    const opened: ClaimDatabase[] = [];
    const open = async (): Promise<ClaimDatabase> => {
      const database = await rig.open();
      opened.push(database);
      return database;
    };
    beforeEach(async () => {
      rig = await start();
    });
    afterEach(async () => {
      await Promise.all(opened.splice(0).map((database) => database.close()));
      await rig.close();
    });
    nodes(open);
    groups(open);
    channels(open);
    sides(open);
    shardSides(open);
    map(open);
    takeOvers(open, () => rig.hold());
    handOvers(open);
    hostile(open);
  });
}
