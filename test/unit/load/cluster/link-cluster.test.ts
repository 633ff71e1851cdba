/** The links of several nodes as one: each socket number leads to one socket of one node, for the whole run. */
import { expect, test } from 'vitest';
import type { HostPort } from '../../../../src/host-port.ts';
import { ClusterLink } from '../../../../src/load/cluster/link-cluster.ts';
import type { LoadLink } from '../../../../src/load/links/link.ts';

const at = (port: number): HostPort => ({ host: '127.0.0.1', port });

function fakes(): { links: (LoadLink & { calls: unknown[] })[]; open: (to: HostPort) => Promise<LoadLink> } {
  const links: (LoadLink & { calls: unknown[] })[] = [];
  const open = async (to: HostPort): Promise<LoadLink> => {
    const calls: unknown[] = [];
    const link: LoadLink & { calls: unknown[] } = {
      name: 'dgram',
      calls,
      local: (socket) => at(to.port + socket),
      send: (socket) => calls.push(`send ${socket}`) > 0,
      departure: (socket) => to.port * 10 + socket,
      flush: () => void calls.push('flush'),
      receive: () => void calls.push('receive'),
      wait: () => void calls.push('wait'),
      failures: to.port,
      lastFailure: to.port === 2 ? 'ECONNREFUSED' : undefined,
      drops: 1,
      close: async () => void calls.push('close'),
    };
    links.push(link);
    return link;
  };
  return { links, open };
}

test('sockets are numbered by node; a node keeps its number, also while no map has it', async () => {
  const { links, open } = fakes();
  const link = await ClusterLink.open(open, 4, [at(1), at(2)]);
  expect(await link.reach([at(3), at(1)])).toEqual([2, 0]);
  expect(await link.reach([at(2)])).toEqual([1]);
  expect(links.length).toBe(3);
  for (const socket of [0, 5, 11]) expect(link.send(socket, new Uint32Array(1), 1)).toBe(true);
  expect(links.map(({ calls }) => calls)).toEqual([['send 0'], ['send 1'], ['send 3']]);
  expect([link.local(5), link.departure(11)]).toEqual([at(3), 33]);
  link.wait(1);
  link.flush();
  link.receive();
  await link.close();
  expect(links.map(({ calls }) => calls.slice(1))).toEqual([
    ['flush', 'receive', 'close'],
    ['flush', 'receive', 'close'],
    ['wait', 'flush', 'receive', 'close'],
  ]);
  expect([link.failures, link.drops, link.lastFailure, link.name]).toEqual([6, 3, 'ECONNREFUSED', 'dgram']);
});

test('a run that meets ever new addresses ends with a reason', async () => {
  const { open } = fakes();
  const link = await ClusterLink.open(open, 4, [at(1)]);
  const many = Array.from({ length: 300 }, (_, index) => at(index + 1));
  await expect(link.reach(many)).rejects.toMatchObject({ code: 'INPUT_INVALID' });
});
