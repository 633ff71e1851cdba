/** Settings that change while a node runs: their bounds, and what the steps of the claim path make of them. */
import { expect, test } from 'vitest';
import type { NodeConfig } from '../../../src/config.ts';
import type { SettingName } from '../../../src/control/tune-control.ts';
import { Idle } from '../../../src/ring/doorbell.ts';
import { LiveSettings } from '../../../src/threads/live-settings.ts';
import type { Kernel } from '../../../src/verify/kernel.ts';
import { claimOf, Rig, sourceOf } from '../../support/rig.ts';

const ALICE = sourceOf('127.0.0.1', 5001);
const MIB = 2 ** 20;

function live(rig: Rig, config: Partial<NodeConfig> = {}, hasKernel = true) {
  const limits: number[] = [];
  const kernel = {
    limitTables: (bytes: number) => void limits.push(bytes),
  } as unknown as Kernel;
  const whole = { layout: 'lanes', backend: 'native', keyCacheBytes: 512 * MIB, ...config } as NodeConfig;
  return { settings: new LiveSettings(whole, rig.arena, hasKernel ? kernel : undefined, 2_000), limits };
}
/** A rig with so many claims of a channel received, as one payload each. */
function received(claims: number): Rig {
  const rig = new Rig();
  rig.open({ channelId: 1n });
  for (let amount = 1; amount <= claims; amount++)
    rig.datagram(claimOf({ channelId: 1n, amount: BigInt(amount) }), ALICE);
  rig.receive.step(rig.now);
  return rig;
}

test('a node has the settings that do something on it', () => {
  const names = (config: Partial<NodeConfig>, hasKernel = true) =>
    live(new Rig(), config, hasKernel)
      .settings.settings()
      .map(({ name, value, min, max }) => `${name} ${min} ${value} ${max}`);
  expect(names({})).toEqual([
    'verifyBatch 1 1024 1024',
    'groupClaims 64 4096 4096',
    'groupWaitMs 0 0 16',
    `keyCacheBytes ${4 * MIB} ${512 * MIB} ${512 * MIB}`,
  ]);
  expect(names({ layout: 'pipeline', backend: 'wasm' })).toEqual([
    'verifyBatch 1 128 128',
    'groupClaims 64 4096 4096',
    'groupWaitMs 0 0 16',
    'idleSpins 0 2000 16384',
    `keyCacheBytes ${4 * MIB} ${512 * MIB} ${512 * MIB}`,
  ]);
  expect(names({ layout: 'pipeline', backend: 'noble' }, false)).toContain('verifyBatch 1 1 1');
});

test('beyond its bounds nothing is set', () => {
  const rig = new Rig();
  const { settings, limits } = live(rig);
  const wrong: [SettingName, number][] = [
    ['verifyBatch', 0],
    ['verifyBatch', 1_025],
    ['groupClaims', 63],
    ['groupWaitMs', 1.5],
    ['keyCacheBytes', 513 * MIB],
    ['idleSpins', 1],
  ];
  for (const [name, value] of wrong) expect(() => settings.set(name, value), name).toThrow(/^setting: .*expected/);
  expect(() => settings.set('durability' as SettingName, 1)).toThrow('setting: expected one of verifyBatch, ');
  expect(limits).toEqual([]);
  expect(rig.settings.get('verifyBatch', 7)).toBe(7);
});

test('the bound of a batch and of a group are looked at before each', () => {
  const rig = received(200);
  const { settings } = live(rig);
  settings.set('verifyBatch', 3);
  expect([rig.verify.step(), rig.verify.step()]).toEqual([3, 3]);
  settings.set('verifyBatch', 1_024);
  // The backend has a limit of its own.
  expect([rig.verify.step(), rig.verify.step(), rig.verify.step()]).toEqual([64, 64, 64]);
  rig.verify.step();
  settings.set('groupClaims', 64);
  expect([rig.commitTurn(), rig.commitTurn()]).toEqual([64, 64]);
  settings.set('groupClaims', 4_096);
  expect(rig.commitTurn()).toBe(72);
  rig.ackTurn();
  expect([rig.counter('committed'), rig.counter('groupCommits'), rig.settled()]).toEqual([200, 3, 200]);
});

test('a group waits for more claims, for as long as is set, and is synced once', () => {
  const rig = received(2);
  live(rig).settings.set('groupWaitMs', 4);
  rig.verify.step();
  expect([rig.commitTurn(), rig.commit.waitMs(rig.now), rig.commit.isIdle]).toEqual([2, 4, false]);
  rig.now += 3;
  rig.datagram(claimOf({ channelId: 1n, amount: 9n }), ALICE);
  rig.receive.step(rig.now);
  rig.verify.step();
  expect([rig.commitTurn(), rig.commit.waitMs(rig.now)]).toEqual([1, 1]);
  expect([rig.counter('committed'), rig.counter('syncs')]).toEqual([0, 0]);
  rig.now += 1;
  // The work is that the group was written: its acks are there to be sent.
  expect([rig.commitTurn(), rig.commit.isIdle]).toEqual([1, true]);
  rig.ackTurn();
  expect([rig.counter('committed'), rig.counter('syncs'), rig.settled()]).toEqual([3, 1, 3]);
  expect(rig.commit.waitMs(rig.now)).toBe(0);
});

test('a group does not wait for a fence, at the end, once it is full, nor for a clock that was set back', () => {
  const ways: ((rig: Rig, settings: LiveSettings) => void)[] = [
    (rig) => {
      rig.commit.isHolding = true;
    },
    (rig) => {
      rig.commit.isEnding = true;
    },
    (_, settings) => settings.set('groupWaitMs', 0),
  ];
  for (const end of ways) {
    const rig = received(2);
    const { settings } = live(rig);
    settings.set('groupWaitMs', 16);
    rig.verify.step();
    rig.commitTurn();
    expect(rig.commit.isIdle).toBe(false);
    end(rig, settings);
    rig.commitTurn();
    expect([rig.commit.isIdle, rig.counter('committed')]).toEqual([true, 2]);
  }
  const full = received(100);
  const { settings } = live(full);
  settings.set('groupWaitMs', 16);
  settings.set('groupClaims', 64);
  full.verify.step();
  expect([full.commitTurn(), full.counter('committed')]).toEqual([64, 64]);
  const back = received(2);
  live(back).settings.set('groupWaitMs', 16);
  back.verify.step();
  back.commitTurn();
  back.now -= 3_600_000;
  expect(back.commit.waitMs(back.now)).toBe(16);
});

test('a thread spins as long as is set, from its next empty turn on', () => {
  const rig = new Rig();
  const { settings } = live(rig, { layout: 'pipeline' });
  const strategy = {
    get spins() {
      return rig.settings.get('idleSpins', 1);
    },
    sleepMsMax: 1,
  };
  const idle = new Idle(rig.ring.committerDoorbell, strategy);
  let looks = 0;
  const emptyTurns = (count: number) => {
    looks = 0;
    for (let turn = 0; turn < count; turn++)
      idle.wait(() => {
        looks++;
        return true;
      });
    return looks;
  };
  expect(emptyTurns(4)).toBe(2);
  settings.set('idleSpins', 0);
  expect(emptyTurns(4)).toBe(4);
  settings.set('idleSpins', 9);
  expect(emptyTurns(20)).toBe(2);
});

test('the bytes of key tables reach the kernel', () => {
  const { settings, limits } = live(new Rig());
  settings.set('keyCacheBytes', 100 * MIB);
  expect(limits).toEqual([100 * MIB]);
});
