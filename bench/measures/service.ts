/**
 * A node for bench:measures, in a process of its own: with or without measuring, which no flag of `claimwire node` says. It
 * tells what it has measured when it is asked.
 */
import { parseArgs } from 'node:util';
import type { Distribution, LaneMeasures } from '../../src/control/measure-control.ts';
import { parseHostPort } from '../../src/host-port.ts';
import { serve } from '../../src/serve.ts';

/** A distribution as JSON has it. */
export type PlainDistribution = { [Name in keyof Distribution]: Distribution[Name] extends number ? number : number[] };
export type PlainMeasures = {
  ack: PlainDistribution;
  stages: Record<keyof LaneMeasures['stages'], PlainDistribution>;
  sync: PlainDistribution;
  group: PlainDistribution;
}[];

const { values } = parseArgs({
  options: {
    data: { type: 'string' },
    udp: { type: 'string' },
    http: { type: 'string' },
    lanes: { type: 'string' },
    layout: { type: 'string' },
    'not-measuring': { type: 'boolean', default: false },
  },
});
const serving = await serve({
  data: values.data!,
  udp: parseHostPort(values.udp!)!,
  http: parseHostPort(values.http!)!,
  measuring: !values['not-measuring'],
  ...(values.lanes && { lanes: Number(values.lanes) }),
  ...(values.layout && { layout: values.layout as 'lanes' | 'pipeline' }),
});
const { node, http } = serving;

function plain({ count, sum, bounds, counts }: Distribution): PlainDistribution {
  return { count, sum, bounds: [...bounds], counts: [...counts] };
}

process.on('message', () => {
  const lanes: PlainMeasures = node.measures().map(({ ack, stages, sync, group }) => ({
    ack: plain(ack),
    stages: Object.fromEntries(
      Object.entries(stages).map(([name, of]) => [name, plain(of)]),
    ) as PlainMeasures[0]['stages'],
    sync: plain(sync),
    group: plain(group),
  }));
  process.send!(lanes);
});
process.once('SIGTERM', () => {
  void serving.stop().then(() => process.exit(0));
});
process.stdout.write(`${JSON.stringify({ udp: node.udp, web: null, http, channels: node.channelCount })}\n`);
