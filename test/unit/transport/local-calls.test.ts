/** Claims that the node's own program submits: how many may be in flight. Test's thread. */
import { once } from 'node:events';
import { MessageChannel } from 'node:worker_threads';
import { expect, test } from 'vitest';
import { LocalCalls } from '../../../src/transport/local-calls.ts';
import { signedClaim } from '../../support/wire.ts';

test('a call that is given up counts until its claim is answered: the other end has it still', async () => {
  const { port1, port2 } = new MessageChannel();
  const calls = new LocalCalls(port1);
  const claim = signedClaim(7n, 1n);
  const abort = new AbortController();
  const given = Array.from({ length: 4_096 }, () => calls.submit(claim, abort.signal));
  abort.abort(new Error('given up'));
  const ends = await Promise.allSettled(given);
  expect(ends.every(({ status }) => status === 'rejected')).toBe(true);
  await expect(calls.submit(claim)).rejects.toMatchObject({ code: 'NODE_BUSY' });
  const answered = once(port1, 'message');
  port2.postMessage(Uint32Array.of(0, 1));
  await answered;
  const last = calls.submit(claim);
  calls.stop();
  await expect(last).rejects.toMatchObject({ code: 'NODE_STOPPING' });
});
