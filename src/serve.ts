/** A node with its HTTP admin interface, as `claimwire node` runs it. Main thread. */
import { once } from 'node:events';
import { createServer } from 'node:net';
import { availableParallelism } from 'node:os';
import { DEFAULT_HTTP } from './config.ts';
import { ScopedTokens } from './control/scoped-tokens.ts';
import { loadAdminToken } from './control/token.ts';
import { ClaimwireError } from './errors.ts';
import { type HostPort, hostPortText } from './host-port.ts';
import { type AdminServer, startAdmin } from './http/admin.ts';
import type { PeerSettings } from './http/forwarding.ts';
import { autoRedeemer } from './ledger/auto-redeemer.ts';
import { ChannelCreator } from './ledger/creator.ts';
import type { LedgerConnection } from './ledger/ledger-port.ts';
import { FEE_MAX_DROPS, openWallet, type RedeemOptions } from './ledger/redeem-options.ts';
import { LedgerService } from './ledger/service.ts';
import { type LedgerOptions, type LedgerSettings, resolveLedger } from './ledger/settings.ts';
import { ShardTables } from './ledger/shard-tables.ts';
import type { Wallet } from './ledger/signing.ts';
import { connectLedger } from './ledger/xrpl-connection.ts';
import { type Logger, stderrLogger } from './log.ts';
import { Exposition } from './metrics/exposition.ts';
import { Machine } from './metrics/machine.ts';
import { lookAtProcessors } from './metrics/machine-figures.ts';
import { Sampler } from './metrics/sampler.ts';
import { ClaimwireNode, type NodeStartOptions, type NodeTotals } from './node/node.ts';
import { importPool } from './registry/import-pool.ts';
import { type ExportedSpans, openSpans } from './spans/open-telemetry.ts';
import type { SpanOptions } from './spans/settings.ts';
import { nodeSystem } from './system/system.ts';
import { AutoTune, type TuneOptions } from './tune/auto-tune.ts';
import { packageVersion } from './version.ts';

/** One thread parses bulk imports, so that the claim path keeps the other cores. */
const IMPORT_THREADS = 1;

/** The settings of a node with its admin interface, and of its connection to the XRP Ledger. */
export interface ServeOptions extends NodeStartOptions {
  /** Left out: channels are opened by hand alone, and nothing is watched or redeemed. */
  ledger?: LedgerOptions | undefined;
  /** Left out: claims of the ledger's channels are redeemed by hand alone. */
  redeem?: RedeemOptions | undefined;
  /** Changes settings while the node runs, towards these targets (docs/tuning.md). Left out: settings stay. */
  tune?: TuneOptions | undefined;
  /** Left out: no spans. With it, those of charges and redemptions go to a collector of OpenTelemetry. */
  otel?: SpanOptions | undefined;
  /** How requests about channels of other nodes are passed on to them, and theirs come in. */
  peers?: PeerSettings | undefined;
  /** Connects to the ledger's servers; default over xrpl.js. */
  connect?: (settings: LedgerSettings, logger: Logger) => Promise<LedgerConnection>;
}

/** A node and its admin interface. */
export interface ServingNode {
  node: ClaimwireNode;
  /** Where the node is connected to the XRP Ledger. */
  ledger: LedgerService | undefined;
  /** Where spans are asked for. */
  spans: ExportedSpans | undefined;
  /** Where the admin interface listens, `H:P`. */
  http: string;
  /** The port at which other nodes hand requests in over TLS. */
  peerPort: number | undefined;
  /** Stops the admin interface first, so that no request reaches a stopping node. */
  stop(): Promise<NodeTotals>;
}

/** Starts both, or neither. Throws ClaimwireError as ClaimwireNode.start does, and DEPENDENCY_MISSING where the ledger's library is. */
export async function serve({
  ledger: wanted,
  redeem,
  tune,
  otel,
  peers,
  connect = connectXrpl,
  ...options
}: ServeOptions = {}): Promise<ServingNode> {
  const { logger = stderrLogger } = options;
  if (wanted !== undefined && options.cluster === true && wanted.networkId === undefined)
    throw new ClaimwireError(
      'CONFIG_INVALID',
      'ledger-network: expected the id of the network with --cluster, got none: a node that pinned another one would close the channels that it takes over; the main network is 0',
      { setting: 'ledger-network' },
    );
  // Checked before any thread receives claims. If the address is taken meanwhile, `startAdmin` fails below.
  await checkAddress(options.http ?? DEFAULT_HTTP);
  const warn = (line: string) => logger.warn(line);
  const spans = otel && (await openSpans(otel, { warn, version: packageVersion() }));
  const settings = wanted && resolveLedger(wanted);
  const wallet = settings && redeem && (await openWallet(redeem.wallet, settings.account));
  const connection = settings && (await connect(settings, logger));
  let ledger: LedgerService | undefined;
  let node: ClaimwireNode;
  try {
    node = await ClaimwireNode.start({
      ...options,
      beforeReceiving: (started) => {
        const redeeming = wallet && redeem && { ...redeem, wallet };
        const parts = { connection: connection!, logger, spans };
        const service = settings && ledgerService(started, settings, parts, redeeming);
        if (service !== undefined) started.useLedgerStates((channelId) => service.state(channelId));
        if (service !== undefined && redeeming) started.addStats('redemptions', () => service.redemptionTotals() ?? {});
        if (spans !== undefined) started.useSpans(spans);
        if (service !== undefined) started.followShards(service.shards);
        ledger = service;
        options.beforeReceiving?.(started);
      },
    });
  } catch (error) {
    await Promise.all([connection?.close(), spans?.close()]);
    throw error;
  }
  const parser = importPool(IMPORT_THREADS);
  const machine = new Machine(node.config.data);
  const sampler = new Sampler({
    control: node,
    exposure: node,
    measures: node,
    ledger,
    clock: nodeSystem.clock,
    memory: () => memoryOf(machine),
    processors: lookAtProcessors,
  });
  const tuner = tune && autoTune(node, sampler, tune, logger);
  let admin: AdminServer;
  try {
    await ledger?.start();
    const { data, http, httpHosts } = node.config;
    admin = await startAdmin({
      ...http,
      hosts: httpHosts,
      logger,
      tokens: new ScopedTokens(data, nodeSystem, logger),
      token: loadAdminToken(data, nodeSystem),
      control: node,
      ledger,
      meter: node,
      receipts: node,
      cluster: node.cluster,
      peers,
      spans,
      inspect: node,
      parser,
      exposition: expositionOf(node, ledger, machine),
      sampler,
    });
    tuner?.start();
  } catch (error) {
    await ledger?.stop();
    await Promise.all([parser.close(), node.stop(), spans?.close()]);
    throw error;
  }
  return {
    node,
    ledger,
    spans,
    http: hostPortText(admin),
    peerPort: admin.peerPort,
    stop: async () => {
      tuner?.stop();
      await admin.close();
      await ledger?.stop();
      const totals = await node.stop();
      await spans?.close();
      return totals;
    },
  };
}

/** The node's side of the ledger, which has leased every channel for as long as what is stored allows. */
function ledgerService(
  node: ClaimwireNode,
  settings: LedgerSettings,
  { connection, logger, spans }: { connection: LedgerConnection; logger: Logger; spans: ExportedSpans | undefined },
  redeeming: (Omit<RedeemOptions, 'wallet'> & { wallet: Wallet }) | undefined,
): LedgerService {
  const tables = new ShardTables(node.sideTables);
  const { clock } = nodeSystem;
  const parts = { connection, tables, clock, logger };
  const { wallet, feeMaxDrops = FEE_MAX_DROPS, ...policy } = redeeming ?? {};
  const redeemer =
    wallet &&
    ((of: LedgerService) => autoRedeemer({ ...parts, spans, control: node, wallet, feeMaxDrops, policy }, of));
  const creator = (of: LedgerService) => new ChannelCreator({ ...parts, settings, node, service: of });
  const service = new LedgerService({ ...parts, settings, node, redeemer, creator });
  service.restore();
  return service;
}

function autoTune(node: ClaimwireNode, sampler: Sampler, options: TuneOptions, logger: Logger): AutoTune {
  const { layout, data } = node.config;
  const tuner = new AutoTune({
    tuning: node.tuning,
    sampler,
    options,
    layout: { layout, verifiers: node.verifiers, cores: availableParallelism() },
    cpuSeconds: () => {
      const { user, system } = process.cpuUsage();
      return (user + system) / 1e6;
    },
    files: nodeSystem.files,
    data,
    logger,
  });
  node.addStats('tuning', () => tuner.stats());
  return tuner;
}

/** As GET /metrics tells it: pages of the registry's file, which the system takes back, do not count. */
function memoryOf(machine: Machine): { resident: number; limit: number } {
  const { memoryUsed, memoryLimit } = machine.state();
  return { resident: memoryUsed, limit: memoryLimit };
}

function expositionOf(node: ClaimwireNode, ledger: LedgerService | undefined, machine: Machine): Exposition {
  const parts = {
    control: node,
    exposure: node,
    measures: node,
    ledger,
    clock: nodeSystem.clock,
    version: packageVersion(),
  };
  return new Exposition({ ...parts, machine });
}

function connectXrpl({ urls, networkId }: LedgerSettings, logger: Logger): Promise<LedgerConnection> {
  return connectLedger({ urls, networkId, logger });
}

/** Throws CONFIG_INVALID if nothing can listen on the address. */
async function checkAddress(address: HostPort): Promise<void> {
  const server = createServer();
  try {
    server.listen(address.port, address.host);
    await once(server, 'listening');
  } catch (error) {
    throw new ClaimwireError(
      'CONFIG_INVALID',
      `http ${hostPortText(address)}: expected an address to listen on, got ${(error as NodeJS.ErrnoException).code}`,
    );
  } finally {
    server.close();
  }
}
