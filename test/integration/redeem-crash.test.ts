/**
 * kill -9 at each step of a redemption, of a real process over real side tables: the claim is paid exactly once, is never lost,
 * and costs one fee. unit/ledger/redeemer-kills.test.ts does the same at every await in one process, in every weather.
 *
 * The ledger is in this process, and the child asks it by messages (support/redeem-child.mjs): a step is such a message, and
 * the child is killed when it has come, or when what it asks for is done. The next child finishes what the killed one began, and
 * is killed at the next step of another channel's redemption. `make test-long` kills on both sides of each step, and of a
 * redemption that closes.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import type { Channel } from '../../src/channel/row.ts';
import type { RedemptionRecord } from '../../src/control/ledger-control.ts';
import { PAYEE } from '../support/chain-rig.ts';
import { brieflyOrAtLength } from '../support/length.ts';
import { RedeemRig } from '../support/redeem-rig.ts';
import { storeUnderTest } from '../support/store-under-test.ts';

const DROPS = 5_000_000n;
const FEE = 10n;
const ENDED_MS = 20_000;
const isLong = brieflyOrAtLength(0, 1) === 1;

const folder = mkdtempSync(join(tmpdir(), 'claimwire-redeem-crash-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Before: what was asked for is not done. After: it is done, and nobody is told. */
type Side = 'before' | 'after';
type Kill = { call: number; side: Side } | undefined;
const BOTH: Side[] = ['before', 'after'];
/** Of the steps between which nothing is done that lasts, one stands for all. */
const BRIEFLY: Record<string, Side[]> = {
  sign: ['before'],
  commit: BOTH,
  committed: ['after'],
  submit: ['after'],
  transaction: ['before'],
};

type Call = { call: number; name: string; args: unknown[] };
type End = { outcome: string; history: RedemptionRecord[] };

/** A redeemer in a process of its own, over the ledger of a rig. */
class Child {
  readonly #process: ChildProcess;
  readonly #rig: RedeemRig;
  /** Of the rig's own: another rig's ledger has the same channels, and this folder remembers what was redeemed. */
  readonly #side: string;
  /** Steps of the redemption under way. */
  names: string[] = [];
  #kill: Kill;
  #row: Channel | undefined;
  #onEnd: (end: End | 'killed') => void = () => {};

  constructor(rig: RedeemRig, side: string) {
    this.#rig = rig;
    this.#side = side;
    this.#process = fork(join(import.meta.dirname, '../support/redeem-child.mjs'), { serialization: 'advanced' });
    this.#process.on('message', (message) => void this.#on(message as Call | End));
    this.#process.on('exit', () => this.#onEnd('killed'));
  }

  /** Has a channel's claim redeemed, until that has ended or the process is killed at the step. */
  redeem(row: Channel, close: boolean, kill?: Kill): Promise<End | 'killed'> {
    this.names = [];
    this.#kill = kill;
    this.#row = row;
    const end = new Promise<End | 'killed'>((resolve, reject) => {
      const late = setTimeout(() => reject(new Error(`expected an end after ${this.names}`)), ENDED_MS);
      this.#onEnd = (what) => {
        clearTimeout(late);
        resolve(what);
      };
    });
    this.#send({ redeem: row, close, ...this.#place(), address: PAYEE.address, ...this.#time() });
    return end;
  }

  async end(): Promise<void> {
    const exit = once(this.#process, 'exit');
    this.#process.disconnect();
    await exit;
  }

  /** One that was killed hears nothing. */
  #send(message: object): void {
    if (this.#process.connected) this.#process.send(message, () => {});
  }

  #place() {
    return { folder: this.#side, ...storeUnderTest.options(this.#side) };
  }

  #time() {
    return { now: this.#rig.clock.wall(), validated: this.#rig.connection.validated };
  }

  async #on(message: Call | End): Promise<void> {
    if ('outcome' in message) return this.#onEnd(message);
    const { call, name, args } = message;
    this.names.push(name);
    const isHere = this.names.length === this.#kill?.call;
    if (isHere && this.#kill!.side === 'before') return this.#end();
    const result = await this.#answer(name, args);
    if (isHere) {
      // A commit begins when it is told to: it is killed on its way.
      if (name === 'commit') this.#send({ call });
      return this.#end();
    }
    this.#send({ call, result });
    if (name !== 'submit' && !(name === 'transaction' && result === undefined)) return;
    // Nothing else happens before the next ledger.
    await this.#rig.step();
    this.#send(this.#time());
  }

  #end(): void {
    this.#process.kill('SIGKILL');
  }

  async #answer(name: string, args: unknown[]): Promise<unknown> {
    const { connection, rows } = this.#rig;
    if (name === 'commit' || name === 'committed') return undefined;
    if (name === 'closeChannel') return rows.closeChannel(this.#row!.channelId);
    if (name === 'sign') return this.#rig.wallet().sign(args[0] as never);
    const method = (connection as unknown as Record<string, (...args: unknown[]) => Promise<unknown>>)[name]!;
    return method.apply(connection, args);
  }
}

/** What the ledger says of a redemption, and of all of the payee's transactions since. */
function expectPaidOnce(rig: RedeemRig, row: Channel, redemptions: number, close: boolean, where: string): void {
  expect(rig.paidOut(row), where).toBe(close ? undefined : DROPS);
  const results = rig.transactionsOf(PAYEE.address).map(({ result }) => result);
  expect(results, where).toEqual(Array(redemptions).fill('tesSUCCESS'));
  const gain = (DROPS - FEE) * BigInt(redemptions);
  expect(BigInt(rig.account(PAYEE.address).Balance), where).toBe(1_000_000_000n + gain);
}

async function killedAtEachStep(rig: RedeemRig, close: boolean): Promise<number> {
  const opened = () => rig.opened({ committed: DROPS, deposit: 2n * DROPS });
  const current = (row: Channel) => rig.rows.channel(row.channelId)!;
  let redeemed = rig.transactionsOf(PAYEE.address).length;
  const side = join(mkdtempSync(join(folder, 'rig-')), 'side');
  let child = new Child(rig, side);
  const first = await opened();
  expect(await child.redeem(first, close)).toMatchObject({ outcome: 'paid' });
  expectPaidOnce(rig, first, ++redeemed, close, 'not killed');
  const { names } = child;
  expect(names).toEqual(expect.arrayContaining(['channel', 'sign', 'commit', 'committed', 'submit', 'transaction']));
  expect(names.indexOf('committed')).toBeLessThan(names.indexOf('submit'));
  const sidesOf = (name: string) => (isLong ? BOTH : (BRIEFLY[name] ?? []));
  const kills = names.flatMap((name, at) => sidesOf(name).map((side) => ({ name, call: at + 1, side })));
  for (const kill of kills) {
    const where = `${kill.side} step ${kill.call}, ${kill.name}`;
    const row = await opened();
    expect(await child.redeem(row, close, kill), where).toBe('killed');
    child = new Child(rig, side);
    const end = (await child.redeem(current(row), close)) as End;
    // What was paid while the process was down is found as nothing left to do.
    expect(['paid', 'nothing'], where).toContain(end.outcome);
    expectPaidOnce(rig, row, ++redeemed, close, where);
    const states = end.history.filter(({ channelId }) => channelId === row.channelId).map(({ state }) => state);
    expect([...new Set(states)], where).toEqual(['paid']);
  }
  await child.end();
  return kills.length;
}

test('killed at each step of a redemption: paid once, for one fee', async () => {
  const rig = new RedeemRig();
  expect(await killedAtEachStep(rig, false)).toBeGreaterThan(isLong ? 20 : 8);
}, 120_000);

test.runIf(isLong)(
  'the same where the redemption closes the channel',
  async () => {
    expect(await killedAtEachStep(new RedeemRig(), true)).toBeGreaterThan(20);
  },
  120_000,
);
