/** A child process of `make simulate`: runs the seeds that it is sent, one after the other, and sends back what came of them. */

import { nativePathFault } from '../../src/path/native-path.ts';
import { install } from './globals.ts';
import { type SeedOptions, simulate } from './simulate.ts';

process.env.CLAIMWIRE_WARM_UP = 'off';
install();
const hasNative = nativePathFault() === undefined;

process.on('message', ({ seed, ...options }: Omit<SeedOptions, 'hasNative'> & { seed: number }) => {
  void simulate(seed, { ...options, hasNative }).then((result) => process.send!(result));
});
process.on('disconnect', () => process.exit());
