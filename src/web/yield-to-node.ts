/**
 * The priority of the web process. Its main thread, before the library's threads, which inherit it.
 *
 * Where cores are short, the threads that verify and commit come first: handshakes and packets of strangers wait, and not the
 * claims that are in the node already.
 */
import { setPriority } from 'node:os';
import { loadAddon } from '../native/addon.ts';

/**
 * A thread has a share of a core by its weight, and four are at work here: with 10 (110 each) they had 0.43 of what a lane
 * (1,024) has, and with 19 (15 each) 0.06 of it.
 */
const NICE = 19;

/** Gives precedence to the node, as far as the system allows it: otherwise they share alike. */
export function yieldToNode(): void {
  try {
    setPriority(NICE);
  } catch {
    // A sandbox may forbid it.
  }
  try {
    loadAddon<{ scheduleBatch?: () => void }>().scheduleBatch?.();
  } catch {
    // Without the addon a thread that wakes may interrupt a lane, for its small share.
  }
}
