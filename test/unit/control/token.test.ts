/** The token of a data folder, with a loss of power at every disk operation of its making. */
import { expect, test } from 'vitest';
import { loadAdminToken } from '../../../src/control/token.ts';
import { nodeSystem } from '../../../src/system/system.ts';
import { MemoryFiles, PowerLoss } from '../../support/memory-files.ts';

const TOKEN = '5a'.repeat(32);
const system = (files: MemoryFiles, byte = 0x5a) => ({
  ...nodeSystem,
  files,
  random: (count: number) => Buffer.alloc(count, byte),
});

test('a start that is broken off leaves a token or none, and never one that changes once it was handed out', () => {
  let isBroken = true;
  for (let place = 0; isBroken; place++)
    for (const choose of [() => true, () => false]) {
      const files = new MemoryFiles();
      files.mkdirSync('/data');
      files.durableFolders.add('/data');
      let left = place;
      files.before = () => {
        if (left-- <= 0) throw new PowerLoss('power lost');
      };
      let token: string | undefined;
      try {
        token = loadAdminToken('/data', system(files));
      } catch {
        // Broken off before anybody was told it.
      }
      isBroken = left < 0;
      const after = loadAdminToken('/data', system(files.afterPowerLoss(choose), 0x77));
      if (token === undefined) expect([TOKEN, '77'.repeat(32)], `operation ${place}`).toContain(after);
      else expect(after, `operation ${place}`).toBe(TOKEN);
    }
});

test('a full disk refuses the start, and leaves nothing that refuses the next one', () => {
  const files = new MemoryFiles();
  files.mkdirSync('/data');
  files.roomBytes = 10;
  expect(() => loadAdminToken('/data', system(files))).toThrow(/token file \/data\/admin-token: expected/);
  files.roomBytes = Number.POSITIVE_INFINITY;
  expect(loadAdminToken('/data', system(files))).toBe(TOKEN);
});
