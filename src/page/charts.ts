/** The two charts: claims a second, and how long their acks take. */
import { Chart } from './chart.ts';
import { byId } from './dom.ts';
import type { History } from './history.ts';
import { countText, msText } from './units.ts';

export function startCharts(history: History): Chart[] {
  const rates = new Chart(
    {
      host: byId('rates-chart'),
      legend: byId('rates-legend'),
      title: 'Claims a second',
      text: countText,
      tick: countText,
      series: [
        { name: 'received', pick: ({ rates }) => rates.received, colour: 'series-soft' },
        { name: 'committed', pick: ({ rates }) => rates.committed, colour: 'series-accent', isFilled: true },
        {
          name: 'refused and dropped',
          pick: ({ rates }) => rates.refused + rates.dropped,
          colour: 'series-bad',
          isDashed: true,
        },
      ],
    },
    history,
  );
  const latency = new Chart(
    {
      host: byId('latency-chart'),
      legend: byId('latency-legend'),
      title: 'Ack latency in milliseconds',
      isLogarithmic: true,
      text: msText,
      tick: (value) => Number(value.toPrecision(1)).toLocaleString('en'),
      series: [
        // Of no claims there is no latency: a gap, not a zero.
        { name: 'p99', pick: ({ ack }) => (ack.count === 0 ? null : ack.p99), colour: 'series-soft', isDashed: true },
        {
          name: 'p50',
          pick: ({ ack }) => (ack.count === 0 ? null : ack.p50),
          colour: 'series-accent',
          isFilled: true,
        },
      ],
    },
    history,
  );
  return [rates, latency];
}
