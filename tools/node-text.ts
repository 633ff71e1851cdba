/** What `claimwire node` tells a person on a terminal, where programs get JSON. */
import type { LedgerHealth } from '../src/control/ledger-control.ts';
import type { NodeTotals } from '../src/node/node.ts';
import type { ReadyLine } from './demo-node.ts';
import { durationText } from './units.ts';

/** Labels and texts, in the order in which they are read. */
export function readyRows(ready: ReadyLine): [string, string][] {
  const { udp, tcp, tls, http, backend, kernel, layout, lanes, verifiers, sockets, durability, verify } = ready;
  const threads = layout === 'lanes' ? count(lanes, 'lane') : `a pipeline with ${count(verifiers, 'verifier')}`;
  const cautions = [
    ...(durability === 'os' ? ['a loss of power may take acknowledged claims (--durability os)'] : []),
    ...(verify === 'newest' ? ["only a channel's newest claim of a batch is verified (--verify newest)"] : []),
  ];
  return [
    ['ready', `claims on udp://${udp} and ${tls ? 'tls' : 'tcp'}://${tcp}, admin on http://${http}`],
    [
      '',
      `${count(ready.channels, 'channel')}; backend ${backend}${kernel === null ? '' : ` (${kernel})`}, ${threads}, ${sockets} sockets`,
    ],
    ...(ready.ledger === null ? [] : [['', ledgerText(ready.ledger)] as [string, string]]),
    ...cautions.map((text): [string, string] => ['', text]),
    ['', `pid ${ready.pid}; Ctrl-C stops it`],
  ];
}

export function stoppedText({ uptimeSeconds, counters }: NodeTotals): string {
  const { received, committed, syncs } = counters;
  return `after ${durationText(uptimeSeconds * 1_000)}: ${received} claims received, ${committed} committed, ${syncs} syncs`;
}

function ledgerText({ url, networkId, ledgerIndex, watched }: LedgerHealth): string {
  if (url === null) return 'the ledger is not reached yet; it is tried again';
  return `ledger ${url}, network ${networkId}, validated ledger ${ledgerIndex}; ${count(watched, 'channel')} watched`;
}

function count(number: number, what: string): string {
  return `${number} ${what}${number === 1 ? '' : 's'}`;
}
