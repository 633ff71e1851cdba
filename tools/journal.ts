/**
 * `claimwire journal verify DIR`: what a journal contains, and the first byte that is wrong.
 *
 * Main thread of its own process; the signature audit adds worker threads. Reads only, so it may look at a running
 * node's journal: the group being written at that moment may then show as a torn end.
 */
import { readdirSync, statSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { CLAIM_CHANNEL_ID } from '../protocol/layout.ts';
import { ClaimwireError } from '../src/errors.ts';
import { type AuditReport, auditSignatures, ChannelKeys } from '../src/journal/audit.ts';
import { RECORD_BYTES } from '../src/journal/record.ts';
import type { BadPlace, RecoveryReport } from '../src/journal/report.ts';
import { segmentNumber } from '../src/journal/segment.ts';
import { forEachLeaf } from '../src/journal/stored-frame.ts';
import { walkJournal } from '../src/journal/walk.ts';
import { Registry } from '../src/registry/registry.ts';
import { defineCommand, defineGroup } from './command.ts';
import { writeJson } from './output.ts';
import { Progress } from './progress.ts';
import { countText } from './units.ts';

interface Lane {
  directory: string;
  journal: RecoveryReport;
  channels: number;
  /** Leaves of signed roots that its frames have and that were accepted; left out where there are none. */
  leaves?: number;
  /** The node's clock at the first and last group, milliseconds since 1970. */
  firstTime?: number;
  lastTime?: number;
  audit?: AuditReport;
}

const verify = defineCommand({
  name: 'journal verify',
  summary: 'reads a journal from end to end and says what it holds',
  description:
    'reads a journal from end to end and says what it holds; changes nothing. DIR is a data folder, its journal folder, or the folder of one lane.',
  operands: { name: 'DIR', count: 'one' },
  options: {
    signatures: { description: "also check every claim's signature against the registry beside it" },
  },
  examples: [
    ['claimwire journal verify ./data', 'where each lane ends, and the first byte that is not as it should be'],
    ['claimwire journal verify ./data --signatures --json', 'every signature too, as one JSON object'],
  ],
  notes: `A torn end is what a loss of power leaves of a group that was not acknowledged. Damage
done later to the last groups looks the same, though they may have been acknowledged.

Exit code: 0 whole or torn, 1 corrupt, a bad signature, or not readable, 2 usage.`,
  act: async ({ json, signatures }, [directory]) => {
    const lanes = describeLanes(laneFolders(directory!));
    if (signatures) await auditLanes(lanes);
    const sound = lanes.every(isSound);
    if (json) writeJson({ sound, lanes: lanes.map(laneJson) });
    else process.stdout.write(lanes.map(laneText).join(''));
    return sound ? 0 : 1;
  },
});

export const command = defineGroup({
  name: 'journal',
  summary: 'looks at a journal on the disk',
  commands: [verify],
});
export const { run } = command;

const LINES_EVERY_MS = 5_000;

function describeLanes(directories: readonly string[]): Lane[] {
  const progress = new Progress({ linesEveryMs: LINES_EVERY_MS });
  const bytesThere = directories.reduce((sum, directory) => sum + segmentBytes(directory), 0);
  let claims = 0;
  const lanes: Lane[] = [];
  for (const directory of directories) {
    const lane = describe(directory, (claimsMore) => {
      claims += claimsMore;
      const text = `${countText(claims)} claims read, ${countText(claims / progress.seconds)}/s`;
      // With the last group, the preallocated bytes after it count as done.
      if (progress.seconds >= 1) progress.update((claims * RECORD_BYTES) / bytesThere, text);
    });
    lanes.push(lane);
  }
  progress.end();
  return lanes;
}

async function auditLanes(lanes: readonly Lane[]): Promise<void> {
  const keys = await registeredKeys(lanes[0]!.directory);
  const progress = new Progress({ linesEveryMs: LINES_EVERY_MS });
  const all = lanes.reduce((sum, { journal }) => sum + journal.claims, 0);
  let before = 0;
  for (const lane of lanes) {
    const onProgress = (checked: number) => {
      const done = before + checked;
      const text = `${countText(done)} signatures checked, ${countText(done / progress.seconds)}/s`;
      progress.update(done / Math.max(all, 1), text);
    };
    lane.audit = await auditSignatures({ directory: lane.directory, keys, onProgress });
    before += lane.audit.checked;
  }
  progress.end();
}

function segmentBytes(directory: string): number {
  return readdirSync(directory)
    .filter((name) => segmentNumber(name) !== undefined)
    .reduce((sum, name) => sum + statSync(join(directory, name)).size, 0);
}

function isSound({ journal, audit }: Lane): boolean {
  return journal.end !== 'corrupt' && (audit === undefined || audit.badSignatures + audit.unknownChannels === 0);
}

/** The folders of the lanes' journals in `directory`, which may be one itself. */
function laneFolders(directory: string): string[] {
  const names = (folder: string) => readdirSync(folder, { withFileTypes: true });
  if (!statSync(directory, { throwIfNoEntry: false })?.isDirectory())
    throw new ClaimwireError('INPUT_INVALID', `expected a folder, got ${directory}`);
  const hasSegments = (folder: string) => names(folder).some((entry) => segmentNumber(entry.name) !== undefined);
  if (hasSegments(directory)) return [directory];
  const inside = names(directory).some((entry) => entry.isDirectory() && entry.name === 'journal');
  const folder = inside ? join(directory, 'journal') : directory;
  const lanes = names(folder)
    .filter((entry) => entry.isDirectory())
    .map((entry) => join(folder, entry.name))
    .filter(hasSegments)
    .sort();
  if (lanes.length > 0) return lanes;
  const expected = 'a data directory, its journal folder or the folder of one lane, with segments in it';
  throw new ClaimwireError('INPUT_INVALID', `expected ${expected}, got ${directory}`);
}

/** @param onGroup is called with how many more claims were read */
function describe(directory: string, onGroup: (claims: number) => void): Lane {
  const channels = new Set<bigint>();
  let leaves = 0;
  let firstTime: number | undefined;
  let lastTime: number | undefined;
  const walk = walkJournal(directory, { sync: false });
  for (;;) {
    const step = walk.next();
    if (step.done) {
      const times = firstTime === undefined || lastTime === undefined ? {} : { firstTime, lastTime };
      return { directory, journal: step.value, channels: channels.size, ...(leaves > 0 && { leaves }), ...times };
    }
    const { bytes, offset, count, time } = step.value;
    firstTime ??= time;
    lastTime = time;
    onGroup(count);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    for (let index = 0; index < count; index++)
      channels.add(view.getBigUint64(offset + index * RECORD_BYTES + CLAIM_CHANNEL_ID));
    forEachLeaf(step.value, ({ channelId }) => {
      channels.add(channelId);
      leaves++;
    });
  }
}

/** The registry is beside the journals' folder: `<data>/registry`, while a lane's journal is `<data>/journal/<lane>`. */
async function registeredKeys(laneDirectory: string): Promise<ChannelKeys> {
  const registry = Registry.open(join(dirname(dirname(resolve(laneDirectory))), 'registry'), { readOnly: true });
  try {
    const keys = new ChannelKeys();
    registry.forEachRow((row) => keys.add(row));
    return keys;
  } finally {
    await registry.close();
  }
}

function laneJson(lane: Lane): unknown {
  const { journalId, ...journal } = lane.journal;
  return {
    lane: basename(resolve(lane.directory)),
    directory: lane.directory,
    ...journal,
    ...(journalId && { journalId: Buffer.from(journalId).toString('hex') }),
    channels: lane.channels,
    firstTime: timeText(lane.firstTime),
    lastTime: timeText(lane.lastTime),
    ...(lane.audit && { signatures: auditJson(lane.audit) }),
  };
}

function auditJson({ checked, badSignatures, unknownChannels, failures }: AuditReport): unknown {
  const rows = failures.map((failure) => ({ ...failure, channelId: String(failure.channelId) }));
  return { checked, badSignatures, unknownChannels, failures: rows };
}

function laneText(lane: Lane): string {
  const { journal, audit } = lane;
  const leaves = lane.leaves === undefined ? '' : ` ${lane.leaves} leaves,`;
  const lines = [
    `${lane.directory}: ${journal.end}`,
    `  ${journal.segments} segments, ${journal.groups} groups, ${journal.claims} claims,${leaves} ${lane.channels} channels`,
  ];
  if (journal.groups > 0) {
    const times = `from ${timeText(lane.firstTime)} to ${timeText(lane.lastTime)}`;
    lines.push(`  groups ${journal.firstGroup} to ${journal.lastGroup}, ${times}`);
  }
  if (journal.bad !== undefined) {
    lines.push(`  first bad byte ${placeText(journal.bad)}`);
    lines.push(
      `  from there on ${journal.dropped.bytes} bytes that are not zero, ${journal.dropped.groups} sound groups`,
    );
  }
  for (const place of journal.harmless) lines.push(`  passed over ${placeText(place)}`);
  if (audit !== undefined) {
    const { checked, badSignatures, unknownChannels } = audit;
    lines.push(`  ${checked} signatures checked, ${badSignatures} bad, ${unknownChannels} of unknown channels`);
    for (const { group, record, channelId, reason } of audit.failures)
      lines.push(`  group ${group} record ${record} channel ${channelId}: ${reason}`);
  }
  return `${lines.join('\n')}\n`;
}

function placeText({ file, offset, reason }: BadPlace): string {
  return `${file}:${offset}: ${reason}`;
}

/** ISO 8601, or the number itself where it is not a date, as the time comes from a file. */
function timeText(time: number | undefined): string | undefined {
  if (time === undefined) return undefined;
  return Math.abs(time) <= 8.64e15 ? new Date(time).toISOString() : String(time);
}
