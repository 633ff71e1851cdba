/** The report's fourth part: what is bounded and by what, what happens when something fails, and who is told. Main thread. */
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { BenchReport, LimitReport } from './schema.ts';

/** From dist/bench/framework, or from bench/framework where TypeScript runs as it is. */
const PAPERS = ['../../../docs/operating.md', '../../docs/operating.md'];

/** What fails, and what a node then does. Each has its test; docs/operating.md and protocol/THREATS.md say more. */
const FAILURES: BenchReport['readiness']['failures'] = [
  {
    what: 'The process is killed',
    does: 'Everything acknowledged is there at the next start: the journal is replayed. Payers send their newest claims again.',
  },
  {
    what: 'The power fails',
    does: 'The same: a claim is acknowledged after its sync. A torn last group was never acknowledged, and is cut.',
  },
  {
    what: 'The disk fails, or is full',
    does: 'The node acknowledges nothing more and ends with JOURNAL_FAILED: what the system may have dropped cannot be written again with certainty.',
  },
  { what: 'The disk hangs', does: 'Claims wait in the ring, then are refused as OVERLOADED; /readyz says so.' },
  {
    what: 'More claims than the node can take',
    does: 'A full ring refuses at the door, counted; latency stays bounded by the ring. Claims are cumulative, so payers lose nothing.',
  },
  {
    what: 'Datagrams are lost, doubled or reordered',
    does: 'A newer claim covers a lost one; copies and old ones are answered ALREADY.',
  },
  {
    what: 'Somebody sends bad signatures',
    does: 'They cost a verification each, never move state, and are counted; refusals to one address are limited.',
  },
  {
    what: 'A payer makes signatures that collide on purpose',
    does: 'A slow path of some 15 µs each, counted in slowPaths; beyond 32 in a second its channel is held back for a minute.',
  },
  {
    what: 'The journal or the registry is damaged',
    does: 'The node does not start, says which file and byte, and writes over nothing.',
  },
  { what: 'A thread throws', does: 'The whole node ends with code 1; nothing half-alive acknowledges.' },
  { what: 'The clock is set back', does: 'What has expired stays expired.' },
  {
    what: 'The ledger cannot be reached',
    does: 'Claims go on; redemptions wait, and what is at stake grows: watch the exposure against expiry.',
  },
];

/** The table of limits that operators read is the one place where they are written down. */
function limitsOf(paper: string): LimitReport[] {
  const [, section = ''] = paper.split('\n## Limits and their counters\n');
  const rows = [...section.split('\n## ')[0]!.matchAll(/^\|(.*)\|$/gm)].slice(2);
  return rows.map(([, row]) => {
    const [what = '', bound = '', setting = '', reached = ''] = row!
      .split('|')
      .map((cell) => cell.trim().replaceAll('`', ''));
    return { what, bound, setting, reached };
  });
}

export function readiness(): BenchReport['readiness'] {
  const path = PAPERS.map((file) => fileURLToPath(new URL(file, import.meta.url))).find((file) => existsSync(file));
  return {
    limits: path === undefined ? [] : limitsOf(readFileSync(path, 'utf8')),
    failures: FAILURES,
    alarms:
      'Alert rules with thresholds and what to do for each are in the folder deploy/ of the package. "Worth an alert" in docs/operating.md names the counters.',
  };
}
