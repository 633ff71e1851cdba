/**
 * A fence: the main thread asks each committer for a moment between two groups, and waits for all of them. Then every group that
 * was open when it asked is committed, and every later one sees what was written to the channel table before.
 */
import type { ClaimRing } from '../ring/claim-ring.ts';
import type { ControlWords } from '../ring/control-words.ts';
import type { ThreadParts } from './parts.ts';

/** Committer or lane, between two groups: tells the main thread so, if it asked. */
export function passFence(parts: Pick<ThreadParts, 'control' | 'ring'>): void {
  const asked = parts.control.fenceAsked;
  if (asked === parts.ring.fencePassed) return;
  parts.ring.passFence(asked);
  parts.control.mainDoorbell.ring();
}

/** Main thread: resolves once every ring has passed a fence that is asked for now, or there is nobody left to pass it. */
export async function awaitFence(
  control: ControlWords,
  rings: readonly ClaimRing[],
  isInVain: () => boolean,
): Promise<void> {
  const asked = control.askFence();
  const isPassed = () => isInVain() || rings.every((ring) => ring.fencePassed >= asked);
  for (const ring of rings) ring.ringAll();
  while (!isPassed()) await control.mainDoorbell.sleepAsync(isPassed);
}
