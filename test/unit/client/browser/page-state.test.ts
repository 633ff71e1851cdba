/** A page's state over an IndexedDB and Web Locks in memory; test/e2e/browser.test.ts has the real ones. */
import { expect, it } from 'vitest';
import { openPageState } from '../../../../src/client/browser/page-state.ts';
import type { Flow } from '../../../../src/client/flow.ts';
import { MemoryBrowser } from '../../../support/browser/memory-browser.ts';

const ID = new Uint8Array(32).fill(7);
const KEY = '07'.repeat(32);
const flow = (fields: Partial<Flow> = {}) =>
  ({ waiters: { length: 0 }, lastSequence: 0, committed: 0n, ...fields }) as Flow;

it('keeps an amount before it is signed, and the acks when it is closed', async () => {
  const browser = new MemoryBrowser();
  const state = await openPageState('shop', browser);
  const entry = state.entry(ID);
  expect(entry.found).toBeUndefined();
  await state.record(entry, 30n, flow());
  expect(browser.stored('claimwire:shop', 'states').get(KEY)).toEqual({
    committed: '0',
    signed: '30',
    sequence: 1_028,
  });
  expect(browser.durabilities).toEqual(['strict']);
  expect(state.record(entry, 30n, flow())).toBeUndefined();
  await state.record(entry, 40n, flow({ committed: 30n, lastSequence: 4 }));
  await state.close();
  const again = await openPageState('shop', browser);
  expect(again.entry(ID).found).toEqual({ committed: 30n, signed: 40n, sequence: 4 });
  await again.close();
});

it('has one live payer: another tab is refused, until the first one goes away', async () => {
  const browser = new MemoryBrowser();
  const first = await openPageState('shop', browser);
  await expect(openPageState('shop', browser)).rejects.toMatchObject({ code: 'STATE_LOCKED' });
  await (await openPageState('other', browser)).close();
  await first.close();
  await (await openPageState('shop', browser)).close();
});

it('signs nothing more where a write failed', async () => {
  const browser = new MemoryBrowser();
  const state = await openPageState('shop', browser);
  browser.fails = true;
  const entry = state.entry(ID);
  await expect(state.record(entry, 30n, flow())).rejects.toMatchObject({ code: 'STATE_FAILED' });
  browser.fails = false;
  await expect(state.record(entry, 1n, flow())).rejects.toMatchObject({ code: 'STATE_FAILED' });
  await state.close();
});

it.each([
  { committed: '5', signed: '4', sequence: 1 },
  { committed: '-1', signed: '4', sequence: 1 },
  { committed: '0', signed: String(2n ** 64n), sequence: 1 },
  { committed: '0', signed: '4', sequence: 2 ** 32 },
  'text',
  null,
])('refuses a damaged record: %j', async (record) => {
  const browser = new MemoryBrowser();
  await (await openPageState('shop', browser)).close();
  browser.stored('claimwire:shop', 'states').set(KEY, record);
  await expect(openPageState('shop', browser)).rejects.toMatchObject({ code: 'STATE_INVALID' });
  // The lock is not kept by what could not be opened.
  browser.stored('claimwire:shop', 'states').clear();
  await (await openPageState('shop', browser)).close();
});

it('says what is missing in an insecure page', async () => {
  const { indexedDB } = new MemoryBrowser();
  await expect(openPageState('shop', { indexedDB, navigator: {} })).rejects.toThrow(/https/);
});
