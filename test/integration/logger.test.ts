/** A host's own logger hears what a node says; stderr stays the host's. */
import { afterAll, expect, test, vi } from 'vitest';
import type { ClaimwireNode as Node, NodeStartOptions } from '../../src/node/node.ts';
import { removeFolder, temporaryFolder } from '../support/node-process.ts';

// Threads run compiled code.
const DIST = '../../dist/src/index.js';
const folder = temporaryFolder('logger');
afterAll(() => removeFolder(folder));

test('the logger passed to start hears every line, with its level, and stderr none', async () => {
  const { ClaimwireNode } = (await import(DIST)) as {
    ClaimwireNode: { start(options: NodeStartOptions): Promise<Node> };
  };
  const heard: string[] = [];
  const level = (name: string) => (message: string) => heard.push(`${name} ${message}`);
  const written = vi.spyOn(process.stderr, 'write').mockReturnValue(true);
  const loopback = { host: '127.0.0.1', port: 0 };
  const node = await ClaimwireNode.start({
    data: folder,
    udp: loopback,
    backend: 'noble',
    sockets: 'dgram',
    logger: { info: level('info'), warn: level('warn'), error: level('error') },
  });
  await node.stop();
  expect(written.mock.calls).toEqual([]);
  written.mockRestore();
  expect(heard).toEqual([expect.stringMatching(/^info layout pipeline .* backend noble/)]);
});
