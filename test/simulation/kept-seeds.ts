/** Seeds that found something once, with what it was. They run with the suite for ever. */
const KEPT: readonly [seed: number, found: string][] = [
  [21, 'power lost under --durability os leaves a journal that only --cut-journal opens'],
  [
    10596,
    'a raise was in force, and claims were answered ALREADY, though the registry was full and it was not durable',
  ],
  [11632, 'a raise was in force before it was durable, and a crash in between lost what was answered ALREADY'],
  [345570395, 'a segment that a killed run had made was recorded before its name was durable, and a start was refused'],
  [20365, 'a damaged claim with the sequence of a question, and valid all the same (of the simulator)'],
];

export function keptSeeds(): number[] {
  return KEPT.map(([seed]) => seed);
}
