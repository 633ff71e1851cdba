/**
 * `claimwire profile`: a CPU profile of a running node's threads, as a flame graph in one HTML page.
 *
 * Main thread of its own process.
 */
import { writeFileSync } from 'node:fs';
import { AdminClient } from '../src/http/client.ts';
import { flamePage } from '../src/inspect/flame-page.ts';
import { usage } from './args.ts';
import { defineCommand } from './command.ts';
import { adminAddress, NODE_OPTIONS } from './options.ts';
import { complain, writeJson } from './output.ts';
import { count } from './units.ts';

const SECONDS_MAX = 60;

export const command = defineCommand({
  name: 'profile',
  summary: 'a CPU profile of a node as a flame graph',
  options: {
    seconds: { value: 'N', description: 'how long', default: '10', read: count(1, SECONDS_MAX) },
    out: {
      value: 'FILE',
      description: 'the page that is written, over an older one',
      default: 'claimwire-profile.html',
    },
    ...NODE_OPTIONS,
  },
  examples: [
    ['claimwire profile --seconds 10', 'writes claimwire-profile.html, which any browser shows'],
    ['claimwire profile --json | jq ".threads[1].profile" > lane.cpuprofile', "a thread for Chrome's developer tools"],
  ],
  notes: `Every thread is sampled a thousand times a second: main, lanes or net, verifiers and committer. Frames in C
stand below the JavaScript that called them. The threads pause for 100 to 200 milliseconds as the profile begins
and ends, so latencies of these moments are not the node's usual ones. It needs the operator's token.

With --json the profile itself, and no file is written; protocol/openapi.json describes it.

Exit code: 0 fine, 1 failed, 2 usage.`,
  act: async (values) => {
    const { seconds, out, json } = values;
    const admin = AdminClient.open(adminAddress(values));
    if (!json) complain(`profiling for ${seconds} s …`);
    const profile = await admin.profile(seconds);
    if (profile.silent.length > 0) complain(`no answer from: ${profile.silent.join(', ')}`);
    if (json) writeJson(profile);
    else {
      write(out, flamePage(profile));
      process.stdout.write(`${out}\n`);
    }
    return 0;
  },
});
export const { run } = command;

function write(path: string, page: string): void {
  try {
    // It tells how the node is built and run, which is nobody else's business.
    writeFileSync(path, page, { mode: 0o600 });
  } catch (error) {
    usage(`--out ${path}: expected a file that can be written, got ${(error as NodeJS.ErrnoException).code}`);
  }
}
