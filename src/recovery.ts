/**
 * The registry of a data folder: opened, checked, locked, and loaded into the channel table. Main thread, at start.
 */
import * as fs from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { ClaimwireError } from './errors.ts';
import { FolderLock } from './folder-lock.ts';
import { makeFolder } from './journal/segment.ts';
import { type Logger, stderrLogger } from './log.ts';
import type { ChannelStore } from './registry/channel-store.ts';
import { checkRegistry } from './registry/check.ts';
import { Registry } from './registry/registry.ts';
import { restoreTornMeta } from './registry/restore.ts';

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
export async function openFolder(data: string, logger = stderrLogger): Promise<OwnedFolder> {
  expectFolder(data);
  makeFolder(fs, data, data, 0o700);
  const folder = fs.realpathSync(data);
  // Behind a link, the folder's own name lies elsewhere.
  if (folder !== resolve(data)) makeFolder(fs, folder);
  const lock = await FolderLock.acquire(folder);
  let registry: Registry | undefined;
  try {
    removeDrafts(folder, logger);
    const directory = join(folder, 'registry');
    restoreMeta(directory, logger);
    checkRegistry(directory);
    registry = Registry.open(directory);
    // Versions before the lock file know each other, and us, by this record alone.
    registry.acquireLock();
    return { registry, lock };
  } catch (error) {
    await registry?.close();
    lock.release();
    throw error;
  }
}

/**
 * Throws CONFIG_INVALID where the folder cannot be made or written to. The first folder that is missing is made alone: under
 * /proc Node's recursive mkdir never ends.
 */
function expectFolder(data: string): void {
  let folder = resolve(data);
  let missing: string | undefined;
  for (; !fs.existsSync(folder); folder = dirname(folder)) missing = folder;
  try {
    if (missing === undefined) fs.accessSync(`${folder}/`, fs.constants.W_OK);
    else {
      fs.mkdirSync(missing, 0o700);
      fs.rmdirSync(missing);
    }
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    throw new ClaimwireError(
      'CONFIG_INVALID',
      `data ${data}: expected a folder that can be written, or a place to make it, got ${code ?? message}`,
      { setting: 'data' },
    );
  }
}

/** The folder is this process's by now: what looks half written is not another node's commit under way. */
function restoreMeta(directory: string, logger: Logger): void {
  const kept = restoreTornMeta(directory);
  if (kept === undefined) return;
  const known =
    'a loss of power leaves this of a commit that was not acknowledged, damage done later leaves the same of one that was: the registry does not tell which';
  logger.warn(
    `registry: a meta page was garbage, going on with the commit of the other one; ${known}; kept in ${kept}`,
  );
}

/** Removes registries that a killed process left half made beside ours; the folder is this process's by now. */
function removeDrafts(folder: string, logger: Logger): void {
  for (const name of fs.readdirSync(folder).filter((entry) => REGISTRY_DRAFT.test(entry))) {
    fs.rmSync(join(folder, name), { recursive: true, force: true });
    logger.info(`registry: removed ${join(folder, name)}, which a killed run left half made`);
  }
}

/** Nothing of this node touches the folder afterwards: no thread of it runs any more. */
export async function closeFolder({ registry, lock }: OwnedFolder, logger = stderrLogger): Promise<void> {
  try {
    registry.releaseLock();
    await registry.close();
  } catch (error) {
    // A disk that fails takes no record either; the process that the record names is found dead by the next start.
    logger.warn(`registry: ${error instanceof Error ? error.message : error}`);
  } finally {
    lock.release();
  }
}

export function loadChannels(registry: Registry, store: ChannelStore): void {
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
