/** Seeds that found something once, with what it was. They run with the suite for ever. */
const KEPT: readonly [seed: number, found: string][] = [
  [21, 'power lost under --durability os leaves a journal that only --cut-journal opens'],
];

export function keptSeeds(): number[] {
  return KEPT.map(([seed]) => seed);
}
