/** A node for bench:tune, in a process of its own: with settings that no flag of `claimwire node` says, tuned or not. */
import { parseArgs } from 'node:util';
import type { SettingName } from '../../src/control/tune-control.ts';
import { parseHostPort } from '../../src/host-port.ts';
import { lineLogger } from '../../src/log.ts';
import { serve } from '../../src/serve.ts';

const { values } = parseArgs({
  options: {
    data: { type: 'string' },
    udp: { type: 'string' },
    http: { type: 'string' },
    tune: { type: 'boolean', default: false },
    set: { type: 'string', multiple: true, default: [] },
  },
});
/** What the optimiser told, for the bench to print. */
const told: string[] = [];
const serving = await serve({
  data: values.data!,
  udp: parseHostPort(values.udp!)!,
  http: parseHostPort(values.http!)!,
  logger: lineLogger('info', 'text', (line) => {
    process.stderr.write(`${line}\n`);
    if (line.includes('tuning: ')) told.push(line);
  }),
  ...(values.tune && { tune: {} }),
  beforeReceiving: ({ tuning }) => {
    for (const setting of values.set) {
      const [name, value] = setting.split('=');
      tuning.set(name as SettingName, Number(value));
    }
  },
});
const { node, http } = serving;

process.on('message', () => process.send!({ settings: node.tuning.settings(), told }));
process.once('SIGTERM', () => {
  void serving.stop().then(() => process.exit(0));
});
process.stdout.write(`${JSON.stringify({ udp: node.udp, web: null, http, channels: node.channelCount })}\n`);
