/** `claimwire load --merkle` at a node that takes roots. The rate is small: the test checks that what was acknowledged is there, not the speed. */
import { expect, test } from 'vitest';
import type { MerkleResult } from '../../src/load/merkle/run.ts';
import { nativeUdpFault } from '../../src/transport/udp-native.ts';
import { claimwire } from '../support/command-line.ts';
import { adminFlags, NodeProcess, temporaryFolders } from '../support/node-process.ts';

const folder = temporaryFolders();

test.skipIf(nativeUdpFault() !== undefined)(
  'load --merkle: every acknowledged leaf is committed',
  async () => {
    const data = folder('load-merkle');
    const node = new NodeProcess(data, ['--roots']);
    try {
      const ready = await node.ready;
      const to = ['--to', `udp://${ready.udp}`, ...adminFlags(ready, data)];
      const brief = ['--channels', '300', '--duration', '0.4', '--warmup', '0.1', '--drain', '5'];
      const { code, stdout, stderr } = await claimwire('load', '--json', '--merkle', '20', ...to, ...brief);
      const result = JSON.parse(stdout) as MerkleResult;
      expect({ code, refused: result.refused, short: result.reconciliation?.short, stderr }).toMatchObject({
        code: 0,
        refused: {},
        short: 0,
      });
      expect(result.signaturesPerSecond).toBeLessThanOrEqual(51);
      expect(result.bytesPerClaim).toBeLessThan(93 / 2.5);
      const usage = await claimwire('load', '--merkle', '20', '--rate', '5', ...to);
      expect(usage.stderr).toContain('--merkle: expected no --rate beside it');
    } finally {
      await node.stop();
    }
  },
  60_000,
);
