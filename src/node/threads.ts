/** The threads of a node and what runs beside them: housekeeping, the web process, the answers to control messages. Main thread. */
import type { MessagePort } from 'node:worker_threads';
import type { NodeConfig } from '../config.ts';
import { ControlServer, type ControlServerOptions } from '../control/server.ts';
import type { HostPort } from '../host-port.ts';
import type { Logger } from '../log.ts';
import { Standing } from '../path/standing.ts';
import type { ChannelStore } from '../registry/channel-store.ts';
import type { Arena } from '../ring/arena.ts';
import type { IdleStrategy } from '../ring/doorbell.ts';
import type { ClaimLogs } from '../store/store.ts';
import { nodeSystem } from '../system/system.ts';
import type { ThreadContext } from '../threads/context.ts';
import { Housekeeping } from '../threads/housekeeping.ts';
import { Topology } from '../threads/topology.ts';
import { WebProcess } from '../threads/web-process.ts';
import type { ControlPort } from '../transport/control-port.ts';
import { TCP_LIMITS } from '../transport/tcp-options.ts';
import type { KernelStart } from '../verify/kernel.ts';
import { packageVersion } from '../version.ts';

export interface NodeThreadsParts {
  config: NodeConfig;
  arena: Arena;
  kernel: Omit<KernelStart, 'thread'>;
  idle: IdleStrategy;
  measuring: boolean;
  drainMsMax: number;
  store: ChannelStore;
  route: NonNullable<ControlServerOptions['route']>;
  logger: Logger;
  onFailure: (error: Error) => void;
}

type ControlParts = Pick<ControlServerOptions, 'control' | 'token' | 'receipts'>;

export class NodeThreads {
  readonly #parts: NodeThreadsParts;
  #topology: Topology | undefined;
  #housekeeping: Housekeeping | undefined;
  #web: WebProcess | undefined;

  constructor(parts: NodeThreadsParts) {
    this.#parts = parts;
  }

  /** Undefined until all threads run. */
  get topology(): Topology | undefined {
    return this.#topology;
  }
  get web(): WebProcess | undefined {
    return this.#web;
  }
  /** Whether received claims are stuck, or nobody looks whether they are. */
  get isStalled(): boolean {
    return this.#housekeeping?.isStalled ?? true;
  }
  /** Whether they have been for long. */
  get isStuck(): boolean {
    return this.#housekeeping?.isStuck ?? true;
  }

  /** Resolves once no group is open that began before the call; at once before there are threads. */
  async passFence(): Promise<void> {
    await this.#topology?.fence();
  }

  /** Starts all of it, the sockets last. After a rejection `terminate` ends what runs. */
  async start(logs: ClaimLogs, control: ControlParts, rooted?: ThreadContext['rooted']): Promise<void> {
    const { config, arena, kernel, idle, measuring, drainMsMax, store, logger, onFailure } = this.#parts;
    const ports: MessagePort[] = [];
    const webPorts: MessagePort[] = [];
    const { tls, tcpConnections, tcpConnectionsPerAddress, checkpointSeconds } = config;
    const topology = await Topology.start(arena, {
      plan: config,
      settings: {
        ...config,
        idle,
        measuring,
        rooted,
        standing: { part: config.strangersPercent / 100, seed: Standing.newSeed(nodeSystem.random) },
      },
      kernel,
      udp: config.udp,
      tcp: {
        listen: config.tcp,
        tls,
        limits: { connectionsMax: tcpConnections, connectionsPerAddressMax: tcpConnectionsPerAddress },
      },
      onControlPort: (port) => ports.push(port),
      ...(config.web && { onWebPort: (port: MessagePort) => webPorts.push(port) }),
      logs: logs.starts,
      drainMsMax,
      onFailure,
    });
    this.#topology = topology;
    const { clock } = nodeSystem;
    this.#housekeeping = new Housekeeping({ store, logs, topology, checkpointSeconds, logger, clock, onFailure });
    const server = this.#serveControl(topology, ports, control);
    if (config.web !== undefined) this.#web = await this.#startWeb(config.web, webPorts, server);
  }

  /** Receives nothing more, drains, and ends all of it. */
  async stop(): Promise<void> {
    await this.#housekeeping?.stop();
    this.#web?.stopReceiving();
    await this.#topology?.stop();
    await this.#web?.close();
  }

  /** Ends all of it where it stands. */
  async terminate(): Promise<void> {
    await this.#housekeeping?.stop();
    await this.#topology?.terminate();
    await this.#web?.terminate();
  }

  /** Answers the control messages of all threads' connections. */
  #serveControl({ udp, tcp }: Topology, ports: readonly MessagePort[], control: ControlParts): ControlServer {
    const { config, route, logger } = this.#parts;
    const server = new ControlServer({
      ...control,
      route,
      server: `claimwire/${packageVersion()}`,
      transports: { udp: udp.port, [config.tls === undefined ? 'tcp' : 'tls']: tcp!.port },
      idleMsMax: TCP_LIMITS.idleMsMax,
      logger,
    });
    for (const port of ports) server.serve(port);
    return server;
  }

  #startWeb(listen: HostPort, ports: readonly MessagePort[], control: ControlPort): Promise<WebProcess> {
    const { tls, webOrigins: origins, webrtc, iceServers, ...config } = this.#parts.config;
    const limits = {
      peersMax: config.webPeers,
      peersPerAddressMax: config.webPeersPerAddress,
      rtcPeersMax: config.webrtcPeers,
      offersPerSecond: config.webOffersPerSecond,
    };
    return WebProcess.start({ listen, tls, origins, webrtc, iceServers, limits }, ports, control, this.#parts.logger);
  }
}
