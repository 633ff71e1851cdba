/**
 * The data folder of a node whose channels are in a database: it has the lock, the operator's token and the node's name.
 * Main thread.
 */
import { join } from 'node:path';
import { ClaimwireError } from '../errors.ts';
import { syncFolder, withFile, writeWhole } from '../system/files.ts';
import { readSmallFile } from '../system/regular-file.ts';
import type { System } from '../system/system.ts';
import { folderFault, lockFolder, NODE_NAME_FILE } from './data-folder.ts';
import type { FolderLock } from './folder-lock.ts';

const NODE_NAME = /^[a-z0-9-]{1,64}$/;
const NODE_NAME_BYTES_MAX = 256;
const RANDOM_BYTES = 4;
/** What a node has that keeps its channels in its folder. */
const EMBEDDED_FOLDERS = ['registry', 'journal', 'side'];

/** A data folder that this node has locked. */
export interface NodeFolder {
  lock: Pick<FolderLock, 'release'>;
  /** The node's name in the database. */
  name: string;
}

/**
 * Locks a data folder. One with channels of its own is refused, since nobody would find them. If it throws DATA_LOCKED or
 * CONFIG_INVALID, it has changed nothing.
 * @param wanted the node's name; by default the one that is kept, or a new one
 */
export async function openNodeFolder(data: string, wanted: string | undefined, system: System): Promise<NodeFolder> {
  const { folder, lock } = await lockFolder(data, system);
  try {
    for (const name of EMBEDDED_FOLDERS)
      if (system.files.existsSync(join(folder, name)))
        throw folderFault(data, `no ${name}, whose channels would not be found, got one; name another folder`);
    return { lock, name: nodeName(folder, wanted, system) };
  } catch (error) {
    lock.release();
    throw error;
  }
}

/** The name that the folder keeps: under another one the node would leave its shards and claims behind. */
function nodeName(folder: string, wanted: string | undefined, system: System): string {
  const path = join(folder, NODE_NAME_FILE);
  if (!system.files.existsSync(path)) return makeName(path, wanted, system);
  const name = readSmallFile(path, NODE_NAME_BYTES_MAX, system.files).bytes.toString().trim();
  if (!NODE_NAME.test(name) || (wanted !== undefined && name !== wanted))
    throw folderFault(folder, `the node name ${wanted ?? 'of 1 to 64 of a-z, 0-9 and hyphen'}, got ${name} in ${path}`);
  return name;
}

function makeName(path: string, wanted: string | undefined, { files, random }: System): string {
  const name = wanted ?? `node-${random(RANDOM_BYTES).toString('hex')}`;
  if (!NODE_NAME.test(name))
    throw new ClaimwireError('CONFIG_INVALID', `node-name: expected 1 to 64 of a-z, 0-9 and hyphen, got ${name}`, {
      setting: 'node-name',
    });
  const line = Buffer.from(`${name}\n`);
  const made = `${path}.new`;
  withFile(files, made, 'w', (fd) => {
    writeWhole(files, fd, line, line.length, 0);
    files.fsyncSync(fd);
  });
  files.renameSync(made, path);
  syncFolder(files, join(path, '..'));
  return name;
}
