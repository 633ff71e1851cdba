/**
 * A node with millions of channels of a thousand keys: its start, its memory, and its rate against that of a node with a
 * thousand channels, both under Zipf's law with exponent 1.
 *
 * Main thread of the bench; the nodes are processes of their own, and the generator is a thread of this process. The channels
 * are written into the registry as an import writes them, in bulk; what an import over HTTP takes is another figure. Each channel
 * has one drop committed, so that its signature, which takes memory from the first claim on, is in the table. Keys are shared, since the figure is about channels: 1,000 keys, whose tables are warm in both nodes. After the nodes have stopped,
 * their registries are read, and every channel must have at least what was acknowledged.
 */
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { encodeRow, ROW, ROW_BYTES } from '../../src/channel/row.ts';
import { assert } from '../../src/errors.ts';
import { boundsFor } from '../../src/load/bounds.ts';
import { LoadChannels } from '../../src/load/channels.ts';
import { runLoad } from '../../src/load/run.ts';
import { LOAD_DEFAULTS } from '../../src/load/settings.ts';
import { walkRegistry } from '../../src/registry/check.ts';
import { Registry } from '../../src/registry/registry.ts';
import { planArena, ROW_HOT_BYTES, ROW_LEDGER_TAIL_BYTES, ROW_SIGNATURE_BYTES } from '../../src/ring/arena.ts';
import type { Figures } from '../harness.ts';
import { NodeUnderTest, processorSeconds } from '../node-under-test.ts';

const SEED = 1;
const KEYS = 1_000;
const FEW = 1_000;
const BULK_ROWS = 65_536;
const SETTLE_MS = 2_000;
const MIB = 2 ** 20;
/** Loads of each node, in turns, and how long each was loaded before: the largest key tables take a thousand claims of a key. */
const ROUNDS = 3;
const WARM_UP_SECONDS = 6;
const ZIPF = 1;
/** What is committed on every channel, and stands for the signature that it was committed by: a start does not verify. */
const PAID = { committed: 1n, signature: new Uint8Array(ROW_SIGNATURE_BYTES).fill(1) };

export interface ManyOptions {
  folder: string;
  count: number;
  /** Of each load. */
  seconds: number;
  note: (line: string) => void;
}

/** One node's channels, and what the loads of it showed. */
class Subject {
  readonly data: string;
  readonly channels: LoadChannels;
  readonly rates: number[] = [];
  readonly nodeNs: number[] = [];
  acknowledged = 0;

  constructor(folder: string, count: number) {
    this.data = join(folder, `channels-${count}`);
    this.channels = LoadChannels.derive(SEED, count, KEYS);
  }

  async write(): Promise<void> {
    mkdirSync(this.data, { recursive: true, mode: 0o700 });
    const { count, table } = this.channels;
    const registry = Registry.open(join(this.data, 'registry'));
    const rows = new Uint8Array(BULK_ROWS * ROW_BYTES);
    for (let first = 0; first < count; first += BULK_ROWS) {
      const some = Math.min(BULK_ROWS, count - first);
      for (let row = 0; row < some; row++) {
        encodeRow({ ...table.read(first + row), ...PAID }, rows, row * ROW_BYTES);
        this.channels.setSigned(first + row, Number(PAID.committed));
      }
      await registry.replace([], rows.subarray(0, some * ROW_BYTES));
    }
    await registry.close();
  }

  /** Has the node make its key tables, in no figure. */
  async warmUp(node: NodeUnderTest): Promise<void> {
    await this.load(node, WARM_UP_SECONDS);
    this.rates.pop();
    this.nodeNs.pop();
  }

  /** Loads the node for `seconds` as fast as it answers. */
  async load(node: NodeUnderTest, seconds: number): Promise<void> {
    let before = Number.NaN;
    const { result } = await runLoad(
      {
        settings: {
          ...LOAD_DEFAULTS,
          target: { protocol: 'udp', ...node.udp },
          seed: SEED,
          channels: this.channels.count,
          keys: KEYS,
          zipf: ZIPF,
          durationMs: seconds * 1_000,
        },
        to: `udp://${node.udp.host}:${node.udp.port}`,
        bounds: boundsFor({}, false),
        isRamp: false,
        replayFile: undefined,
        keepChannels: true,
        opened: this.channels,
        admins: [node.admin],
        seeds: undefined,
      },
      {
        progress: () => {},
        interval: () => {
          if (Number.isNaN(before)) before = processorSeconds(node.pid);
        },
        step: () => {},
        onStop: () => {},
      },
    );
    const [step] = result.steps;
    assert(step !== undefined && step.acked > 0, `something is acknowledged: ${result.verdict.join(' ')}`);
    const { delivery, intervals, acked } = step;
    assert(delivery !== null && delivery.verified > 0, 'the node verifies');
    this.rates.push(step.ackedRate);
    this.acknowledged += acked;
    // From the end of the first second to the end of the step.
    const later = intervals.slice(1).reduce((sum, { ackedPerSecond }) => sum + ackedPerSecond, 0);
    if (later > 0) this.nodeNs.push(((processorSeconds(node.pid) - before) * 1e9) / later);
  }

  /** Drops committed by the registry of the stopped node, each channel's compared with what was acknowledged. */
  committed(): bigint {
    let row = 0;
    let sum = 0n;
    const view = (bytes: Uint8Array) => new DataView(bytes.buffer, bytes.byteOffset);
    walkRegistry(join(this.data, 'registry'), (bytes) => {
      const committed = view(bytes).getBigUint64(ROW.committed, true);
      const acknowledged = this.channels.acknowledged(row);
      assert(committed >= BigInt(acknowledged), `channel ${row} has ${committed} of ${acknowledged} drops`);
      sum += committed;
      row++;
    });
    assert(row === this.channels.count, `expected ${this.channels.count} channels, got ${row}`);
    return sum;
  }
}

/** Bytes that the table takes for a channel: before its first claim, and once it has one. */
function tableBytes({ channels }: Subject, channelsMax: number): { idle: number; paid: number } {
  const { count, arena } = channels;
  const { channelIndex } = planArena({ ...arena.plan.shape, channelsMax });
  const idle = ROW_HOT_BYTES + ROW_LEDGER_TAIL_BYTES + channelIndex.bytes / count;
  return { idle, paid: idle + ROW_SIGNATURE_BYTES };
}

/** Resident memory without files, and without the key tables, which go with keys and their heat, not with channels. */
const settled = async (node: NodeUnderTest): Promise<number> => {
  await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
  const { keyTables } = await node.stats();
  return node.residentWithoutFilesMiB() * MIB - (keyTables?.bytesUsed ?? 0);
};

export async function measureMany({ folder, count, seconds, note }: ManyOptions): Promise<Figures> {
  const many = new Subject(folder, count);
  const few = new Subject(folder, FEW);
  await Promise.all([many.write(), few.write()]);
  const figures: Figures = {};
  let channelsMax = 0;
  await NodeUnderTest.run(few.data, [], async (small) => {
    const beginBytes = await settled(small);
    const startedAt = performance.now();
    await NodeUnderTest.run(many.data, [], async (large) => {
      figures['channels.manyStartSeconds'] = (performance.now() - startedAt) / 1_000;
      figures['channels.manyStartCpuSeconds'] = processorSeconds(large.pid);
      assert(large.channels === count, `the node started with ${large.channels} of ${count} channels`);
      channelsMax = (await large.stats()).channelsMax;
      figures['channels.manyBytesEach'] = ((await settled(large)) - beginBytes) / count;
      const { rss } = process.memoryUsage();
      note(
        `${count} channels: the generator has ${Math.round(rss / MIB)} MiB, the node ${Math.round(large.residentMiB())}`,
      );
      await few.warmUp(small);
      await many.warmUp(large);
      for (let round = 0; round < ROUNDS; round++) {
        await few.load(small, seconds);
        await many.load(large, seconds);
      }
      figures['channels.manyBytesEachLoaded'] = ((await settled(large)) - (await settled(small))) / count;
    });
  });
  for (const { channels, acknowledged, rates, committed } of [few, many].map((subject) => ({
    channels: subject.channels,
    acknowledged: subject.acknowledged,
    rates: subject.rates,
    committed: subject.committed(),
  })))
    note(
      `checksum: ${channels.count} channels have ${committed} drops committed, each at least what was acknowledged; ${acknowledged} claims acknowledged within the loads, ${rates.map(Math.round).join(', ')} a second`,
    );
  for (const { data } of [few, many]) rmSync(data, { recursive: true, force: true });
  const { idle, paid } = tableBytes(many, channelsMax);
  return {
    'channels.many': count,
    ...figures,
    'channels.manyTableBytesIdle': idle,
    'channels.manyTableBytesPaid': paid,
    'channels.thousandPerSecond': middle(few.rates),
    'channels.manyPerSecond': middle(many.rates),
    'channels.manyRatio': middle(many.rates) / middle(few.rates),
    'channels.thousandNodeNs': middle(few.nodeNs),
    'channels.manyNodeNs': middle(many.nodeNs),
  };
}

function middle(values: readonly number[]): number {
  return values.toSorted((left, right) => left - right)[(values.length - 1) >> 1] ?? Number.NaN;
}
