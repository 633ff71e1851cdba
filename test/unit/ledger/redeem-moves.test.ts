/**
 * A channel's shard goes to another node while its claim is redeemed: it is given away, its node is killed, or its node stands
 * still and goes on when it is taken over. At every await of the redemption: the claim is paid exactly once, for one fee, and the
 * next holder knows.
 */
import { expect, test } from 'vitest';
import type { Channel } from '../../../src/channel/row.ts';
import { PAYEE, settled } from '../../support/chain-rig.ts';
import { type ClusterNode, LedgerCluster } from '../../support/ledger-cluster.ts';

const DROPS = 5_000_000n;
const FEE = 10n;
const ASYNCHRONOUS = ['networkId', 'channel', 'account', 'fee', 'submit', 'transaction', 'knowsLedgers', 'sign'];
const never = () => new Promise<never>(() => {});

type Way = 'moved' | 'killed' | 'stopped';
interface Point {
  call: number;
  isAfter: boolean;
}

/** Calls of a redeemer, and what happens at one of them. */
class Hook {
  readonly names: string[] = [];
  readonly #point: Point | undefined;
  readonly #happen: () => Promise<void> | void;
  isDead = false;
  isArmed = false;

  constructor(point: Point | undefined, happen: () => Promise<void> | void) {
    this.#point = point;
    this.#happen = happen;
  }

  readonly wrap = <Port extends object>(port: Port): Port =>
    new Proxy(port, {
      get: (target, name) => {
        const value = Reflect.get(target, name) as unknown;
        if (typeof value !== 'function') return value;
        const method = value.bind(target) as (...args: unknown[]) => unknown;
        const isCommit = (args: unknown[]) =>
          (args[0] as { table: string }[]).some(({ table }) => table === 'redemptions');
        if (name === 'commit')
          return (...args: unknown[]) => (isCommit(args) ? this.#call('commit', method, args) : method(...args));
        return ASYNCHRONOUS.includes(String(name))
          ? (...args: unknown[]) => this.#call(String(name), method, args)
          : method;
      },
    });

  async #call(name: string, method: (...args: unknown[]) => unknown, args: unknown[]): Promise<unknown> {
    if (!this.isArmed) return method(...args);
    if (this.isDead) return never();
    this.names.push(name);
    const isHere = this.names.length === this.#point?.call;
    if (isHere && !this.#point!.isAfter) await this.#happen();
    if (this.isDead) return never();
    const result = await method(...args);
    if (isHere && this.#point!.isAfter) await this.#happen();
    return this.isDead ? never() : result;
  }
}

async function redeemed(way: Way, point?: Point, { held = 1, close = false } = {}) {
  const cluster = new LedgerCluster();
  let change = async () => {};
  const hook = new Hook(point, async () => {
    // A move waits for a commit under way, which this may be in.
    const changed = change();
    if (way === 'killed') hook.isDead = true;
    await (way === 'stopped' ? changed : settled());
  });
  const one = await cluster.enter('one', { hook: hook.wrap });
  const two = await cluster.enter('two');
  const row = await cluster.opened(one, { committed: DROPS, deposit: 2n * DROPS });
  await one.charges.charge(row.channelId, 7n, { key: 'k' });
  let changed: Promise<void> | undefined;
  change = () => {
    changed = way === 'moved' ? one.give(row, two) : two.takeOver(one);
    return changed;
  };
  hook.isArmed = true;
  const asked = one.service.redeem(row.channelId, { close }).catch((error: { code: string }) => error.code);
  await settled();
  let askedAgain: Promise<unknown> | undefined;
  for (let step = 0; step < 60; step++) {
    cluster.chain.holdSubmissions = step < held;
    await cluster.step();
    // The payee's operator asks again, as one who was told MOVED, or nothing, does.
    if (changed !== undefined && askedAgain === undefined) {
      await changed;
      askedAgain = two.service.redeem(row.channelId, { close });
    }
    const isPaid = cluster.paidOut(row) !== 0n;
    const holder = changed === undefined ? one : two;
    if (isPaid && holder.service.redemptions(9).every(({ state }) => state !== 'pending')) break;
  }
  if (changed === undefined) await one.give(row, two);
  else await askedAgain;
  await settled();
  return { cluster, one, two, row, hook, asked, names: hook.names };
}

async function expectPaidOnce(
  { cluster, two, row }: { cluster: LedgerCluster; two: ClusterNode; row: Channel },
  where: string,
): Promise<void> {
  expect(cluster.paidOut(row), where).toBe(DROPS);
  const results = cluster.transactionsOf(PAYEE.address).map(({ result }) => result);
  expect(results, where).toEqual(['tesSUCCESS']);
  expect(BigInt(cluster.account(PAYEE.address).Balance), where).toBe(1_000_000_000n + DROPS - FEE);
  const history = two.service.redemptions(99);
  expect(
    history.map(({ state, paid }) => [state, paid]),
    where,
  ).toEqual([['paid', DROPS]]);
  expect(two.service.state(row.channelId)?.redeemed, where).toBe(DROPS);
  expect(await two.charges.charge(row.channelId, 7n, { key: 'k' }), where).toMatchObject({ spent: 7n, repeated: true });
}

/** What is done at these lasts; of the others one side stands for both. */
const LASTING = ['commit', 'submit'];

test.each<Way>(['moved', 'killed', 'stopped'])(
  '%s at every await: paid once, for one fee, and the next holder knows',
  async (way) => {
    const whole = await redeemed(way);
    await expectPaidOnce(whole, 'not at all');
    expect(await whole.asked).toMatchObject({ outcome: 'paid', paid: DROPS });
    const { names } = whole;
    expect(names).toEqual(
      expect.arrayContaining([...ASYNCHRONOUS.filter((name) => name !== 'knowsLedgers'), 'commit']),
    );
    for (const [index, name] of names.entries())
      for (const isAfter of LASTING.includes(name) ? [false, true] : [false]) {
        const where = `${way} ${isAfter ? 'after' : 'before'} call ${index + 1}, ${name}`;
        const { asked, ...world } = await redeemed(way, { call: index + 1, isAfter });
        await expectPaidOnce(world, where);
        if (way === 'moved') expect(await asked, where).toSatisfy(isMovedOrPaid);
      }
  },
);

function isMovedOrPaid(answer: unknown): boolean {
  return answer === 'MOVED' || (answer as { outcome?: string }).outcome === 'paid';
}

test('two nodes that sign with one number: the ledger takes one, the other is made anew at once, and each costs one fee', async () => {
  const cluster = new LedgerCluster();
  const one = await cluster.enter('one');
  const two = await cluster.enter('two');
  const rows: Channel[] = [];
  for (let count = 0; count < 6; count++) rows.push(await cluster.opened(one, { committed: DROPS }));
  for (const row of rows.slice(3)) await one.give(row, two);
  const begunAt = cluster.chain.last.index;
  const redemptions = rows.map((row) => (one.holds(row.channelId) ? one : two).service.redeem(row.channelId));
  const results = await cluster.until(Promise.all(redemptions));
  expect(results.map(({ outcome, paid, feeDrops }) => [outcome, paid, feeDrops])).toEqual(
    Array(6).fill(['paid', DROPS, FEE]),
  );
  const transactions = cluster.transactionsOf(PAYEE.address);
  expect(transactions.map(({ result, tx }) => [result, tx.Sequence])).toEqual(
    [1, 2, 3, 4, 5, 6].map((sequence) => ['tesSUCCESS', sequence]),
  );
  const outrun = [one, two].flatMap((node) => node.service.redemptions(99)).filter(({ state }) => state === 'never');
  expect(outrun.map(({ reason }) => reason)).toEqual(
    outrun.map(() => 'never validated, another transaction of the account had its number'),
  );
  expect(outrun.length).toBeGreaterThan(0);
  // Nobody has waited for the last ledger of one that was outrun, 20 ledgers later.
  expect(cluster.chain.last.index - begunAt).toBeLessThan(12);
});

test('a redemption that was being signed when its shard left and came back submits nothing more', async () => {
  const cluster = new LedgerCluster();
  let signed = () => {};
  let isHeld = true;
  const held = new Promise<void>((resolve) => {
    signed = resolve;
  });
  const hook = <Port extends object>(port: Port): Port =>
    'sign' in port
      ? new Proxy(port, {
          get: (target, name) => {
            const value = Reflect.get(target, name) as unknown;
            if (name !== 'sign') return value;
            return async (...args: unknown[]) => {
              if (isHeld) await held;
              return (value as (...args: unknown[]) => Promise<unknown>).apply(target, args);
            };
          },
        })
      : port;
  const one = await cluster.enter('one', { hook });
  const two = await cluster.enter('two');
  const row = await cluster.opened(one, { committed: DROPS });
  await one.charges.charge(row.channelId, 7n, { key: 'k' });
  const asked = one.service.redeem(row.channelId).catch((error: { code: string }) => error.code);
  await settled();
  isHeld = false;
  await one.give(row, two);
  expect(await cluster.until(two.service.redeem(row.channelId))).toMatchObject({ outcome: 'paid' });
  await two.give(row, one);
  signed();
  expect(await asked).toBe('MOVED');
  for (let step = 0; step < 3; step++) await cluster.step();
  await expectPaidOnce({ cluster, two: one, row }, 'back again');
});

test('redemptions of a channel that follow one another all end with a move, and with a stop', async () => {
  const cluster = new LedgerCluster();
  const one = await cluster.enter('one');
  const two = await cluster.enter('two');
  const row = await cluster.opened(one, { committed: DROPS });
  cluster.chain.holdSubmissions = true;
  const ask = (node: ClusterNode) => node.service.redeem(row.channelId).catch((error: { code: string }) => error.code);
  const first = ask(one);
  await cluster.step();
  await one.commit(row, 2n * DROPS);
  const second = ask(one);
  await settled();
  await one.give(row, two);
  expect(await Promise.all([first, second])).toEqual(['MOVED', 'MOVED']);
  const third = ask(two);
  await settled();
  await two.service.stop();
  expect(await third).toBe('NODE_STOPPING');
});

test('a shard that stays, since its receiver has gone, has its redemption go on where it was', async () => {
  const cluster = new LedgerCluster();
  const one = await cluster.enter('one');
  const two = await cluster.enter('two');
  const row = await cluster.opened(one, { committed: DROPS });
  cluster.chain.holdSubmissions = true;
  const asked = one.service.redeem(row.channelId).catch((error: { code: string }) => error.code);
  await cluster.step();
  expect(one.service.redemptions(9)).toMatchObject([{ state: 'pending' }]);
  const [before] = one.service.redemptions(9);
  await two.database.leave(two.fence.fence);
  await expect(one.give(row, two)).rejects.toMatchObject({ code: 'INPUT_INVALID' });
  expect(await asked).toBe('MOVED');
  expect(one.service.state(row.channelId)).toMatchObject({ redeemed: 0n });
  cluster.chain.holdSubmissions = false;
  for (let step = 0; step < 3; step++) await cluster.step();
  expect(one.service.redemptions(9)).toMatchObject([{ state: 'paid', hash: before!.hash }]);
  await one.charges.charge(row.channelId, 7n, { key: 'k' });
  await expectPaidOnce({ cluster, two: one, row }, 'stayed');
});

test('a node that starts again finds the redemptions of its shards, by number and time, and goes on with them', async () => {
  const cluster = new LedgerCluster();
  const one = await cluster.enter('one');
  const rows: Channel[] = [];
  for (let count = 0; count < 3; count++) rows.push(await cluster.opened(one, { committed: DROPS }));
  for (const row of rows) await cluster.until(one.service.redeem(row.channelId));
  cluster.chain.holdSubmissions = true;
  await one.commit(rows[1]!, 2n * DROPS);
  void one.service.redeem(rows[1]!.channelId).catch(() => {});
  await cluster.step();
  await one.service.stop();
  cluster.chain.holdSubmissions = false;
  const next = await cluster.enter('one');
  await cluster.step();
  expect(next.service.redemptions(9).map(({ channelId, state }) => [channelId, state])).toEqual(
    [1, 2, 1, 0].map((index) => [rows[index]!.channelId, 'paid']),
  );
  expect(cluster.transactionsOf(PAYEE.address)).toHaveLength(4);
});
