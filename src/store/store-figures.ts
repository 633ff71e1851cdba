/**
 * How a node and its database get on, as numbers: what was asked again and why, and how far the standbys are. Any thread.
 *
 * Threads count in words that they share. One handle of the database does nothing but appends for its lane, so those are told
 * apart from all other calls by the handle.
 */

/** Why a call was made again. */
const RETRIES = [
  /** The server gave it up this time: a deadlock, a cancelled statement. */
  'refused',
  /** The connection ended first, so nobody knows whether the call took effect. */
  'unknown',
  /** The server did it, and says that no standby was awaited. */
  'unconfirmed',
] as const;
export type Retry = (typeof RETRIES)[number];
export type RetryCounts = Readonly<Record<Retry, number>>;

const COUNTED = [...RETRIES, 'reconnects'] as const;

/** Counters of several handles of the database, in as many threads. */
export class StoreCounts {
  /** For other threads. */
  readonly words: SharedArrayBuffer;
  readonly #counts: Int32Array;

  constructor(words = new SharedArrayBuffer(COUNTED.length * 4)) {
    this.words = words;
    this.#counts = new Int32Array(words);
  }

  add(name: (typeof COUNTED)[number]): void {
    Atomics.add(this.#counts, COUNTED.indexOf(name), 1);
  }

  get reconnects(): number {
    return this.#count('reconnects');
  }
  get retries(): RetryCounts {
    return {
      refused: this.#count('refused'),
      unknown: this.#count('unknown'),
      unconfirmed: this.#count('unconfirmed'),
    };
  }

  #count(name: (typeof COUNTED)[number]): number {
    return Atomics.load(this.#counts, COUNTED.indexOf(name)) >>> 0;
  }
}

/** A standby that follows the primary. */
export interface StandbyFigures {
  name: string;
  /** Whether commits wait for it, or for another of its kind. */
  isSynchronous: boolean;
  /** What is on the primary's disk, and not yet on the standby's. */
  lagBytes: number;
  /** How long the last of what it has took to get there; 0 for one that has had nothing to do. */
  lagSeconds: number;
}

export interface ReplicationFigures {
  /** The setting `synchronous_standby_names`. */
  names: string;
  /** Null where the database's user may not see them: `grant pg_monitor to …`. */
  standbys: readonly StandbyFigures[] | null;
}

/** `database` in /stats. */
export interface StoreFigures {
  /** Milliseconds since the database last answered. */
  silentMs: number;
  /** Connections made again, of all handles. */
  reconnects: number;
  /** Made again until they were confirmed: appends of claims, and all other calls. */
  appends: RetryCounts;
  calls: RetryCounts;
  /** Whether the node was told that one server is enough. */
  mayBeUnreplicated: boolean;
  /** Null where it is not known: the server is not PostgreSQL, or has not answered for a while. */
  replication: ReplicationFigures | null;
}
