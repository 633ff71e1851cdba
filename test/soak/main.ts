/**
 * `make soak`: a node under load with payers that come and go, for half an hour: memory, heap, descriptors, the folder and
 * latency have to stay flat (judge.ts has the rule). Text on stdout; JSON and a page with charts in build/soak.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, release, tmpdir, type } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { judgeSoak, type Sample } from './judge.ts';
import { SoakedNode } from './node.ts';
import { Pressure } from './pressure.ts';
import { type SoakResult, soakPage, soakText } from './report.ts';

const HELP = `make soak SECONDS=1800 ARGS="..."

  --seconds N   how long, 30 at least
  --rate R      claims a second of each of two payers, one over UDP and one over TCP
  --seed N      of when payers end and which are killed
  --layout L    lanes or pipeline
  --out DIR     where soak.json and soak.html go (build/soak)
  --json        the result as JSON on stdout

It fails where a series is not flat: where the Theil-Sen slope after the first quarter comes to
more than the series' allowance; where an acknowledged amount is missing; or where the node ends.
`;
const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '1800' },
    rate: { type: 'string', default: '5000' },
    seed: { type: 'string', default: '1' },
    layout: { type: 'string', default: 'lanes' },
    out: { type: 'string', default: 'build/soak' },
    json: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});
/** So many samples at most: the slopes of all pairs are gone through. */
const SAMPLES_MAX = 600;
const SAMPLE_SECONDS_MIN = 2;
const SECONDS_MIN = 30;
const KEY_CACHE = '64M';

if (values.help) process.stdout.write(HELP);
else process.exitCode = await main();

async function main(): Promise<number> {
  const seconds = Number(values.seconds);
  if (!(seconds >= SECONDS_MIN)) {
    process.stderr.write(`soak: --seconds: expected ${SECONDS_MIN} or more, got ${values.seconds}\n`);
    return 2;
  }
  const data = mkdtempSync(join(tmpdir(), 'claimwire-soak-'));
  // A cache that is full before the node is looked at does not grow any more.
  const flags = ['--layout', values.layout, '--key-cache', KEY_CACHE];
  const node = await SoakedNode.start(data, flags);
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.once(signal, () => {
      node.kill();
      rmSync(data, { recursive: true, force: true });
      process.exit(1);
    });
  try {
    const result = await soak(node, seconds, flags);
    mkdirSync(values.out, { recursive: true });
    writeFileSync(join(values.out, 'soak.json'), `${JSON.stringify(result)}\n`);
    writeFileSync(join(values.out, 'soak.html'), soakPage(result));
    process.stdout.write(values.json ? `${JSON.stringify(result)}\n` : soakText(result));
    process.stderr.write(`soak: ${join(values.out, 'soak.json')} and soak.html written\n`);
    return result.isFlat ? 0 : 1;
  } finally {
    node.kill();
    await node.exit;
    rmSync(data, { recursive: true, force: true });
  }
}

async function soak(node: SoakedNode, seconds: number, flags: readonly string[]): Promise<SoakResult> {
  const [seed, rate] = [Number(values.seed), Number(values.rate)];
  const pressure = await Pressure.begin(node, rate, seed);
  const startedAt = new Date().toISOString();
  const beganAt = performance.now();
  const elapsed = () => (performance.now() - beganAt) / 1_000;
  const everySeconds = Math.max(SAMPLE_SECONDS_MIN, seconds / SAMPLES_MAX);
  const samples: Sample[] = [];
  let ended: string | undefined;
  void node.exit.then((code) => {
    ended ??= `the node ended by itself with code ${code}`;
  });
  while (elapsed() < seconds && ended === undefined) {
    await sleep(everySeconds * 1_000);
    await node.sample(elapsed()).then(
      (sample) => samples.push(sample),
      (error: Error) => pressure.counts.faults.push(`sample at ${Math.round(elapsed())} s: ${error.message}`),
    );
  }
  const crashed = ended;
  const { faults, ...counts } = await pressure.stop();
  ended = 'asked to';
  const code = await node.stop();
  if (crashed !== undefined) faults.push(crashed);
  else if (code !== 0) faults.push(`the node's exit code: expected 0, got ${code}`);
  const verdicts = judgeSoak(samples);
  const isFlat = faults.length === 0 && verdicts.every((verdict) => verdict.isFlat);
  const machine = `${cpus()[0]?.model.trim()}, ${cpus().length} cores, ${type()} ${release()}, Node ${process.version}`;
  return { startedAt, machine, seconds: elapsed(), seed, rate, flags, isFlat, faults, verdicts, counts, samples };
}
