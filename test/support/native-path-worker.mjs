/**
 * One thread of the native path's concurrency tests: an operator, C on receipt, a lane that commits by C or by the
 * steps' own code, or a reader. Plain JavaScript over the compiled sources, since a worker of Node 20 runs no
 * TypeScript. Posts what it saw.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { ChannelTable, HOT_COMMITTED_LOW } from '../../dist/src/channel/table.js';
import { CommitGroup } from '../../dist/src/path/commit-group.js';
import { DuplicateFilter } from '../../dist/src/path/duplicate-filter.js';
import { NativePath } from '../../dist/src/path/native-path.js';
import { Arena } from '../../dist/src/ring/arena.js';
import { ClaimRing } from '../../dist/src/ring/claim-ring.js';

const { role, memory, shape, shared, count, lane } = workerData;
const arena = new Arena(memory, shape);
const ring = new ClaimRing(arena, 0);
const table = new ChannelTable(arena);
const path = NativePath.open(arena, ring, new DuplicateFilter(arena, ring, (count) => Buffer.alloc(count, 5)));
const source = new Uint32Array(5);
const isStopped = () => Atomics.load(shared, 0) === shared[1];
const stop = () => Atomics.add(shared, 0, 1);
/** What each lane is about to commit, per row. */
const intents = new BigUint64Array(shared.buffer, 64);
const ROWS = 4;

/** A claim whose every field follows from its channel and amount. */
class MarkedClaim {
  view = new DataView(new ArrayBuffer(93));
  bytes = new Uint8Array(this.view.buffer);

  set(channelId, amount) {
    this.bytes[0] = 1;
    this.view.setBigUint64(1, channelId);
    this.view.setUint32(9, Number(amount % 65_521n));
    this.view.setBigUint64(13, amount);
    this.bytes.fill(Number(amount % 251n), 21, 85);
    this.view.setBigUint64(85, amount ^ 0xffn);
    return this.bytes;
  }
}

/** Rising amounts whose low half mostly falls, each lane's its own; all rows in a group. */
function commitRising(commit) {
  const claim = new MarkedClaim();
  let amount = 0n;
  for (let turn = 0; turn < count; turn++) {
    amount += (turn + lane) % 3 === 0 ? 5n : 0xffff_fff0n - BigInt(lane);
    for (let row = 0; row < ROWS; row++) {
      const own = amount + BigInt(row);
      Atomics.store(intents, lane * ROWS + row, own);
      commit(row, claim.set(BigInt(row + 1), own), claim.view, turn);
    }
  }
  stop();
  return { last: amount };
}

const ROLES = {
  /** Moves the capacity between two values that share no half. */
  capacityWriter() {
    for (let turn = 0; turn < count; turn++)
      table.change(0, { capacity: turn % 2 === 0 ? 0xffff_ffffn : 0x1_0000_0000n });
    stop();
    return {};
  },

  /** Offers what is above both capacities, and what is within both. */
  receiver() {
    const above = new MarkedClaim().set(1n, 0x1_0000_0001n);
    const within = new MarkedClaim().set(1n, 0xffff_fff0n);
    const seen = { reads: 0, above: 0, within: 0 };
    for (; !isStopped(); seen.reads++) {
      // Never pushed: the next one takes the same slot, and neither is in flight.
      seen.above += path.admit(above, 0, 93, source, ring.next, 0);
      seen.within += path.admit(within, 0, 93, source, ring.next, 0);
    }
    return seen;
  },

  committerByC() {
    const group = new CommitGroup();
    return commitRising((row, bytes) => {
      group.append(row, bytes, 0);
      if (group.journal.count < ROWS) return;
      path.commit(group);
      group.clear();
    });
  },
  committerBySteps() {
    return commitRising((row, _bytes, view) => table.commit(row, view, 0));
  },

  /** Whole rows, whose balance never falls. */
  snapshots() {
    const last = new Array(ROWS).fill(0n);
    let [reads, wrong] = [0, 0];
    for (; !isStopped(); reads++) {
      const row = reads % ROWS;
      const { committed, sequence, timestampBits, signature } = table.read(row);
      if (committed < last[row]) wrong++;
      last[row] = committed;
      if (committed === 0n) continue;
      const mark = Number(committed % 251n);
      if (sequence !== Number(committed % 65_521n) || timestampBits !== (committed ^ 0xffn)) wrong++;
      else if (signature.some((byte) => byte !== mark)) wrong++;
    }
    return { reads, wrong };
  },

  /** Reads the balance as acceptance does: never more than what the one lane was at. */
  halves() {
    let [reads, wrong] = [0, 0];
    for (; !isStopped(); reads++) {
      const row = reads % ROWS;
      const hot = table.hot(row);
      const high = table.committedHigh(hot);
      const pair = (BigInt(high) << 32n) | BigInt(Atomics.load(table.words, hot + HOT_COMMITTED_LOW));
      if (pair > Atomics.load(intents, row)) wrong++;
    }
    return { reads, wrong };
  },

  /** For ever in C's loops, until the thread is ended from outside. */
  endless() {
    const group = new CommitGroup();
    const claim = new MarkedClaim();
    parentPort.postMessage({});
    for (let amount = 1n; ; amount++) {
      path.admit(claim.set(1n, amount), 0, 93, source, ring.next, 0);
      group.append(0, claim.bytes, 0);
      path.commit(group);
      group.clear();
    }
  },
};

parentPort.once('message', () => parentPort.postMessage(ROLES[role]()));
parentPort.postMessage('ready');
