/**
 * Lives of real node processes under load, round after round over one folder: stopped and let go on (SIGSTOP, SIGCONT), their
 * disk hanging, and ended by kill -9 or by the end of one of their threads. What was acknowledged is there in every next life.
 *
 * ROUNDS and SEED choose how many and which (`make rounds`). Linux with a C compiler.
 */
import { resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, expect, test } from 'vitest';
import type { ChannelJson } from '../../src/channel/parse.ts';
import { FaultyDisk } from '../support/faulty-disk.ts';
import { brieflyOrAtLength } from '../support/length.ts';
import { isNativeTested } from '../support/native-only.ts';
import { getJson, NodeProcess, openChannels, type ReadyLine, temporaryFolders } from '../support/node-process.ts';
import { PayerRun } from '../support/payer-run.ts';
import { random } from '../support/random.ts';

const ROUNDS = Number(process.env.ROUNDS || brieflyOrAtLength(1, 20));
const SEED = Number(process.env.SEED || 1);
/** Judged where nothing else is at work; a busy machine is late in everything. */
const NOT_READY_MS_MAX = process.env.ROUNDS ? 1_000 : 10_000;
const WAIT_MS_MAX = 30_000;
const PAYERS = 2;
const CHANNELS = 10;
const KILLER = resolve(import.meta.dirname, '../support/thread-killer.cjs');
const LIVES = [
  { flags: ['--layout', 'lanes', '--lanes', '2'], roles: ['lane'] },
  { flags: ['--layout', 'pipeline', '--sockets', 'native'], roles: ['net', 'verifier', 'committer'] },
];

const folder = temporaryFolders();
const disk = isNativeTested ? new FaultyDisk() : undefined;
afterAll(() => disk?.remove());

async function until(what: string, is: () => Promise<boolean> | boolean): Promise<number> {
  const began = performance.now();
  while (!(await is())) {
    if (performance.now() - began > WAIT_MS_MAX) throw new Error(`expected ${what} within ${WAIT_MS_MAX} ms`);
    await sleep(20);
  }
  return performance.now() - began;
}
const isReady = async (ready: ReadyLine) => (await fetch(`http://${ready.http}/readyz`)).ok;
const total = (run: PayerRun) => run.acknowledged.reduce((sum, amount) => sum + amount, 0n);

async function committed(ready: ReadyLine, runs: readonly PayerRun[]): Promise<bigint[][]> {
  const rows = await getJson<ChannelJson[]>(ready, '/channels?limit=1000');
  const byId = new Map(rows.map((row) => [row.ledgerChannelId, BigInt(row.committed)]));
  return runs.map(({ channels }) => channels.map(({ ledgerChannelId }) => byId.get(ledgerChannelId)!));
}

/** Nothing that was acknowledged is missing, and nothing is there that nobody signed for. */
async function expectSound(ready: ReadyLine, runs: readonly PayerRun[], when: string): Promise<void> {
  const acknowledged = runs.map((run) => [...run.acknowledged]);
  for (const [payer, amounts] of (await committed(ready, runs)).entries())
    for (const [channel, amount] of amounts.entries()) {
      const what = `${when}: payer ${payer}, channel ${channel}`;
      expect(amount, what).toBeGreaterThanOrEqual(acknowledged[payer]![channel]!);
      expect(amount, what).toBeLessThanOrEqual(runs[payer]!.claimed[channel]!);
    }
}

/** Every payer gets further than it is now. */
async function progress(runs: readonly PayerRun[], when: string): Promise<void> {
  const before = runs.map(total);
  await until(`acks ${when}`, () => runs.every((run, index) => total(run) > before[index]!));
}

/** Returns how long the node took to say that it is not ready. */
async function hang(ready: ReadyLine, runs: readonly PayerRun[]): Promise<number> {
  disk!.set('hang', '.seg');
  const noticedMs = await until('/readyz to say no', async () => !(await isReady(ready)));
  const before = await committed(ready, runs);
  await sleep(200);
  // Acks may still come for what was committed before, whose acks were lost; of anything else none.
  expect(await committed(ready, runs)).toEqual(before);
  await expectSound(ready, runs, 'while the disk hangs');
  expect((await fetch(`http://${ready.http}/healthz`)).status).toBe(200);
  disk!.mend();
  await until('/readyz to say yes', () => isReady(ready));
  await progress(runs, 'after the disk hung');
  return noticedMs;
}

if (!isNativeTested) console.warn('ROUNDS NOT CHECKED HERE: they take Linux and a C compiler');
test.skipIf(!isNativeTested)(
  `${ROUNDS} lives under load, stopped, on a hanging disk, killed or with a thread ended: nothing acknowledged is lost`,
  { timeout: 60_000 + ROUNDS * 60_000 },
  async () => {
    const data = folder('rounds');
    const draw = random(SEED);
    const runs = Array.from({ length: PAYERS }, (_, index) => new PayerRun(CHANNELS, SEED + index));
    const noticed: number[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      const { flags, roles } = LIVES[round % LIVES.length]!;
      const role = roles[draw.below(roles.length)]!;
      const env = { ...disk!.env, NODE_OPTIONS: `--require ${KILLER}`, CLAIMWIRE_TEST_THREAD: role };
      const node = new NodeProcess(data, flags, undefined, { env });
      const ready = await node.ready;
      if (round === 0)
        await openChannels(
          ready,
          data,
          runs.flatMap(({ channels }) => channels),
        );
      await expectSound(ready, runs, `round ${round}, after the start`);
      let isOver = false;
      const load = Promise.all(runs.map((run) => run.run(ready, 1e9, () => isOver)));
      try {
        await progress(runs, 'at first');
        node.kill('SIGSTOP');
        await sleep(20 + draw.below(200));
        node.kill('SIGCONT');
        await progress(runs, 'after SIGCONT');
        noticed.push(await hang(ready, runs));
        await expectSound(ready, runs, `round ${round}, before its end`);
        const isKilled = draw.below(3) === 0;
        node.kill(isKilled ? 'SIGKILL' : 'SIGUSR2');
        const { code, signal } = await node.exit;
        if (isKilled) expect(signal).toBe('SIGKILL');
        else {
          expect(code, node.stderr).toBe(1);
          expect(node.stderr).toContain(`${role} thread: expected it to run on, got its end with code 1`);
          expect(node.stderr).not.toMatch(/unhandled/i);
        }
      } finally {
        isOver = true;
        disk!.mend();
        node.kill('SIGKILL');
        await load.catch(() => {});
      }
    }
    const node = new NodeProcess(data);
    await expectSound(await node.ready, runs, 'in the end');
    await node.stop();
    noticed.sort((left, right) => left - right);
    const median = Math.round(noticed[noticed.length >> 1]!);
    const slowest = Math.round(noticed.at(-1)!);
    if (process.env.ROUNDS)
      console.log(`${ROUNDS} rounds: of a hanging disk told in ${median} ms, at most ${slowest} ms`);
    expect(median).toBeLessThanOrEqual(NOT_READY_MS_MAX);
  },
);
