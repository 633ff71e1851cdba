/**
 * What every attacker shares: its arguments, and a limit on the processor time it takes.
 *
 * An attacker is a program of its own: `node NAME.mjs '{"http": "http://127.0.0.1:9394", "seconds": 10}'`. It ends by itself
 * after `seconds` and prints one JSON line that says what it did.
 */

/** @template T @param {T} defaults @returns {T & {http: string, seconds: number, share: number}} */
export function argumentsOf(defaults) {
  const given = JSON.parse(process.argv[2] ?? '{}');
  return { http: 'http://127.0.0.1:9394', seconds: 10, share: 0.5, ...defaults, ...given };
}

/** Resolves once this process has taken no more than `share` of one core since it started. */
export async function held(share) {
  for (;;) {
    const { user, system } = process.cpuUsage();
    const aheadMs = (user + system) / 1000 / share - process.uptime() * 1000;
    if (aheadMs <= 0) return;
    await new Promise((resolve) => setTimeout(resolve, Math.min(100, aheadMs)));
  }
}

/** Prints the counts and ends the process once `seconds` are over. */
export function endAfter(seconds, counts) {
  setTimeout(() => {
    process.stdout.write(`${JSON.stringify(counts)}\n`, () => process.exit(0));
  }, seconds * 1000);
}

export const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));
