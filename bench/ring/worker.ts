/** bench:ring's threads: the node's own verifier and committer loops, with a stub backend and a journal never synced. */
import { parentPort, workerData } from 'node:worker_threads';
import { JournalWriter } from '../../src/journal/writer.ts';
import { GROUP_CLAIMS_MAX } from '../../src/path/commit-group.ts';
import { VerifyStep } from '../../src/path/verify-step.ts';
import { SLOT_BYTES } from '../../src/ring/arena.ts';
import { SLOT_VERDICT, VERDICT_VALID } from '../../src/ring/slot.ts';
import { nodeFiles } from '../../src/system/files.ts';
import { nodeSystem } from '../../src/system/system.ts';
import { runCommitter } from '../../src/threads/committer.ts';
import type { ThreadContext } from '../../src/threads/context.ts';
import { ThreadParts } from '../../src/threads/parts.ts';
import { runVerifier } from '../../src/threads/verifier.ts';
import type { VerifyBackend } from '../../src/verify/backend.ts';

class BenchParts extends ThreadParts {
  /** Accepts every claim after reading it, since the ring is measured, not the curve. */
  override verifyStep(): VerifyStep {
    const { arena, ring } = this;
    const stub: VerifyBackend = {
      name: 'noble',
      batchMax: 128,
      verifySlots: (first, count) => {
        for (let index = 0; index < count; index++) {
          const word = ring.slot(first + index) >>> 2;
          let read = 0;
          for (let at = 0; at < SLOT_BYTES / 4 - 1; at++) read |= arena.words[word + at]!;
          Atomics.store(arena.ints, word + SLOT_VERDICT / 4, read === 0 ? 2 : VERDICT_VALID);
        }
      },
    };
    return new VerifyStep(ring, stub);
  }

  override openJournal(): JournalWriter {
    const files = { ...nodeFiles, fdatasyncSync: () => {} };
    const start = { ...this.context.journal!, ...nodeSystem, files };
    const journal = new JournalWriter({ ...start, groupClaimsMax: GROUP_CLAIMS_MAX });
    this.ring.publishJournalSegment(journal.segment);
    return journal;
  }
}

const parts = new BenchParts(workerData as ThreadContext);
const ready = () => parentPort?.postMessage('ready');
if (parts.context.role === 'committer') await runCommitter(parts, ready);
else runVerifier(parts, ready);
