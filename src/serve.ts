/**
 * A node with its HTTP admin interface: what `claimwire node` runs. Main thread.
 */
import { once } from 'node:events';
import { createServer } from 'node:net';
import { DEFAULT_HTTP, type HostPort, hostPortText, type NodeOptions } from './config.ts';
import { loadAdminToken } from './control/token.ts';
import { ClaimwireError } from './errors.ts';
import { type AdminServer, startAdmin } from './http/admin.ts';
import { ClaimwireNode, type NodeTotals } from './node.ts';
import { importPool } from './registry/import-pool.ts';
import { nodeSystem } from './system/system.ts';

/** Cold work beside the claim path: one thread checks a bulk import's lines. */
const IMPORT_THREADS = 1;

/** A node and its admin interface. */
export interface ServingNode {
  node: ClaimwireNode;
  /** Where the admin interface listens, `H:P`. */
  http: string;
  /** The admin interface first, so that nothing is asked of a node that is going down. */
  stop(): Promise<NodeTotals>;
}

/** Starts both, or neither. Throws ClaimwireError as ClaimwireNode.start does. */
export async function serve(options: NodeOptions = {}): Promise<ServingNode> {
  // Before there are threads that take claims; whoever takes the address in between is found out below.
  await checkAddress(options.http ?? DEFAULT_HTTP);
  const node = await ClaimwireNode.start(options);
  const parser = importPool(IMPORT_THREADS);
  let admin: AdminServer;
  try {
    const { data, http } = node.config;
    admin = await startAdmin({
      ...http,
      token: loadAdminToken(data, nodeSystem),
      control: node,
      parser,
    });
  } catch (error) {
    await Promise.all([parser.close(), node.stop()]);
    throw error;
  }
  const host = admin.host.includes(':') ? `[${admin.host}]` : admin.host;
  return {
    node,
    http: `${host}:${admin.port}`,
    stop: async () => {
      await admin.close();
      return node.stop();
    },
  };
}

/** Throws CONFIG_INVALID where nothing can listen. */
async function checkAddress(address: HostPort): Promise<void> {
  const server = createServer();
  try {
    server.listen(address.port, address.host);
    await once(server, 'listening');
  } catch (error) {
    throw new ClaimwireError(
      'CONFIG_INVALID',
      `http ${hostPortText(address)}: expected an address to listen on, got ${(error as NodeJS.ErrnoException).code}`,
    );
  } finally {
    server.close();
  }
}
