/** A node with its HTTP admin interface, as `claimwire node` runs it. Main thread. */
import { once } from 'node:events';
import { createServer } from 'node:net';
import { DEFAULT_HTTP } from './config.ts';
import { ScopedTokens } from './control/scoped-tokens.ts';
import { loadAdminToken } from './control/token.ts';
import { ClaimwireError } from './errors.ts';
import { type HostPort, hostPortText } from './host-port.ts';
import { type AdminServer, startAdmin } from './http/admin.ts';
import { stderrLogger } from './log.ts';
import { ClaimwireNode, type NodeStartOptions, type NodeTotals } from './node.ts';
import { importPool } from './registry/import-pool.ts';
import { nodeSystem } from './system/system.ts';

/** One thread parses bulk imports, so that the claim path keeps the other cores. */
const IMPORT_THREADS = 1;

/** A node and its admin interface. */
export interface ServingNode {
  node: ClaimwireNode;
  /** Where the admin interface listens, `H:P`. */
  http: string;
  /** Stops the admin interface first, so that no request reaches a stopping node. */
  stop(): Promise<NodeTotals>;
}

/** Starts both, or neither. Throws ClaimwireError as ClaimwireNode.start does. */
export async function serve(options: NodeStartOptions = {}): Promise<ServingNode> {
  // Checked before any thread receives claims. If the address is taken meanwhile, `startAdmin` fails below.
  await checkAddress(options.http ?? DEFAULT_HTTP);
  const node = await ClaimwireNode.start(options);
  const parser = importPool(IMPORT_THREADS);
  let admin: AdminServer;
  try {
    const { data, http, httpHosts } = node.config;
    const { logger = stderrLogger } = options;
    admin = await startAdmin({
      ...http,
      hosts: httpHosts,
      logger,
      tokens: new ScopedTokens(data, nodeSystem, logger),
      token: loadAdminToken(data, nodeSystem),
      control: node,
      parser,
    });
  } catch (error) {
    await Promise.all([parser.close(), node.stop()]);
    throw error;
  }
  return {
    node,
    http: hostPortText(admin),
    stop: async () => {
      await admin.close();
      return node.stop();
    },
  };
}

/** Throws CONFIG_INVALID if nothing can listen on the address. */
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
