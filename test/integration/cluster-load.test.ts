/**
 * `claimwire load` over three nodes that share the shards, which move while it runs. What a cluster does to its nodes is done by
 * hand here. Runs the compiled code.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { AdminClient } from '../../dist/src/http/client.js';
import { type LoadRun, runLoad } from '../../dist/src/load/run.js';
import { type ServingNode, serve } from '../../dist/src/serve.js';
import { SHARDS, shardOfChannel } from '../../protocol/shard.ts';
import { LOAD_DEFAULTS } from '../../src/load/settings.ts';

const ROOT = mkdtempSync(join(tmpdir(), 'claimwire-cluster-load-'));
const QUIET = { info() {}, warn() {}, error() {} };
const LOCAL = { host: '127.0.0.1', port: 0 };
const NAMES = ['one', 'two', 'three'] as const;
type Name = (typeof NAMES)[number];
const SHARD_LIST = Array.from({ length: SHARDS }, (_, shard) => shard);

const serving = new Map<Name, ServingNode>();
const shares = { version: 0, holders: SHARD_LIST.map((shard) => NAMES[shard % 3]!) };
const nodeOf = (name: Name) => serving.get(name)!.node;
const seeds = () => NAMES.map((name) => `udp://${nodeOf(name).udp}`);

/** Payers by UDP ask at the same port by TCP, which another program of this machine may have taken: then with another port. */
async function start(name: Name): Promise<ServingNode> {
  for (let left = 5; ; left--) {
    const sizes = { lanes: 1, channelsMax: 1 << 12, segmentBytes: 1 << 20 };
    const one = await serve({ data: join(ROOT, name), udp: LOCAL, http: LOCAL, logger: QUIET, ...sizes });
    if (one.node.tcp === one.node.udp || left === 0) return one;
    await one.stop();
  }
}

/** The nodes of the new holders serve a shard a little later than the giver stops: MOVED from all in between. */
function hold(name: Name): void {
  const held = SHARD_LIST.filter((shard) => shares.holders[shard] === name);
  nodeOf(name).route.hold(held, shares.version);
}

function show(): void {
  const nodes = NAMES.map((name) => ({ name, places: [`udp://${nodeOf(name).udp}`] }));
  for (const node of NAMES) nodeOf(node).route.show({ ...shares, node, nodes });
}

/** Gives all shards of `three` to the others, as a cluster does: no claim is taken between the giver's last and the next one's first. */
async function giveAll(): Promise<void> {
  const giver = nodeOf('three');
  const rows = giver.channels(0, 1_000);
  shares.version += 1;
  shares.holders = SHARD_LIST.map((shard) =>
    shares.holders[shard] === 'three' ? NAMES[shard % 2]! : shares.holders[shard]!,
  );
  hold('three');
  const closed = await Promise.all(rows.map(({ channelId }) => giver.closeChannel(channelId)));
  hold('one');
  hold('two');
  for (const { channelId, ledgerChannelId, publicKey, capacity, committed } of closed) {
    const receiver = nodeOf(shares.holders[shardOfChannel(channelId)]!);
    const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');
    const opening = { ledgerChannelId: hex(ledgerChannelId), publicKey: hex(publicKey), capacity: String(capacity) };
    await receiver.openChannels([{ ...opening, throwAway: true }]);
    await receiver.raiseCommitted(channelId, committed);
  }
  show();
}

function runOf(seed: number, rate: number | null, durationMs: number): LoadRun {
  const [host, port] = nodeOf('one').udp.split(':') as [string, string];
  const target = { protocol: 'udp', host, port: Number(port) } as const;
  const more = {
    channels: 60,
    keys: 5,
    seed,
    rates: [rate],
    durationMs,
    warmupMs: 100,
    drainMs: 10_000,
    sockets: 2,
    target,
  };
  return {
    settings: { ...LOAD_DEFAULTS, ...more },
    to: seeds().join(','),
    bounds: { lossMax: 0, refusedMax: 0, sloMs: 60_000 },
    isRamp: false,
    replayFile: undefined,
    keepChannels: true,
    admins: NAMES.map((name) =>
      AdminClient.open({ http: `http://${serving.get(name)!.http}`, tokenFile: join(ROOT, name, 'admin-token') }),
    ),
    seeds: seeds().slice(0, 1),
  };
}

beforeAll(async () => {
  for (const name of NAMES) serving.set(name, await start(name));
  shares.version = 1;
  for (const name of NAMES) {
    hold(name);
    const shardsServed = () => shares.holders.filter((holder) => holder === name).length;
    nodeOf(name).addStats('cluster', () => ({ node: name, version: shares.version, shardsServed: shardsServed() }));
  }
  show();
}, 60_000);
afterAll(async () => {
  await Promise.all([...serving.values()].map((one) => one.stop()));
  rmSync(ROOT, { recursive: true, force: true });
});

const SILENT = { progress() {}, interval() {}, step() {}, onStop() {} };

test('channels are opened at their holders, each is paid there, and all nodes together have what was acknowledged', async () => {
  const { result } = await runLoad(runOf(1, 3_000, 400), SILENT);
  expect(result.verdict.join('\n')).toContain('Reconciled');
  const [step] = result.steps;
  expect(step).toMatchObject({ acked: step!.sent, unanswered: 0, refused: {}, moved: 0, resent: 0, strayAcks: 0 });
  expect(result.delivery!.received).toBe(result.delivery!.sent);
  const counts = NAMES.map((name) => nodeOf(name).channels(0, 1_000).length);
  expect(counts.reduce((sum, count) => sum + count, 0)).toBe(60);
  expect(counts.every((count) => count > 5)).toBe(true);
});

test('shards that move under a load: their claims are sent again to the next holder, and none is lost or refused', async () => {
  let move: Promise<void> | undefined;
  let stop = () => {};
  const onStop = (call: () => void) => {
    stop = call;
  };
  // It goes on for a while after the move, however long that takes.
  const interval = () => {
    move ??= giveAll().finally(() => setTimeout(stop, 300));
  };
  const { result } = await runLoad(runOf(2, 3_000, 60_000), { ...SILENT, interval, onStop });
  await move;
  const [step] = result.steps;
  expect(result.verdict.join('\n')).toContain('Reconciled');
  expect(step).toMatchObject({ unanswered: 0, refused: {} });
  expect(step!.acked + step!.already).toBe(step!.sent);
  expect(step!.moved).toBeGreaterThan(0);
  expect(step!.resent).toBeGreaterThan(0);
  expect(result.reconciliation).toMatchObject({ channels: 60, short: 0 });
  expect(nodeOf('three').stats().counters.received).toBeGreaterThan(0);
}, 30_000);
