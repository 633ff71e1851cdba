/**
 * Locks on the rows of nodes in the database's twin: as many as like share one, or one has it alone, in the order of asking.
 *
 * A write shares its node's row from its look at the fence until it has taken effect; who changes the fence has the row alone.
 * So a takeover waits for the writes under way, and every later write sees the new fence.
 */
interface Asker {
  isAlone: boolean;
  begin: () => void;
}

/** Gives a lock back. */
export type Release = () => void;

export class RowLocks {
  readonly #rows = new Map<string, { sharers: number; isAlone: boolean; waiting: Asker[] }>();

  /**
   * Locks rows, one after the other in the order of their names, so that no two callers wait for each other.
   * @param alone names that are had alone, the others are shared
   */
  async lock(names: readonly string[], alone: readonly string[] = []): Promise<Release> {
    const releases: Release[] = [];
    for (const name of [...new Set([...names, ...alone])].sort())
      releases.push(await this.#lockOne(name, alone.includes(name)));
    return () => {
      for (const release of releases) release();
    };
  }

  async #lockOne(name: string, isAlone: boolean): Promise<Release> {
    const row = this.#rows.get(name) ?? { sharers: 0, isAlone: false, waiting: [] };
    this.#rows.set(name, row);
    const advance = (): void => {
      for (let next = row.waiting[0]; next !== undefined; next = row.waiting[0]) {
        if (row.isAlone || (next.isAlone && row.sharers > 0)) return;
        row.waiting.shift();
        if (next.isAlone) row.isAlone = true;
        else row.sharers++;
        next.begin();
      }
    };
    const begun = new Promise<void>((begin) => row.waiting.push({ isAlone, begin }));
    advance();
    await begun;
    return () => {
      if (isAlone) row.isAlone = false;
      else row.sharers--;
      advance();
    };
  }
}
