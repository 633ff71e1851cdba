/**
 * Cuts a recording at many points, makes the image each disk model leaves there, and lets a node start on it.
 *
 *   fine     the node starts, and every channel has at least what was acknowledged before the cut
 *   lost     a channel, or an amount that was acknowledged, is not there
 *   false    an amount that was never signed, or a signature of another amount
 *   refused  the node does not start
 */
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Random, random } from '../support/random.ts';
import { Disk } from './disk.ts';
import { layOut } from './image.ts';
import { imageOf, MODELS, type Model } from './models.ts';
import { DATA, DISK, type Recording, startNode } from './record.ts';
import { Answers, FLAG, KIND, type LogRecord } from './recording.ts';
import { type Recovered, Recovery } from './recovery.ts';

export const OUTCOMES = ['fine', 'lost', 'false', 'refused'] as const;
type Outcome = (typeof OUTCOMES)[number];

export interface Finding {
  model: Model;
  /** So many records of the recording had happened. */
  cut: number;
  outcome: Outcome;
  detail: string;
}

/** Images are laid out in memory where the system has a file system for that: recovering syncs. */
const MEMORY = '/dev/shm';

export interface CheckOptions {
  seed: number;
  points: readonly number[];
  models?: readonly Model[];
  /** On every so many-th image a whole node starts in place of a recovery without threads; 0 for none, the default. */
  wholeNodeEvery?: number;
  onImage?: (finding: Finding) => void;
}

/** Every image's finding, by point and model. */
export async function check(recording: Recording, options: CheckOptions): Promise<Finding[]> {
  const { seed, points, models = MODELS, wholeNodeEvery = 0, onImage = () => {} } = options;
  const scratch = mkdtempSync(join(existsSync(MEMORY) ? MEMORY : tmpdir(), 'claimwire-powerloss-'));
  const recovery = new Recovery();
  const disk = new Disk();
  const answers = new Answers();
  const findings: Finding[] = [];
  let at = 0;
  try {
    for (const cut of points) {
      for (; at < cut; at++) {
        const record = recording.records[at]!;
        if (record.kind === KIND.sent) answers.take(record);
        else disk.apply(record, at);
      }
      for (const model of models) {
        const folder = join(scratch, DISK);
        layOut(imageOf(disk, model, chances(seed, cut, model)), folder);
        const isWhole = wholeNodeEvery > 0 && findings.length % wholeNodeEvery === wholeNodeEvery - 1;
        const recovered = isWhole ? await startWhole(join(folder, DATA)) : await recovery.recover(join(folder, DATA));
        rmSync(folder, { recursive: true });
        const finding = { model, cut, ...judge(recording, answers, recovered) };
        findings.push(finding);
        onImage(finding);
      }
    }
  } finally {
    recovery.stop();
    rmSync(scratch, { recursive: true, force: true });
  }
  return findings;
}

/** An image's chances come from its seed, point and model alone, so that it can be made again by itself. */
function chances(seed: number, cut: number, model: Model): Random {
  return random(
    Math.imul(seed, 0x9e3779b1) ^ Math.imul(cut, 0x85ebca6b) ^ Math.imul(MODELS.indexOf(model) + 1, 0xc2b2ae35),
  );
}

function judge(recording: Recording, answers: Answers, recovered: Recovered): { outcome: Outcome; detail: string } {
  if ('refused' in recovered) return { outcome: 'refused', detail: recovered.refused };
  const rows = new Map(recovered.channels.map((row) => [row.channelId, row]));
  const lost: string[] = [];
  for (const { channelId } of recording.openings.slice(0, answers.granted).flat())
    if (!rows.has(channelId)) lost.push(`channel ${channelId} is not there`);
  for (const [channelId, amount] of answers.acknowledged) {
    const committed = rows.get(channelId)?.committed ?? 0n;
    if (committed < amount) lost.push(`channel ${channelId}: expected at least ${amount}, got ${committed}`);
  }
  if (lost.length > 0)
    return { outcome: 'lost', detail: `${lost[0]}${lost.length > 1 ? `, and ${lost.length - 1} more` : ''}` };
  for (const channel of recording.channels) {
    const row = rows.get(channel.channelId);
    if (row === undefined || row.committed === 0n) continue;
    if (!recording.sent.get(channel.channelId)!.has(row.committed))
      return { outcome: 'false', detail: `channel ${row.channelId}: ${row.committed} was never sent` };
    if (Buffer.compare(channel.claim(row.committed).subarray(21, 85), row.signature) !== 0)
      return { outcome: 'false', detail: `channel ${row.channelId}: a signature that is not of ${row.committed}` };
  }
  return { outcome: 'fine', detail: '' };
}

async function startWhole(data: string): Promise<Recovered> {
  try {
    const node = await startNode(data);
    // Signatures are shown to the holder of the token.
    const authorization = `Bearer ${readFileSync(join(data, 'admin-token'), 'utf8').trim()}`;
    const response = await fetch(`http://${node.http}/channels?limit=1000`, { headers: { authorization } });
    const channels = (await response.json()) as { channelId: string; committed: string; signature: string | null }[];
    await node.end('SIGTERM');
    return {
      channels: channels.map(({ channelId, committed, signature }) => ({
        channelId: BigInt(channelId),
        committed: BigInt(committed),
        signature: Buffer.from(signature ?? '', 'hex'),
      })),
    };
  } catch (error) {
    return { refused: (error as Error).message };
  }
}

/**
 * Points to cut at, rising: a quarter anywhere, a quarter just behind an answer, a quarter around changes of names, and a
 * quarter while the registry commits: a meta page written, and not yet or only just durable.
 */
export function choosePoints(records: readonly LogRecord[], count: number, from: Random): number[] {
  const answers = indexes(records, ({ kind }) => kind === KIND.sent);
  const names = indexes(records, ({ kind }) => NAMES.has(kind));
  const commits = indexes(records, ({ kind, flags }) => kind === KIND.write && (flags & FLAG.dsync) !== 0);
  const points = new Set<number>([records.length]);
  for (let tries = 0; points.size < Math.min(count, records.length) && tries < count * 100; tries++) {
    const [list, spread] = [
      [undefined, 1],
      [answers, 3],
      [names, 4],
      [commits, 2],
    ][tries % 4] as [number[] | undefined, number];
    const base = list === undefined ? from.below(records.length) : list[from.below(list.length)]!;
    points.add(Math.min(records.length, base + 1 + from.below(spread)));
  }
  return [...points].sort((left, right) => left - right);
}

const NAMES = new Set<number>([KIND.open, KIND.rename, KIND.link, KIND.unlink, KIND.mkdir, KIND.rmdir]);

function indexes(records: readonly LogRecord[], isMeant: (record: LogRecord) => boolean): number[] {
  return records.flatMap((record, index) => (isMeant(record) ? [index] : []));
}
