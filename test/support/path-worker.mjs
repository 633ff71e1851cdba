/**
 * One thread of the concurrency tests: a producer, verifier or committer of a claim ring, or a reader or writer of a
 * channel table. It is JavaScript over the compiled sources, since a worker of Node 20 runs no TypeScript, and posts what
 * it saw.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { ChannelTable } from '../../dist/src/channel/table.js';
import { admit } from '../../dist/src/path/rules.js';
import { Arena } from '../../dist/src/ring/arena.js';
import { ClaimRing } from '../../dist/src/ring/claim-ring.js';
import { SLOT_ROW, SLOT_VERDICT, VERDICT_INVALID, VERDICT_PENDING, VERDICT_VALID } from '../../dist/src/ring/slot.js';

const { role, memory, shape, shared, count } = workerData;
const arena = new Arena(memory, shape);
const ring = new ClaimRing(arena, 0);
const table = new ChannelTable(arena);
/** Long enough that a lost wake-up shows as a test that does not end. */
const SLEEP_MS = 60_000;
const parity = (mark) => (mark % 3 === 0 ? VERDICT_INVALID : VERDICT_VALID);
const isStopped = () => Atomics.load(shared, 0) !== 0;
const intent = new BigUint64Array(shared.buffer, 8, 1);
const view = new DataView(new ArrayBuffer(93));
const claim = new Uint8Array(view.buffer);

const ROLES = {
  producer() {
    for (let mark = 0; mark < count; ) {
      let slot = ring.tryNext();
      if (slot < 0) {
        ring.publish();
        ring.netDoorbell.sleep(() => ring.tryNext() >= 0, SLEEP_MS);
        continue;
      }
      for (let batch = 1 + (mark % 7); batch > 0 && slot >= 0 && mark < count; batch--) {
        arena.words[(slot + SLOT_ROW) >>> 2] = mark++;
        ring.push();
        slot = ring.tryNext();
      }
      ring.publish();
    }
    return { produced: count };
  },

  verifier() {
    let taken = 0;
    let wrong = 0;
    while (!isStopped()) {
      const size = ring.reserve(5);
      for (let index = 0; index < size; index++) {
        const slot = ring.slot(ring.first + index);
        const word = (slot + SLOT_VERDICT) >>> 2;
        // A slot that two verifiers were given would be judged already.
        if (arena.ints[word] !== VERDICT_PENDING) wrong++;
        Atomics.store(arena.ints, word, parity(arena.words[(slot + SLOT_ROW) >>> 2]));
      }
      taken += size;
      if (size > 0) ring.verified();
      else ring.verifierDoorbell.sleep(() => ring.reserved !== ring.received || isStopped(), SLEEP_MS);
    }
    return { taken, wrong };
  },

  /** Reserves the claims in the ring one by one, and counts in each slot how often it was reserved. */
  taker() {
    let taken = 0;
    while (ring.reserve(1) === 1) {
      Atomics.add(arena.ints, (ring.slot(ring.first) + SLOT_ROW) >>> 2, 1);
      taken++;
    }
    return { taken };
  },

  committer() {
    let next = ring.committed;
    let wrong = 0;
    let mark = 0;
    const isJudged = () => next !== ring.received && ring.verdict(next) !== VERDICT_PENDING;
    while (mark < count) {
      if (!isJudged()) ring.committerDoorbell.sleep(isJudged, SLEEP_MS);
      while (isJudged()) {
        if (arena.words[(ring.slot(next) + SLOT_ROW) >>> 2] !== mark || ring.verdict(next) !== parity(mark)) wrong++;
        next = (next + 1) >>> 0;
        mark++;
      }
      ring.release(next);
      ring.netDoorbell.ring();
    }
    Atomics.store(shared, 0, 1);
    ring.ringAll();
    return { committed: mark, wrong };
  },

  /** Commits rising amounts whose low half mostly falls; everything else of the claim follows from the amount. */
  tableWriter() {
    let amount = 0n;
    for (let turn = 0; turn < count; turn++) {
      amount += turn % 3 === 0 ? 5n : 0xffff_fff0n;
      Atomics.store(intent, 0, amount);
      view.setBigUint64(13, amount);
      view.setUint32(9, Number(amount % 65_521n));
      view.setBigUint64(85, amount ^ 0xffn);
      claim.fill(Number(amount % 251n), 21, 85);
      table.commit(0, view, 0);
    }
    Atomics.store(shared, 0, 1);
    return { last: String(amount) };
  },

  snapshots() {
    let [reads, wrong, last] = [0, 0, 0n];
    while (!isStopped()) {
      const { committed, sequence, timestampBits, signature } = table.read(0);
      reads++;
      if (committed < last) wrong++;
      last = committed;
      if (committed === 0n) continue;
      const mark = Number(committed % 251n);
      if (sequence !== Number(committed % 65_521n) || timestampBits !== (committed ^ 0xffn)) wrong++;
      else if (signature.some((byte) => byte !== mark)) wrong++;
    }
    return { reads, wrong };
  },

  /** Reads the balance as acceptance does, and must never find more than what the writer has written. */
  halves() {
    const hot = table.hot(0);
    let [reads, wrong] = [0, 0];
    while (!isStopped()) {
      const high = table.committedHigh(hot);
      const low = table.committedLow(hot);
      if (((BigInt(high) << 32n) | BigInt(low)) > Atomics.load(intent, 0)) wrong++;
      reads++;
    }
    return { reads, wrong };
  },

  /** Moves the capacity between two values that share no half. */
  capacityWriter() {
    for (let turn = 0; turn < count; turn++)
      table.change(0, { capacity: turn % 2 === 0 ? 0xffff_ffffn : 0x1_0000_0000n });
    Atomics.store(shared, 0, 1);
    return {};
  },

  /** 2^32 + 1 is above both capacities, 2^32 - 16 within both. */
  admission() {
    const hot = table.hot(0);
    let [reads, wrong] = [0, 0];
    while (!isStopped()) {
      if (admit(table, hot, 1, 1, 0) === -1) wrong++;
      if (admit(table, hot, 0, 0xffff_fff0, 0) !== -1) wrong++;
      reads++;
    }
    return { reads, wrong };
  },
};

parentPort.once('message', () => parentPort.postMessage(ROLES[role]()));
parentPort.postMessage('ready');
