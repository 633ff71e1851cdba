/**
 * Before a lane is ready, its steps run over a small arena of their own, so that the engine has compiled them when the first
 * claim comes. Without it the claims of the first second wait for interpreted code.
 *
 * No socket, disk or row of the node is touched. Signatures are not verified: the kernel is compiled already.
 */
import { CLAIM_AMOUNT, CLAIM_BYTES, CLAIM_CHANNEL_ID, CLAIM_SIGNATURE, FRAME_CLAIM } from '../../protocol/layout.ts';
import { ChannelTable } from '../channel/table.ts';
import { assert } from '../errors.ts';
import { JournalWriter } from '../journal/writer.ts';
import { AckSender } from '../path/ack-sender.ts';
import { GROUP_CLAIMS_MAX } from '../path/commit-group.ts';
import { CommitStep } from '../path/commit-step.ts';
import { PathMeasures } from '../path/path-measures.ts';
import { ReceiveStep } from '../path/receive-step.ts';
import { StageClock } from '../path/stage-clock.ts';
import { Arena } from '../ring/arena.ts';
import { ClaimRing } from '../ring/claim-ring.ts';
import { Counters } from '../ring/counters.ts';
import { SLOT_VERDICT, SOURCE_WORDS, VERDICT_VALID } from '../ring/slot.ts';
import type { JournalFiles } from '../system/files.ts';
import { NoTransport } from '../transport/no-transport.ts';
import { sourceHead } from '../transport/source.ts';
import { TRANSPORT_UDP } from '../transport/transport.ts';
import { trialChannel } from '../verify/self-test.ts';
import type { ThreadParts } from './parts.ts';

const CHANNELS = 64;
const CLAIMS_PER_DATAGRAM = 15;
const DATAGRAMS_PER_TURN = 16;
/** In all some 70,000 claims, a tenth of a second: the hot functions are compiled after a few thousand calls. */
const TURNS = 300;

/** Takes about 100 ms. CLAIMWIRE_WARM_UP=off skips it, for tests that start many nodes and measure no latency. */
export function warmUp({ context, system }: ThreadParts): void {
  if (process.env.CLAIMWIRE_WARM_UP === 'off') return;
  const sizes = { ringSlots: 1_024, ackSlots: 16, channelsMax: 128 };
  const arena = Arena.create({ ...sizes, kernelBytes: 0, rings: 1, threads: 1 });
  const ring = new ClaimRing(arena, 0);
  const table = new ChannelTable(arena);
  for (let id = 1; id <= CHANNELS; id++) table.insert(trialChannel(new Uint8Array(32).fill(id, 7, 8), KEY));
  const counters = new Counters(arena, 0);
  const { clock, random } = system;
  const answers = new AckSender([new NoTransport()], counters, random);
  const measures = context.measuring ? new PathMeasures({ arena, number: 0, ring, clock, counters }) : undefined;
  const receive = new ReceiveStep(arena, ring, table, answers, counters, random, measures);
  // The loops in TypeScript are warmed even where C is used: they still handle claims that are not plain.
  for (const isNative of context.path === 'native' ? [false, true] : [false]) {
    const path = isNative ? receive.useNativePath(arena) : undefined;
    const journal = new JournalWriter({ ...JOURNAL, clock, files: new NoFiles() });
    const stages = new StageClock(counters, clock);
    const parts = { arena, ring, table, journal, answers, counters, clock: stages, path, measures };
    const commit = new CommitStep({ ...parts, durability: 'os' });
    const traffic = new Traffic(isNative ? TURNS * DATAGRAMS_PER_TURN * CLAIMS_PER_DATAGRAM : 0);
    for (let turn = 0; turn < TURNS; turn++) {
      traffic.send(receive);
      const now = clock.wall();
      receive.step(now);
      for (let count = ring.reserve(GROUP_CLAIMS_MAX); count > 0; count = ring.reserve(GROUP_CLAIMS_MAX)) {
        measures?.judging(ring.first, count);
        for (let index = 0; index < count; index++)
          Atomics.store(arena.ints, (ring.slot(ring.first + index) + SLOT_VERDICT) >>> 2, VERDICT_VALID);
        measures?.judged(ring.first);
      }
      commit.step(now);
      answers.flush();
      measures?.answered(0);
    }
    journal.close();
    assert(ring.depth === 0 && journal.bytesWritten > 0, 'the warm-up went through every step');
  }
}

const JOURNAL = {
  directory: 'nowhere',
  segmentBytes: 64 * 2 ** 20,
  journalId: new Uint8Array(16),
  segment: 1,
  group: 1,
  groupClaimsMax: GROUP_CLAIMS_MAX,
};

const KEY = new Uint8Array(33).fill(2);

/** Datagrams of claims on one channel after the other, with rising amounts. */
class Traffic {
  readonly #bytes = new Uint8Array(CLAIMS_PER_DATAGRAM * CLAIM_BYTES);
  readonly #view = new DataView(this.#bytes.buffer);
  readonly #source = Uint32Array.of(sourceHead(TRANSPORT_UDP, 9), 0, 0, 0, 0).subarray(0, SOURCE_WORDS);
  #claim: number;

  constructor(first: number) {
    this.#claim = first;
  }

  send(receive: ReceiveStep): void {
    for (let datagram = 0; datagram < DATAGRAMS_PER_TURN; datagram++) {
      for (let offset = 0; offset < this.#bytes.length; offset += CLAIM_BYTES) {
        const claim = this.#claim++;
        this.#bytes[offset] = FRAME_CLAIM;
        this.#view.setUint32(offset + CLAIM_CHANNEL_ID + 4, (claim % CHANNELS) + 1);
        this.#view.setUint32(offset + CLAIM_AMOUNT + 4, claim + 1);
        // The claims are spread over the filter's cells, whichever bytes of the signature it uses.
        for (let byte = 0; byte < 64; byte += 4)
          this.#view.setUint32(offset + CLAIM_SIGNATURE + byte, Math.imul(claim + byte, 0x9e3779b1));
      }
      receive.payload(this.#bytes, this.#view, 0, this.#bytes.length, this.#source);
    }
  }
}

/** A disk that keeps only the first sectors of one segment, which the journal's writer reads when it opens it. */
class NoFiles implements JournalFiles {
  readonly #head = new Uint8Array(1_024);
  #size = 0;
  #isLinked = false;

  openSync(path: string, flags: string): number {
    if (flags === 'r+' && path.endsWith('.seg') && !this.#isLinked)
      throw Object.assign(new Error(path), { code: 'ENOENT' });
    return 0;
  }
  closeSync(): void {}
  fstatSync(): { size: number } {
    return { size: this.#size };
  }
  readSync(_fd: number, buffer: Uint8Array, offset: number, length: number): number {
    buffer.set(this.#head.subarray(0, length), offset);
    return length;
  }
  writeSync(_fd: number, buffer: Uint8Array, offset: number, length: number, position: number): number {
    // Kept only while the segment is made: the groups are not.
    if (!this.#isLinked && position < this.#head.length)
      this.#head.set(buffer.subarray(offset, offset + Math.min(length, this.#head.length - position)), position);
    this.#size = Math.max(this.#size, position + length);
    return length;
  }
  fdatasyncSync(): void {}
  fdatasync(_fd: number, done: (error: Error | null) => void): void {
    done(null);
  }
  fsyncSync(): void {}
  linkSync(): void {
    this.#isLinked = true;
  }
  unlinkSync(): void {}
  mkdirSync(): undefined {}
  readdirSync(): string[] {
    return [];
  }
}
