/** The six figures at the top. */
import type { Sample } from '../metrics/sample.ts';
import { byId, make, setText } from './dom.ts';
import { bytesText, countText, msText, percentText, shortDrops, xrpText } from './units.ts';

interface Figure {
  title: string;
  show(sample: Sample): { value: string; unit?: string; detail: string; kind?: string };
}

const FIGURES: readonly Figure[] = [
  {
    title: 'Received',
    show: ({ rates }) => ({
      value: countText(rates.received),
      unit: 'claims/s',
      detail: `in ${countText(rates.datagrams)} datagrams/s`,
    }),
  },
  {
    title: 'Committed',
    show: ({ rates, groupClaims }) => ({
      value: countText(rates.committed),
      unit: 'claims/s',
      detail: `${countText(rates.syncs)} syncs/s, ${countText(groupClaims)} claims a group`,
    }),
  },
  {
    title: 'Ack latency, median',
    show: ({ ack }) =>
      ack.count === 0
        ? { value: '–', unit: 'ms', detail: 'no claim in this second' }
        : { value: msText(ack.p50), unit: 'ms', detail: `p99 ${msText(ack.p99)} ms, at most ${msText(ack.max)} ms` },
  },
  {
    title: 'Refused and dropped',
    show: ({ rates }) => ({
      value: countText(rates.refused + rates.dropped),
      unit: '/s',
      detail: `${countText(rates.refused)} refused, ${countText(rates.dropped)} dropped`,
      kind: rates.refused + rates.dropped > 0 ? 'bad' : '',
    }),
  },
  {
    title: 'Exposure',
    show: ({ exposureDrops, channels }) => {
      const [value, unit] = shortDrops(exposureDrops);
      const of = `${countText(channels.open)} of ${countText(channels.max)} channels`;
      return { value, unit, detail: unit === 'XRP' ? of : `${xrpText(exposureDrops)} in ${of}` };
    },
  },
  {
    title: 'Memory',
    show: ({ memory: { resident, limit } }) => ({
      value: percentText(limit === 0 ? 0 : resident / limit),
      detail: `${bytesText(resident)} of ${bytesText(limit)}`,
      kind: limit > 0 && resident / limit >= 0.8 ? 'bad' : '',
    }),
  },
];

/** Returns what shows a sample. */
export function startFigures(): (sample: Sample) => void {
  const parts = FIGURES.map(({ title }) => {
    const [value, unit, detail] = [make('span', '–'), make('small'), make('dd.detail.live', ' ')];
    const figure = make('dd.value.live', value, unit);
    byId('tiles').append(make('div.tile', make('dt', title), figure, detail));
    return { value, unit, detail, figure };
  });
  return (sample) => {
    FIGURES.forEach(({ show }, index) => {
      const { value, unit = '', detail, kind = '' } = show(sample);
      const part = parts[index]!;
      setText(part.value, value);
      setText(part.unit, unit);
      setText(part.detail, detail);
      part.figure.classList.toggle('bad', kind === 'bad');
    });
  };
}
