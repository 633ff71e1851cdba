/** Opens a node's store, as its settings say. Main thread. */
import type { NodeConfig } from '../config.ts';
import type { Logger } from '../log.ts';
import type { System } from '../system/system.ts';
import { DatabaseStore } from './database-store.ts';
import { EmbeddedStore } from './embedded-store.ts';
import type { OpenedStore } from './store.ts';

/**
 * Throws ClaimwireError: CONFIG_INVALID, DATA_LOCKED, REGISTRY_CORRUPT, or a code of the database that begins with STORE_.
 * @param onFailure called once, when a database fails the node
 */
export function openStore(
  config: NodeConfig,
  system: System,
  logger: Logger,
  onFailure: (error: Error) => void,
): Promise<OpenedStore> {
  const { data, segmentBytes, journalBlockBytes: blockBytes, cutJournal: cut, store: url, nodeName } = config;
  const { roots, rootExposureDrops } = config;
  if (url === undefined)
    return EmbeddedStore.open({ data, segmentBytes, blockBytes, cut, roots, rootExposureDrops }, system, logger);
  const address = {
    url,
    passwordFile: config.storePasswordFile,
    mayBeUnreplicated: config.storeUnreplicated,
    waitMs: config.storeWaitSeconds * 1_000,
  };
  return DatabaseStore.open({ data, address, nodeName, isAlone: !config.cluster, system, logger, onFailure });
}
