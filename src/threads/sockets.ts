/** The sockets of a net thread or lane: one transport per kind, opened and closed together. */
import { RemoteControl } from '../control/remote.ts';
import type { HostPort } from '../host-port.ts';
import type { Standing } from '../path/standing.ts';
import { type Counters, counterIndex } from '../ring/counters.ts';
import type { Clock, System } from '../system/system.ts';
import { laneSteering } from '../transport/lane-steering.ts';
import { LocalTransport } from '../transport/local.ts';
import { TcpTransport } from '../transport/tcp.ts';
import {
  type StreamSink,
  TRANSPORT_LOCAL,
  TRANSPORT_TCP,
  TRANSPORT_UDP,
  TRANSPORT_WEB,
  type Transport,
} from '../transport/transport.ts';
import { UdpTransport } from '../transport/udp.ts';
import { BatchUdpTransport } from '../transport/udp-batch.ts';
import { bindSharedStream } from '../transport/udp-native.ts';
import { WebTransport } from '../transport/web.ts';
import type { ThreadContext, ThreadReady } from './context.ts';
import { FloodFilter } from './flood-filter.ts';

const SEND_FAILED = counterIndex('dropped.sendFailed');

type Udp = UdpTransport | BatchUdpTransport;

/** What the sockets of a thread need of it. */
export interface SocketParts {
  counters: Counters;
  clock: Pick<Clock, 'monotonic'>;
  random: System['random'];
  standing: Standing | undefined;
  /** Milliseconds since 1970. */
  now(): number;
}

export class Sockets {
  /** By transport id, with holes: so it is gone through by methods, which pass over them. */
  readonly transports: readonly Transport[];
  readonly #udp: Udp;
  readonly #tcp: TcpTransport;
  /** Of the first thread with sockets. */
  readonly #local: LocalTransport | undefined;
  /** Where the node has a web process. */
  readonly #web: WebTransport | undefined;
  readonly #control: RemoteControl;
  /** Where the kernel says what it drops. */
  readonly #flood: FloodFilter | undefined;
  /** Neither Atomics.waitAsync nor a socket that has stopped receiving keeps an event loop running. */
  readonly #keepAlive = setInterval(() => {}, 2 ** 30);

  private constructor(
    udp: Udp,
    tcp: TcpTransport,
    { localPort, webPort }: ThreadContext,
    control: RemoteControl,
    flood: FloodFilter | undefined,
  ) {
    this.#udp = udp;
    const local = localPort && new LocalTransport(localPort);
    const web = webPort && new WebTransport(webPort);
    this.#local = local;
    this.#web = web;
    this.#tcp = tcp;
    this.#control = control;
    this.#flood = flood;
    this.transports = Object.assign([], {
      [TRANSPORT_UDP]: udp,
      [TRANSPORT_TCP]: tcp,
      ...(local && { [TRANSPORT_LOCAL]: local }),
      ...(web && { [TRANSPORT_WEB]: web }),
    });
  }

  /** Binds, and receives nothing yet. Throws the system's error for an address that cannot be bound. */
  static async open(context: ThreadContext, parts: SocketParts): Promise<Sockets> {
    const { counters, clock } = parts;
    const udp = await openUdp(context, counters);
    const flood = udp instanceof BatchUdpTransport ? floodFilter(udp, parts) : undefined;
    const control = new RemoteControl(context.controlPort);
    const { listen, isShared, tls, limits } = context.tcp;
    // Lanes share an address, which needs a socket bound by the addon.
    const isLane = context.sockets === 'native' && context.role === 'lane';
    const open = async (address: HostPort): Promise<TcpTransport> => {
      const place = isLane ? { fd: await bindSharedStream(address, !isShared) } : address;
      return TcpTransport.open({ listen: place, limits, clock, ...(tls && { tls }) }, counters, control);
    };
    const wanted = listen ?? udp.address;
    try {
      return new Sockets(udp, await open(wanted), context, control, flood);
    } catch (error) {
      // The system picked a port that is free for UDP, which may not be free for TCP.
      const isPicked = listen === undefined && context.udp.port === 0;
      if (isPicked && (error as NodeJS.ErrnoException).code === 'EADDRINUSE')
        return new Sockets(udp, await open({ ...wanted, port: 0 }), context, control, flood);
      throw Object.assign(error as Error, { flag: '--tcp' });
    }
  }

  get bound(): Required<ThreadReady> {
    const { address, receiveBufferBytes } = this.#udp;
    return { udp: address, tcp: this.#tcp.address, receiveBufferBytes };
  }

  /** Called once, when the steps are ready. `onPayloads` is called before each run of payloads. */
  startReceiving(sink: StreamSink, onPayloads: () => void): void {
    this.transports.forEach((transport) => {
      transport.startReceiving(sink, onPayloads);
    });
  }

  /** Whether the system notes when datagrams arrive. */
  set hasTimes(hasTimes: boolean) {
    if (this.#udp instanceof BatchUdpTransport) this.#udp.hasTimes = hasTimes;
  }

  /** Called once a turn, after slots were freed: resumes connections that waited, and counts the kernel's drops. */
  afterTurn(): void {
    this.#tcp.resume();
    this.#local?.resume();
    this.#web?.resume();
    this.#flood?.afterTurn();
  }

  stopReceiving(): void {
    this.transports.forEach((transport) => {
      transport.stopReceiving();
    });
  }

  async close(): Promise<void> {
    this.#flood?.close();
    await Promise.all(this.transports.map((transport) => transport.close()));
    this.#control.close();
    clearInterval(this.#keepAlive);
  }
}

function floodFilter(socket: BatchUdpTransport, { counters, clock, random, standing, now }: SocketParts): FloodFilter {
  return new FloodFilter({
    socket,
    standing,
    counters,
    random,
    monotonic: () => clock.monotonic(),
    nowSeconds: () => Math.floor(now() / 1_000),
    every: (ms, call) => {
      const timer = setInterval(call, ms);
      return () => clearInterval(timer);
    },
  });
}

async function openUdp(context: ThreadContext, counters: Counters): Promise<Udp> {
  const { host, port, isShared } = context.udp;
  const onSendError = () => counters.add(SEND_FAILED, 1);
  if (context.sockets === 'native') {
    const { role, measuring: times } = context;
    const options = { host, port, reusePort: role === 'lane', exclusive: !isShared, times };
    const udp = await BatchUdpTransport.open(options, onSendError);
    // The first is alone yet. Where the system does not take the program, a hash spreads payers over the lanes.
    if (isShared) udp.steer(laneSteering(context.shape.rings));
    return udp;
  }
  return UdpTransport.open({ host, port }, onSendError);
}
