/** Nodes whose UDP and TCP ports are the same number: payers by UDP ask there by TCP. */
import type { NodeProcess } from './node-process.ts';

/**
 * Starts a node at port 0 until both ports are one, five times more at most: another program of this machine may have taken
 * the number for TCP, and then the node listens at another.
 */
export async function atOnePort<Node extends { udp: string; tcp: string; stop(): Promise<unknown> }>(
  start: () => Promise<Node>,
): Promise<Node> {
  for (let left = 5; ; left--) {
    const node = await start();
    if (node.tcp === node.udp || left === 0) return node;
    await node.stop();
  }
}

/** The same of a node in a process of its own. */
export async function processAtOnePort(start: () => NodeProcess): Promise<NodeProcess> {
  const { node } = await atOnePort(async () => {
    const node = start();
    const { udp, tcp } = (await node.ready) as Awaited<NodeProcess['ready']> & { tcp: string };
    return { node, udp, tcp, stop: () => node.stop() };
  });
  return node;
}
