/** bench:ring: the cost of a node without signatures and disk, beside the ring's cursors alone. Main thread. */
import { type BenchContext, runBench } from '../harness.ts';
import { measurePath, measureRing } from './measures.ts';

await runBench({ name: 'ring' }, async ({ quick, note }: BenchContext) => {
  const seconds = quick ? 1 : 3;
  const path = await measurePath(seconds, note);
  const alone = measureRing(seconds / 3);
  return {
    'ring.claimsPerSecond': path,
    'ring.cursorsAloneClaimsPerSecond': alone,
    'ring.shareOfCursorsAlone': path / alone,
  };
});
