/**
 * Whether everything that was sent to a node is counted under a reason. The formulas are here and nowhere else.
 *
 *   datagrams sent     = received + dropped by the kernel
 *   datagrams received = whole ones + those that a fault ended, by its reason
 *   claims received    = committed + already committed + superseded + refused by reason
 *
 * Pure. The counters are a node's (ring/counters.ts), as GET /stats has them.
 */

export type CountersJson = Record<string, number | Record<string, number>>;

/** What a sender knows of its datagrams: how a receiver's walk over them ends, and how many claims it finds. */
export interface SentDatagrams {
  datagrams: number;
  whole: number;
  emptyDatagram: number;
  unknownType: number;
  cutFrame: number;
  claims: number;
}

export interface Sums {
  datagrams: {
    sent: number;
    received: number;
    /** Dropped by the kernel, for want of room or by a filter. */
    kernel: number;
    /** Sent, and neither received nor dropped. Negative where others sent too. */
    missing: number;
    /** Received, by how the walk over them ended. */
    endedAs: Record<DatagramEnd, number>;
  };
  claims: {
    received: number;
    accounted: number;
    /** Received, and under no reason. */
    missing: number;
    by: Record<string, number>;
  };
}

const FAULTS = ['emptyDatagram', 'unknownType', 'cutFrame'] as const;
type DatagramEnd = 'whole' | (typeof FAULTS)[number];
/** Drops of the kernel that a node counts: for want of room, and by a filter that it gave the kernel. */
const KERNEL_DROPS = ['socketBuffer', 'floodFilter'];
const DECIDED = ['committed', 'already', 'superseded'];

/** Later counters less earlier ones. */
export function countedBetween(before: CountersJson, after: CountersJson): CountersJson {
  const result: CountersJson = {};
  for (const [name, value] of Object.entries(after)) {
    const earlier = before[name];
    result[name] =
      typeof value === 'number'
        ? value - numberOf(earlier)
        : Object.fromEntries(
            Object.entries(value).map(([reason, count]) => [reason, count - grouped(earlier, reason)]),
          );
  }
  return result;
}

/**
 * @param counters what the node counted meanwhile
 * @param kernelDrops the kernel's own count, where it is known from elsewhere
 */
export function sumsOf(sent: SentDatagrams, counters: CountersJson, kernelDrops?: number): Sums {
  const received = numberOf(counters.datagrams);
  const kernel = kernelDrops ?? KERNEL_DROPS.reduce((sum, name) => sum + grouped(counters.dropped, name), 0);
  const faults = FAULTS.map((name) => [name, grouped(counters.dropped, name)] as const);
  const whole = received - faults.reduce((sum, [, count]) => sum + count, 0);
  const by: Record<string, number> = {};
  for (const name of DECIDED) by[name] = numberOf(counters[name]);
  const { refused } = counters;
  if (typeof refused === 'object')
    for (const [reason, count] of Object.entries(refused)) by[`refused.${reason}`] = count;
  const accounted = Object.values(by).reduce((sum, count) => sum + count, 0);
  const claims = numberOf(counters.received);
  return {
    datagrams: {
      sent: sent.datagrams,
      received,
      kernel,
      missing: sent.datagrams - received - kernel,
      endedAs: { whole, ...Object.fromEntries(faults) } as Record<DatagramEnd, number>,
    },
    claims: { received: claims, accounted, missing: claims - accounted, by },
  };
}

/** What contradicts that all of `sent`, and nothing else, came to the node; empty where it all adds up. */
export function contradictions(sent: SentDatagrams, { datagrams, claims }: Sums): string[] {
  const faults: string[] = [];
  if (datagrams.missing !== 0)
    faults.push(
      `datagrams: expected ${datagrams.sent} sent to be received or dropped by the kernel, got ${datagrams.received} + ${datagrams.kernel}`,
    );
  for (const [name, count] of Object.entries(datagrams.endedAs))
    if (count < 0 || count > sent[name as DatagramEnd])
      faults.push(`datagrams: expected 0 to ${sent[name as DatagramEnd]} ${name}, got ${count}`);
  if (claims.received > sent.claims)
    faults.push(`claims: expected at most the ${sent.claims} sent to be received, got ${claims.received}`);
  if (datagrams.kernel === 0 && claims.received !== sent.claims)
    faults.push(
      `claims: expected all ${sent.claims} sent to be received, as nothing was dropped; got ${claims.received}`,
    );
  if (claims.missing !== 0)
    faults.push(`claims: expected a reason for each of ${claims.received} received, got ${claims.accounted}`);
  return faults;
}

function numberOf(value: CountersJson[string] | undefined): number {
  return typeof value === 'number' ? value : 0;
}
function grouped(value: CountersJson[string] | undefined, name: string): number {
  return typeof value === 'object' ? (value[name] ?? 0) : 0;
}
