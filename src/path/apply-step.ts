/**
 * The apply step makes a durable group visible. Commit thread or lane; no other step writes balances.
 *
 * The order matters: first the channel table, so that a claim sent again is answered ALREADY; then the acks; then the
 * slots are freed, which also tells the receiver that their claims are decided. That is a sequentially consistent store,
 * which the marks of rows that have grown must come after.
 */
import { claimAmountHigh, claimAmountLow } from '../../protocol/claim.ts';
import { STATUS } from '../../protocol/layout.ts';
import { counterIndex } from '../ring/counters.ts';
import type { CommitGroup } from './commit-group.ts';
import type { NativePath } from './native-path.ts';
import type { StageStepOptions } from './stage-step.ts';

const COMMITTED = counterIndex('committed');

export class ApplyStep {
  readonly #parts: Omit<StageStepOptions, 'arena'>;

  constructor(parts: Omit<StageStepOptions, 'arena'>) {
    this.#parts = parts;
  }

  /** Applies and empties `group`, which must be on stable storage unless the durability is `os`. Its sources are known then. */
  apply(group: CommitGroup, nowSeconds: number): void {
    const { ring, table, answers, counters, path, grown, measures, standing, rooted } = this.#parts;
    const { journal, acks } = group;
    const left = path === undefined ? journal.count : path.commit(group);
    if (rooted !== undefined && (left > 0 || journal.hasFrames)) this.#commitRooted(group, path);
    else if (path === undefined)
      for (let record = 0; record < journal.count; record++)
        table.commit(group.rowOf(record), journal.view, journal.recordOffset(record));
    for (let ack = 0; ack < acks.count; ack++) {
      const offset = journal.recordOffset(acks.record(ack));
      const high = claimAmountHigh(journal.view, offset);
      const low = claimAmountLow(journal.view, offset);
      answers.answer(STATUS.COMMITTED, journal.view, offset, high, low, acks.words, acks.source(ack));
      if (standing === undefined) continue;
      const row = group.rowOf(acks.record(ack));
      standing.verified(acks.words, acks.source(ack), row, table.hot(row), nowSeconds);
    }
    counters.add(COMMITTED, group.accepted);
    // Read before the slots are free, since what marks them is then written over.
    measures?.applied(group);
    ring.release(group.end);
    grown?.mark(group.rows.rows, journal.count);
    group.clear();
  }

  /** Commits leaves, and claims of rows that have leaves, which C passes over; without C all others, and plain leaves too. */
  #commitRooted(group: CommitGroup, path: NativePath | undefined): void {
    const { table } = this.#parts;
    const { rows, lane } = this.#parts.rooted!;
    const { journal } = group;
    const isByC = path !== undefined && journal.hasFrames;
    if (isByC && path.commitLeaves(group, rows, lane) === 0) return;
    const { view, segment } = journal;
    for (let record = 0; record < journal.count; record++) {
      const row = group.rowOf(record);
      const offset = journal.recordOffset(record);
      if (journal.isLeaf(record)) {
        if (!isByC || !rows.isPlain(row))
          rows.commitLeaf(row, view, offset, lane, segment, journal.frameOffset(record), journal.leafOf(record));
      }
      // Committed twice where the mark came between: the second time changes nothing.
      else if (path === undefined || table.isRooted(row)) table.commit(row, view, offset);
    }
  }
}
