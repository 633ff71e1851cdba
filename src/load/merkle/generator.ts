/**
 * Sends signed roots over batched sockets, at most one root in an interval, and counts what is acknowledged. The loop is closed: at most a window of
 * leaves is unacknowledged. The load's main thread, which has nothing else to do.
 */
import { setImmediate } from 'node:timers/promises';
import { type FrameSink, walkFrames } from '../../../protocol/frames.ts';
import {
  ACK_AMOUNT,
  ACK_CHANNEL_ID,
  ACK_STATUS,
  MERKLE_BLOCK_LEAVES,
  MERKLE_FRAME_BYTES_MAX,
  STATUS_FIRST_REFUSAL,
  statusName,
} from '../../../protocol/layout.ts';
import { blocksOf } from '../../../protocol/merkle.ts';
import { writeFrame } from '../../../protocol/merkle-frame.ts';
import type { HostPort } from '../../host-port.ts';
import type { TransportSink } from '../../transport/transport.ts';
import { NativeUdp } from '../../transport/udp-native.ts';
import type { LoadChannels } from '../channels.ts';
import { LatencyBuckets } from '../latency.ts';
import type { Latency } from '../result.ts';
import type { MadeRoot, RootMaker } from './root-maker.ts';

/** As many frames as the system cuts one message into. */
const TRAIN_FRAMES_MAX = 45;
const RECEIVE_BUFFER_BYTES = 4 << 20;
const WAIT_US = 100;
/** Where nothing was acknowledged for so long, leaves were lost: the next root has them all. */
const STALL_MS = 50;

export interface MerkleOptions {
  target: HostPort;
  sockets: number;
  /** At most one root in so many milliseconds. */
  everyMs: number;
  /** Leaves unacknowledged. */
  window: number;
  warmupMs: number;
  durationMs: number;
  drainMs: number;
}

export interface MerkleCounts {
  seconds: number;
  roots: number;
  frames: number;
  bytes: number;
  leaves: number;
  /** Leaves that an ack said to be durable, those covered by a newer one of the channel too. */
  acknowledged: number;
  acks: number;
  /** By status. */
  refused: Record<string, number>;
  /** From when a leaf left to its own ack. */
  latency: Latency;
  /** Processor time of this process, nanoseconds a leaf. */
  generatorNs: number;
}

interface Train {
  readonly udp: NativeUdp;
  bytes: number;
  frameBytes: number;
  frames: number;
}

export class MerkleGenerator implements TransportSink, FrameSink {
  isStopped = false;
  readonly #options: MerkleOptions;
  readonly #channels: LoadChannels;
  readonly #maker: RootMaker;
  readonly #trains: Train[] = [];
  /** When the newest leaf of a block left, by block. */
  readonly #leftAt: Float64Array;
  #latency = new LatencyBuckets();
  #root: MadeRoot | undefined;
  #nextBlock = 0;
  #rootAt = Number.NEGATIVE_INFINITY;
  #outstanding = 0;
  #progressAt = 0;
  #now = 0;
  #view: DataView = new DataView(new ArrayBuffer(0));
  readonly #refused = new Float64Array(256);
  readonly #sums = { roots: 0, frames: 0, bytes: 0, leaves: 0, acknowledged: 0, acks: 0 };

  private constructor(options: MerkleOptions, channels: LoadChannels, maker: RootMaker) {
    this.#options = options;
    this.#channels = channels;
    this.#maker = maker;
    this.#leftAt = new Float64Array(blocksOf(maker.leaves));
  }

  /** Throws BACKEND_UNAVAILABLE where there are no batched sockets. */
  static async open(options: MerkleOptions, channels: LoadChannels, maker: RootMaker): Promise<MerkleGenerator> {
    const generator = new MerkleGenerator(options, channels, maker);
    const sendingBytes = TRAIN_FRAMES_MAX * MERKLE_FRAME_BYTES_MAX;
    while (generator.#trains.length < options.sockets) {
      const udp = await NativeUdp.connect(options.target, sendingBytes, RECEIVE_BUFFER_BYTES);
      generator.#trains.push({ udp, bytes: 0, frameBytes: 0, frames: 0 });
    }
    return generator;
  }

  /** Warms up, measures, and waits for the last acks. */
  async run(): Promise<MerkleCounts> {
    const { warmupMs, durationMs, drainMs } = this.#options;
    await this.#send(warmupMs);
    this.#latency = new LatencyBuckets();
    this.#refused.fill(0);
    const before = { ...this.#sums };
    const cpu = process.cpuUsage();
    const from = performance.now();
    await this.#send(durationMs);
    const seconds = (performance.now() - from) / 1_000;
    const { user, system } = process.cpuUsage(cpu);
    const sums = { ...this.#sums };
    for (const name of Object.keys(sums) as (keyof typeof sums)[]) sums[name] -= before[name];
    const latency = this.#latency.summary();
    const giveUpAt = performance.now() + drainMs;
    while (this.#outstanding > 0 && performance.now() < giveUpAt) await this.#listen();
    const named = [...this.#refused].map((count, status) => [statusName(status), count] as const);
    const refused = Object.fromEntries(named.filter(([, count]) => count > 0));
    return { seconds, ...sums, refused, latency, generatorNs: ((user + system) * 1_000) / sums.leaves };
  }

  close(): void {
    for (const { udp } of this.#trains) udp.close();
  }

  payload(bytes: Uint8Array, view: DataView, offset: number, length: number): void {
    this.#view = view;
    walkFrames(bytes, offset, offset + length, this);
  }
  claim(): void {}

  ack(bytes: Uint8Array, offset: number): void {
    const view = this.#view;
    const status = bytes[offset + ACK_STATUS]!;
    this.#sums.acks += 1;
    if (status >= STATUS_FIRST_REFUSAL) {
      this.#refused[status]! += 1;
      return;
    }
    const channels = this.#channels;
    const channel = channels.table.find(
      view.getUint32(offset + ACK_CHANNEL_ID),
      view.getUint32(offset + ACK_CHANNEL_ID + 4),
    );
    if (channel < 0) return;
    const amount = view.getUint32(offset + ACK_AMOUNT) * 2 ** 32 + view.getUint32(offset + ACK_AMOUNT + 4);
    const news = amount - channels.acknowledged(channel);
    if (news <= 0) return;
    channels.setAcknowledged(channel, amount);
    this.#sums.acknowledged += news;
    this.#outstanding -= news;
    this.#progressAt = this.#now;
    if (amount === channels.signed(channel))
      this.#latency.record(this.#now - this.#leftAt[(channel / MERKLE_BLOCK_LEAVES) | 0]!);
  }

  async #send(milliseconds: number): Promise<void> {
    const endsAt = performance.now() + milliseconds;
    while (performance.now() < endsAt && !this.isStopped) {
      this.#receive();
      const isBusy = this.#sendBlocks() || this.#maker.step();
      if (!isBusy) this.#trains[0]!.udp.wait(WAIT_US, false);
      await setImmediate();
    }
  }

  async #listen(): Promise<void> {
    this.#receive();
    this.#trains[0]!.udp.wait(WAIT_US, false);
    await setImmediate();
  }

  #receive(): void {
    this.#now = performance.now();
    for (const { udp } of this.#trains) udp.receiveInto(this);
  }

  /** Sends as many blocks of the root as the window has room for, a train at most. Returns whether some left. */
  #sendBlocks(): boolean {
    const now = performance.now();
    if (this.#root === undefined && now - this.#rootAt >= this.#options.everyMs) {
      this.#root = this.#maker.take();
      this.#nextBlock = 0;
      if (this.#root !== undefined) {
        this.#rootAt = now;
        this.#sums.roots += 1;
      }
    }
    const root = this.#root;
    if (root === undefined) return false;
    const isStalled = now - this.#progressAt > STALL_MS;
    const blocks = blocksOf(root.leaves);
    let sent = 0;
    for (; sent < TRAIN_FRAMES_MAX && this.#nextBlock < blocks; sent++, this.#nextBlock++) {
      if (this.#outstanding + MERKLE_BLOCK_LEAVES > this.#options.window && !isStalled) break;
      this.#sendBlock(root, this.#nextBlock, now);
    }
    for (const train of this.#trains) this.#depart(train);
    if (isStalled) this.#progressAt = now;
    if (this.#nextBlock === blocks) this.#root = undefined;
    return sent > 0;
  }

  /** A channel stays with its socket, so blocks do. */
  #sendBlock(root: MadeRoot, block: number, now: number): void {
    const train = this.#trains[block % this.#trains.length]!;
    const size = writeFrame(root, block, train.udp.sending, train.bytes);
    // Frames of one length leave as one message; a shorter one may be the last.
    if (train.frames > 0 && size > train.frameBytes) {
      const at = train.bytes;
      this.#depart(train);
      train.udp.sending.copyWithin(0, at, at + size);
    }
    if (train.frames === 0) train.frameBytes = size;
    train.bytes += size;
    train.frames += 1;
    if (size < train.frameBytes || train.frames === TRAIN_FRAMES_MAX) this.#depart(train);
    this.#leftAt[block] = now;
    const end = Math.min(root.leaves, (block + 1) * MERKLE_BLOCK_LEAVES);
    for (let channel = block * MERKLE_BLOCK_LEAVES; channel < end; channel++) {
      const more = root.amount - this.#channels.signed(channel);
      this.#channels.setSigned(channel, root.amount);
      this.#outstanding += more;
      this.#sums.leaves += more;
    }
    this.#sums.frames += 1;
    this.#sums.bytes += size;
  }

  #depart(train: Train): void {
    if (train.frames === 0) return;
    // What the socket does not take is lost like any datagram.
    train.udp.sendSegments(0, train.bytes, train.frameBytes);
    train.bytes = 0;
    train.frames = 0;
  }
}
