import type { RunOptions } from './children.ts';

/** Seeds that found something once, with what it was. They run with the suite for ever. */
/** What was not drawn when the seed was found: its world is the same without. */
const LATER = ['redemptions', 'nodes', 'tcp', 'roots'];
const KEPT: readonly [seed: number, found: string, without: readonly string[]][] = [
  [21, 'power lost under --durability os leaves a journal that only --cut-journal opens', LATER],
  [
    10596,
    'a raise was in force, and claims were answered ALREADY, though the registry was full and it was not durable',
    LATER,
  ],
  [11632, 'a raise was in force before it was durable, and a crash in between lost what was answered ALREADY', LATER],
  [
    345570395,
    'a segment that a killed run had made was recorded before its name was durable, and a start was refused',
    LATER,
  ],
  [435, 'a server that was behind had a payment counted twice, or asked for again for a fee', ['roots']],
  [20365, 'a damaged claim with the sequence of a question, and valid all the same (of the simulator)', LATER],
  [
    1125,
    'a link channel that was to be closed on the ledger got its first claim meanwhile, and the redeemer threw',
    [],
  ],
  [11, 'a checkpoint asked a segment that was gone for the proof of a leaf that it had kept before', []],
  [
    392785804,
    'a frame whose only leaf was over the exposure was written, and a start refused its group as damaged',
    [],
  ],
  [36, 'a channel removed by force and opened again owes by its old leaves (of the simulator)', []],
];

export function keptSeeds(): [seed: number, options: RunOptions][] {
  return KEPT.map(([seed, , without]) => [seed, { without }]);
}
