/** The addon's functions with arguments of every kind but the right ones: a coded error or nothing, and never the end of the process. */
import { execFileSync } from 'node:child_process';
import { join, resolve } from 'node:path';
import { Worker } from 'node:worker_threads';
import { expect, test } from 'vitest';
import { loadAddon } from '../../src/native/addon.ts';
import { Arena } from '../../src/ring/arena.ts';
import { arenaLayout } from '../../src/ring/arena-layout.ts';
import { ClaimRing } from '../../src/ring/claim-ring.ts';
import { describeNative } from '../support/native-only.ts';

const ROUNDS = 200;
const ADDON = resolve('build/claimwire.node');
const CHILD = join(import.meta.dirname, '../support/addon-arguments.mjs');

describeNative('wrong arguments', () => {
  test(`${ROUNDS} calls of each function throw a coded error or return`, () => {
    const text = execFileSync(process.execPath, [CHILD, ADDON, String(ROUNDS), '7']);
    const results = JSON.parse(String(text)) as Record<string, { returned: number; codes: Record<string, number> }>;
    expect(Object.keys(results).length).toBeGreaterThan(30);
    for (const [name, { returned, codes }] of Object.entries(results)) {
      expect(returned + Object.values(codes).reduce((sum, count) => sum + count, 0), name).toBe(ROUNDS);
      for (const code of Object.keys(codes)) expect(code, name).toMatch(/^ERR_CLAIMWIRE_[A-Z]+$/);
    }
  });
});

type Addon = Record<string, (...values: unknown[]) => unknown>;
const bytes = (count: number, value = 1) => new Uint8Array(count).fill(value);
const words = (count: number) => new Uint32Array(count);

describeNative('arguments that are nearly right are refused with a code', () => {
  /** Each call has to throw an error of this code. */
  function refused(code: string, name: string, ...calls: unknown[][]): void {
    const addon = loadAddon<Addon>();
    for (const [index, values] of calls.entries())
      expect(() => addon[name]!(...values), `${name}, arguments ${index}`).toThrow(
        expect.objectContaining({ code: `ERR_CLAIMWIRE_${code}` }),
      );
  }

  test('of a thread that has not begun', async () => {
    const program = `const { parentPort, workerData } = require('node:worker_threads');
      const addon = require(workerData), key = new Uint8Array(32).fill(1), codes = {};
      const calls = { attach: [key, key], verifySlots: [0, 1], verifySlot: [0], verifyMany: [key, key, key, key], forceTables: [0],
        limitTables: [0], throwawaySigner: [key, key], throwawaySignSlots: [0, 1] };
      for (const [name, values] of Object.entries(calls)) {
        try { addon[name](...values); } catch ({ code }) { codes[name] = code; }
      }
      parentPort.postMessage(codes);`;
    const worker = new Worker(program, { eval: true, workerData: ADDON });
    const codes = await new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject));
    await worker.terminate();
    const [arena, kernel, argument] = ['ARENA', 'KERNEL', 'ARGUMENT'].map((name) => `ERR_CLAIMWIRE_${name}`);
    expect(codes).toEqual({
      attach: arena,
      verifySlots: arena,
      verifySlot: arena,
      verifyMany: kernel,
      forceTables: kernel,
      limitTables: kernel,
      throwawaySigner: argument,
      throwawaySignSlots: arena,
    });
  });

  test('of the kernel', () => {
    const addon = loadAddon<Addon>();
    addon.start!(1 << 20);
    const right = [bytes(64), bytes(128), bytes(66), bytes(2, 9)];
    addon.verifyMany!(...right);
    // No key begins with 1: CW_INVALID.
    expect(right[3]).toEqual(bytes(2, 2));
    for (const path of [0, 1, 2, 3]) addon.verifyMany!(...right, path);
    const without = (index: number, value: unknown) => right.map((part, place) => (place === index ? value : part));
    refused('ARGUMENT', 'verifyMany', [], right.slice(1), [...right, 4]);
    for (const [index, least] of [64, 128, 66].entries())
      refused('ARGUMENT', 'verifyMany', without(index, bytes(least - 1)), without(index, words(least)));
    refused('ARGUMENT', 'keyValid', [], [words(33)]);
    expect(addon.keyValid!(bytes(32))).toBe(false);
    expect(addon.keyValid!(bytes(33, 0))).toBe(false);
    refused('ARGUMENT', 'stats', [], [words(3)], [new Float64Array(1)]);
    refused('KERNEL', 'forceTables', [], [99], [-2], ['x']);
    refused('KERNEL', 'limitTables', []);
    refused('ARGUMENT', 'limitTables', [-1], [Number.NaN], [1e15]);
    const listed = [0, bytes(33 * 256), bytes(256), new Uint32Array(256)];
    // Other files of this process may have keys in the cache.
    expect(addon.listKeys!(...listed)).toBeGreaterThanOrEqual(0);
    expect(addon.listKeys!(0xffff_ffff, ...listed.slice(1))).toBe(-1);
    const short = [undefined, bytes(33 * 256 - 1), bytes(255), new Uint32Array(255)];
    for (const index of [1, 2, 3])
      refused(
        'ARGUMENT',
        'listKeys',
        listed.slice(0, index),
        listed.map((part, at) => (at === index ? short[at] : part)),
      );
    refused('ARGUMENT', 'warmKeys', [], [0], ['x', bytes(33)], [0, bytes(34)], [0, words(33)]);
    expect([addon.warmKeys!(9, bytes(33)), addon.warmKeys!(-1, bytes(33)), addon.warmKeys!(0, bytes(66))]).toEqual([
      false,
      false,
      true,
    ]);
    const signer = [
      [bytes(32), bytes(64)],
      [bytes(0), bytes(0)],
      [bytes(33), bytes(33)],
      [bytes(32, 0), bytes(32)],
    ];
    refused(
      'ARGUMENT',
      'throwawaySigner',
      [],
      [bytes(32)],
      [bytes(32), words(8)],
      [bytes(32), bytes(32, 0)],
      ...signer,
    );
    refused('ARGUMENT', 'throwawayKey', [], [bytes(31)], [bytes(32, 0)], [words(8)]);
  });

  test('of the claim path', () => {
    const addon = loadAddon<Addon>();
    const arena = Arena.create({ kernelBytes: 0, rings: 1, ringSlots: 64, ackSlots: 64, threads: 1, channelsMax: 16 });
    const layout = arenaLayout(arena, new ClaimRing(arena, 0));
    const cells = words(1 << 20);
    const right = [arena.bytes, layout, cells, words(4), cells, 7];
    const path = addon.pathOpen!(...right);
    const without = (index: number, value: unknown) => right.map((part, place) => (place === index ? value : part));
    refused('PATH', 'pathOpen', right.slice(1), without(1, words(3)), without(2, words(1)), without(3, words(3)));
    refused('PATH', 'pathOpen', without(0, bytes(64)), without(0, 1), without(4, words(1)), without(4, 1));
    const group = [bytes(1 << 16), cells, words(64), words(64), words(640), words(64), words(64), words(64), words(64)];
    const opened = addon.pathGroup!(...group);
    for (let index = 0; index < group.length; index++)
      refused('PATH', 'pathGroup', group.with(index, words(0)), group.with(index, bytes(1)), group.slice(1));
    refused(
      'PATH',
      'pathAdmit',
      [],
      [path],
      [1, bytes(93), 0, 93, words(5), 0, 0, 1],
      [path, 1, 0, 0, words(5), 0, 0, 1],
    );
    for (const [first, end, source] of [
      [0, 94, words(5)],
      [50, 49, words(5)],
      [0, 93, words(4)],
      [0, 93, bytes(20)],
    ])
      refused('PATH', 'pathAdmit', [path, bytes(93), first, end, source, 0, 0, 1]);
    refused('PATH', 'pathStage', [], [path], [1, opened, null, 0, 0, 0], [path, 1, null, 0, 0, 0]);
    refused('PATH', 'pathCommit', [], [path], [1, opened], [path, 1]);
  });

  test('of sockets', () => {
    const addon = loadAddon<Addon>();
    const memory = [bytes(65_664), words(9), bytes(100), words(18)];
    const right = ['127.0.0.1', '', 0, 0, 0, 0, ...memory];
    refused('ARGUMENT', 'udpOpen', right.slice(1), right.with(0, 1), right.with(1, 1), right.with(2, 'x'));
    for (let index = 6; index < right.length; index++) refused('ARGUMENT', 'udpOpen', right.with(index, 4));
    const handle = addon.udpOpen!(...right);
    refused('ARGUMENT', 'udpPoll', [], [handle], [handle, 1], [handle, {}]);
    refused(
      'ARGUMENT',
      'udpFilter',
      [],
      [handle],
      [handle, 1],
      [handle, 1, bytes(8)],
      [handle, 1, words(1)],
      [handle, 'x', words(2)],
    );
    refused('ARGUMENT', 'udpSendSegments', [handle, 0, 101, 1], [handle, 0, 1, 65_508], [handle, 0, 1]);
    refused('ARGUMENT', 'udpTimes', [], [handle]);
    addon.udpClose!(handle);
    refused('ARGUMENT', 'udpClose', [], [handle]);
    refused('ARGUMENT', 'streamBind', [], ['127.0.0.1', 0], [1, 0, 0], ['127.0.0.1', 'x', 0]);
  });

  test('of cores and pages', () => {
    for (const name of ['pinThread', 'timerSlack', 'scheduleIdle', 'hugePages']) refused('ARGUMENT', name, [], ['x']);
    refused('ARGUMENT', 'hiccups', [], [new Float64Array(239)], [words(240)]);
  });

  test('of the registry’s pages', () => {
    const page = bytes(4_096, 0);
    refused(
      'ARGUMENT',
      'rowsCheck',
      [],
      [page, 1, 1],
      [words(1_024), 1, 1, 0],
      [bytes(511), 1, 1, 0],
      [bytes(65_537), 1, 1, 0],
    );
    refused(
      'ARGUMENT',
      'rowsCheck',
      [page, -1, 1, 0],
      [page, 2 ** 53, 1, 0],
      [page, 'x', 1, 0],
      [page, 1, -1, 0],
      [page, 1, 1, 'x'],
    );
    const table = [bytes(4_096, 0), words(8), page, 0, words(2)];
    refused('ARGUMENT', 'rowsLoad', [], table.with(0, 1), table.with(1, 1), table.with(1, words(7)));
    refused(
      'ARGUMENT',
      'rowsLoad',
      table.with(2, bytes(511)),
      table.with(2, bytes(65_537)),
      table.with(4, words(1)),
      table.with(4, bytes(2)),
    );
    // Eight rows fit: hot lines, tails, signatures, keys, index and keys' index, mask, rows.
    const layout = Uint32Array.of(0, 512, 704, 1_216, 1_504, 1_568, 15, 8);
    expect(loadAddon<Addon>().rowsLoad!(...table.with(1, layout))).toBe(0);
    for (const [field, value] of [
      [0, 4_000],
      [0, 2],
      [1, 4_000],
      [2, 4_000],
      [3, 4_000],
      [4, 4_090],
      [5, 4_090],
      [6, 14],
      [7, 16],
    ] as const)
      refused('ARENA', 'rowsLoad', table.with(1, layout.with(field, value)));
    refused(
      'ARENA',
      'rowsLoad',
      table.with(1, layout).with(4, Uint32Array.of(9, 0)),
      table.with(1, layout).with(4, Uint32Array.of(1, 2)),
    );
  });
});
