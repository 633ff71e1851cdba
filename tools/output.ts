/** Printing long lists: a million rows must not pile up in memory before a slow reader. */
import { once } from 'node:events';

export async function write(text: string): Promise<void> {
  if (!process.stdout.write(text)) await once(process.stdout, 'drain');
}
