/**
 * The report's tables: what became of the claims, latencies, a ramp's steps, settings. Pure, any thread.
 */
import { lostOf, refusalsOf, sumOf } from '../bounds.ts';
import type { Delivery, Latency, LoadResult, LoadStep } from '../result.ts';
import { formatCount, formatMs, formatSetMs, formatShare, html, type Markup, NOTHING } from './html.ts';

/** The figures of a step that are plain numbers. */
type Figure = { [Name in keyof LoadStep]: LoadStep[Name] extends number ? Name : never }[keyof LoadStep];

/** A figure of all steps together, beside its share of the claims sent. A part of the row above is indented. */
function countRow(name: string, count: number, share: string, kind: 'part' | '' = ''): Markup {
  return html`<tr class="${kind}"><th scope="row">${name}</th><td>${formatCount(count)}</td><td>${share}</td></tr>`;
}

function countTable(rows: readonly Markup[]): Markup {
  return html`<table><thead><tr><th>Claims</th><th>count</th><th>of sent</th></tr></thead><tbody>
${rows}
</tbody></table>`;
}

/** Of all steps together. */
export function renderCounts(steps: readonly LoadStep[]): Markup {
  const total = (name: Figure) => sumOf(steps, (step) => step[name]);
  const lateBy = (name: keyof LoadStep['late']) => steps.map(({ late }) => late[name]);
  const sent = total('sent');
  const refused = sumOf(steps, refusalsOf);
  const [acked, already, covered, unanswered] = [
    total('acked'),
    total('already'),
    total('covered'),
    total('unanswered'),
  ];
  const missing = sent - acked - already - refused - covered - unanswered;
  const late = sumOf(steps, (step) => step.late.claims);
  const row = (name: string, count: number) => countRow(name, count, formatShare(count, sent));
  const rare = (name: string, count: number) => (count === 0 ? NOTHING : row(name, count));
  const part = (name: string, count: number, share = formatShare(count, sent)) =>
    count > 0 ? countRow(name, count, share, 'part') : NOTHING;
  const faults = (['dropped', 'duplicated', 'reordered', 'corrupted', 'stale'] as const).map(
    (fault) => [fault, sumOf(steps, (step) => step.faults[fault])] as const,
  );
  return countTable([
    countRow('Sent', sent, ''),
    part('in datagrams or payloads', total('datagrams'), ''),
    row('Acknowledged', acked),
    part('by a newer claim’s ack alone', total('ackedByNewer')),
    rare('Answered ALREADY', already),
    row('Refused', refused),
    ...refusalsByReason(steps).map(([reason, count]) => part(reason, count)),
    part('of these made to be refused', total('expectedRefusals')),
    rare('Due to be refused, but covered', covered),
    rare('Answered MOVED, and sent once more', total('moved')),
    row('Unanswered', unanswered),
    rare('Not accounted for', missing),
    row(`Sent more than ${formatSetMs(Math.max(...lateBy('lateMs')))} late`, late),
    late > 0
      ? html`<tr class="part"><th scope="row">the latest by</th><td>${formatMs(Math.max(...lateBy('maxMs')))} ms</td><td></td></tr>`
      : NOTHING,
    part(
      'never sent',
      sumOf(steps, (step) => step.late.unsent),
    ),
    countRow('Duplicate acks', total('duplicateAcks'), ''),
    countRow('Acks out of order', total('outOfOrderAcks'), ''),
    countRow('Frames that were no ack of ours', total('strayAcks'), ''),
    faults.some(([, count]) => count > 0)
      ? html`<tr><th scope="row">Faults made on purpose</th><td></td><td></td></tr>`
      : NOTHING,
    ...faults.map(([fault, count]) => part(fault, count)),
  ]);
}

/** Shows each stage that a claim passes, since an ack alone does not say that a claim arrived. */
export function renderDelivery(delivery: Delivery | null): Markup {
  if (delivery === null)
    return html`<p>The node’s side is not known: its admin interface did not answer, so nobody can say how many claims reached it.</p>`;
  const { sent, received, verified, acknowledged, acknowledgedByNewer, nodeDrops } = delivery;
  const row = (name: string, count: number, kind?: 'part') => countRow(name, count, formatShare(count, sent), kind);
  return html`${countTable([
    row('Sent, warm-up and copies included', sent),
    row('Received by the node', received),
    row('Never reached it', lostOf(delivery), 'part'),
    row('Verified by the node', verified),
    row('Acknowledged', acknowledged),
    row('by a newer claim’s ack alone', acknowledgedByNewer, 'part'),
  ])}
<p class="caption">The node counts what anybody sends it; its sockets had no room for ${formatCount(nodeDrops)} messages. Acks are cumulative, so a claim that was lost may be acknowledged by a newer one’s.</p>`;
}

/** Sorted by their number, the most frequent reason first. */
function refusalsByReason(steps: readonly LoadStep[]): [string, number][] {
  const counts = new Map<string, number>();
  for (const { refused } of steps)
    for (const [reason, count] of Object.entries(refused)) counts.set(reason, (counts.get(reason) ?? 0) + count);
  return [...counts].filter(([, count]) => count > 0).sort(([, left], [, right]) => right - left);
}

export function renderLatencyTable({ latency, uncorrected, wire }: LoadStep, sloMs: number): Markup {
  const rows = {
    Minimum: 'minMs',
    Mean: 'meanMs',
    p50: 'p50Ms',
    p90: 'p90Ms',
    p99: 'p99Ms',
    'p99.9': 'p999Ms',
    'p99.99': 'p9999Ms',
    Maximum: 'maxMs',
  } as const;
  const figure = (of: Latency, key: Exclude<keyof Latency, 'hdr'>) => formatMs(of.count > 0 ? of[key] : Number.NaN);
  const missed = latency.count > 0 && latency.p99Ms > sloMs;
  return html`<table><thead><tr><th>Milliseconds</th><th>corrected</th><th>uncorrected</th>${wire ? html`<th>wire to wire</th>` : NOTHING}</tr></thead><tbody>
${Object.entries(rows).map(([name, key]) => {
  const bad = missed && name === 'p99';
  return html`<tr><th scope="row">${bad ? 'p99, over the SLO' : name}</th><td class="${bad ? 'bad' : ''}">${figure(latency, key)}</td><td>${figure(uncorrected, key)}</td>${wire ? html`<td>${figure(wire, key)}</td>` : NOTHING}</tr>`;
})}
<tr><th scope="row">Claims</th><td>${formatCount(latency.count)}</td><td>${formatCount(uncorrected.count)}</td>${wire ? html`<td>${formatCount(wire.count)}</td>` : NOTHING}</tr>
</tbody></table>
<p class="caption">Corrected: from the time a claim was meant to leave, so waiting behind a stall counts. Uncorrected: from the time it left.${wire ? ' Wire to wire: from the system call that sent it until the system had its ack, without what the generator took for packing and reading.' : ''}</p>`;
}

export function renderSteps({ steps, knee, settings: { sloMs } }: LoadResult): Markup {
  const rate = (value: number) => html`<td>${formatCount(value)}</td>`;
  const count = (value: number) => html`<td class="${value > 0 ? 'bad' : ''}">${formatCount(value)}</td>`;
  return html`<div class="scroll"><table><thead><tr><th>Requested, /s</th><th>sent, /s</th><th>acknowledged, /s</th><th>p50, ms</th><th>p99, ms</th><th>p99.9, ms</th><th>max, ms</th><th>lost</th><th>unanswered</th><th>refused</th><th>late</th></tr></thead><tbody>
${steps.map((step) => {
  const { latency, requestedRate } = step;
  const atKnee = knee !== null && knee.requestedRate === requestedRate;
  const figure = (value: number) => formatMs(latency.count > 0 ? value : Number.NaN);
  const over = latency.p99Ms > sloMs;
  return html`<tr class="${atKnee ? 'knee' : ''}"><th scope="row">${requestedRate === null ? 'max' : formatCount(requestedRate)}${atKnee ? ' (knee)' : ''}</th>${rate(step.achievedRate)}${rate(step.ackedRate)}<td>${figure(latency.p50Ms)}</td><td class="${over ? 'bad' : ''}">${figure(latency.p99Ms)}</td><td>${figure(latency.p999Ms)}</td><td>${figure(latency.maxMs)}</td>${step.delivery === null ? html`<td>–</td>` : count(lostOf(step.delivery))}${count(step.unanswered)}${rate(refusalsOf(step))}${rate(step.late.claims)}</tr>`;
})}
</tbody></table></div>`;
}

export function renderSettings({ to, sender, signer, startedAt, machine, node, target, settings }: LoadResult): Markup {
  const faults = Object.entries(settings.faults).filter(([, share]) => share > 0);
  const load: [string, string][] = [
    ['Channels', formatCount(settings.channels)],
    ['Keys', formatCount(settings.keys)],
    ['Claims per datagram', formatCount(settings.perDatagram)],
    ['Arrivals', settings.arrivals],
    ['Skew', settings.skew],
    ['Faults', faults.length === 0 ? 'none' : faults.map(([name, share]) => `${name} ${share}`).join(', ')],
    ['SLO for p99', formatSetMs(settings.sloMs)],
    ['Loss at most', formatShare(settings.lossMax, 1)],
    ['Refused at most', formatShare(settings.refusedMax, 1)],
    ['Duration', `${settings.durationSeconds} s a step`],
    ['Warm-up', `${settings.warmupSeconds} s`],
    ['Seed', String(settings.seed)],
  ];
  const place: [string, string][] = [
    ['Target', to],
    ['Backend', target?.backend ?? 'not known'],
    ['Kernel', target === null ? 'not known' : (target.kernel ?? 'none')],
    ['Layout', target?.layout ?? 'not known'],
    ['Sender', sender],
    ['Signer', signer],
    ['Sockets', formatCount(settings.sockets)],
    ['Window', formatCount(settings.window)],
    ['Machine', machine],
    ['Node.js', node],
    ['Started', startedAt],
  ];
  return html`<div class="pair">${[load, place].map(
    (rows) =>
      html`<table class="settings"><tbody>${rows.map(([name, value]) => html`<tr><th scope="row">${name}</th><td>${value}</td></tr>`)}</tbody></table>`,
  )}</div>`;
}
