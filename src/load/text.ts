/**
 * A result as text: a table and the verdict for people, and the percentiles for HdrHistogram's tools. Main thread.
 */
import { decodeFromCompressedBase64 } from 'hdr-histogram-js';
import type { Hiccups } from '../native/hiccups.ts';
import { checkText, lostOf, unexpectedRefusals } from './bounds.ts';
import type { Delivery, Latency, LoadResult, LoadStep } from './result.ts';

const TICKS_PER_HALF_DISTANCE = 5;
const US_PER_MS = 1_000;

export function resultText(result: LoadResult): string {
  const { sender, signer, target, settings, steps, checks, delivery, verdict, outcome } = result;
  const node = target === null ? 'node unknown' : `backend ${target.backend}, layout ${target.layout}`;
  const lines = [
    `load ${result.to}: ${node}; ${result.machine}, Node ${result.node}`,
    `${settings.channels} channels, ${settings.keys} keys, ${settings.skew}, ${settings.arrivals}, ${settings.perDatagram} claims a datagram, ${settings.sockets} sockets; sent by ${sender}, signed by ${signer}`,
    '',
    ...(steps.length === 1 ? stepLines(steps[0]!) : rampLines(steps)),
    '',
    ...deliveryLines(delivery),
    '',
    ...verdict,
    `${outcome}: ${checks.map(checkText).join(', ')}`,
  ];
  return `${lines.join('\n')}\n`;
}

/** The corrected latencies in milliseconds: those of the step at the knee, or of the last step where there is none. */
export function percentileText({ steps, knee }: LoadResult): string {
  const step = steps.find(({ requestedRate }) => knee !== null && requestedRate === knee.requestedRate) ?? steps.at(-1);
  if (step === undefined) return '';
  const histogram = decodeFromCompressedBase64(step.latency.hdr);
  return histogram.outputPercentileDistribution(TICKS_PER_HALF_DISTANCE, US_PER_MS);
}

function stepLines(step: LoadStep): string[] {
  const { requestedRate, late } = step;
  const asked = requestedRate === null ? 'max' : figure(requestedRate);
  const refused = Object.entries(step.refused).map(([name, count]) => `${name} ${count}`);
  const faults = Object.entries(step.faults).filter(([, count]) => count > 0);
  const made = faults.map(([name, count]) => `${count} ${name}`).join(', ');
  return [
    `rate         ${asked} asked, ${figure(step.achievedRate)} sent, ${figure(step.ackedRate)} acknowledged a second over ${step.seconds.toFixed(1)} s`,
    `claims       ${step.sent} sent in ${step.datagrams} datagrams, ${step.acked} acknowledged (${step.ackedByNewer} by a newer claim's ack alone), ${step.already} already, ${step.covered} covered, ${step.unanswered} unanswered`,
    `refused      ${refused.length === 0 ? 'none' : `${refused.join(', ')}; ${step.expectedRefusals} of them on purpose`}`,
    ...(step.moved + step.resent > 0
      ? [`moved        ${step.moved} answered MOVED, ${step.resent} sent once more`]
      : []),
    `acks         ${step.duplicateAcks} duplicates, ${step.outOfOrderAcks} out of order, ${step.strayAcks} strays`,
    `late         ${late.claims} by more than ${late.lateMs} ms, the latest ${late.maxMs.toFixed(2)} ms, ${late.unsent} never left`,
    ...(made === '' ? [] : [`faults       ${made}`]),
    `latency      ${latencyText(step.latency)}`,
    `uncorrected  ${latencyText(step.uncorrected)}`,
    ...(step.wire === null ? [] : [`wire to wire ${latencyText(step.wire)}`]),
    ...hiccupLines(step),
  ];
}

/** What the machine itself adds: a latency below these is the node's, one that goes with them is the machine's. */
function hiccupLines({ hiccups }: LoadStep): string[] {
  const text = ({ p99Ms, p999Ms, maxMs }: Hiccups) =>
    `p99 ${p99Ms.toFixed(2)}  p99.9 ${p999Ms.toFixed(2)}  max ${maxMs.toFixed(2)} ms`;
  const seen = (['generator', 'node'] as const).flatMap((of) => (hiccups?.[of] ? [`${of} ${text(hiccups[of])}`] : []));
  return seen.length === 0
    ? []
    : [`hiccups      ${seen.join('; ')}: how late a thread is woken that does nothing else`];
}

/** Shows each stage that a claim passes, since an ack alone does not say that a claim arrived. */
function deliveryLines(delivery: Delivery | null): string[] {
  if (delivery === null) return ['on the way      the node’s side is not known'];
  const { sent, received, verified, acknowledged, acknowledgedByNewer } = delivery;
  const of = (claims: number) => `${claims} (${sent === 0 ? '-' : ((claims * 100) / sent).toFixed(2)} %)`;
  return [
    'on the way      all claims, warm-up and copies included; the node counts what anybody sends it',
    `  sent          ${sent}`,
    `  received      ${of(received)} by the node; ${lostOf(delivery)} never reached it`,
    `  verified      ${of(verified)} by the node`,
    `  acknowledged  ${of(acknowledged)}; ${acknowledged - acknowledgedByNewer} by an ack of their own, ${acknowledgedByNewer} by a newer claim's`,
  ];
}

const RAMP_HEADS = 'asked/s,sent/s,acked/s,p50 ms,p99 ms,max ms,lost,no ack,refused,late'.split(',');
/** Rows no wider than this fit every terminal; then columns are two spaces apart, else one. */
const ROW_COLUMNS = 79;

function rampLines(steps: readonly LoadStep[]): string[] {
  const rows = steps.map((step) => {
    const { requestedRate, achievedRate, ackedRate, latency, late, delivery } = step;
    return [
      ...[requestedRate ?? 0, achievedRate, ackedRate].map(figure),
      ...[latency.p50Ms, latency.p99Ms, latency.maxMs].map((value) => value.toFixed(2)),
      delivery === null ? '-' : lostOf(delivery),
      ...[step.unanswered, unexpectedRefusals(step), late.claims + late.unsent],
    ];
  });
  const cells = [RAMP_HEADS, ...rows.map((row) => row.map(String))];
  const widths = RAMP_HEADS.map((_, column) => Math.max(...cells.map((row) => widthOf(row[column]!))));
  const isWide = widths.reduce((sum, width) => sum + width + 2, 0) > ROW_COLUMNS;
  return cells.map((row) => row.map((cell, column) => cell.padStart(widths[column]!)).join(isWide ? ' ' : '  '));
}

/** With the separators that a terminal shows in figures of five digits and more. */
function widthOf(cell: string): number {
  return cell.length + (/^\d{5,}$/.test(cell) ? Math.floor((cell.length - 1) / 3) : 0);
}

function latencyText({ p50Ms, p90Ms, p99Ms, p999Ms, p9999Ms, maxMs }: Latency): string {
  const named = { p50: p50Ms, p90: p90Ms, p99: p99Ms, 'p99.9': p999Ms, 'p99.99': p9999Ms, max: maxMs };
  return `${Object.entries(named)
    .map(([name, value]) => `${name} ${value.toFixed(2)}`)
    .join('  ')} ms`;
}

function figure(value: number): string {
  return value < 100 ? String(Math.round(value * 100) / 100) : String(Math.round(value));
}
