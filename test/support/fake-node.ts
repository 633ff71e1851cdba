/** A NodeControl in memory, with the real admin server over it: what HTTP clients and tools are tested against. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ChannelChange, ChannelOpening, OpeningResult, RemovalResult } from '../../src/channel/changes.ts';
import { type Channel, decodeRow, ROW_BYTES } from '../../src/channel/row.ts';
import type { NodeControl, NodeStats } from '../../src/control/node-control.ts';
import type { ReceiptControl } from '../../src/control/receipt-control.ts';
import { createToken, ScopedTokens } from '../../src/control/scoped-tokens.ts';
import { loadAdminToken } from '../../src/control/token.ts';
import { ClaimwireError } from '../../src/errors.ts';
import { type AdminServer, startAdmin } from '../../src/http/admin.ts';
import type { ConnectionLimits } from '../../src/http/connection.ts';
import type { ForwardingLimits, PeerSettings } from '../../src/http/forwarding.ts';
import { stderrLogger } from '../../src/log.ts';
import { Exposition } from '../../src/metrics/exposition.ts';
import { Machine } from '../../src/metrics/machine.ts';
import { Sampler } from '../../src/metrics/sampler.ts';
import { parseLines } from '../../src/registry/import-lines.ts';
import type { LineParser } from '../../src/registry/import-pool.ts';
import { nodeSystem } from '../../src/system/system.ts';
import type { FakeClusterControl } from './fake-cluster-control.ts';
import { FakeInspect } from './fake-inspect.ts';
import type { FakeLedgerControl } from './fake-ledger-control.ts';
import { FakeMeasures } from './fake-measures.ts';
import { FakeMeter } from './fake-meter.ts';
import { ManualClock } from './manual-clock.ts';

class FakeNode implements NodeControl {
  readonly ruleSeconds = 1_700_000_000;
  ready = true;
  readonly rows = new Map<bigint, Channel>();
  /** What /stats shows. */
  readonly counters = { received: 1, verified: 0 };
  /** Thrown by the next call that changes something. */
  failure: Error | undefined;

  /** Handles of channels that another node holds. */
  readonly elsewhere = new Set<bigint>();
  /** Where that node is found. */
  elsewherePlaces: readonly string[] = [];

  holderOf(channelId: bigint): { node: string; places: readonly string[] } | undefined {
    return this.elsewhere.has(channelId) ? { node: 'two', places: this.elsewherePlaces } : undefined;
  }

  expectHere(channelId: bigint): void {
    if (!this.elsewhere.has(channelId)) return;
    const details = { channelId: String(channelId), node: 'two', version: '7' };
    throw new ClaimwireError('MOVED', `channel ${channelId}: another node holds it`, details);
  }

  async openChannels(openings: readonly ChannelOpening[]): Promise<OpeningResult> {
    this.#fail();
    const result: OpeningResult = { opened: 0, unchanged: 0, refused: [] };
    for (const [index, opening] of openings.entries()) {
      const known = this.rows.get(opening.channelId);
      if (known !== undefined && known.capacity === opening.capacity) result.unchanged++;
      else if (known !== undefined)
        result.refused.push({ index, code: 'CHANNEL_EXISTS', message: `channel ${opening.channelId} exists` });
      else {
        this.rows.set(opening.channelId, {
          ...opening,
          committed: 0n,
          sequence: 0,
          timestampBits: 0n,
          signature: new Uint8Array(64),
          state: 'open',
        });
        result.opened++;
      }
    }
    return result;
  }

  openRows(rows: Uint8Array): Promise<OpeningResult> {
    const openings = Array.from({ length: rows.length / ROW_BYTES }, (_, index) =>
      decodeRow(rows.subarray(index * ROW_BYTES, (index + 1) * ROW_BYTES)),
    );
    return this.openChannels(openings);
  }

  channel(channelId: bigint): Channel | undefined {
    return this.rows.get(channelId);
  }
  leafProof: NonNullable<NodeControl['leafProof']> = () => undefined;

  channels(from: number, limit: number): Channel[] {
    return [...this.rows.values()].slice(from, from + limit);
  }

  async updateChannel(channelId: bigint, change: ChannelChange): Promise<Channel> {
    this.#fail();
    const row = this.rows.get(channelId)!;
    if (change.capacity !== undefined && change.capacity < row.committed)
      throw new ClaimwireError('CAPACITY_BELOW_COMMITTED', `capacity: expected at least ${row.committed}`);
    Object.assign(row, change);
    return row;
  }

  async closeChannel(channelId: bigint): Promise<Channel> {
    this.#fail();
    return Object.assign(this.rows.get(channelId)!, { state: 'closed' as const });
  }

  async removeChannels(
    channelIds: readonly bigint[],
    { force = false }: { force?: boolean } = {},
  ): Promise<RemovalResult> {
    this.#fail();
    const refused: RemovalResult['refused'] = [];
    for (const [index, channelId] of channelIds.entries()) {
      const { committed, throwAway } = this.rows.get(channelId)!;
      if (force || throwAway || committed === 0n) this.rows.delete(channelId);
      else refused.push({ index, code: 'CHANNEL_UNREDEEMED', message: `channel ${channelId}: committed ${committed}` });
    }
    return { removed: channelIds.length - refused.length, refused };
  }

  stats(): NodeStats {
    return {
      backend: 'fake',
      kernel: null,
      keyTables: null,
      layout: 'pipeline',
      sockets: 'dgram',
      path: 'portable',
      durability: 'sync',
      store: 'embedded',
      verify: 'every',
      verifiers: 1,
      uptimeSeconds: 1,
      channels: this.rows.size,
      channelsMax: 1_024,
      ring: { depth: 0, slots: 8 },
      counters: { ...this.counters },
    };
  }

  #fail(): void {
    const { failure } = this;
    this.failure = undefined;
    if (failure !== undefined) throw failure;
  }
}

export const inPlaceParser: LineParser = {
  parse: async (block) => parseLines(block),
  close: async () => {},
};

export interface FakeAdmin {
  node: FakeNode;
  meter: FakeMeter;
  exposition: Exposition;
  measures: FakeMeasures;
  inspect: FakeInspect;
  sampler: Sampler;
  /** The sampler's: it moves when a test moves it. */
  clock: ManualClock;
  server: AdminServer;
  url: string;
  folder: string;
  token: string;
  tokenFile: string;
  /** A new token of a smaller scope. The server knows those made before its first request with such a token. */
  tokenOf(scope: 'read' | 'charge', channels?: bigint[] | null): string;
  close(): Promise<void>;
}

/** GET /metrics over a fake node, with latencies. */
function exposing(node: FakeNode, measures: FakeMeasures, ledger: FakeLedgerControl | undefined): Exposition {
  const ending = [{ seconds: 3_600, drops: 5n, channels: 1 }];
  const exposure = { exposure: () => ({ drops: 25n, ending, ageSeconds: 0.5 }) };
  const parts = { control: node, exposure, ledger, clock: nodeSystem.clock, version: '0.0.0' };
  return new Exposition({ ...parts, measures, machine: new Machine(undefined) });
}

export async function startFakeAdmin(
  parser: LineParser = inPlaceParser,
  limits: Partial<ConnectionLimits> = {},
  {
    port = 0,
    folder = mkdtempSync(join(tmpdir(), 'claimwire-admin-')),
    ...more
  }: {
    port?: number;
    folder?: string;
    hosts?: readonly string[];
    heartbeatMs?: number;
    ledger?: FakeLedgerControl;
    cluster?: FakeClusterControl;
    receipts?: ReceiptControl;
    peers?: PeerSettings;
    forwarding?: Partial<ForwardingLimits>;
  } = {},
): Promise<FakeAdmin> {
  const node = new FakeNode();
  const meter = new FakeMeter(node.rows);
  if (more.ledger !== undefined) more.ledger.rows = node.rows;
  const measures = new FakeMeasures();
  const inspect = new FakeInspect();
  const exposition = exposing(node, measures, more.ledger);
  const clock = new ManualClock();
  const memory = () => ({ resident: 1 << 28, limit: 1 << 32 });
  const sampler = new Sampler({ control: node, measures, ledger: more.ledger, clock, memory });
  const token = loadAdminToken(folder, nodeSystem);
  const logger = stderrLogger;
  const tokens = new ScopedTokens(folder, nodeSystem, logger);
  const server = await startAdmin({
    host: '127.0.0.1',
    port,
    token,
    tokens,
    control: node,
    meter,
    inspect,
    exposition,
    parser,
    sampler,
    limits,
    ...more,
  });
  return {
    node,
    meter,
    exposition,
    measures,
    inspect,
    sampler,
    clock,
    server,
    url: `http://127.0.0.1:${server.port}`,
    folder,
    token,
    tokenFile: join(folder, 'admin-token'),
    tokenOf: (scope, channels = null) => createToken(folder, { scope, channels }, nodeSystem).token,
    close: async () => {
      await server.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
