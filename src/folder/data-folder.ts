/**
 * The data folder: made, taken for this node alone, its registry checked and opened, and its channels loaded. Main thread,
 * at start, and once more at the end.
 */
import { join, resolve } from 'node:path';
import { log } from '../log.ts';
import type { ChannelStore } from '../registry/channel-store.ts';
import { checkRegistry } from '../registry/check.ts';
import { Registry } from '../registry/registry.ts';
import type { RegistryStore } from '../registry/registry-store.ts';
import { restoreTornMeta } from '../registry/restore.ts';
import type { Files } from '../system/files.ts';
import { makeFolder } from '../system/folders.ts';
import type { System } from '../system/system.ts';
import { FolderLock } from './folder-lock.ts';

/** A registry in the making (registry/registry.ts). */
const REGISTRY_DRAFT = /^registry\.[0-9a-f]{12}\.new$/;

/** A data folder that is this node's alone, until it is closed. */
export interface OwnedFolder {
  registry: Registry;
  lock: FolderLock;
}

/**
 * Takes the lock of a data folder and opens its registry. Throws REGISTRY_CORRUPT, DATA_LOCKED or CONFIG_INVALID,
 * changing nothing.
 */
export async function openFolder(data: string, system: System): Promise<OwnedFolder> {
  const { files } = system;
  makeFolder(files, data, data, 0o700);
  const folder = files.realpathSync(data);
  // Behind a link, the folder's own name lies elsewhere.
  if (folder !== resolve(data)) makeFolder(files, folder);
  const lock = await FolderLock.acquire(folder, system.random);
  let registry: Registry | undefined;
  try {
    removeDrafts(files, folder);
    const directory = join(folder, 'registry');
    restoreMeta(directory);
    checkRegistry(directory);
    registry = Registry.open(directory, { system });
    // Versions before the lock file know each other, and us, by this record alone.
    registry.acquireLock();
    return { registry, lock };
  } catch (error) {
    await registry?.close();
    lock.release();
    throw error;
  }
}

/** The folder is this process's by now: what looks half written is not another node's commit under way. */
function restoreMeta(directory: string): void {
  const kept = restoreTornMeta(directory);
  if (kept === undefined) return;
  const known =
    'a loss of power leaves this of a commit that was not acknowledged, damage done later leaves the same of one that was: the registry does not tell which';
  log(
    'warn',
    `registry: a meta page was garbage, going on with the commit of the other one; ${known}; kept in ${kept}`,
  );
}

/** Removes registries that a killed process left half made beside ours; the folder is this process's by now. */
function removeDrafts(files: Files, folder: string): void {
  for (const name of files.readdirSync(folder).filter((entry) => REGISTRY_DRAFT.test(entry))) {
    files.rmSync(join(folder, name), { recursive: true, force: true });
    log('info', `registry: removed ${join(folder, name)}, which a killed run left half made`);
  }
}

/** Nothing of this node touches the folder afterwards: no thread of it runs any more. */
export async function closeFolder({ registry, lock }: OwnedFolder): Promise<void> {
  try {
    registry.releaseLock();
    await registry.close();
  } catch (error) {
    // A disk that fails takes no record either; the process that the record names is found dead by the next start.
    log('warn', `registry: ${error instanceof Error ? error.message : error}`);
  } finally {
    lock.release();
  }
}

export function loadChannels(registry: RegistryStore, store: ChannelStore): void {
  let bytes = new Uint8Array();
  let view = new DataView(bytes.buffer);
  registry.forEachRow((row) => {
    // Rows lie in the walk's page buffer: one pair of views serves them all.
    if (row.buffer !== bytes.buffer) {
      bytes = new Uint8Array(row.buffer as ArrayBuffer);
      view = new DataView(bytes.buffer);
    }
    store.load(bytes, view, row.byteOffset);
  });
  store.indexRemoved();
}
