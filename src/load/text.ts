/**
 * A result for people: a table and the verdict; and its percentiles as HdrHistogram's tools read them. Main thread.
 */
import { decodeFromCompressedBase64 } from 'hdr-histogram-js';
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

/** Milliseconds, corrected; of the knee's step in a ramp, or of the last. */
export function percentileText({ steps, knee }: LoadResult): string {
  const step = steps.find(({ requestedRate }) => knee !== null && requestedRate === knee.requestedRate) ?? steps.at(-1);
  if (step === undefined) return '';
  const histogram = decodeFromCompressedBase64(step.latency.hdr);
  return histogram.outputPercentileDistribution(TICKS_PER_HALF_DISTANCE, US_PER_MS);
}

function stepLines(step: LoadStep): string[] {
  const { requestedRate, late, faults } = step;
  const refused = Object.entries(step.refused).map(([name, count]) => `${name} ${count}`);
  const made = Object.entries(faults).filter(([, count]) => count > 0);
  const rows: [string, string][] = [
    [
      'rate',
      `${requestedRate === null ? 'max' : count(requestedRate)} asked, ${count(step.achievedRate)} sent, ${count(step.ackedRate)} acknowledged a second over ${step.seconds.toFixed(1)} s`,
    ],
    [
      'claims',
      `${step.sent} sent in ${step.datagrams} datagrams, ${step.acked} acknowledged (${step.ackedByNewer} by a newer claim's ack alone), ${step.already} already, ${step.covered} covered, ${step.unanswered} unanswered`,
    ],
    ['refused', refused.length === 0 ? 'none' : `${refused.join(', ')}; ${step.expectedRefusals} of them on purpose`],
    ['acks', `${step.duplicateAcks} duplicates, ${step.outOfOrderAcks} out of order, ${step.strayAcks} strays`],
    [
      'late',
      `${late.claims} by more than ${late.lateMs} ms, the latest ${late.maxMs.toFixed(2)} ms, ${late.unsent} never left`,
    ],
  ];
  if (made.length > 0) rows.push(['faults', made.map(([name, claims]) => `${claims} ${name}`).join(', ')]);
  rows.push(['latency', latencyText(step.latency)], ['uncorrected', latencyText(step.uncorrected)]);
  return rows.map(line);
}

function line([name, text]: [string, string]): string {
  return `${name.padEnd(12)} ${text}`;
}

/** Claims on their way, each stage apart: an ack alone does not say that a claim arrived. */
function deliveryLines(delivery: Delivery | null): string[] {
  if (delivery === null) return [line(['on the way', 'the node’s side is not known'])];
  const { sent, received, verified, acknowledged, acknowledgedByNewer } = delivery;
  const of = (claims: number) => `${claims} (${sent === 0 ? '-' : ((claims * 100) / sent).toFixed(2)} %)`;
  const rows: [string, string][] = [
    ['on the way', 'all claims, warm-up and copies included; the node counts what anybody sends it'],
    ['  sent', String(sent)],
    ['  received', `${of(received)} by the node; ${lostOf(delivery)} never reached it`],
    ['  verified', `${of(verified)} by the node`],
    [
      '  acknowledged',
      `${of(acknowledged)}; ${acknowledged - acknowledgedByNewer} by an ack of their own, ${acknowledgedByNewer} by a newer claim's`,
    ],
  ];
  return rows.map(([name, text]) => `${name.padEnd(14)} ${text}`);
}

function rampLines(steps: readonly LoadStep[]): string[] {
  const header = [
    'asked/s',
    'sent/s',
    'acked/s',
    'p50 ms',
    'p99 ms',
    'max ms',
    'lost',
    'unanswered',
    'refused',
    'late',
  ];
  const rows = steps.map((step) => {
    const { requestedRate, achievedRate, ackedRate, latency, unanswered, late, delivery } = step;
    return [
      count(requestedRate ?? 0),
      count(achievedRate),
      count(ackedRate),
      latency.p50Ms.toFixed(2),
      latency.p99Ms.toFixed(2),
      latency.maxMs.toFixed(2),
      delivery === null ? '-' : String(lostOf(delivery)),
      String(unanswered),
      String(unexpectedRefusals(step)),
      String(late.claims + late.unsent),
    ];
  });
  return [header, ...rows].map((row) => row.map((cell) => cell.padStart(10)).join('  '));
}

function latencyText({ p50Ms, p90Ms, p99Ms, p999Ms, p9999Ms, maxMs }: Latency): string {
  const values = [p50Ms, p90Ms, p99Ms, p999Ms, p9999Ms, maxMs].map((value) => value.toFixed(2));
  const names = ['p50', 'p90', 'p99', 'p99.9', 'p99.99', 'max'];
  return `${names.map((name, index) => `${name} ${values[index]}`).join('  ')} ms`;
}

function count(value: number): string {
  return value < 100 ? String(Math.round(value * 100) / 100) : String(Math.round(value));
}
