/**
 * Random charges, refunds, repeats, full disks and kills over side tables in memory: spent is at most committed, each key is
 * charged at most once, and what was answered outlives the process. Test's thread.
 */
import { expect, test } from 'vitest';
import type { ChargeResult } from '../../../src/control/meter-control.ts';
import { AmountWatch } from '../../../src/meter/amount-watch.ts';
import { chargesIn, decodeSpent, dropsAt, LOG_TABLE, nameAt, SPENT_TABLE } from '../../../src/meter/charge-record.ts';
import { Charges } from '../../../src/meter/charges.ts';
import { MemorySideTables } from '../../support/memory-side-tables.ts';
import { random } from '../../support/random.ts';
import { FakeSource, ledgerIdOf } from './fake-source.ts';

const CHANNELS = 3;
const TURNS = 400;
/** More than the keys of a run, so that each is known to its end. */
const KEPT = 10_000;
const EXPECTED = ['PAYMENT_REQUIRED', 'REGISTRY_FULL', 'INPUT_INVALID', 'ABORTED'];

/** A charge that was asked for, maybe several times. */
interface Asked {
  channel: bigint;
  drops: bigint;
  key: string;
}

async function runOnce(seed: number): Promise<{ made: number; kills: number; reservations: number }> {
  const { below } = random(seed);
  const source = new FakeSource();
  for (let channel = 1n; channel <= CHANNELS; channel++) source.commit([channel, 0n]);
  let tables = new MemorySideTables();
  const asked: Asked[] = [];
  /** Drops answered as made, by key, and the keys that were answered more than once as new. */
  const made = new Map<string, bigint>();
  const twice: string[] = [];
  let kills = 0;
  let reservations = 0;
  let hasFailed = false;
  let generation = 0;

  const start = () => new Charges(source, tables, new AmountWatch(source), { kept: KEPT });
  let charges = start();
  const spentOn = (channel: bigint) => decodeSpent(tables.get(SPENT_TABLE, ledgerIdOf(channel)));

  const ask = (one: Asked) => {
    const { channel, drops, key } = one;
    const own = generation;
    const aborter = new AbortController();
    if (below(8) === 0) setImmediate(() => aborter.abort(Object.assign(new Error('aborted'), { code: 'ABORTED' })));
    let reserved: bigint | undefined;
    const onReserved = (spent: bigint) => {
      reserved = spent;
      reservations++;
    };
    const options = {
      key,
      wait: below(3) > 0,
      signal: aborter.signal,
      onReserved: below(2) > 0 ? onReserved : undefined,
    };
    charges.charge(channel, drops, options).then(
      ({ spent, committed, repeated }: ChargeResult) => {
        if (own !== generation) return;
        if (reserved !== undefined) expect([repeated, spent <= reserved]).toEqual([false, true]);
        expect(spent).toBeLessThanOrEqual(committed);
        if (!repeated && made.has(key)) twice.push(key);
        made.set(key, drops);
      },
      // What was reserved is made, unless a commit fails or its caller ends it.
      (error) => expect(reserved === undefined || hasFailed ? EXPECTED : ['ABORTED']).toContain(error.code),
    );
  };

  for (let turn = 0; turn < TURNS; turn++) {
    const dice = below(26);
    const channel = BigInt(1 + below(CHANNELS));
    if (dice < 9) {
      const one = { channel, drops: BigInt(below(12) - 3), key: `${seed} ${asked.length}` };
      asked.push(one);
      ask(one);
    } else if (dice < 12 && asked.length > 0) ask(asked[below(asked.length)]!);
    else if (dice < 16) source.commit([channel, source.amounts.get(channel)! + BigInt(below(10))]);
    else if (dice < 17) {
      // Every other run has a sound disk.
      tables.failures = seed % 2 === 0 ? 1 + below(2) : 0;
      hasFailed ||= tables.failures > 0;
    } else if (dice < 18) {
      tables.failures = 0;
      tables = tables.kill();
      kills++;
      generation++;
      charges = start();
    } else await new Promise(setImmediate);
    if (dice % 4 === 0)
      for (let id = 1n; id <= CHANNELS; id++) {
        expect(spentOn(id), `seed ${seed}, turn ${turn}`).toBeLessThanOrEqual(source.amounts.get(id)!);
      }
  }
  tables.failures = 0;
  for (let rest = 0; rest < 10; rest++) await new Promise(setImmediate);
  expect(twice).toEqual([]);

  // What the disk has spent is what its log says, in which every answered charge is, and each key once.
  const logged = [...tables.entries(LOG_TABLE)].flatMap(([, row]) =>
    Array.from({ length: chargesIn(row) }, (_, index) => ({ name: nameAt(row, index), drops: dropsAt(row, index) })),
  );
  expect(new Set(logged.map(({ name }) => name)).size).toBe(logged.length);
  expect(logged.length).toBeGreaterThanOrEqual(made.size);
  const total = logged.reduce((sum, { drops }) => sum + drops, 0n);
  let spent = 0n;
  for (let id = 1n; id <= CHANNELS; id++) spent += spentOn(id);
  expect(spent).toBe(total);
  return { made: made.size, kills, reservations };
}

test('whatever happens in whatever order, nothing is sold twice', async () => {
  let [made, kills, reservations] = [0, 0, 0];
  for (let seed = 1; seed <= 40; seed++) {
    const run = await runOnce(seed);
    made += run.made;
    kills += run.kills;
    reservations += run.reservations;
  }
  // The runs did something.
  expect(made).toBeGreaterThan(1_000);
  expect(kills).toBeGreaterThan(300);
  expect(reservations).toBeGreaterThan(300);
});
