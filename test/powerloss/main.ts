/**
 * `make powerloss`: records a node and checks images of its disk, in full; prints a table by model. Exit code 1 where
 * anything was lost, false or refused; the recording is kept then, and the line that makes each image again is printed.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { random } from '../support/random.ts';
import { check, choosePoints, type Finding, OUTCOMES } from './check.ts';
import { difference } from './image.ts';
import { MODELS, type Model } from './models.ts';
import { buildRecorder, DISK, type Recording, readRun, record } from './record.ts';
import { lastState } from './state.ts';

const HELP = `make powerloss ARGS="…"

  --points N         points to cut at, each under every model; default 500
  --seed N           default: of the clock
  --life MS          milliseconds of claims in each of the node's two lives; default 4000
  --rate N           claims a second; default 4000
  --restart SIGNAL   SIGTERM or SIGKILL ends the first life; default SIGKILL
  --node OPTIONS     more options of the recorded node, like sockets=dgram,layout=pipeline,lanes=1
  --whole-every N    a whole node starts on every N-th image; default 47, 0 for none
  --recording DIR    checks a recording that is there
  --cut N            one point instead, with --model NAME one image
  --keep             keeps the recording
  --json             the result as JSON on stdout
`;
/** Findings printed one by one; the rest are counted. */
const SHOWN_MAX = 10;

const { values } = parseArgs({
  options: {
    points: { type: 'string', default: '500' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    life: { type: 'string', default: '4000' },
    rate: { type: 'string', default: '4000' },
    restart: { type: 'string', default: 'SIGKILL' },
    node: { type: 'string', default: '' },
    'whole-every': { type: 'string', default: '47' },
    recording: { type: 'string' },
    cut: { type: 'string' },
    model: { type: 'string' },
    keep: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});

if (values.help) process.stdout.write(HELP);
else process.exitCode = await main();

async function main(): Promise<number> {
  const seed = Number(values.seed);
  const folder = values.recording ?? mkdtempSync(join(tmpdir(), 'claimwire-powerloss-'));
  const recording = values.recording === undefined ? await recorded(folder, seed) : readRun(folder);
  const points =
    values.cut === undefined
      ? choosePoints(recording.records, Number(values.points), random(seed))
      : [Number(values.cut)];
  const models = values.model === undefined ? MODELS : MODELS.filter((name) => name === values.model);
  let done = 0;
  const findings = await check(recording, {
    seed,
    points,
    models,
    wholeNodeEvery: Number(values['whole-every']),
    onImage: () => {
      if (++done % 250 === 0) process.stderr.write(`${done} of ${points.length * models.length} images\n`);
    },
  });
  const bad = findings.filter(({ outcome }) => outcome !== 'fine');
  const isKept = bad.length > 0 || values.keep || values.recording !== undefined;
  if (!isKept) rmSync(folder, { recursive: true, force: true });
  const summary = { seed, points: points.length, records: recording.records.length, models: table(models, findings) };
  if (values.json)
    process.stdout.write(`${JSON.stringify({ ...summary, findings: bad, ...(isKept && { folder }) })}\n`);
  else print(summary, bad, folder);
  return bad.length === 0 ? 0 : 1;
}

async function recorded(folder: string, seed: number): Promise<Recording> {
  const built = buildRecorder();
  if ('fault' in built) throw new Error(`recorder: ${built.fault}`);
  const recording = await record(built.library, {
    folder,
    lifeMs: Number(values.life),
    claimsPerSecond: Number(values.rate),
    restart: values.restart === 'SIGTERM' ? 'SIGTERM' : 'SIGKILL',
    random: random(seed),
    node: nodeOptions(values.node),
  });
  const missed = difference(lastState(recording), join(folder, DISK));
  if (missed !== undefined) throw new Error(`recording: expected what lies on the disk, got another: ${missed}`);
  return recording;
}

function nodeOptions(text: string): object {
  const pairs = text.split(',').filter((pair) => pair !== '');
  return Object.fromEntries(
    pairs.map((pair) => {
      const [name, value] = pair.split('=') as [string, string];
      return [name, /^\d+$/.test(value) ? Number(value) : value];
    }),
  );
}

function table(models: readonly Model[], findings: readonly Finding[]) {
  return models.map((model) => {
    const of = findings.filter((finding) => finding.model === model);
    const counts = OUTCOMES.map((outcome) => [outcome, of.filter((finding) => finding.outcome === outcome).length]);
    return { model, images: of.length, ...(Object.fromEntries(counts) as Record<(typeof OUTCOMES)[number], number>) };
  });
}

function print(
  {
    seed,
    points,
    records,
    models,
  }: { seed: number; points: number; records: number; models: ReturnType<typeof table> },
  bad: readonly Finding[],
  folder: string,
): void {
  const lines = [
    `seed ${seed}, ${records} records, cut at ${points} points`,
    ['model', 'images', ...OUTCOMES]
      .map((title, column) => (column === 0 ? title.padEnd(9) : title.padStart(8)))
      .join(' '),
    ...models.map((row) =>
      [
        row.model.padEnd(9),
        ...[row.images, ...OUTCOMES.map((outcome) => row[outcome])].map((n) => String(n).padStart(8)),
      ].join(' '),
    ),
    ...bad
      .slice(0, SHOWN_MAX)
      .flatMap(({ model, cut, outcome, detail }) => [
        `${outcome}: ${detail}`,
        `  make powerloss ARGS="--recording ${folder} --seed ${seed} --cut ${cut} --model ${model}"`,
      ]),
    ...(bad.length > SHOWN_MAX ? [`and ${bad.length - SHOWN_MAX} more`] : []),
  ];
  process.stdout.write(`${lines.join('\n')}\n`);
}
