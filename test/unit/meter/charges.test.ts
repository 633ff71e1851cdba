/** What a charge promises: within what was committed, once for each key, durable before it is answered. Test's thread. */
import { getEventListeners } from 'node:events';
import { describe, expect, test } from 'vitest';
import { AmountWatch } from '../../../src/meter/amount-watch.ts';
import { ChargeLog } from '../../../src/meter/charge-log.ts';
import { fingerprintOf, LOG_TABLE, ROW_CHARGES, SPENT_TABLE } from '../../../src/meter/charge-record.ts';
import { type ChargeLimits, type ChargeOptions, Charges } from '../../../src/meter/charges.ts';
import { RaisedAmounts } from '../../../src/registry/raised.ts';
import { MemorySideTables } from '../../support/memory-side-tables.ts';
import { FakeSource, ledgerIdOf } from './fake-source.ts';

/** A node's meter, which can be killed and started again. */
class Subject {
  readonly source = new FakeSource();
  tables = new MemorySideTables();
  watch!: AmountWatch;
  charges!: Charges;
  readonly #limits: Partial<ChargeLimits>;

  constructor(limits: Partial<ChargeLimits> = {}) {
    this.#limits = limits;
    this.source.commit([1n, 100n]);
    this.#start();
  }
  #start(): void {
    this.watch = new AmountWatch(this.source);
    this.charges = new Charges(this.source, this.tables, this.watch, this.#limits);
  }
  charge(drops: bigint, options?: ChargeOptions) {
    return this.charges.charge(1n, drops, options);
  }
  kill(): void {
    this.tables = this.tables.kill();
    this.#start();
  }
}

/** What became of a promise by now. */
async function stateOf(promise: Promise<unknown>): Promise<unknown> {
  let state: unknown = 'waits';
  promise.then(
    (result) => {
      state = result;
    },
    (error) => {
      state = error.code ?? error;
    },
  );
  for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate);
  return state;
}

test('drops that the ledger paid for a claim which this node never had buy nothing', async () => {
  const source = new FakeSource();
  source.commit([1n, 100n]);
  const tables = new MemorySideTables();
  const raised = new RaisedAmounts(tables);
  const charges = new Charges(source, tables, new AmountWatch(source), {}, raised);
  await raised.record({ ledgerChannelId: ledgerIdOf(1n), channelId: 1n }, { committed: 40n, spent: 0n, to: 100n });
  expect(await charges.charge(1n, 40n)).toMatchObject({ spent: 40n, committed: 100n });
  await expect(charges.charge(1n, 5n, { wait: false })).rejects.toMatchObject({
    code: 'PAYMENT_REQUIRED',
    message: expect.stringMatching(/expected 105 drops committed, got 100; claim 5 more/),
  });
  const waiting = charges.charge(1n, 5n);
  expect(await stateOf(waiting)).toBe('waits');
  source.commit([1n, 104n]);
  expect(await stateOf(waiting)).toBe('waits');
  source.commit([1n, 105n]);
  expect(await waiting).toMatchObject({ spent: 45n });
  await charges.stop();
});

test('charges add up, and a start again knows them', async () => {
  const subject = new Subject();
  expect(await subject.charge(30n)).toEqual({
    channelId: 1n,
    drops: 30n,
    spent: 30n,
    committed: 100n,
    repeated: false,
  });
  expect(await subject.charge(70n)).toMatchObject({ spent: 100n });
  expect(await subject.charge(0n)).toMatchObject({ spent: 100n });
  expect(subject.charges.spent(1n)).toBe(100n);
  subject.kill();
  expect(subject.charges.spent(1n)).toBe(100n);
  await expect(subject.charge(1n, { wait: false })).rejects.toMatchObject({
    code: 'PAYMENT_REQUIRED',
    details: { missing: '1', spent: '100', committed: '100' },
  });
});

test('a charge is answered only once it is durable', async () => {
  const subject = new Subject();
  let spent: Uint8Array | undefined;
  await subject.charge(30n).then(() => {
    spent = subject.tables.kill().get(SPENT_TABLE, ledgerIdOf(1n));
  });
  expect(Buffer.from(spent!).readBigUInt64BE()).toBe(30n);
});

test('what nobody can pay for is refused at once; what may be paid waits, in the order of the calls', async () => {
  const subject = new Subject();
  const settled: string[] = [];
  const charge = (name: string, drops: bigint, options?: ChargeOptions) =>
    subject.charge(drops, options).then(
      ({ spent }) => settled.push(`${name} ${spent}`),
      ({ code, details }) => settled.push(`${name} ${code} ${details.missing}`),
    );
  const all = [charge('large', 150n), charge('small', 20n), charge('hasty', 5n, { wait: false }), charge('last', 10n)];
  await stateOf(all[2]!);
  // A small one does not overtake the large one, which might otherwise wait for ever.
  expect(settled).toEqual(['hasty PAYMENT_REQUIRED 75']);
  subject.source.commit([1n, 149n]);
  await stateOf(all[0]!);
  expect(settled).toHaveLength(1);
  subject.source.commit([1n, 175n]);
  await stateOf(all[1]!);
  expect(settled.slice(1)).toEqual(['large 150', 'small 170']);
  subject.source.commit([1n, 1_000n]);
  await Promise.all(all);
  expect(settled.slice(3)).toEqual(['last 180']);
  expect(subject.source.listeners.size).toBe(0);
});

test('an aborted charge is not made, and those behind it go on; one that is being committed is made', async () => {
  const subject = new Subject();
  const waits = new AbortController();
  const large = subject.charge(150n, { signal: waits.signal });
  const small = subject.charge(20n);
  expect(await stateOf(small)).toBe('waits');
  waits.abort(new Error('no more'));
  await expect(large).rejects.toThrow('no more');
  expect(await small).toMatchObject({ spent: 20n });
  const booked = new AbortController();
  const made = subject.charge(10n, { signal: booked.signal });
  await new Promise(setImmediate);
  booked.abort();
  expect(await made).toMatchObject({ spent: 30n });
  await expect(subject.charge(1n, { signal: AbortSignal.abort() })).rejects.toThrow();
  // A signal that lives for long keeps nothing of charges that are settled.
  const { signal } = new AbortController();
  await subject.charge(1n, { signal });
  await subject.charge(1_000n, { signal, wait: false }).catch(() => {});
  expect(getEventListeners(signal, 'abort')).toEqual([]);
});

describe('a key', () => {
  test('is charged once, also at the same time, after a start again, and for the same drops alone', async () => {
    const subject = new Subject();
    const both = await Promise.all([subject.charge(30n, { key: 'a' }), subject.charge(30n, { key: 'a' })]);
    expect(both.map(({ repeated }) => repeated)).toEqual([false, true]);
    subject.kill();
    expect(await subject.charge(30n, { key: 'a' })).toMatchObject({ repeated: true, spent: 30n });
    for (const drops of [31n, 29n])
      await expect(subject.charge(drops, { key: 'a' })).rejects.toMatchObject({ code: 'CHARGE_CONFLICT' });
    expect(await subject.charge(30n, { key: 'b' })).toMatchObject({ repeated: false, spent: 60n });
    expect(subject.charges.spent(1n)).toBe(60n);
  });

  test('is charged once while both calls wait for the money', async () => {
    const subject = new Subject();
    const both = [subject.charge(130n, { key: 'a' }), subject.charge(130n, { key: 'a' })];
    const other = subject.charge(131n, { key: 'a' });
    expect(await stateOf(both[0]!)).toBe('waits');
    subject.source.commit([1n, 1_000n]);
    expect((await Promise.all(both)).map(({ spent }) => spent)).toEqual([130n, 130n]);
    await expect(other).rejects.toMatchObject({ code: 'CHARGE_CONFLICT' });
  });

  test('belongs to its channel', async () => {
    const subject = new Subject();
    subject.source.commit([2n, 50n]);
    expect(await subject.charge(5n, { key: 'a' })).toMatchObject({ repeated: false });
    expect(await subject.charges.charge(2n, 6n, { key: 'a' })).toMatchObject({ repeated: false, spent: 6n });
  });

  test('is known as long as it is among the latest', async () => {
    const subject = new Subject({ kept: 3 });
    for (const key of ['a', 'b', 'c']) await subject.charge(1n, { key });
    expect(await subject.charge(1n, { key: 'a' })).toMatchObject({ repeated: true });
    await subject.charge(1n, { key: 'd' });
    for (const turn of ['running', 'started again']) {
      for (const key of ['b', 'c', 'd'])
        expect(await subject.charge(1n, { key }), `${key}, ${turn}`).toMatchObject({ repeated: true });
      subject.kill();
    }
    expect(await subject.charge(1n, { key: 'a' })).toMatchObject({ repeated: false, spent: 5n });
  });

  test('is found among many, in memory that is made anew and does not grow for ever', async () => {
    const tables = new MemorySideTables();
    const kept = 10 * ROW_CHARGES + 7;
    const log = new ChargeLog(tables, kept);
    const prints = Array.from({ length: 5_000 }, (_, index) => fingerprintOf(ledgerIdOf(1n), String(index)));
    for (let first = 0; first < prints.length; ) {
      // Rows are filled by one commit, by several, and several by one.
      const count = [1, 100, 3, 400][first % 4]!;
      const charges = prints.slice(first, first + count).map((name, index) => ({ name, drops: BigInt(first + index) }));
      // A commit that fails leaves nothing.
      if (first % 3 === 0) log.changes(charges.map(({ name }) => ({ name, drops: -1n })));
      await tables.commit(log.changes(charges));
      log.added(charges);
      first += count;
    }
    for (const known of [log, new ChargeLog(tables, kept)]) {
      const found = prints.map((name) => known.find(name));
      expect(found).toEqual(prints.map((_, index) => (index < prints.length - kept ? undefined : BigInt(index))));
    }
    // Full entries, but the first, which has some that are forgotten, and the last.
    expect([...tables.entries(LOG_TABLE)].length).toBeLessThanOrEqual(12);
  });

  test('is found in a log that was written when more were kept, whose first entries then go', async () => {
    const tables = new MemorySideTables();
    const prints = Array.from({ length: 2_000 }, (_, index) => fingerprintOf(ledgerIdOf(1n), String(index)));
    const add = async (log: ChargeLog, names: string[]) => {
      const charges = names.map((name) => ({ name, drops: 1n }));
      await tables.commit(log.changes(charges));
      log.added(charges);
    };
    await add(new ChargeLog(tables, 2_000), prints.slice(0, 1_900));
    const log = new ChargeLog(tables, 500);
    await add(log, prints.slice(1_900));
    expect(prints.map((name) => log.find(name) !== undefined).indexOf(true)).toBe(1_500);
    // Entries that went are not removed again.
    expect(log.changes([])).toEqual([]);
    expect([...tables.entries(LOG_TABLE)].length).toBeLessThanOrEqual(500 / ROW_CHARGES + 2);
  });
});

describe('a refund', () => {
  test('gives back at most what was charged, and pays for what waits', async () => {
    const subject = new Subject();
    await subject.charge(90n);
    const waiting = subject.charge(20n);
    expect(await stateOf(waiting)).toBe('waits');
    expect(await subject.charge(-30n, { key: 'back' })).toMatchObject({ drops: -30n, spent: 60n });
    expect(await waiting).toMatchObject({ spent: 80n });
    expect(await subject.charge(-30n, { key: 'back' })).toMatchObject({ repeated: true, spent: 80n });
    await expect(subject.charge(-81n)).rejects.toMatchObject({ code: 'INPUT_INVALID' });
    expect(await subject.charge(-80n)).toMatchObject({ spent: 0n });
  });
});

describe('a disk that is full', () => {
  test('refuses the charges of that commit, spends nothing, and what waits goes on', async () => {
    const subject = new Subject();
    await subject.charge(10n, { key: 'a' });
    subject.tables.failures = 1;
    const failed = [subject.charge(80n, { key: 'b' }), subject.charge(5n)];
    const waiting = subject.charge(90n);
    for (const charge of failed) await expect(charge).rejects.toMatchObject({ code: 'REGISTRY_FULL' });
    expect(await stateOf(waiting)).toMatchObject({ spent: 100n });
    expect(subject.charges.spent(1n)).toBe(100n);
    subject.source.commit([1n, 200n]);
    // Its key was not used up.
    expect(await subject.charge(80n, { key: 'b' })).toMatchObject({ repeated: false, spent: 180n });
  });
});

describe('a table that can not be read', () => {
  test('refuses the charge that needs it, and no other; the next one is looked at as ever', async () => {
    const subject = new Subject();
    await subject.charge(10n, { key: 'a' });
    const { tables } = subject;
    const read = tables.get.bind(tables);
    tables.get = (table, key) => {
      if (table === LOG_TABLE) throw new Error('expected a sound entry');
      return read(table, key);
    };
    const repeated = subject.charge(10n, { key: 'a' });
    const other = subject.charge(20n);
    await expect(repeated).rejects.toThrow('expected a sound entry');
    expect(await other).toMatchObject({ spent: 30n });
    tables.get = read;
    expect(await subject.charge(10n, { key: 'a' })).toMatchObject({ repeated: true, spent: 30n });
  });
});

describe('a reservation', () => {
  /** A charge, and what it was told before it was decided. */
  function reserving(subject: Subject, drops: bigint, options: ChargeOptions = {}) {
    const told: bigint[] = [];
    const made = subject.charge(drops, { wait: false, ...options, onReserved: (spent) => told.push(spent) });
    return { told: [...told], made };
  }

  test('is told at once, before the charge is durable, and counts those before it', async () => {
    const subject = new Subject();
    const first = reserving(subject, 30n, { key: 'a' });
    const second = reserving(subject, 70n);
    expect([first.told, second.told, subject.charges.spent(1n)]).toEqual([[30n], [100n], 0n]);
    // Those under way have taken it all.
    expect(reserving(subject, 1n, { wait: true }).told).toEqual([]);
    expect(await first.made).toMatchObject({ spent: 30n });
    expect(await second.made).toMatchObject({ spent: 100n });
  });

  test('counts what is being committed', async () => {
    const subject = new Subject();
    const first = reserving(subject, 60n);
    await new Promise(setImmediate);
    expect(subject.charges.spent(1n)).toBe(0n);
    const [second, third] = [reserving(subject, 40n), reserving(subject, 1n)];
    expect([second.told, third.told]).toEqual([[100n], []]);
    await expect(third.made).rejects.toMatchObject({ code: 'PAYMENT_REQUIRED' });
    expect([await first.made, await second.made]).toMatchObject([{ spent: 60n }, { spent: 100n }]);
  });

  test('is none for what may be a repetition, for a refund, and behind one that waits', async () => {
    const subject = new Subject();
    await subject.charge(10n, { key: 'known' });
    expect(reserving(subject, 10n, { key: 'known' }).told).toEqual([]);
    const twins = [reserving(subject, 10n, { key: 'twin' }), reserving(subject, 10n, { key: 'twin' })];
    expect(twins.map(({ told }) => told.length)).toEqual([1, 0]);
    expect(reserving(subject, -5n).told).toEqual([]);
    await Promise.all(twins.map(({ made }) => made));
    const { tables } = subject;
    const commit = tables.commit.bind(tables);
    const committing = new Promise<void>((resolve) => {
      tables.commit = (changes) => {
        resolve();
        return commit(changes);
      };
    });
    const alone = reserving(subject, 10n, { key: 'alone' });
    await committing;
    // Its namesake is being committed.
    const again = reserving(subject, 10n, { key: 'alone' });
    expect([alone.told.length, again.told.length]).toEqual([1, 0]);
    expect(await again.made).toMatchObject({ repeated: true });
    const waiting = subject.charge(500n);
    await stateOf(waiting);
    const behind = reserving(subject, 1n, { wait: true });
    expect(behind.told).toEqual([]);
    subject.source.commit([1n, 1_000n]);
    await Promise.all([waiting, behind.made]);
  });

  test('is none for drops that the ledger paid for a claim which this node never had', async () => {
    const source = new FakeSource();
    source.commit([1n, 100n]);
    const tables = new MemorySideTables();
    const raised = new RaisedAmounts(tables);
    const charges = new Charges(source, tables, new AmountWatch(source), {}, raised);
    await raised.record({ ledgerChannelId: ledgerIdOf(1n), channelId: 1n }, { committed: 40n, spent: 0n, to: 100n });
    const told: bigint[] = [];
    const options = { wait: false, onReserved: (spent: bigint) => told.push(spent) };
    await expect(charges.charge(1n, 41n, options)).rejects.toMatchObject({ code: 'PAYMENT_REQUIRED' });
    expect(told).toEqual([]);
    await charges.charge(1n, 40n, options);
    expect(told).toEqual([40n]);
    await charges.stop();
  });

  test('ends where the commit fails, and there is no other before one has succeeded', async () => {
    const subject = new Subject();
    subject.tables.failures = 1;
    const failed = reserving(subject, 10n);
    expect(failed.told).toEqual([10n]);
    await expect(failed.made).rejects.toMatchObject({ code: 'REGISTRY_FULL' });
    const careful = reserving(subject, 10n);
    expect(careful.told).toEqual([]);
    expect(await careful.made).toMatchObject({ spent: 10n });
    expect(reserving(subject, 10n).told).toEqual([20n]);
  });
});

describe('a channel', () => {
  test('that is unknown or was removed is not charged; who waits is told', async () => {
    const subject = new Subject();
    await expect(subject.charges.charge(9n, 1n)).rejects.toMatchObject({ code: 'CHANNEL_UNKNOWN' });
    expect(() => subject.charges.spent(9n)).toThrow('channel 9: expected an open channel');
    const waiting = subject.charge(500n);
    expect(await stateOf(waiting)).toBe('waits');
    subject.source.amounts.delete(1n);
    subject.watch.recheck(1n);
    await expect(waiting).rejects.toMatchObject({ code: 'CHANNEL_UNKNOWN' });
  });

  test('keeps what it spent when it is removed and opened again, under whatever handle', async () => {
    const subject = new Subject();
    await subject.charge(60n);
    subject.source.amounts.delete(1n);
    subject.source.commit([1n, 0n]);
    expect(subject.charges.spent(1n)).toBe(60n);
    await expect(subject.charge(1n, { wait: false })).rejects.toMatchObject({ details: { missing: '61' } });
    subject.source.amounts.delete(1n);
    subject.source.ledgerIds.set(7n, ledgerIdOf(1n));
    subject.source.commit([7n, 70n]);
    expect(subject.charges.spent(7n)).toBe(60n);
    // Another ledger channel under the old handle begins at nothing.
    subject.source.ledgerIds.set(1n, ledgerIdOf(99n));
    subject.source.commit([1n, 10n]);
    expect(await subject.charge(10n)).toMatchObject({ spent: 10n });
    expect(subject.charges.spent(7n)).toBe(60n);
  });
});

test('where a loss of power took claims that were spent, nothing is sold until claims cover them again', async () => {
  const subject = new Subject();
  await subject.charge(60n, { key: 'a' });
  // What the registry and a journal that was not synced have left.
  const source = new FakeSource();
  source.commit([1n, 40n]);
  const warned: string[] = [];
  const raised = new RaisedAmounts(subject.tables);
  const charges = new Charges(source, subject.tables, new AmountWatch(source), {}, raised, (line) => warned.push(line));
  expect(await charges.charge(1n, 60n, { key: 'a' })).toMatchObject({ repeated: true, spent: 60n, committed: 40n });
  await expect(charges.charge(1n, 5n, { wait: false })).rejects.toMatchObject({ details: { missing: '25' } });
  await expect(charges.charge(1n, 0n, { wait: false })).rejects.toMatchObject({ details: { missing: '20' } });
  const waiting = charges.charge(1n, 5n);
  source.commit([1n, 64n]);
  expect(await stateOf(waiting)).toBe('waits');
  source.commit([1n, 65n]);
  expect(await waiting).toMatchObject({ spent: 65n, committed: 65n });
  expect(warned).toEqual([
    expect.stringMatching(/^channel 1: expected the 60 drops spent .* got 40; .* charges wait until/),
  ]);
});

test('of many channels with reservations a commit takes one half, and all where somebody waits for it; none is left out', async () => {
  const subject = new Subject();
  const ids = Array.from({ length: 64 }, (_, index) => BigInt(index + 1));
  subject.source.commit(...ids.map((id): [bigint, bigint] => [id, 1_000n]));
  const sizes: number[] = [];
  const commit = subject.tables.commit.bind(subject.tables);
  subject.tables.commit = async (changes) => {
    sizes.push(changes.length);
    await commit(changes);
  };
  const charge = (id: bigint, onReserved?: () => void) => subject.charges.charge(id, 10n, { wait: false, onReserved });
  const all = (onReserved?: () => void) => Promise.all(ids.map((id) => charge(id, onReserved)));
  expect((await all(() => {})).map(({ spent }) => spent)).toEqual(ids.map(() => 10n));
  expect(sizes).toEqual([32, 16, 16]);
  sizes.length = 0;
  expect((await all()).map(({ spent }) => spent)).toEqual(ids.map(() => 20n));
  expect(sizes).toEqual([64]);
});

test('accounts beyond the limit are read again, but never one that is being changed', async () => {
  const subject = new Subject({ accountsMax: 4 });
  const ids = Array.from({ length: 40 }, (_, index) => BigInt(index + 1));
  subject.source.commit(...ids.map((id): [bigint, bigint] => [id, 1_000n]));
  const charged = ids.slice(0, 3);
  const commit = subject.tables.commit.bind(subject.tables);
  subject.tables.commit = async (changes) => {
    // While a commit is under way others are asked for, which drops what is idle; then those that are being changed.
    for (const id of [...ids.slice(3), ...charged]) subject.charges.spent(id);
    await commit(changes);
  };
  for (let round = 1n; round <= 3n; round++) {
    const results = await Promise.all(charged.map((id) => subject.charges.charge(id, 10n)));
    expect(results.map(({ spent }) => spent)).toEqual(charged.map(() => round * 10n));
  }
});

test('nonsense is refused', async () => {
  const subject = new Subject();
  const invalid = expect.objectContaining({ code: 'INPUT_INVALID' });
  for (const drops of [10n ** 17n + 1n, -(10n ** 17n) - 1n])
    await expect(subject.charge(drops)).rejects.toEqual(invalid);
  for (const key of ['', 'x'.repeat(65)]) await expect(subject.charge(1n, { key })).rejects.toEqual(invalid);
});

test('an amount that is there already is not waited for', () => {
  const { watch, source } = new Subject();
  const reached: bigint[] = [];
  const failed = (error: unknown) => {
    throw error;
  };
  watch.add(1n, { drops: 100n, reached: (committed) => reached.push(committed), failed });
  expect([reached, source.listeners.size]).toEqual([[100n], 0]);
});

test('only so many charges wait', async () => {
  const subject = new Subject({ undecidedMax: 3 });
  const waiting = [1, 2, 3].map(() => subject.charge(200n));
  await expect(subject.charge(1n)).rejects.toMatchObject({ code: 'NODE_BUSY' });
  subject.source.commit([1n, 600n]);
  await Promise.all(waiting);
  expect(await subject.charge(0n)).toMatchObject({ spent: 600n });
});

test('a stop finishes what is being committed, and refuses what waits and what comes', async () => {
  const subject = new Subject();
  const made = subject.charge(10n);
  const waiting = subject.charge(500n).catch((error) => error.code);
  await new Promise(setImmediate);
  await subject.charges.stop();
  subject.watch.stop();
  expect(await made).toMatchObject({ spent: 10n });
  expect(await waiting).toBe('NODE_STOPPING');
  await expect(subject.charge(1n)).rejects.toMatchObject({ code: 'NODE_STOPPING' });
});
