/** Keys that were hot in the last run have their tables soon after a start: by a file that nobody has to believe. */
import { beforeEach, describe, expect, test } from 'vitest';
import { ChannelTable } from '../../../src/channel/table.ts';
import { HotKeyKeeper } from '../../../src/node/hot-keys.ts';
import { decodeHotKeys, encodeHotKeys, HOT_KEYS_MAX, type HotKeys } from '../../../src/node/hot-keys-file.ts';
import { Arena } from '../../../src/ring/arena.ts';
import { KERNEL_PATHS, type KernelStats } from '../../../src/verify/kernel.ts';
import { WasmKernel, wasmKernelBytes } from '../../../src/verify/wasm.ts';
import { publicKey } from '../../support/curve.ts';
import { tupleOf } from '../../support/key-cache.ts';
import { ManualClock } from '../../support/manual-clock.ts';
import { MemoryFiles } from '../../support/memory-files.ts';
import { packTuples } from '../../support/tuples.ts';

const START = { cacheBytes: 1, threads: 1, thread: 0 };
const KEYS = 40;
const PATH = '/data/hot-keys';
const privateKeys = Array.from({ length: KEYS }, (_, index) => BigInt(index + 3));
const publicKeys = privateKeys.map(publicKey);
const packed = packTuples(privateKeys.map((key, index) => tupleOf(key, publicKeys[index]!, true)));

let files: MemoryFiles;
beforeEach(() => {
  files = new MemoryFiles();
  files.folders.add('/data');
});

/** A node's kernel, its channels and what keeps its hot keys: a process begins with each. */
class Life {
  readonly clock = new ManualClock();
  readonly said: string[] = [];
  isBusy = false;
  readonly kernel: WasmKernel;
  readonly keeper: HotKeyKeeper;
  readonly table: ChannelTable;

  constructor({ open = KEYS, closed = 0 } = {}) {
    const shape = { rings: 1, ringSlots: 16, ackSlots: 16, threads: 1, channelsMax: 64 };
    const arena = Arena.create({ ...shape, kernelBytes: wasmKernelBytes(START) });
    this.kernel = new WasmKernel(arena, START);
    this.table = new ChannelTable(arena);
    for (let index = 0; index < open + closed; index++) this.#open(index, index < open);
    const say = (line: string) => void this.said.push(line);
    const logger = { debug: say, info: say, warn: say, error: say };
    const system = { files, clock: this.clock };
    const { kernel, table } = this;
    const isBusy = () => this.isBusy;
    this.keeper = new HotKeyKeeper({ kernel, table, isBusy, path: PATH, system, logger });
  }

  #open(index: number, isOpen: boolean): void {
    const ledgerChannelId = new Uint8Array(32).fill(index + 1);
    const rest = { capacity: 1n, committed: 0n, sequence: 0, timestampBits: 0n, signature: new Uint8Array(64) };
    this.table.insert({
      channelId: BigInt(index + 1),
      ledgerChannelId,
      publicKey: publicKeys[index]!,
      profile: 'xrpl',
      state: isOpen ? 'open' : 'closed',
      expiresAt: 0,
      ...rest,
    });
  }

  /** Claims of every key, so many times; what the kernel counted meanwhile. */
  judge(times: number): KernelStats {
    const before = this.kernel.stats();
    const { digests, signatures, keys } = packed;
    const verdicts = new Uint8Array(KEYS);
    for (let turn = 0; turn < times; turn++)
      this.kernel.verifyMany(digests, signatures, keys, verdicts, KERNEL_PATHS.batch);
    expect([...new Set(verdicts)]).toEqual([1]);
    const after = Object.entries(this.kernel.stats());
    return Object.fromEntries(
      after.map(([name, count]) => [name, count - before[name as keyof KernelStats]]),
    ) as unknown as KernelStats;
  }
  get built(): number {
    const { buildsTiny, buildsSmall, buildsLarge, buildsHuge } = this.kernel.stats();
    return buildsTiny + buildsSmall + buildsLarge + buildsHuge;
  }
}

/** A life in which every key got a table, also one that shares a place of the sketch with another, and its end. */
function live(): HotKeys {
  const life = new Life();
  life.kernel.forceTables('tiny');
  life.judge(1);
  life.keeper.start();
  life.clock.advance(10);
  life.keeper.stop();
  return decodeHotKeys(files.names.get(PATH)!.bytes) as HotKeys;
}

test('the next start makes the tables, before any claim has come', () => {
  expect(live().count).toBe(KEYS);
  const life = new Life();
  life.keeper.start();
  expect(life.built).toBe(0);
  life.clock.advance(100);
  expect([life.built, life.keeper.warmed]).toEqual([KEYS, KEYS]);
  expect(life.said).toEqual([`key tables of ${KEYS} hot keys of the last run are made`]);
  expect(life.judge(1)).toMatchObject({ misses: 0 });
});

test('a turn ends in time, sooner while lanes have enough to do', () => {
  live();
  const looks = [true, false].map((isBusy) => {
    const life = new Life();
    life.isBusy = isBusy;
    // A millisecond goes by at each look at the clock: one before the first piece, and one after each.
    let count = 0;
    life.clock.monotonic = () => ++count;
    life.keeper.start();
    life.clock.advance(8);
    return count;
  });
  expect(looks).toEqual([3, 7]);
});

test('only keys of its own open channels get a table', () => {
  live();
  const life = new Life({ open: 25, closed: 5 });
  life.keeper.start();
  life.clock.advance(100);
  expect(life.built).toBe(25);
  expect(life.judge(1)).toMatchObject({ misses: KEYS - 25 });
});

test('what it had no time for stays in the file', () => {
  const { count } = live();
  const hasty = new Life();
  hasty.keeper.start();
  hasty.keeper.stop();
  expect((decodeHotKeys(files.names.get(PATH)!.bytes) as HotKeys).count).toBe(count);
  const life = new Life();
  life.keeper.start();
  life.clock.advance(100);
  expect(life.built).toBe(KEYS);
});

test('it is written every minute, and a process that is killed at any point of that leaves the old file or the new one', () => {
  live();
  const old = files.names.get(PATH)!.bytes;
  const life = new Life();
  life.keeper.start();
  life.judge(30);
  for (let operations = 0; ; operations++) {
    let left = operations;
    files.before = () => {
      if (left-- === 0) throw Object.assign(new Error('no space'), { code: 'ENOSPC' });
    };
    life.clock.advance(60_100);
    const { bytes } = files.names.get(PATH)!;
    expect(typeof decodeHotKeys(bytes)).toBe('object');
    if (left >= 0) break;
    expect(bytes).toBe(old);
    expect(life.said.pop()).toMatch(/not written, no space/);
  }
  expect(files.names.get(PATH)!.bytes).not.toBe(old);
  expect([...files.names.keys()]).toEqual([PATH]);
});

test('a cache without room ends it', () => {
  live();
  const life = new Life();
  let calls = 0;
  life.kernel.warmKeys = () => {
    calls++;
    return false;
  };
  life.keeper.start();
  life.clock.advance(100);
  expect(calls).toBeLessThanOrEqual(2);
});

describe('a file that is not sound is passed over', () => {
  const start = (bytes: Uint8Array): Life => {
    const fd = files.openSync(PATH, 'w');
    if (bytes.length > 0) files.writeSync(fd, bytes, 0, bytes.length, 0);
    files.closeSync(fd);
    const life = new Life();
    life.keeper.start();
    life.clock.advance(100);
    return life;
  };

  test('every byte of it changed, every length', () => {
    const bytes = encodeHotKeys({ count: 2, kinds: Uint8Array.of(0, 1), keys: new Uint8Array(66).fill(2) });
    expect(typeof decodeHotKeys(bytes)).toBe('object');
    for (let at = 0; at < bytes.length; at++) {
      const changed = Buffer.from(bytes);
      changed[at]! ^= 1 << (at % 8);
      expect(decodeHotKeys(changed), `byte ${at}`).toMatch(/^expected/);
      expect(decodeHotKeys(bytes.subarray(0, at)), `${at} bytes`).toMatch(/^expected/);
    }
    expect(decodeHotKeys(Buffer.concat([bytes, Buffer.of(0)]))).toMatch(/^expected/);
  });

  test('the node says so, and goes on', () => {
    const { count } = live();
    const sound = files.names.get(PATH)!.bytes;
    const huge = Buffer.from(sound);
    huge.writeUInt32LE(HOT_KEYS_MAX + 1, 8);
    const other = Buffer.from(sound);
    other.writeUInt32LE(2, 4);
    for (const bytes of [sound.subarray(0, -1), huge, other, new Uint8Array(0), Buffer.alloc(100, 1)]) {
      const life = start(bytes);
      expect([life.built, life.said.length]).toEqual([0, 1]);
      expect(life.said[0]).toMatch(/^\/data\/hot-keys: expected .* key tables are made as claims come$/);
    }
    expect(start(sound).built).toBe(count);
    files.names.delete(PATH);
    files.folders.add(PATH);
    const life = new Life();
    life.keeper.start();
    life.clock.advance(100);
    expect(life.said[0]).toMatch(/expected a regular file/);
  });

  test('keys that are none and kinds that are none are left out', () => {
    const keys = [publicKeys[0]!, new Uint8Array(33).fill(255), publicKeys[1]!, new Uint8Array(33).fill(2)];
    const life = start(
      encodeHotKeys({ count: 4, kinds: Uint8Array.of(5, 0, 1, 2), keys: new Uint8Array(Buffer.concat(keys)) }),
    );
    expect([life.built, life.kernel.stats().buildsSmall]).toEqual([1, 1]);
    expect(life.kernel.warmKeys(2, new Uint8Array(33 * 9).fill(3))).toBe(true);
    expect(life.kernel.warmKeys(7, publicKeys[0]!)).toBe(false);
    expect(life.built).toBe(1);
  });
});
