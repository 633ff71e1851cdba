/**
 * The promise "acked COMMITTED ⇒ durable", over a network that loses, doubles and reorders, and through kill -9.
 */
import { afterAll, expect, test } from 'vitest';
import type { ChannelJson } from '../../src/channel/parse.ts';
import { FaultyDisk } from '../support/faulty-disk.ts';
import { brieflyOrAtLength } from '../support/length.ts';
import { getJson, NodeProcess, openChannels, type ReadyLine, temporaryFolders } from '../support/node-process.ts';
import { PayerRun } from '../support/payer-run.ts';
import { storeUnderTest } from '../support/store-under-test.ts';

const folder = temporaryFolders();

async function committed(ready: ReadyLine, run: PayerRun): Promise<bigint[]> {
  const rows = await getJson<ChannelJson[]>(ready, '/channels?limit=1000');
  const byId = new Map(rows.map((row) => [row.ledgerChannelId, BigInt(row.committed)]));
  return run.channels.map(({ ledgerChannelId }) => byId.get(ledgerChannelId)!);
}

/** Each payer has its own socket, so that claims reach several lanes. At length the four layouts together see 20,000 claims. */
const PAYERS = 5;
const CLAIMS_EACH = brieflyOrAtLength(300, 1_000);
/** Two in each layout, or five; on a database briefly one in two of them. */
const KILLS = storeUnderTest.isBrief ? 2 : brieflyOrAtLength(8, 20);
const payersOf = (seed: number) => Array.from({ length: PAYERS }, (_, index) => new PayerRun(40, seed + index));
const channelsOf = (runs: readonly PayerRun[]) => runs.flatMap(({ channels }) => channels);
/** Whether of each kind of fault there were as many as a hundredth of the claims of a round. */
const haveFaults = (runs: readonly PayerRun[]) =>
  (['dropped', 'duplicated', 'reordered'] as const).every(
    (kind) => runs.reduce((count, { faults }) => count + faults[kind], 0) > (PAYERS * CLAIMS_EACH) / 100,
  );
const ROUNDS_MAX = 10;
const sum = (amounts: readonly bigint[]) => amounts.reduce((total, amount) => total + amount, 0n);

const LAYOUTS: readonly string[][] = [
  ['--layout', 'lanes', '--lanes', '3'],
  ['--layout', 'pipeline', '--sockets', 'native'],
  ['--layout', 'pipeline', '--sockets', 'dgram'],
  ['--layout', 'lanes', '--lanes', '2', '--verify', 'newest'],
];
/** The last layout has a slow disk, so that its syncs go on beside the lanes. */
const slowDisk = new FaultyDisk();
slowDisk.set('slow', 'journal');
afterAll(() => slowDisk.remove());
function startNode(data: string, flags: string[]): NodeProcess {
  return new NodeProcess(data, flags, undefined, flags === LAYOUTS.at(-1) ? { env: slowDisk.env } : {});
}

test.skipIf(storeUnderTest.isBrief).each(LAYOUTS.map((flags) => ({ flags, name: flags.join(' ') })))(
  `${PAYERS * CLAIMS_EACH} claims over 200 channels through faulty sockets: every final amount is committed ($name)`,
  { timeout: 180_000 },
  async ({ flags }) => {
    const data = folder('faults');
    const node = startNode(data, flags);
    const ready = await node.ready;
    const runs = payersOf(1);
    await openChannels(ready, data, channelsOf(runs));
    let rounds = 0;
    do {
      await Promise.all(runs.map((run) => run.run(ready, CLAIMS_EACH)));
      rounds++;
      // A busy machine puts more claims into a datagram, and then there are fewer datagrams for faults.
    } while (!haveFaults(runs) && rounds < ROUNDS_MAX);
    for (const run of runs) {
      expect(run.sent).toBe(rounds * CLAIMS_EACH);
      expect(await committed(ready, run)).toEqual(run.claimed);
    }
    expect(haveFaults(runs), JSON.stringify(runs.map(({ faults }) => faults))).toBe(true);
    await node.stop();
  },
);

test(`kill -9 in the middle, ${KILLS} times in a row, in all layouts by turns: no acknowledged amount is ever missing`, {
  timeout: 300_000,
}, async () => {
  const data = folder('kill');
  const runs = payersOf(100);
  for (let round = 0; round < KILLS; round++) {
    const node = startNode(data, LAYOUTS[round % LAYOUTS.length]!);
    const ready = await node.ready;
    if (round === 0) await openChannels(ready, data, channelsOf(runs));
    for (const run of runs)
      (await committed(ready, run)).forEach((amount, index) => {
        expect(amount, `round ${round}, channel ${index}`).toBeGreaterThanOrEqual(run.acknowledged[index]!);
        expect(amount, `round ${round}, channel ${index}`).toBeLessThanOrEqual(run.claimed[index]!);
      });
    const before = runs.map(({ acknowledged }) => sum(acknowledged));
    let killed = false;
    const began = performance.now();
    const isAnswered = () => runs.every(({ acknowledged }, index) => sum(acknowledged) > before[index]!);
    // The kill comes later from round to round, and on a slow machine only when every payer has been answered.
    const timer = setInterval(() => {
      const elapsedMs = performance.now() - began;
      if (elapsedMs < 40 + round * (300 / KILLS) || (!isAnswered() && elapsedMs < 10_000)) return;
      killed = true;
      node.kill('SIGKILL');
      clearInterval(timer);
    }, 5);
    await Promise.all(runs.map((run) => run.run(ready, 20_000, () => killed)));
    clearInterval(timer);
    expect((await node.exit).signal).toBe('SIGKILL');
    runs.forEach(({ acknowledged }, index) => {
      expect(sum(acknowledged), `round ${round}: payer ${index} was answered before the kill`).toBeGreaterThan(
        before[index]!,
      );
    });
  }
});
