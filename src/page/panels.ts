/** The panels below the charts: stages, cores, lanes, reasons, peers, ledger, memory and configuration. */
import type { Percentiles, Sample } from '../metrics/sample.ts';
import { group, type Stats, single } from './counters.ts';
import { byId, type Cell, LiveTable, setText, showTerms } from './dom.ts';
import type { History } from './history.ts';
import { ledgerTerms, memoryTerms, runTerms } from './terms.ts';
import { countText, msText, percentText, wordsOf } from './units.ts';

const STAGES = ['queue', 'receive', 'verify', 'commit', 'sync', 'ack'] as const;
const STAGE_TEXT: Record<(typeof STAGES)[number], string> = {
  queue: 'queue, in the socket',
  receive: 'receive, into the ring',
  verify: 'verify, the signature',
  commit: 'commit, its group is written',
  sync: 'sync, to the disk',
  ack: 'ack, to the socket',
};
const BUSY = ['receive', 'verify', 'commit', 'write', 'send'] as const;
/** Losses that peers see, by the group and the name of their counter. */
const LOSSES: readonly (readonly [string, string, string])[] = [
  ['Datagrams lost in full socket buffers', 'dropped', 'socketBuffer'],
  ['Datagrams kept out by the filter of a flood', 'dropped', 'floodFilter'],
  ['Acks not sent, the send queue was full', 'dropped', 'sendQueueFull'],
  ['Acks for connections that had ended', 'dropped', 'connectionGone'],
  ['TCP cut, the peer did not read', 'tcp', 'cutSlowReader'],
  ['TCP cut, the peer was silent or idle', 'tcp', 'cutIdle'],
  ['TCP refused, the table was full', 'tcp', 'refusedFull'],
  ['Web messages dropped', 'web', 'messagesDropped'],
];

export interface Panels {
  show(sample: Sample): void;
  stats(stats: Stats): void;
}

export function startPanels(history: History): Panels {
  let stats: Stats | undefined;
  const stages = new LiveTable(byId('stages'), 'Time that claims spend in each stage, in milliseconds', [
    'Stage',
    '',
    'p50',
    'p99',
  ]);
  const busy = new LiveTable(byId('busy'), 'Shares of one core by kind of work', ['Work', '', 'Share']);
  const lanes = new LiveTable(
    byId('lanes'),
    'Claims that wait, by lane',
    ['Lane', '', 'Wait', 'Claims/s', 'p50', 'p99'],
    'No lane has measured anything yet.',
  );
  const reasons = new LiveTable(
    byId('reasons'),
    'Refusals and drops by reason',
    ['Reason', 'Now, /s', 'In the window', 'Since the start'],
    'Nothing was refused or dropped since the start.',
  );
  const peers = new LiveTable(byId('peers'), 'Connections and losses', ['Peers', 'Now', 'Since the start']);
  return {
    show: (sample) => {
      const { bottleneck } = sample;
      setText(byId('bottleneck'), bottleneck ? `${bottleneck.text} ${bottleneck.change}` : '');
      stages.show(stageRows(sample));
      busy.show(busyRows(sample));
      lanes.show(laneRows(sample));
      reasons.show(reasonRows(sample, history, stats));
      peers.show(peerRows(sample, stats));
      showTerms(byId('ledger'), ledgerTerms(sample.ledger));
      showTerms(byId('memory'), memoryTerms(sample));
      showTerms(byId('configuration'), runTerms(sample, stats));
    },
    stats: (next) => {
      stats = next;
      const { backend, kernel, layout, verifiers } = next;
      const threads = layout === 'lanes' ? `${verifiers} lanes` : `${verifiers} verifiers`;
      setText(byId('about'), `${backend}${kernel === null ? '' : ` ${kernel}`}, ${threads}, ${next.durability}ed`);
    },
  };
}

function latency({ count, p50, p99 }: Percentiles): [Cell, Cell] {
  if (count === 0)
    return [
      { text: '–', kind: 'zero' },
      { text: '–', kind: 'zero' },
    ];
  return [{ text: msText(p50) }, { text: msText(p99) }];
}

function stageRows({ stages, ack }: Sample): Cell[][] {
  const total = STAGES.reduce((sum, stage) => sum + stages[stage].p50, 0);
  const rows: Cell[][] = STAGES.map((stage) => [
    { text: STAGE_TEXT[stage] },
    { text: '', kind: 'track-cell', bar: total === 0 ? 0 : (stages[stage].p50 / total) * 0.89 },
    ...latency(stages[stage]),
  ]);
  return [...rows, [{ text: 'from arrival to ack' }, { text: '' }, ...latency(ack)]];
}

function busyRows({ busy }: Sample): Cell[][] {
  const rows: Cell[][] = BUSY.map((kind) => [
    { text: kind },
    { text: '', kind: 'track-cell', bar: busy[kind] },
    { text: percentText(busy[kind]), kind: busy[kind] === 0 ? 'zero' : '' },
  ]);
  const total = BUSY.reduce((sum, kind) => sum + busy[kind], 0);
  return [...rows, [{ text: 'together' }, { text: '' }, { text: percentText(total) }]];
}

function laneRows({ lanes, ring, ack, seconds }: Sample): Cell[][] {
  const row = (name: string, depth: number, slots: number, times: Percentiles): Cell[] => [
    { text: name },
    { text: '', kind: 'track-cell', bar: slots === 0 ? 0 : depth / slots },
    { text: countText(depth), kind: depth === 0 ? 'zero' : '' },
    { text: countText(Math.round(times.count / seconds)) },
    ...latency(times),
  ];
  const rows = lanes.map((lane, index) => row(`${index}`, lane.ring.depth, lane.ring.slots, lane.ack));
  return [...rows, row(`all, of ${countText(ring.slots)}`, ring.depth, ring.slots, ack)];
}

function reasonRows(sample: Sample, history: History, stats: Stats | undefined): Cell[][] {
  return (['refused', 'dropped'] as const).flatMap((kind) => {
    const within = history.totals((each) => each[kind]);
    const since = group(stats, kind);
    const names = new Set([...Object.keys(since).filter((name) => since[name]! > 0), ...within.keys()]);
    return [...names].map((name): Cell[] => {
      const now = sample[kind][name] ?? 0;
      const past = Math.round(within.get(name) ?? 0);
      return [
        { text: `${kind}: ${wordsOf(name)}` },
        { text: countText(now), kind: now > 0 ? 'bad' : 'zero' },
        { text: countText(past), kind: past > 0 ? '' : 'zero' },
        { text: countText(Math.max(since[name] ?? 0, past)) },
      ];
    });
  });
}

function peerRows({ connections, rates }: Sample, stats: Stats | undefined): Cell[][] {
  const [tcp, web] = [group(stats, 'tcp'), group(stats, 'web')];
  const row = (name: string, now: number | undefined, since: number, isBad = false): Cell[] => [
    { text: name },
    now === undefined
      ? { text: '' }
      : { text: countText(now), kind: isBad && now > 0 ? 'bad' : now === 0 ? 'zero' : '' },
    { text: countText(since), kind: since === 0 ? 'zero' : isBad ? 'warn' : '' },
  ];
  return [
    row('TCP connections', connections.tcp, tcp.accepted ?? 0),
    row('WebSocket peers', connections.websocket, web.websocketAccepted ?? 0),
    row('WebRTC peers', connections.webrtc, web.webrtcAccepted ?? 0),
    row('Claims missing on link channels, /s', rates.linkGaps, single(stats, 'linkGaps'), true),
    // Whether datagrams were lost is always worth a look; the others where there are any.
    ...LOSSES.map(([name, of, counter]) => ({ name, count: group(stats, of)[counter] ?? 0 }))
      .filter(({ count }, index) => index === 0 || count > 0)
      .map(({ name, count }) => row(name, undefined, count, true)),
  ];
}
