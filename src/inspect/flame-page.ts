/** A node's profile as one HTML page: no address outside it, so that it can be kept and sent. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { NodeProfile } from '../control/inspect-control.ts';
import { FRAME_KINDS, flameTree } from './flame-tree.ts';

const PLACE = '"PROFILE"';

export function flamePage(profile: NodeProfile): string {
  const addonNames = new Set(profile.addonFunctions);
  const { at, seconds, nodeVersion, silent } = profile;
  const threads = profile.threads.map(({ name, profile: each }) => ({ name, ...flameTree(each, addonNames) }));
  const data = JSON.stringify({ at, seconds, nodeVersion, silent, kinds: FRAME_KINDS, threads });
  // Within a script neither an end tag nor a comment may begin.
  const text = data.replaceAll('<', '\\u003c').replaceAll('\u2028', '\\u2028').replaceAll('\u2029', '\\u2029');
  // A function, since a text would have its `$&` replaced.
  return readFileSync(pagePath(), 'utf8').replace(PLACE, () => text);
}

/** The page's file lies beside the sources, which is published: as seen from the compiled code, and from the source. */
function pagePath(): string {
  const paths = ['flame-graph.html', '../../../src/inspect/flame-graph.html'];
  const path = paths.map((each) => join(import.meta.dirname, each)).find((each) => existsSync(each));
  if (path === undefined) throw new Error('expected src/inspect/flame-graph.html, got none');
  return path;
}
