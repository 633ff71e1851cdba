/**
 * Huge pages for the large parts of a shared memory, where the system allows them (transparent_hugepage is madvise or always):
 * random rows of gigabytes then cost one look-up of addresses less. Main thread, before other threads touch the memory.
 */
import { loadAddon } from './addon.ts';

interface HugePagesAddon {
  hugePages(bytes: Uint8Array): boolean;
}

/** Asks the system to back `parts` by huge pages. Whether it took all of them; false without an addon. */
export function askHugePages(parts: readonly Uint8Array[]): boolean {
  if (process.env.CLAIMWIRE_HUGE_PAGES === 'off') return false;
  try {
    const { hugePages } = loadAddon<Partial<HugePagesAddon>>();
    return hugePages !== undefined && parts.every((part) => hugePages(part));
  } catch {
    return false;
  }
}
