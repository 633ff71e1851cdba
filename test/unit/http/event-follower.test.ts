/** Committed amounts over the ends of streams and nodes: nothing is missed, nothing is told twice, and faults end it. */
import { expect, test } from 'vitest';
import { ClaimwireError, type ErrorCode } from '../../../src/errors.ts';
import { type EventsOptions, followEvents } from '../../../src/http/event-follower.ts';

interface Session {
  /** Whether the node begins to answer. */
  isOpen?: boolean;
  changes?: [string, string][];
  fault?: ErrorCode;
}

/** A node that is asked once for each session, and is then given up. */
function follow(sessions: Session[], options: EventsOptions = {}) {
  const asked: boolean[] = [];
  const pauses: number[] = [];
  const end = new AbortController();
  async function* events({ snapshot, onOpen }: EventsOptions) {
    asked.push(snapshot === true);
    const { isOpen = true, changes = [], fault } = sessions.shift()!;
    if (isOpen) onOpen?.();
    for (const [channelId, committed] of changes) yield { channelId, committed };
    if (fault !== undefined) throw new ClaimwireError(fault, 'gone');
  }
  const wait = async (milliseconds: number) => {
    pauses.push(milliseconds);
    if (sessions.length === 0) end.abort();
  };
  const changes = followEvents({ ...options, signal: end.signal }, { events, wait, onEnd() {} });
  return { asked, pauses, changes };
}

async function all(changes: AsyncIterable<{ channelId: string; committed: string }>): Promise<string[]> {
  const told: string[] = [];
  for await (const { channelId, committed } of changes) told.push(`${channelId}:${committed}`);
  return told;
}

test('it connects again, asks for the present amounts, and tells of those that are new', async () => {
  const sessions: Session[] = [
    { changes: [['1', '5'], ['2', '7']] },
    // The node stops in the middle of its answer; then it is not there for a while.
    { changes: [['1', '5'], ['2', '9']], fault: 'NODE_UNREACHABLE' },
    { isOpen: false, fault: 'NODE_UNREACHABLE' },
    { isOpen: false, fault: 'NODE_BUSY' },
    { changes: [['1', '6'], ['2', '9'], ['3', '1']], fault: 'NODE_STOPPING' },
  ]; // biome-ignore format: a session a line
  const { asked, pauses, changes } = follow(sessions);
  expect(await all(changes)).toEqual(['1:5', '2:7', '2:9', '1:6', '3:1']);
  expect(asked).toEqual([false, true, true, true, true]);
  // Longer each time that nobody answers.
  expect(pauses).toEqual([500, 500, 1_000, 2_000, 500]);
});

test('a node that was never there, and one that refuses, end it', async () => {
  const never = follow([{ isOpen: false, fault: 'NODE_UNREACHABLE' }], { snapshot: true });
  await expect(all(never.changes)).rejects.toMatchObject({ code: 'NODE_UNREACHABLE' });
  expect(never.asked).toEqual([true]);
  const revoked = follow([{}, { isOpen: false, fault: 'UNAUTHORIZED' }]);
  await expect(all(revoked.changes)).rejects.toMatchObject({ code: 'UNAUTHORIZED' });
});
