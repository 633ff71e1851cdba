/** A thread's profile as a tree of frames for the flame graph: what each is, and the time spent in it. Pure functions. */
import type { CpuProfile } from '../control/inspect-control.ts';

/**
 * `js`: this package and its dependencies. `node`: JavaScript of Node. `c`: C and C++, called by the frame below it.
 * `wait`: the thread had nothing to do, or waits for the disk. `gc`: collection of garbage. `other`: outside JavaScript.
 */
export const FRAME_KINDS = ['js', 'node', 'c', 'wait', 'gc', 'other'] as const;
type FrameKind = (typeof FRAME_KINDS)[number];

export interface FlameTree {
  /** A frame's label by its number. */
  readonly labels: readonly string[];
  /** Where it is in the source, and its kind as an index of FRAME_KINDS. */
  readonly places: readonly string[];
  readonly kinds: readonly number[];
  /** For each frame of the tree, parents first: its number, its parent's index (-1: none), and microseconds in itself. */
  readonly frames: readonly (readonly [label: number, parent: number, selfUs: number])[];
}

type Node = CpuProfile['nodes'][number];

/** @param addonNames the functions of Node-API addons, see `labelOf` */
export function flameTree(profile: CpuProfile, addonNames: ReadonlySet<string>): FlameTree {
  const byId = new Map(profile.nodes.map((node) => [node.id, node]));
  const self = selfTimes(profile);
  const labels: string[] = [];
  const places: string[] = [];
  const kinds: number[] = [];
  const numbers = new Map<string, number>();
  const frames: [number, number, number][] = [];
  const numberOf = (node: Node, parent: Node | undefined): number => {
    const { label, place, kind } = describe(node, parent, addonNames);
    const key = `${label}\n${place}`;
    let number = numbers.get(key);
    if (number === undefined) {
      number = labels.push(label) - 1;
      numbers.set(key, number);
      places.push(place);
      kinds.push(FRAME_KINDS.indexOf(kind));
    }
    return number;
  };
  // A list of its own rather than calls: a recursion may be thousands of frames deep.
  const waiting: { node: Node; parent: Node | undefined; at: number }[] = [];
  const addChildren = (node: Node, at: number) => {
    for (const id of node.children ?? []) {
      const child = byId.get(id);
      if (child !== undefined) waiting.push({ node: child, parent: node, at });
    }
  };
  const root = profile.nodes[0];
  if (root !== undefined) addChildren(root, -1);
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    const index = frames.push([numberOf(next.node, next.parent), next.at, self.get(next.node.id) ?? 0]) - 1;
    addChildren(next.node, index);
  }
  return { labels, places, kinds, frames };
}

function selfTimes({ samples, timeDeltas }: CpuProfile): Map<number, number> {
  const times = new Map<number, number>();
  samples.forEach((id, index) => {
    // A sample stands for the time until the next one. A delta below 0 is two samples that came out of order.
    const until = Math.max(timeDeltas[index + 1] ?? 0, 0);
    times.set(id, (times.get(id) ?? 0) + until);
  });
  return times;
}

const WAITING = new Set(['(idle)', 'fdatasync', 'fsync']);
/** Atomics.wait is part of the function that calls it: Doorbell.sleep, and the thread of a trace. */
const SLEEPS = /(?:boot|doorbell)\.[jt]s$/;

function describe(
  { callFrame }: Node,
  parent: Node | undefined,
  addonNames: ReadonlySet<string>,
): { label: string; place: string; kind: FrameKind } {
  const { functionName, url, lineNumber } = callFrame;
  const name = functionName || '(anonymous)';
  if (url === '' && WAITING.has(name)) return { label: name, place: '', kind: 'wait' };
  if (url === '' && name === '(garbage collector)') return { label: name, place: '', kind: 'gc' };
  if (name.startsWith('(') && url === '' && name !== '(anonymous)')
    return { label: name, place: 'outside JavaScript: V8, the system', kind: 'other' };
  if (url === '') {
    // V8 sees one entry for all functions of Node-API addons, and names it after any of them: the caller is what is known.
    if (!addonNames.has(name)) return { label: name, place: 'C++ of Node.js', kind: 'c' };
    const caller = parent?.callFrame.functionName || '(anonymous)';
    return { label: `C of the addon, called by ${caller}`, place: 'C of an addon', kind: 'c' };
  }
  const place = `${shortened(url)}:${lineNumber + 1}`;
  if (url.startsWith('node:')) return { label: name, place, kind: 'node' };
  return { label: name, place, kind: name === 'sleep' && SLEEPS.test(url) ? 'wait' : 'js' };
}

/** A path from the package on; where the operator keeps it is of no interest. */
function shortened(url: string): string {
  return url.replace(/^file:\/\//, '').replace(/^.*?\/((?:node_modules|dist|src)\/)/, '$1');
}
