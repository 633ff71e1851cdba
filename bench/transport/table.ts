/** The figures of bench:transport as the table of docs/transports.md. */
import { type Figures, readable } from '../harness.ts';

const ROWS = [
  ['UDP', 'udp'],
  ['TCP', 'tcp'],
  ['TLS', 'tls'],
  ['WebRTC', 'webrtc'],
  ['WebSocket', 'websocket'],
] as const;
const HEAD = [
  '| transport | claims a second, 15 a message | against UDP | one claim a message | p50, p99 at 10,000 a second |',
  '| --------- | ----------------------------: | ----------: | ------------------: | -------------------------: |',
];
const BESIDE = [
  ['UDP at half load alone, claims a second', 'beside.udpClaimsPerSecond'],
  ['the same with 100 WebRTC peers, of that', 'beside.udpRateWithWebrtc'],
  ['p99 alone, ms', 'beside.udpP99Ms'],
  ['p99 with 100 more UDP payers, ms', 'beside.udpExtraP99Ms'],
  ['p99 with 100 WebRTC peers, ms', 'beside.webrtcExtraP99Ms'],
  ['the last against the one before', 'beside.p99WebrtcVsUdp'],
] as const;

export function transportTable(figures: Figures): string {
  if (figures['beside.udpP99Ms'] !== undefined)
    return ['| figure | |', '| ------ | -: |', ...BESIDE.map(([name, key]) => row([name, cell(figures[key])]))].join(
      '\n',
    );
  const rows = ROWS.map(([title, name]) => {
    const of = (figure: string) => cell(figures[`transport.${name}${figure}`]);
    const ratio = name === 'udp' ? '1' : of('VsUdp');
    return row([
      title,
      of('ClaimsPerSecond'),
      ratio,
      of('MessagesPerSecond'),
      `${of('At10kP50Ms')}, ${of('At10kP99Ms')} ms`,
    ]);
  });
  const { 'transport.httpClaimsPerSecond': http, 'transport.udpClaimsPerSecond': udp } = figures;
  const against = http === undefined || udp === undefined ? undefined : http / udp;
  const times = `${cell(figures['transport.httpP50Ms'])}, ${cell(figures['transport.httpP99Ms'])} ms at its maximum`;
  return [...HEAD, ...rows, row(['HTTP POST, not synced', '–', cell(against), cell(http), times])].join('\n');
}

function row(cells: readonly string[]): string {
  return `| ${cells.join(' | ')} |`;
}

function cell(value: number | undefined): string {
  if (value === undefined) return '–';
  return readable(Math.abs(value) >= 10_000 ? Math.round(value / 1_000) * 1_000 : Number(value.toPrecision(3)));
}
