/**
 * Opens the data folder: makes it, locks it, checks and opens its registry, loads its channels; and closes it. Main thread.
 */
import { dirname, join, resolve } from 'node:path';
import { ClaimwireError, isDiskFull } from '../errors.ts';
import { type Logger, stderrLogger } from '../log.ts';
import type { ChannelStore } from '../registry/channel-store.ts';
import { checkRegistry, rowOfLeaf } from '../registry/check.ts';
import type { LeafLoad } from '../registry/native-rows.ts';
import { Registry } from '../registry/registry.ts';
import type { RegistryStore } from '../registry/registry-store.ts';
import { restoreTornMeta } from '../registry/restore.ts';
import { checkSideTables, walkSideEntries } from '../registry/side-check.ts';
import { SideStore, sideFolder } from '../registry/side-store.ts';
import type { Files } from '../system/files.ts';
import { makeFolder } from '../system/files.ts';
import type { System } from '../system/system.ts';
import { FolderLock } from './folder-lock.ts';

/** An unfinished registry, or unfinished side tables (registry/environment.ts). */
const REGISTRY_DRAFT = /^(registry|side)\.[0-9a-f]{12}\.new$/;

/** Kept by a node whose channels are in a database (node-folder.ts). */
export const NODE_NAME_FILE = 'node-name';

/** A data folder that this node has locked. */
export interface OwnedFolder {
  registry: Registry;
  side: SideStore;
  lock: FolderLock;
}

/**
 * Locks a data folder and opens its registry. If it throws REGISTRY_CORRUPT, DATA_LOCKED or CONFIG_INVALID, it has changed
 * nothing.
 */
export async function openFolder(data: string, system: System, logger = stderrLogger): Promise<OwnedFolder> {
  const { files } = system;
  const { folder, lock } = await lockFolder(data, system);
  let registry: Registry | undefined;
  try {
    if (files.existsSync(join(folder, NODE_NAME_FILE)))
      throw folderFault(data, `one without ${NODE_NAME_FILE}: its channels are in a database, so give --store again`);
    removeDrafts(files, folder, logger);
    const directory = join(folder, 'registry');
    restoreMeta(directory, logger);
    checkRegistry(directory);
    const sides = sideFolder(folder);
    restoreMeta(sides, logger, walkSideEntries);
    checkSideTables(sides);
    registry = Registry.open(directory, { system });
    // Versions older than the lock know each other, and this process, only by this record.
    registry.acquireLock();
    return { registry, side: SideStore.open(sides, system), lock };
  } catch (error) {
    await registry?.close();
    lock.release();
    throw error;
  }
}

/** Makes and locks a data folder. If it throws DATA_LOCKED or CONFIG_INVALID, it has changed nothing. */
export async function lockFolder(
  data: string,
  { files, random }: System,
): Promise<{ folder: string; lock: FolderLock }> {
  expectFolder(files, data);
  makeFolder(files, data, data, 0o700);
  const folder = files.realpathSync(data);
  // If `data` is a link, the folder's own name must be durable too.
  if (folder !== resolve(data)) makeFolder(files, folder);
  return { folder, lock: await FolderLock.acquire(folder, random) };
}

export function folderFault(data: string, message: string): ClaimwireError {
  return new ClaimwireError('CONFIG_INVALID', `data ${data}: expected ${message}`, { setting: 'data' });
}

/**
 * Throws CONFIG_INVALID if `data` is no folder and cannot become one. It tries to make only the first missing folder, since
 * under /proc Node's recursive mkdir never ends.
 */
function expectFolder(files: Files, data: string): void {
  let folder = resolve(data);
  let missing: string | undefined;
  for (; !files.existsSync(folder); folder = dirname(folder)) missing = folder;
  try {
    if (missing === undefined) files.readdirSync(folder);
    else {
      files.mkdirSync(missing, { mode: 0o700 });
      files.rmdirSync(missing);
    }
  } catch (error) {
    if (isDiskFull(error)) throw error;
    const { code, message } = error as NodeJS.ErrnoException;
    throw new ClaimwireError(
      'CONFIG_INVALID',
      `data ${data}: expected a folder, or a place to make it, got ${code ?? message}`,
      { setting: 'data' },
    );
  }
}

/** Repairs the registry. The folder is locked, so a half-written page is not another node's unfinished commit. */
function restoreMeta(directory: string, logger: Logger, walk?: Parameters<typeof restoreTornMeta>[1]): void {
  const kept = restoreTornMeta(directory, walk);
  if (kept === undefined) return;
  const known =
    'a loss of power leaves this of a commit that was not acknowledged, damage done later leaves the same of one that was: the registry does not tell which';
  logger.warn(
    `registry: a meta page was garbage, going on with the commit of the other one; ${known}; kept in ${kept}`,
  );
}

/** Removes unfinished registries of killed processes. The folder is locked, so no other process is making one. */
function removeDrafts(files: Files, folder: string, logger: Logger): void {
  for (const name of files.readdirSync(folder).filter((entry) => REGISTRY_DRAFT.test(entry))) {
    files.rmSync(join(folder, name), { recursive: true, force: true });
    logger.info(`registry: removed ${join(folder, name)}, which a killed run left half made`);
  }
}

/** Closes and unlocks the folder. No thread of this node may run any more. */
export async function closeFolder({ registry, side, lock }: OwnedFolder, logger = stderrLogger): Promise<void> {
  try {
    await side.close();
    registry.releaseLock();
    await registry.close();
  } catch (error) {
    // On a failed disk the record of the owner stays. The next start finds that its process is dead.
    logger.warn(`registry: ${error instanceof Error ? error.message : error}`);
  } finally {
    lock.release();
  }
}

/** Loads all channels: whole pages of the file by `loadLeaf` where it is given, and what that leaves row by row. */
export function loadChannels(registry: RegistryStore, store: ChannelStore, loadLeaf?: LeafLoad): void {
  let bytes = new Uint8Array();
  let view = new DataView(bytes.buffer);
  const visit = (row: Uint8Array) => {
    // Rows lie in the walk's page buffers, so one pair of views serves many rows.
    if (row.buffer !== bytes.buffer) {
      bytes = new Uint8Array(row.buffer as ArrayBuffer);
      view = new DataView(bytes.buffer);
    }
    store.load(bytes, view, row.byteOffset);
  };
  const visitLeaf = (page: Uint8Array, rows: number) => {
    for (let row = loadLeaf!(page, 0); row < rows; row += loadLeaf!(page, row)) visit(rowOfLeaf(page, row++));
  };
  registry.forEachRow(visit, loadLeaf && visitLeaf);
  store.indexRemoved();
}
