/**
 * What a service does with a running node in its own process: it submits claims, waits for amounts, listens, and charges.
 * In both layouts. Runs the compiled code, since threads cannot run TypeScript.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, test } from 'vitest';
import { ClaimwireNode, type NodeOptions } from '../../dist/src/index.js';
import { openingOf, signedClaim, WirePeer } from '../support/wire.ts';

const ROOT = mkdtempSync(join(tmpdir(), 'claimwire-meter-'));
afterAll(() => rmSync(ROOT, { recursive: true, force: true }));

const running = new Set<ClaimwireNode>();
afterEach(async () => {
  await Promise.all([...running].map((node) => node.stop()));
  running.clear();
});

let folders = 0;
const freshFolder = () => join(ROOT, String(folders++));
const silent = { info: () => {}, warn: () => {}, error: () => {} };

async function start(data: string, options: NodeOptions): Promise<ClaimwireNode> {
  const udp = { host: '127.0.0.1', port: 0 };
  const threads = options.layout === 'lanes' ? { lanes: 2 } : { verifiers: 1 };
  const small = { ...threads, channelsMax: 256, segmentBytes: 1 << 20 };
  const node = await ClaimwireNode.start({ data, udp, logger: silent, backend: 'native', ...small, ...options });
  running.add(node);
  return node;
}

describe.each(['lanes', 'pipeline'] as const)('%s', (layout) => {
  test('submitted claims are judged as those by UDP, are waited for, told and charged; a start again knows it all', async () => {
    const data = freshFolder();
    const node = await start(data, { layout });
    await node.openChannels([openingOf(1n), openingOf(2n)]);

    // Every refusal of the wire, and one call for each claim.
    expect(await node.submit(signedClaim(1n, 100n))).toEqual({ status: 'COMMITTED', committed: 100n });
    const answers = await Promise.all([
      node.submit(signedClaim(1n, 100n)),
      node.submit(signedClaim(1n, 1_000_001n)),
      node.submit(signedClaim(9n, 5n)),
      node.submit(signedClaim(2n, 7n, 1, 'link')),
      node.submit(signedClaim(2n, 8n)),
    ]);
    expect(answers.map(({ status, committed }) => [status, committed])).toEqual([
      ['ALREADY', 100n],
      ['OVER_CAPACITY', 100n],
      ['UNKNOWN_CHANNEL', 0n],
      ['BAD_SIGNATURE', expect.any(BigInt)],
      ['COMMITTED', 8n],
    ]);
    for (const bytes of [new Uint8Array(), new Uint8Array(93), new Uint8Array(94).fill(1)])
      await expect(node.submit(bytes)).rejects.toMatchObject({ code: 'INPUT_INVALID' });

    // A listener, an iteration and a waiter see what comes by UDP.
    const told: [bigint, bigint][] = [];
    const unlisten = node.onCommitted((batch) => {
      for (let index = 0; index < batch.length; index++) told.push([batch.channelId(index), batch.committed(index)]);
    });
    const end = new AbortController();
    const iterated = (async () => {
      const seen: unknown[] = [];
      for await (const grown of node.committed({ signal: end.signal })) seen.push(...grown);
      return seen;
    })();
    const waiting = node.waitForAmount(1n, 200n);
    const charging = node.charge(1n, 150n, { key: 'request 1' });
    await expect(node.charge(1n, 150n, { wait: false })).rejects.toMatchObject({ code: 'PAYMENT_REQUIRED' });
    const peer = await WirePeer.to(node.udp);
    await peer.ask(signedClaim(1n, 200n));
    peer.close();
    expect(await waiting).toBe(200n);
    expect(await charging).toMatchObject({ spent: 150n, committed: 200n, repeated: false });
    await expect.poll(() => told).toEqual([[1n, 200n]]);
    unlisten();
    end.abort();
    expect(await iterated).toEqual([{ channelId: 1n, committed: 200n }]);
    await expect(node.waitForAmount(9n, 1n)).rejects.toMatchObject({ code: 'CHANNEL_UNKNOWN' });

    const never = node.waitForAmount(1n, 900n).catch((error) => error.code);
    const unpaid = node.charge(1n, 900n).catch((error) => error.code);
    await node.stop();
    expect([await never, await unpaid]).toEqual(['NODE_STOPPING', 'NODE_STOPPING']);
    await expect(node.submit(signedClaim(1n, 300n))).rejects.toMatchObject({ code: 'NODE_STOPPING' });

    const again = await start(data, { layout });
    expect(again.spent(1n)).toBe(150n);
    expect(await again.charge(1n, 150n, { key: 'request 1' })).toMatchObject({ repeated: true, spent: 150n });
    await expect(again.charge(1n, 51n, { wait: false })).rejects.toMatchObject({ details: { missing: '1' } });

    // What the ledger paid elsewhere is spent: who claims what is spent and a price more can pay that price.
    await again.raiseCommitted(2n, 500n);
    expect(again.spent(2n)).toBe(492n);
    expect(await again.charge(2n, 8n, { wait: false })).toMatchObject({ spent: 500n, committed: 500n });
    await again.submit(signedClaim(2n, again.spent(2n) + 3n));
    expect(await again.charge(2n, 3n, { wait: false })).toMatchObject({ spent: 503n, committed: 503n });
  });
});

test('thousands of submitted claims at a time are all answered, also in a ring that holds few', async () => {
  const node = await start(freshFolder(), { layout: 'lanes', ringSlots: 64, lanes: 1 });
  await node.openChannels([openingOf(1n)]);
  const claim = signedClaim(1n, 5n);
  const all = await Promise.all(Array.from({ length: 4_096 }, () => node.submit(claim)));
  expect(new Set(all.map(({ status }) => status))).toEqual(new Set(['COMMITTED', 'ALREADY']));
  const unknown = signedClaim(9n, 1n);
  const many = Array.from({ length: 4_097 }, () => node.submit(unknown).catch((error) => error));
  const statuses = (await Promise.all(many)).map(({ status, code }) => status ?? code);
  // More refusals than a peer on the network would be sent.
  expect(statuses.filter((status) => status === 'UNKNOWN_CHANNEL')).toHaveLength(4_096);
  expect(statuses.at(-1)).toBe('NODE_BUSY');
});
