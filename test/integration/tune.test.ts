/** A whole node with --auto-tune in this process: its state is shown, kept in its folder, and its settings reach the threads. */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { serve } from '../../dist/src/serve.js';
import { openingOf, signedClaim, WirePeer } from '../support/wire.ts';

const DATA = mkdtempSync(join(tmpdir(), 'claimwire-tune-'));
afterAll(() => rmSync(DATA, { recursive: true, force: true }));
const hasAddon = existsSync(resolve(import.meta.dirname, '../../build/claimwire.node'));

test.skipIf(!hasAddon)('in a pipeline: it begins with what was saved, shows it, and saves at its stop', async () => {
  const file = join(DATA, 'tuning.json');
  const settings = { verifyBatch: 64, groupWaitMs: 2, idleSpins: 256, keyCacheBytes: 2 ** 23 };
  writeFileSync(file, JSON.stringify({ version: 1, settings, kept: 4, undone: 5, reference: null }));
  const any = { host: '127.0.0.1', port: 0 };
  const logger = {
    info: () => {},
    warn: (line: string) => expect.fail(line),
    error: (line: string) => expect.fail(line),
  };
  const small = { channelsMax: 256, segmentBytes: 1 << 20, verifiers: 1, keyCacheBytes: 2 ** 25 };
  const node = await serve({ data: DATA, udp: any, http: any, layout: 'pipeline', logger, tune: {}, ...small });
  try {
    await node.node.openChannels([openingOf(1n)]);
    const peer = await WirePeer.to(node.node.udp);
    // The group waits, and a thread that waits for it wakes by itself; so does a fence, which closing asks for.
    for (let amount = 1n; amount <= 3n; amount++) expect((await peer.ask(signedClaim(1n, amount))).amount).toBe(amount);
    expect((await node.node.closeChannel(1n)).committed).toBe(3n);
    peer.close();
    const response = await fetch(`http://${node.http}/stats`);
    const stats = (await response.json()) as { tuning: Record<string, unknown>; keyTables: { bytes: number } };
    expect(stats.tuning).toMatchObject({ isResting: false, kept: 4, undone: 5, targets: { p99Ms: 100 } });
    const now = new Map(node.node.tuning.settings().map(({ name, value }) => [name, value] as const));
    for (const [name, value] of Object.entries(settings)) expect(now.get(name as 'verifyBatch'), name).toBe(value);
    expect(stats.keyTables.bytes).toBeLessThanOrEqual(2 ** 23);
  } finally {
    await node.stop();
  }
  expect(JSON.parse(readFileSync(file, 'utf8'))).toMatchObject({ version: 1, kept: 4, undone: 5, settings });
});
