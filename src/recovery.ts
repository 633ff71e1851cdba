/**
 * The registry of a data folder: opened, checked, locked, and loaded into the channel table. Main thread, at start.
 */
import { mkdirSync, realpathSync } from 'node:fs';
import { join } from 'node:path';
import { Registry } from './channel/registry.ts';
import { checkRegistry } from './channel/registry-check.ts';
import type { ChannelStore } from './channel/store.ts';
import { ClaimwireError } from './errors.ts';

/** Registries open in this process: the lock tells processes apart, not two nodes of one. */
const opened = new Set<string>();

/** Opens the registry of a data folder and takes its lock. Throws REGISTRY_CORRUPT or DATA_LOCKED, changing nothing. */
export function openRegistry(data: string): Registry {
  mkdirSync(data, { recursive: true, mode: 0o700 });
  const directory = join(realpathSync(data), 'registry');
  if (opened.has(directory))
    throw new ClaimwireError(
      'DATA_LOCKED',
      `${data}: expected a data folder of our own, got one used by another node of this process; stop it or use another folder`,
    );
  checkRegistry(directory);
  const registry = Registry.open(directory);
  try {
    registry.takeLock();
  } catch (error) {
    void registry.close();
    throw error;
  }
  opened.add(directory);
  return registry;
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
  store.indexRemoved();
}
