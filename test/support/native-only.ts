/**
 * Suites of the C addon. They are left out only where none can be built, on another system or without a C compiler, and
 * the run says so; wherever one can be built they run, and a missing or broken addon fails them.
 */
import { spawnSync } from 'node:child_process';
import { describe } from 'vitest';
import { nativeUdpFault } from '../../src/transport/udp-native.ts';

const canBuild = process.platform === 'linux' && spawnSync('cc', ['--version']).status === 0;
const isThere = nativeUdpFault() === undefined;
if (!canBuild && !isThere) console.warn(`ADDON NOT CHECKED HERE: ${nativeUdpFault()}`);

/** Whether the addon's suites run. */
export const isNativeTested = canBuild || isThere;
export const describeNative: typeof describe.skip = describe.skipIf(!isNativeTested);
