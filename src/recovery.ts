/**
 * The registry of a data folder: opened, checked, locked, and loaded into the channel table. Main thread, at start.
 */
import * as fs from 'node:fs';
import { dirname, join } from 'node:path';
import { Registry } from './channel/registry.ts';
import { checkRegistry } from './channel/registry-check.ts';
import { restoreTornMeta } from './channel/registry-restore.ts';
import type { ChannelStore } from './channel/store.ts';
import { ClaimwireError } from './errors.ts';
import { makeFolder } from './journal/segment.ts';
import { log } from './log.ts';

/** A registry in the making (channel/registry.ts). */
const DRAFT = /^registry\.[0-9a-f]{12}\.new$/;
/** Registries open in this process: the lock tells processes apart, not two nodes of one. */
const opened = new Set<string>();

/** Opens the registry of a data folder and takes its lock. Throws REGISTRY_CORRUPT or DATA_LOCKED, changing nothing. */
export function openRegistry(data: string): Registry {
  makeFolder(fs, data, data, 0o700);
  const directory = join(fs.realpathSync(data), 'registry');
  if (opened.has(directory))
    throw new ClaimwireError(
      'DATA_LOCKED',
      `${data}: expected a data folder of our own, got one used by another node of this process; stop it or use another folder`,
    );
  restoreMeta(directory);
  checkRegistry(directory);
  const registry = Registry.open(directory);
  try {
    registry.takeLock();
  } catch (error) {
    void registry.close();
    throw error;
  }
  opened.add(directory);
  removeDrafts(directory);
  return registry;
}

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

/** Removes registries that a process killed while it made one left beside ours; the folder is this process's by now. */
function removeDrafts(directory: string): void {
  const folder = dirname(directory);
  for (const name of fs.readdirSync(folder).filter((entry) => DRAFT.test(entry))) {
    fs.rmSync(join(folder, name), { recursive: true, force: true });
    log('info', `registry: removed ${join(folder, name)}, which a killed run left half made`);
  }
}

export async function closeRegistry(registry: Registry): Promise<void> {
  registry.releaseLock();
  await registry.close();
  opened.delete(registry.directory);
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
}
