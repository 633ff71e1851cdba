/**
 * bench:tune: what --auto-tune makes of bad settings, and of good ones, under the most that the load generator can send.
 *
 * Main thread; nodes and load are processes of their own, and one node is loaded at a time. A node with bad settings and one
 * with the defaults are tuned for a minute each; then they and a node with the defaults that is not tuned are loaded in turns, so
 * that ratios are of intervals beside each other. Every claim that is acknowledged is reconciled (../path/load.ts).
 */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Setting } from '../../src/control/tune-control.ts';
import { nativeUdpFault } from '../../src/transport/udp-native.ts';
import { type BenchContext, type Figures, runBench } from '../harness.ts';
import { benchFolder, NodeUnderTest } from '../node-under-test.ts';
import { difference, provenLoad, runLoad } from '../path/load.ts';

const SERVICE = fileURLToPath(new URL('./service.js', import.meta.url));
/** A claim verified at a time, a sync for every 64, and hardly any key with a table. Lanes never spin. */
const BAD = ['verifyBatch=1', 'groupClaims=64', `keyCacheBytes=${2 ** 20}`];

interface Durations {
  tuning: number;
  interval: number;
  rounds: number;
}
const FULL: Durations = { tuning: 60, interval: 3, rounds: 5 };
const QUICK: Durations = { tuning: 10, interval: 1.2, rounds: 3 };

/** A node, and what was committed on it so far. */
class Loaded {
  readonly #node: NodeUnderTest;
  #drops = 0;

  constructor(node: NodeUnderTest) {
    this.#node = node;
  }

  /** Claims a second. What the load before left behind may be committed meanwhile, so that counters differ a little. */
  async load(seconds: number): Promise<number> {
    const flags = ['--rate', 'max', '--duration', String(seconds), '--warmup', '0.4'];
    const { perSecond, committedDrops } = await provenLoad(this.#node, flags, this.#drops, true);
    this.#drops = committedDrops;
    return perSecond;
  }
  /** The same of a node that answers so late that the load takes its claims for lost: what it has committed meanwhile. */
  async committed(seconds: number): Promise<number> {
    const before = await this.#node.stats();
    await runLoad(this.#node, ['--rate', 'max', '--duration', String(seconds), '--warmup', '0']);
    const after = await this.#node.stats();
    return difference(before, after).committed / (after.uptimeSeconds - before.uptimeSeconds);
  }
  get drops(): number {
    return this.#drops;
  }
  /** What it decided, a line each, and where that has led. */
  async decisions(): Promise<string> {
    const { settings, told } = await this.#node.ask<{ settings: Setting[]; told: string[] }>({});
    return [...told, settings.map(({ name, value }) => `${name} ${value}`).join(', ')].join('\n  ');
  }
}

async function measure({ quick, note }: BenchContext): Promise<Figures> {
  const { tuning, interval, rounds } = quick ? QUICK : FULL;
  const folder = benchFolder('tune');
  const bad = BAD.flatMap((setting) => ['--set', setting]);
  const start = <Result>(name: string, flags: string[], work: (node: Loaded) => Promise<Result>) =>
    NodeUnderTest.run(join(folder, name), flags, (node) => work(new Loaded(node)), SERVICE);
  if (quick) note(`quick: tuned for ${tuning} s, too short for the settings to become good`);
  return start('default', [], (plain) =>
    start('bad', bad, (untuned) =>
      start('bad-tuned', [...bad, '--tune'], (improved) =>
        start('default-tuned', ['--tune'], async (kept) => {
          await improved.load(tuning);
          await kept.load(tuning);
          const rates: Record<string, number[]> = { plain: [], improved: [], kept: [] };
          note(`bad settings, tuned:\n  ${await improved.decisions()}`);
          note(`defaults, tuned:\n  ${await kept.decisions()}`);
          await plain.load(interval);
          for (let round = 0; round < rounds; round++)
            for (const [name, node] of Object.entries({ plain, improved, kept }))
              rates[name]!.push(await node.load(interval));
          for (const [name, each] of Object.entries(rates))
            note(`${name}: ${each.map(Math.round).join(', ')} claims/s`);
          const ratio = (name: string) => median(rates[name]!.map((rate, round) => rate / rates.plain![round]!));
          // Last, since it still works on its backlog when the load has ended.
          const untunedRate = await untuned.committed(interval);
          const drops = [plain, improved, kept].map((node) => node.drops);
          note(`checksum: ${drops.join(' + ')} drops committed, all that was acknowledged`);
          return {
            'tune.defaultClaimsPerSecond': median(rates.plain!),
            'tune.badRatio': untunedRate / median(rates.plain!),
            'tune.badTunedRatio': ratio('improved'),
            'tune.defaultTunedRatio': ratio('kept'),
          };
        }),
      ),
    ),
  );
}

function median(values: readonly number[]): number {
  return values.toSorted((left, right) => left - right)[values.length >> 1]!;
}

const fault = nativeUdpFault();
const backend = fault === undefined ? 'native' : 'ABSENT';
await runBench({ name: 'tune', backend, repeats: 1 }, measure);
