/** The screen of `claimwire top`: what is known of a node, as lines for a terminal of any size. Pure functions. */
import type { LedgerHealth } from '../../src/control/ledger-control.ts';
import { STAGES } from '../../src/control/measure-control.ts';
import type { NodeStats } from '../../src/control/node-control.ts';
import type { Sample } from '../../src/metrics/sample.ts';
import { durationText } from '../units.ts';
import type { ChannelView } from './channels.ts';
import { clusterLines } from './cluster-lines.ts';
import {
  bar,
  bytesText,
  dropsText,
  grouped,
  percentileCells,
  percentileHeads,
  rateText,
  reasonsText,
  sparkline,
  timeText,
} from './figures.ts';
import { beside, LABEL_COLUMNS, type Line, labelled, lineText, type Piece } from './lines.ts';

export interface View {
  /** The node's address. */
  readonly http: string;
  /** What is shown now; undefined before the first look. */
  readonly sample: Sample | undefined;
  /** The looks until then, the oldest first. */
  readonly history: readonly Sample[];
  readonly stats: NodeStats | undefined;
  /** Undefined before they are known. */
  readonly channels: ChannelView | undefined;
  readonly isPaused: boolean;
  /** Why the node is not heard of now. */
  readonly lost: string | undefined;
  readonly hasHelp: boolean;
}

/** From so many columns on there are two columns of blocks. */
const WIDE_COLUMNS = 130;
/** Their sum, their heads, and some. */
const CHANNEL_LINES_MIN = 5;
const RING_CELLS = 20;
/** A ring that is fuller than this soon refuses claims. */
const RING_SHARE_HIGH = 0.8;
const MEMORY_SHARE_HIGH = 0.8;

/** Exactly as many lines as the terminal has rows, none wider than it is. */
export function screenLines(view: View, columns: number, rows: number, inColour: boolean): string[] {
  const head = headLine(view, columns);
  const foot = footLine(view);
  const body = view.hasHelp ? HELP : view.sample === undefined ? [] : bodyLines(view, view.sample, columns, rows - 2);
  const room = Math.max(rows - 2, 0);
  const lines: Line[] = [
    head,
    ...body.slice(0, room),
    ...new Array<Line>(Math.max(room - body.length, 0)).fill([]),
    foot,
  ];
  return lines.slice(0, rows).map((line) => lineText(line, columns, inColour));
}

const HELP: readonly Line[] = [
  '',
  '  q        leaves (Ctrl-C too)',
  '  p        pauses, and goes on with the present',
  '  s        sorts channels by exposure, committed amount, or expiry',
  '  ?        this text, and back',
  '',
  '  received   claims taken from sockets; repeated: at or below what was committed',
  '  ack        from the arrival of a claim to its ack; the stages are where that time goes:',
  '  queue      in the socket until a thread reads it',
  '  receive    until it is in the ring',
  '  verify     until its signature is judged',
  '  commit     until its group is written',
  '  sync       until that is durable',
  '  busy       shares of one core that the threads spend; 100 % is a core',
].map((text) => [text]);

function headLine({ http, sample, stats, isPaused, lost }: View, columns: number): Line {
  const state = lost !== undefined ? 'LOST' : isPaused ? 'PAUSED' : sample?.ready === false ? 'NOT READY' : 'live';
  const backend =
    stats === undefined
      ? ''
      : `${stats.backend}${stats.kernel ? ` ${stats.kernel}` : ''}, ${stats.verifiers} ${stats.layout === 'lanes' ? 'lanes' : 'verifiers'}`;
  const up = sample === undefined ? '' : `up ${durationText(sample.uptimeSeconds * 1_000)}`;
  const left = ` claimwire top  ${[http.replace(/^http:\/\//, ''), state, up, backend].filter((part) => part !== '').join('  ')} `;
  const time = sample === undefined ? '' : `${new Date(sample.at).toISOString().slice(11, 19)} UTC `;
  const space = columns - left.length - time.length;
  return [[space < 1 ? left.padEnd(columns) : `${left}${' '.repeat(space)}${time}`, 'title']];
}

function footLine({ lost, channels }: View): Line {
  if (lost !== undefined) return [[` lost the node: ${lost}; trying again`, 'bad']];
  const sort = channels === undefined ? '' : `   s sort: ${channels.sort}`;
  return [[` q quit   p pause${sort}   ? help`, 'label']];
}

function bodyLines(view: View, sample: Sample, columns: number, rows: number): Line[] {
  if (columns < WIDE_COLUMNS) {
    const all = [...claimLines(view, sample, columns), ...latencyLines(view, sample, columns), ...threadLines(sample)];
    const lines = rows < all.length + CHANNEL_LINES_MIN ? all.filter((line) => !isSpare(line)) : all;
    return [...lines, ...channelLines(view, sample, columns, rows - lines.length)];
  }
  const half = Math.floor(columns / 2);
  const left = [...claimLines(view, sample, half - 2), ...latencyLines(view, sample, half - 2)];
  const right = threadLines(sample);
  const rest = rows - right.length;
  return beside(left, [...right, ...channelLines(view, sample, columns - half, rest)], half);
}

/** Whether a terminal with few rows goes without a line: gaps, lanes, and what the other lines say more shortly. */
function isSpare([first]: Line): boolean {
  const label = first === undefined ? '' : (typeof first === 'string' ? first : first[0]).trimEnd();
  return label === '' || label.startsWith('  lane') || label === 'ack p99' || label === 'fdatasync';
}

const RATE_COLUMNS = 9;
function rate(name: string, perSecond: number, isBad = false): Piece[] {
  const text = rateText(perSecond).padEnd(RATE_COLUMNS);
  return [`${name.padEnd(10)}`, isBad && perSecond > 0 ? [text, 'bad'] : text];
}

function claimLines({ history }: View, { rates, groupClaims }: Sample, columns: number): Line[] {
  return [
    labelled(
      'claims',
      ...rate('received', rates.received),
      ...rate('committed', rates.committed),
      ...rate('repeated', rates.already),
    ),
    labelled(
      '',
      ...rate('refused', rates.refused, true),
      ...rate('dropped', rates.dropped, true),
      ...rate('acks', rates.acked),
    ),
    labelled(
      '',
      ...rate('datagrams', rates.datagrams),
      ...rate('groups', rates.groups),
      `of ${groupClaims < 10 ? groupClaims.toFixed(1) : Math.round(groupClaims)} claims`,
    ),
    labelled('', ...rate('charges', rates.charges), `journal   ${bytesText(rates.journalBytes)}/s`),
    labelled('committed', [
      sparkline(
        history.map((each) => each.rates.committed),
        columns - LABEL_COLUMNS,
        rateText,
      ),
      'bars',
    ]),
    [],
  ];
}

function latencyLines({ history }: View, { ack, stages, sync }: Sample, columns: number): Line[] {
  const room = columns - LABEL_COLUMNS - percentileHeads().length;
  const cells = Math.min(room - 4, 20);
  const head = cells < 12 ? '  share' : '  share of p50';
  const sum = STAGES.reduce((total, name) => total + (stages[name]?.p50 ?? 0), 0);
  const share = (p50: number): Piece => [cells < 6 ? '' : `  ${bar(p50 / sum, cells)}`, 'bars'];
  return [
    labelled('latency', [percentileHeads(), 'label'], [cells < 6 ? '' : head, 'label']),
    labelled('ack', percentileCells(ack)),
    ...STAGES.filter((name) => stages[name] !== undefined).map((name) =>
      labelled(`  ${name}`, percentileCells(stages[name]), share(stages[name].p50)),
    ),
    labelled('fdatasync', percentileCells(sync)),
    labelled('ack p99', [
      sparkline(
        history.map((each) => each.ack.p99),
        columns - LABEL_COLUMNS,
        timeText,
      ),
      'bars',
    ]),
    [],
  ];
}

function threadLines(sample: Sample): Line[] {
  const { busy, ring, lanes, refused, dropped, memory, connections } = sample;
  const shares = Object.entries(busy).map(([name, value]) => `${name} ${Math.round(value * 100)} %`);
  const memoryShare = memory.limit > 0 ? memory.resident / memory.limit : 0;
  const memoryText = `${bytesText(memory.resident)} of ${bytesText(memory.limit)}`;
  const peers = Object.entries(connections)
    .filter(([, count]) => count > 0)
    .map(([name, count]) => `${count} ${name}`);
  return [
    labelled('busy', shares.join('  ')),
    ...limitLines(sample),
    labelled('ring', ...ringPieces(ring)),
    ...laneLines(lanes),
    labelled('refused', reasons(refused)),
    labelled('dropped', reasons(dropped)),
    labelled(
      'memory',
      memoryShare > MEMORY_SHARE_HIGH ? [memoryText, 'bad'] : memoryText,
      `   connections: ${peers.join(', ') || 'none'}`,
    ),
    ...ledgerLines(sample),
    ...clusterLines(sample),
    [],
  ];
}

/** What holds the node back; a node before this version does not say. */
function limitLines({ bottleneck }: Sample): Line[] {
  if (typeof bottleneck?.text !== 'string') return [];
  return [labelled('limit', bottleneck.cause === 'payers' ? bottleneck.text : [bottleneck.text, 'warn'])];
}

function reasons(rates: Readonly<Record<string, number>>): Piece {
  const text = reasonsText(rates);
  return text === 'none' ? text : [text, 'warn'];
}

function ringPieces({ depth, slots }: { depth: number; slots: number }): Piece[] {
  const share = slots > 0 ? depth / slots : 0;
  return [
    [bar(share, RING_CELLS), share > RING_SHARE_HIGH ? 'bad' : 'bars'],
    ` ${grouped(depth)} of ${grouped(slots)}`,
  ];
}

/** A machine of many cores has more lanes than lines: the fullest rings are shown. */
const LANES_SHOWN = 8;

function laneLines(lanes: Sample['lanes']): Line[] {
  if (lanes.length < 2) return [];
  const shown = lanes
    .map((lane, index) => ({ ...lane, index }))
    .sort((a, b) => b.ring.depth - a.ring.depth)
    .slice(0, LANES_SHOWN);
  const lines = shown
    .sort((a, b) => a.index - b.index)
    .map(({ ring, ack, index }) => labelled(`  lane ${index}`, ...ringPieces(ring), `   ack p99 ${timeText(ack.p99)}`));
  return lanes.length > LANES_SHOWN
    ? [...lines, labelled('', `the fullest ${LANES_SHOWN} of ${lanes.length} lanes`)]
    : lines;
}

function ledgerLines({ ledger }: Sample): Line[] {
  if (typeof ledger !== 'object' || ledger === null) return [];
  const { url, ageSeconds, stale, failure } = ledger as Partial<LedgerHealth>;
  const age = typeof ageSeconds === 'number' ? `newest seen ${durationText(ageSeconds * 1_000)} ago` : 'none seen yet';
  const isWell = typeof ageSeconds === 'number' && !failure && !stale;
  const more = failure ? `, ${failure}` : stale ? `, ${stale} channels stale` : '';
  return [labelled('ledger', [`${age}${more}`, isWell ? 'plain' : 'bad'], `   ${url ?? 'no server'}`)];
}

function channelLines({ channels }: View, sample: Sample, columns: number, rows: number): Line[] {
  const { open, max } = sample.channels;
  const lines: Line[] = [
    labelled('channels', `${grouped(open)} of ${grouped(max)}   exposure ${dropsText(sample.exposureDrops)}`),
  ];
  if (channels === undefined) return lines;
  const isWide = columns >= 100;
  const amount = (text: string) => text.padStart(isWide ? 18 : 15);
  const cells = (id: string, state: string, ...amounts: string[]) =>
    `${id.padEnd(21)}${amounts.map(amount).join('')}  ${state}`;
  lines.push([[cells('CHANNEL', 'STATE', 'EXPOSURE', 'COMMITTED', ...(isWide ? ['CAPACITY'] : [])), 'label']]);
  const shown = channels.rows.slice(0, Math.max(0, rows - lines.length));
  for (const row of shown)
    lines.push([cells(row.channelId, row.state, row.exposure, row.committed, ...(isWide ? [row.capacity] : []))]);
  if (channels.isPart) lines[0] = [...lines[0]!, `   (of the first ${channels.looked})`];
  return lines;
}
