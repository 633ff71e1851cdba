/**
 * The process is killed at every await of a redemption, before and after what it waited for took effect, and another one
 * starts: the claim is paid exactly once, is never lost, and costs one fee.
 */
import { expect, test } from 'vitest';
import type { Redeemer } from '../../../src/ledger/redeemer.ts';
import { PAYEE, settled } from '../../support/chain-rig.ts';
import { RedeemRig } from '../../support/redeem-rig.ts';

const DROPS = 5_000_000n;
const ASYNCHRONOUS = [
  'networkId',
  'channel',
  'account',
  'fee',
  'submit',
  'transaction',
  'knowsLedgers',
  'commit',
  'sign',
];
const never = () => new Promise<never>(() => {});

/** Ends a process at one of its calls of the ports: nothing that it waits for comes back any more. */
class Killer {
  calls = 0;
  isDead = false;
  readonly names: string[] = [];
  readonly #at: number;
  readonly #isAfter: boolean;

  constructor(at: number, isAfter: boolean) {
    this.#at = at;
    this.#isAfter = isAfter;
  }

  wrap<Port extends object>(port: Port): Port {
    return new Proxy(port, {
      get: (target, name) => {
        const value = Reflect.get(target, name) as unknown;
        if (typeof value !== 'function') return value;
        const method = value.bind(target) as (...args: unknown[]) => unknown;
        return ASYNCHRONOUS.includes(String(name)) ? this.#counted(String(name), method) : method;
      },
    });
  }

  #counted(name: string, method: (...args: unknown[]) => unknown) {
    return async (...args: unknown[]) => {
      if (this.isDead) return never();
      this.names.push(name);
      const isLast = ++this.calls === this.#at;
      if (isLast && !this.#isAfter) {
        this.isDead = true;
        return never();
      }
      const result = await method(...args);
      if (isLast) this.isDead = true;
      return this.isDead ? never() : result;
    };
  }
}

interface Weather {
  /** Ledgers that close without the transaction, or that lose it, from the start on. */
  held: number;
  lost: number;
}

async function killedAt(at: number, isAfter: boolean, { held, lost }: Weather, close: boolean) {
  const rig = new RedeemRig();
  const row = await rig.opened({ committed: DROPS, deposit: 2n * DROPS });
  const killer = new Killer(at, isAfter);
  const ports = () => {
    const { connection, tables } = rig;
    return { connection: killer.wrap(connection), tables: killer.wrap(tables), wallet: killer.wrap(rig.wallet()) };
  };
  let redeemer: Redeemer = rig.redeemer(ports());
  let isPaid = false;
  const redeem = () =>
    redeemer.redeem(row.channelId, { close }).then(({ outcome }) => {
      isPaid ||= outcome === 'paid';
    });
  const asked = [redeem()];
  let restarts = 0;
  for (let step = 0; step < 80 && !isPaid; step++) {
    rig.chain.holdSubmissions = step < held;
    rig.losesSubmissions = step < lost;
    await settled();
    if (killer.isDead && restarts++ === 0) {
      redeemer = rig.restart();
      redeemer.resume();
      asked.push(redeem());
    }
    await rig.step();
    // What was paid while the process was down is found as nothing left to do.
    if (restarts > 0 && redeemer.history(9).every(({ state }) => state !== 'pending') && rig.paidOut(row) !== 0n) break;
  }
  await settled();
  const transactions = rig.transactionsOf(PAYEE.address);
  return { killer, paidOut: rig.paidOut(row), transactions, history: redeemer.history(99), rig };
}

const WEATHERS: [name: string, weather: Weather, close: boolean][] = [
  ['at once', { held: 0, lost: 0 }, false],
  ['after three ledgers without it', { held: 3, lost: 0 }, false],
  ['once more, as the first was lost for good', { held: 0, lost: 24 }, false],
  ['with the close', { held: 0, lost: 0 }, true],
];

test.each(WEATHERS)('killed at every await, validated %s: paid once, for one fee', async (_name, weather, close) => {
  const whole = await killedAt(Number.POSITIVE_INFINITY, false, weather, close);
  const { names } = whole.killer;
  expect(names).toEqual(
    expect.arrayContaining(['channel', 'account', 'fee', 'sign', 'commit', 'submit', 'transaction']),
  );
  // Waiting repeats the same look-up; the first of these rounds stand for all.
  const points = [...names.keys()].filter((at) => at < 12 || at >= names.length - 6).map((at) => at + 1);
  for (const at of points)
    for (const isAfter of [false, true]) {
      const { paidOut, transactions, history, rig } = await killedAt(at, isAfter, weather, close);
      const where = `${isAfter ? 'after' : 'before'} call ${at}, ${names[at - 1]}`;
      expect(paidOut, where).toBe(close ? undefined : DROPS);
      expect(
        transactions.map(({ result }) => result),
        where,
      ).toEqual(['tesSUCCESS']);
      expect(BigInt(rig.account(PAYEE.address).Balance), where).toBe(1_000_000_000n + DROPS - 10n);
      const paid = history.filter(({ state }) => state === 'paid');
      expect(
        paid.map((redemption) => redemption.paid),
        where,
      ).toEqual([DROPS]);
      expect(
        history.some(({ state }) => state === 'pending' || state === 'failed'),
        where,
      ).toBe(false);
    }
});

test('nothing is submitted before its intent is on stable storage', async () => {
  const rig = new RedeemRig();
  const row = await rig.opened();
  rig.tables.failures = 1;
  await expect(rig.until(rig.redeemer().redeem(row.channelId))).rejects.toMatchObject({ code: 'REGISTRY_FULL' });
  expect(rig.connection.calls).not.toContain('submit');
  const order: string[] = [];
  const { connection, tables } = rig;
  const [submit, commit] = [connection.submit.bind(connection), tables.commit.bind(tables)];
  connection.submit = async (blob) => {
    order.push('submit');
    return submit(blob);
  };
  tables.commit = async (changes) => {
    await commit(changes);
    order.push('durable');
  };
  await rig.until(rig.redeemer().redeem(row.channelId));
  expect(order).toEqual(['durable', 'submit', 'durable']);
});
