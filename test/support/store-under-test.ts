/**
 * Where the nodes of a suite keep their claims: in their data folders, unless a file says that its suites run on another store
 * (postgres/suite-databases.ts). A suite asks for it by data folder.
 */
import { brieflyOrAtLength } from './length.ts';

export interface SuiteDatabases {
  /** The database of a data folder, made where there is none. */
  urlOf(data: string): string;
  /** The records of the groups that a lane has stored since the last checkpoint. */
  groupsOf(data: string, lane: number): Promise<Uint8Array[]>;
  /** What of the channels is written down, whatever the claims since say. */
  channelsOf(data: string): Promise<string>;
}

let databases: SuiteDatabases | undefined;

/** From here on suites run on databases. */
export function runOn(others: SuiteDatabases): void {
  databases = others;
}

export const storeUnderTest = {
  /** What a test of the files in a data folder needs. */
  get isEmbedded(): boolean {
    return databases === undefined;
  },
  /** On databases `make test` runs few of the cases, `make test-long` all. */
  get isBrief(): boolean {
    return databases !== undefined && brieflyOrAtLength(1, 0) === 1;
  },
  /** For `ClaimwireNode.start` and `serve`. */
  options(data: string): { store?: string } {
    return databases === undefined ? {} : { store: databases.urlOf(data) };
  },
  get databases(): SuiteDatabases {
    if (databases === undefined) throw new Error('expected a suite that runs on databases, got the embedded store');
    return databases;
  },
  /** For `claimwire node`. */
  flags(data: string): string[] {
    return databases === undefined ? [] : ['--store', databases.urlOf(data)];
  },
};
