/** A profile as a tree of frames: what each is, where, and for how long. */
import { expect, test } from 'vitest';
import type { CpuProfile } from '../../../src/control/inspect-control.ts';
import { FRAME_KINDS, flameTree } from '../../../src/inspect/flame-tree.ts';
import { PROFILE } from '../../support/fake-inspect.ts';

test('each frame has its time, its caller and its kind; C of the addon is named by its caller', () => {
  const { labels, places, kinds, frames } = flameTree(PROFILE.threads[0]!.profile, new Set(['pathCommit']));
  const told = frames.map(([label, parent, selfUs]) => [
    labels[label],
    places[label],
    FRAME_KINDS[kinds[label]!],
    parent < 0 ? undefined : labels[frames[parent]![0]],
    selfUs,
  ]);
  expect(told.sort()).toEqual(
    [
      ['(idle)', '', 'wait', undefined, 4_000],
      ['C of the addon, called by step', 'C of an addon', 'c', 'step', 2_000],
      ['fdatasync', '', 'wait', 'step', 2_000],
      ['step', 'dist/src/threads/boot.js:7', 'js', undefined, 500],
    ].sort(),
  );
});

test('kinds', () => {
  const cases = [
    ['step', 'file:///x/node_modules/lmdb/index.js', 'js'],
    ['sleep', 'file:///x/dist/src/threads/boot.js', 'wait'],
    ['sleep', 'file:///x/other.js', 'js'],
    ['readSync', 'node:fs', 'node'],
    ['writeBuffer', '', 'c'],
    ['(garbage collector)', '', 'gc'],
    ['(program)', '', 'other'],
    ['', 'file:///x/src/a.js', 'js'],
  ] as const;
  for (const [functionName, url, kind] of cases) {
    const callFrame = { functionName, url, lineNumber: 0, columnNumber: 0 };
    const nodes = [
      { id: 1, callFrame: { functionName: '(root)', url: '', lineNumber: -1, columnNumber: -1 }, children: [2] },
      { id: 2, callFrame },
    ];
    const tree = flameTree({ nodes, startTime: 0, endTime: 1, samples: [2], timeDeltas: [0] }, new Set());
    expect(FRAME_KINDS[tree.kinds[0]!], functionName).toBe(kind);
  }
});

test('a profile without samples, one of a deep recursion, and deltas out of order', () => {
  const empty = { nodes: [], startTime: 0, endTime: 0, samples: [], timeDeltas: [] };
  expect(flameTree(empty, new Set()).frames).toEqual([]);
  const depth = 20_000;
  const nodes: CpuProfile['nodes'] = Array.from({ length: depth }, (_, index) => ({
    id: index,
    callFrame: { functionName: index === 0 ? '(root)' : 'again', url: 'file:///a.js', lineNumber: 1, columnNumber: 0 },
    children: index + 1 < depth ? [index + 1] : [],
  }));
  const deep = flameTree({ nodes, startTime: 0, endTime: 9, samples: [5, 6, 7], timeDeltas: [0, -50, 9] }, new Set());
  expect(deep.frames).toHaveLength(depth - 1);
  expect(deep.labels).toEqual(['again']);
  expect(deep.frames.reduce((sum, [, , self]) => sum + self, 0)).toBe(9);
});
