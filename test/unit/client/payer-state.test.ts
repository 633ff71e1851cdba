/** What a payer keeps: an amount is in the store before anything is signed for it. Test's thread. */
import { expect, test } from 'vitest';
import type { Flow } from '../../../src/client/flow.ts';
import { type KeptRecord, PayerState } from '../../../src/client/state/payer-state.ts';
import { type Deferred, deferred } from '../../../src/meter/deferred.ts';

/** A store whose writes end when the test says so. */
function slowState() {
  const writes: Deferred<void>[] = [];
  const kept = new Map<string, bigint>();
  const write = async (records: readonly KeptRecord[]) => {
    const done = deferred<void>();
    writes.push(done);
    await done.promise;
    for (const [id, { signed }] of records) kept.set(id, signed);
  };
  const state = new PayerState({ name: 'memory', write, close: async () => {} }, new Map());
  const entry = state.entry(new Uint8Array(32));
  const flow = { waiters: [], lastSequence: 0, committed: 0n } as unknown as Flow;
  const record = (amount: bigint) => state.record(entry, amount, flow);
  return { writes, record, signed: () => kept.get(entry.ledgerChannelId) };
}

const turn = () => new Promise(setImmediate);

test('an amount below one that is being written waits for that write too', async () => {
  const { writes, record, signed } = slowState();
  const first = record(10n)!;
  await turn();
  writes[0]!.resolve();
  await first;
  // What is kept needs no write.
  expect([record(10n), record(7n)]).toEqual([undefined, undefined]);
  const higher = record(100n)!;
  await turn();
  const lower = record(60n);
  expect(lower).toBeInstanceOf(Promise);
  writes[1]!.resolve();
  await higher;
  await turn();
  writes[2]?.resolve();
  await lower;
  expect(signed()).toBe(100n);
});

test('after a write that failed nothing is signed, not even what was kept before', async () => {
  const { writes, record } = slowState();
  const first = record(10n)!;
  await turn();
  writes[0]!.resolve();
  await first;
  const failing = record(20n)!;
  await turn();
  writes[1]!.reject(new Error('EIO'));
  await expect(failing).rejects.toMatchObject({ code: 'STATE_FAILED' });
  await expect(record(7n)).rejects.toMatchObject({ code: 'STATE_FAILED' });
});
