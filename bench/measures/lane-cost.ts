/**
 * What measuring costs a lane, claim by claim: one lane's steps in this thread, with real sockets and C, fed one burst after
 * the other that is measured or not, in turns. Bursts take half a millisecond, so whatever else the machine does disturbs
 * both alike, and the processor time of thousands of pairs shows single nanoseconds.
 *
 * Signatures are not verified and the journal is not synced: neither depends on measuring. What a claim costs with them is
 * measured on whole nodes, by measures.ts.
 */
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import {
  CLAIM_AMOUNT,
  CLAIM_BYTES,
  CLAIM_CHANNEL_ID,
  CLAIM_SEQUENCE,
  CLAIM_SIGNATURE,
  FRAME_CLAIM,
} from '../../protocol/layout.ts';
import { ChannelTable } from '../../src/channel/table.ts';
import { assert } from '../../src/errors.ts';
import { JournalWriter } from '../../src/journal/writer.ts';
import { loadAddon } from '../../src/native/addon.ts';
import { AckSender } from '../../src/path/ack-sender.ts';
import { GROUP_CLAIMS_MAX } from '../../src/path/commit-group.ts';
import { CommitStep } from '../../src/path/commit-step.ts';
import { PathMeasures } from '../../src/path/path-measures.ts';
import { ReceiveStep } from '../../src/path/receive-step.ts';
import { StageClock } from '../../src/path/stage-clock.ts';
import { VerifyStep } from '../../src/path/verify-step.ts';
import { Arena } from '../../src/ring/arena.ts';
import { ClaimRing } from '../../src/ring/claim-ring.ts';
import { Counters, readCounters } from '../../src/ring/counters.ts';
import { MEASURE, readHistogram } from '../../src/ring/histogram.ts';
import { SettingWords } from '../../src/ring/setting-words.ts';
import { SLOT_VERDICT, VERDICT_VALID } from '../../src/ring/slot.ts';
import { nodeSystem } from '../../src/system/system.ts';
import { BatchUdpTransport } from '../../src/transport/udp-batch.ts';
import { NativeUdp } from '../../src/transport/udp-native.ts';
import { BATCH_MAX } from '../../src/verify/kernel-backend.ts';
import { trialChannel } from '../../src/verify/self-test.ts';

const HOST = '127.0.0.1';
const CHANNELS = 1_000;
const BURST = 480;
const SHAPE = { kernelBytes: 0, rings: 1, ringSlots: 8_192, ackSlots: 16, threads: 1, channelsMax: 1 << 11 };
const WARM_PAIRS = 300;

/** How claims come: so many a datagram, in one train that the system cuts, or each in a system call of its own. */
export interface Packing {
  perDatagram: number;
  isTrain: boolean;
}
/** Processor time of a claim, nanoseconds. */
export interface CostPair {
  on: number;
  off: number;
}

const { threadCpuUs } = loadAddon<{ threadCpuUs: () => number }>();

/** The next claims of all channels in turn. */
class Traffic {
  #claims = 0;

  write(view: DataView): void {
    for (let offset = 0; offset < BURST * CLAIM_BYTES; offset += CLAIM_BYTES) {
      const claim = this.#claims++;
      view.setUint8(offset, FRAME_CLAIM);
      view.setUint32(offset + CLAIM_CHANNEL_ID + 4, (claim % CHANNELS) + 1);
      view.setUint32(offset + CLAIM_SEQUENCE, claim);
      view.setUint32(offset + CLAIM_AMOUNT + 4, Math.floor(claim / CHANNELS) + 1);
      // Signatures of different claims differ, as the duplicate filter expects.
      for (let byte = 0; byte < 64; byte += 4)
        view.setUint32(offset + CLAIM_SIGNATURE + byte, Math.imul(claim + byte, 0x9e3779b1));
    }
  }
}

class Lane {
  readonly arena = Arena.create(SHAPE);
  readonly ring = new ClaimRing(this.arena, 0);
  readonly #settings = new SettingWords(this.arena);
  readonly #journal: JournalWriter;
  readonly #receive: ReceiveStep;
  readonly #turn: () => void;
  readonly #transport: BatchUdpTransport;
  #begunUs = 0;
  #isScheduled = false;
  #ended: (us: number) => void = () => {};
  #end = 0;

  constructor(transport: BatchUdpTransport, directory: string) {
    const { arena, ring } = this;
    const { clock, random } = nodeSystem;
    this.#transport = transport;
    const table = new ChannelTable(arena);
    for (let id = 1; id <= CHANNELS; id++) {
      const ledgerId = new Uint8Array(32);
      new DataView(ledgerId.buffer).setUint32(4, id);
      table.insert({
        ...trialChannel(ledgerId, new Uint8Array(33).fill(2)),
        channelId: BigInt(id),
        capacity: 1n << 56n,
      });
    }
    const counters = new Counters(arena, 0);
    const answers = new AckSender([transport], counters, random);
    const measures = new PathMeasures({ arena, number: 0, ring, clock, counters });
    this.#receive = new ReceiveStep(arena, ring, table, answers, counters, random, measures);
    const path = this.#receive.useNativePath(arena);
    const settings = this.#settings;
    const verify = new VerifyStep(ring, new Believer(arena, ring), undefined, measures, settings);
    this.#journal = new JournalWriter({
      directory,
      segmentBytes: 64 * 2 ** 20,
      journalId: new Uint8Array(16),
      segment: 1,
      group: 1,
      groupClaimsMax: GROUP_CLAIMS_MAX,
      ...nodeSystem,
    });
    const stages = new StageClock(counters, clock);
    const parts = {
      arena,
      ring,
      table,
      journal: this.#journal,
      answers,
      counters,
      clock: stages,
      path,
      measures,
      settings,
    };
    const commit = new CommitStep({ ...parts, durability: 'os' });
    this.#turn = () => {
      const now = clock.wall();
      this.#receive.step(now);
      while (verify.step() > 0);
      commit.step(now);
      answers.flush();
      measures.answered(0);
      transport.hasTimes = this.#receive.isMeasuring;
    };
    transport.startReceiving(this.#receive, () => this.#schedule());
  }

  /** What comes next is measured, or not. */
  measure(isOn: boolean): void {
    this.#settings.set('measuring', isOn ? 1 : 0);
    this.#receive.now = Date.now();
    assert(this.#receive.isMeasuring === isOn, 'an empty ring changes over');
    this.#transport.hasTimes = isOn;
  }

  /** Processor time until `claims` more are committed, microseconds. */
  take(claims: number): Promise<number> {
    this.#begunUs = 0;
    this.#end = (this.ring.committed + claims) >>> 0;
    return new Promise((resolve) => {
      this.#ended = resolve;
    });
  }

  #schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    if (this.#begunUs === 0) this.#begunUs = threadCpuUs();
    this.#receive.now = Date.now();
    setImmediate(() => {
      this.#isScheduled = false;
      this.#turn();
      if (this.ring.committed === this.#end) this.#ended(threadCpuUs() - this.#begunUs);
      else if (this.ring.depth > 0) this.#schedule();
    });
  }

  async close(): Promise<void> {
    this.#transport.stopReceiving();
    await this.#transport.close();
    this.#journal.close();
  }
}

/** Every signature is valid. */
class Believer {
  readonly name = 'native';
  readonly batchMax = BATCH_MAX.native;
  readonly #ints: Int32Array;
  readonly #ring: ClaimRing;

  constructor({ ints }: Arena, ring: ClaimRing) {
    this.#ints = ints;
    this.#ring = ring;
  }

  verifySlots(first: number, count: number): void {
    for (let index = 0; index < count; index++)
      Atomics.store(this.#ints, (this.#ring.slot(first + index) + SLOT_VERDICT) >>> 2, VERDICT_VALID);
  }
}

/** The lane's own folder for its journal is removed afterwards. */
export async function laneCosts(folder: string, pairs: number, { perDatagram, isTrain }: Packing): Promise<CostPair[]> {
  const directory = join(folder, `lane-${perDatagram}`);
  mkdirSync(directory, { recursive: true });
  const transport = await BatchUdpTransport.open({ host: HOST, port: 0, times: true }, () => {});
  // The kernel begins to note times with the first socket that asks, for all of them: here it does so throughout.
  const memory = { sendingBytes: BURST * CLAIM_BYTES, packetsMax: 0, receiveBufferBytes: 1 << 20 };
  const sender = await NativeUdp.open({ peer: transport.address, times: true, ...memory });
  const lane = new Lane(transport, directory);
  const view = new DataView(sender.sending.buffer);
  const traffic = new Traffic();
  const bytes = perDatagram * CLAIM_BYTES;
  let measured = 0;
  const burst = async (isOn: boolean): Promise<number> => {
    traffic.write(view);
    lane.measure(isOn);
    const taken = lane.take(BURST);
    if (isTrain) sender.sendSegments(0, BURST * CLAIM_BYTES, bytes);
    else for (let at = 0; at < BURST * CLAIM_BYTES; at += bytes) sender.sendSegments(at, bytes, bytes);
    const us = await taken;
    sender.receiveInto({ payload() {} });
    measured += isOn ? BURST : 0;
    return (us * 1_000) / BURST;
  };
  const found: CostPair[] = [];
  for (let pair = -WARM_PAIRS; pair < pairs; pair++) {
    const isFirst = (pair & 1) === 0;
    const [first, second] = [await burst(isFirst), await burst(!isFirst)];
    if (pair >= 0) found.push(isFirst ? { on: first, off: second } : { on: second, off: first });
  }
  const { count } = readHistogram(lane.arena, 0, MEASURE.whole);
  const { committed } = readCounters(lane.arena) as { committed: number };
  assert(count === measured && committed === 2 * measured, `half of the claims are measured: ${count} of ${committed}`);
  sender.close();
  await lane.close();
  rmSync(directory, { recursive: true, force: true });
  return found;
}
