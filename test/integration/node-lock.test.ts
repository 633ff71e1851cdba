/**
 * One node a data folder, as containers share it: nodes in pid namespaces of their own. Runs the compiled program.
 */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { expect, test, vi } from 'vitest';
import { STATUS } from '../../protocol/layout.ts';
import { NodeProcess, openChannels, temporaryFolders } from '../support/node-process.ts';
import { openingJson, signedClaim, WirePeer } from '../support/wire.ts';

// Nodes start slowly on a busy machine.
vi.setConfig({ testTimeout: 120_000 });
const folder = temporaryFolders();
const CONTAINER = ['unshare', '-p', '-f', '--mount-proc', '--kill-child=KILL'];
const canUnshare = spawnSync('unshare', [...CONTAINER.slice(1), 'true']).status === 0;
if (!canUnshare) console.warn('PID NAMESPACES NOT CHECKED HERE: unshare -p -f --mount-proc is not permitted');

test.skipIf(!canUnshare)(
  'two nodes that are both pid 1: the second is refused while the first lives',
  async () => {
    const data = folder('containers');
    const inContainer = () => new NodeProcess(data, [], undefined, { within: CONTAINER });
    const first = inContainer();
    const ready = await first.ready;
    expect(ready.pid).toBe(1);
    await openChannels(ready, data, [openingJson(1n)]);
    const peer = await WirePeer.to(ready.udp);
    expect((await peer.ask(signedClaim(1n, 100n))).status).toBe(STATUS.COMMITTED);
    for (const second of [inContainer(), new NodeProcess(data)]) {
      expect((await second.exit).code).toBe(1);
      expect(second.stderr).toContain('expected a data folder of our own, got one used by process 1;');
    }
    expect((await peer.ask(signedClaim(1n, 1_000n))).status).toBe(STATUS.COMMITTED);
    peer.close();
    // The node itself, by the pid it has out here.
    const children = readFileSync(`/proc/${first.pid}/task/${first.pid}/children`, 'utf8').trim();
    process.kill(Number(children), 'SIGKILL');
    await first.exit;
    const again = inContainer();
    const back = await again.ready;
    const later = await WirePeer.to(back.udp);
    expect(await later.ask(signedClaim(1n, 1_000n))).toMatchObject({ status: STATUS.ALREADY, amount: 1_000n });
    later.close();
    const inner = readFileSync(`/proc/${again.pid}/task/${again.pid}/children`, 'utf8').trim();
    process.kill(Number(inner), 'SIGTERM');
    expect((await again.exit).code).toBe(0);
  },
  60_000,
);
