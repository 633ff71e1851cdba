/** What the node runs with and has counted since its start, by GET /stats every few seconds. */

export interface Stats {
  backend: string;
  kernel: string | null;
  layout: string;
  verifiers: number;
  sockets: string;
  path: string;
  durability: string;
  store: string;
  verify: string;
  ring: { slots: number };
  counters: Readonly<Record<string, number | Readonly<Record<string, number>>>>;
}

const EVERY_MS = 5_000;

export function group(stats: Stats | undefined, name: string): Readonly<Record<string, number>> {
  const value = stats?.counters[name];
  return typeof value === 'object' ? value : {};
}

export function single(stats: Stats | undefined, name: string): number {
  const value = stats?.counters[name];
  return typeof value === 'number' ? value : 0;
}

/** Calls `onStats` now and every few seconds, while the page is looked at. What fails is tried again. */
export function followStats(onStats: (stats: Stats) => void): void {
  const ask = async () => {
    try {
      const response = await fetch('/stats', { cache: 'no-store' });
      if (response.ok) onStats((await response.json()) as Stats);
    } catch {
      // The feed says that the node is gone.
    }
  };
  const turn = async () => {
    if (!document.hidden && document.body.dataset.connection !== 'lost') await ask();
    setTimeout(turn, EVERY_MS);
  };
  void ask();
  setTimeout(turn, EVERY_MS);
}
