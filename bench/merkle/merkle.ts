/**
 * bench:merkle: Merkle batches beside ordinary claims, end to end in one run; and, on one core, ECDSA batches, Merkle roots and
 * added-up BLS signatures side by side.
 *
 * Main thread; node and loads are processes of their own. A path of docs/merkle.md comes from here.
 */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { nativeUdpFault } from '../../src/transport/udp-native.ts';
import { type Figures, runBench } from '../harness.ts';
import { benchFolder, NodeUnderTest } from '../node-under-test.ts';
import { VerdictSum } from '../verify/claims.ts';
import { measureEndToEnd, tokenKey } from './end-to-end.ts';
import { measureSchemes } from './schemes.ts';

/** Full trees: a datagram has 64 leaves and a path of 10. */
const CHANNELS = 65_536;
const CHANNELS_QUICK = 32_768;

const folder = benchFolder('merkle');
const key = tokenKey(join(folder, 'tokens'));

await runBench({ name: 'merkle', backend: 'native', repeats: 3 }, async ({ quick, note }) => {
  const sum = new VerdictSum();
  const figures: Figures = measureSchemes(sum);
  note(`schemes: ${sum}`);
  if (nativeUdpFault() !== undefined) {
    note(`ABSENT: no batched UDP: ${nativeUdpFault()}; nothing is measured end to end`);
    return figures;
  }
  const channels = quick ? CHANNELS_QUICK : CHANNELS;
  const options = { rounds: quick ? 1 : 3, seconds: quick ? 2 : 5, channels, key };
  return { ...figures, ...(await measureEndToEnd(withNode, options, note)) };
});

/** Runs `work` with a new node, whose folder is removed afterwards. */
async function withNode<Result>(work: (node: NodeUnderTest) => Promise<Result>): Promise<Result> {
  const data = join(folder, 'node');
  const result = await NodeUnderTest.run(data, ['--roots'], work);
  rmSync(data, { recursive: true });
  return result;
}
