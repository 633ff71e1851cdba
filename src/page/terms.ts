/** How the node stands and how it runs, in words. */
import type { Sample } from '../metrics/sample.ts';
import { clusterTerms } from './cluster-terms.ts';
import type { Stats } from './counters.ts';
import { bytesText, countText, durationText, percentText } from './units.ts';

type Terms = (readonly [string, string])[];

/** As src/control/ledger-control.ts has it. */
interface LedgerHealth {
  url: string | null;
  networkId: number | null;
  ledgerIndex: number | null;
  ageSeconds: number | null;
  watched: number;
  stale: number;
  polledAt: string | null;
  failure: string | null;
}

export function ledgerTerms(health: unknown): Terms {
  if (health === null || health === undefined)
    return [['Connection', 'none: the node was started without --ledger, and its channels are opened by hand']];
  const { url, networkId, ledgerIndex, ageSeconds, watched, stale, polledAt, failure } = health as LedgerHealth;
  return [
    ['Server', url === null ? 'none answers' : `${url}${networkId === null ? '' : `, network ${networkId}`}`],
    [
      'Ledger',
      ledgerIndex === null ? 'none seen yet' : `${countText(ledgerIndex)}, closed ${durationText(ageSeconds ?? 0)} ago`,
    ],
    ['Watched', `${countText(watched)} channels, ${stale === 0 ? 'none' : countText(stale)} of them refused as stale`],
    ['All seen', polledAt === null ? 'not yet' : new Date(polledAt).toLocaleString('en-GB')],
    ['Trouble', failure ?? 'none'],
  ];
}

export function memoryTerms({ memory, keyTables }: Sample): Terms {
  const share = memory.limit === 0 ? 0 : memory.resident / memory.limit;
  const terms: Terms = [
    ['Process', `${bytesText(memory.resident)}, ${percentText(share)} of ${bytesText(memory.limit)}`],
  ];
  if (keyTables === null) return [...terms, ['Key tables', 'none: the backend keeps no tables of keys']];
  const { hitsHuge = 0, hitsLarge = 0, hitsSmall = 0, hitsTiny = 0 } = keyTables;
  const { misses = 0, evictions = 0, bytesUsed = 0, bytes = 0 } = keyTables;
  const asked = hitsHuge + hitsLarge + hitsSmall + hitsTiny + misses;
  return [
    ...terms,
    ['Key tables', `${bytesText(bytesUsed)} of ${bytesText(bytes)}`],
    [
      'Found there',
      asked === 0
        ? 'no signature checked yet'
        : `${percentText((asked - misses) / asked)} of ${countText(asked)} look-ups`,
    ],
    ['Evicted', countText(evictions)],
  ];
}

export function runTerms(sample: Sample, stats: Stats | undefined): Terms {
  const { uptimeSeconds, ring } = sample;
  const up = ['Running for', durationText(uptimeSeconds)] as const;
  if (stats === undefined) return [up];
  const { layout, verifiers, backend, kernel, verify, sockets, path, durability, store } = stats;
  return [
    up,
    [
      'Threads',
      layout === 'lanes'
        ? `${verifiers} lanes, each runs every step over a ring of its own`
        : `a pipeline: one receives, ${verifiers} verify, one commits`,
    ],
    [
      'Verifies',
      `${verify === 'every' ? 'every claim' : 'the newest claims'} by ${backend}${kernel === null ? '' : ` (${kernel})`}`,
    ],
    ['Sockets', `${sockets}, the claim path is ${path}`],
    [
      'Acks',
      store !== 'embedded'
        ? `after the claim is stored in ${store}`
        : durability === 'sync'
          ? 'after the claim is synced to disk'
          : 'after the claim is written, NOT synced',
    ],
    ['Ring', `${countText(ring.slots)} slots`],
    ...clusterTerms(sample),
  ];
}
