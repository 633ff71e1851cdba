/**
 * A trace of a running node, in both layouts: its claims are seen from beside the path, and a stop ends it. Runs the compiled
 * code, since threads cannot run TypeScript.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { ClaimwireNode } from '../../dist/src/index.js';
import type { TracedClaim } from '../../src/control/inspect-control.ts';
import { openingOf, signedClaim } from '../support/wire.ts';

const ROOT = mkdtempSync(join(tmpdir(), 'claimwire-inspect-'));
afterAll(() => rmSync(ROOT, { recursive: true, force: true }));
const silent = { info: () => {}, warn: () => {}, error: () => {} };

describe.each(['lanes', 'pipeline'] as const)('%s', (layout) => {
  test('each claim of the channel is told once, those of others are not, and a stop ends the trace', async () => {
    const udp = { host: '127.0.0.1', port: 0 };
    const threads = layout === 'lanes' ? { lanes: 2 } : { verifiers: 1 };
    const small = { channelsMax: 256, segmentBytes: 1 << 20, backend: 'native' as const };
    const node = await ClaimwireNode.start({
      data: join(ROOT, layout),
      udp,
      logger: silent,
      layout,
      ...threads,
      ...small,
    });
    await node.openChannels([openingOf(1n), openingOf(2n)]);
    const claims: TracedClaim[] = [];
    const onClaims = (some: readonly TracedClaim[]) => void claims.push(...some);
    await expect(node.trace(9n, { seconds: 1, onClaims })).rejects.toMatchObject({ code: 'CHANNEL_UNKNOWN' });
    const ended = new AbortController();
    const trace = node.trace(1n, { seconds: 60, signal: ended.signal, onClaims });
    const running = node.trace(2n, { seconds: 60, onClaims: () => {} });
    await expect(node.trace(1n, { seconds: 60, onClaims })).rejects.toMatchObject({ code: 'NODE_BUSY' });
    // A trace sees what comes after its thread has begun: the first claim that it tells of shows that it has.
    let amount = 0n;
    while (claims.length === 0) {
      amount += 1n;
      await node.submit(signedClaim(1n, amount));
      await node.submit(signedClaim(2n, amount));
    }
    for (const last = amount + 5n; amount < last; ) {
      amount += 1n;
      await node.submit(signedClaim(1n, amount));
      await node.submit(signedClaim(2n, amount));
    }
    await node.submit(signedClaim(1n, amount + 1n, 1, 'link'));
    while (claims.at(-1)?.amount !== String(amount + 1n)) await new Promise(setImmediate);
    ended.abort();
    const summary = await trace;
    expect(summary).toMatchObject({ claims: claims.length, untold: 0, missedSlots: 0 });
    expect(claims.slice(-6).map(({ channelId, from }) => [channelId, from])).toEqual(new Array(6).fill(['1', 'local']));
    const amounts = claims.map((claim) => Number(claim.amount));
    expect(amounts).toEqual(Array.from({ length: amounts.length }, (_, index) => amounts[0]! + index));
    expect(claims.at(-1)!.outcome).toMatch(/badSignature|refused/);
    for (const { outcome } of claims.slice(0, -1)) expect(outcome).toMatch(/committed|passed/);
    await node.stop();
    expect((await running).seconds).toBeLessThan(60);
    await expect(node.trace(1n, { seconds: 1, onClaims })).rejects.toMatchObject({ code: 'NODE_STOPPING' });
  });
});
