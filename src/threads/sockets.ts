/**
 * The sockets of a net thread or lane: one transport per kind, by transport id, opened and closed together.
 */
import type { HostPort } from '../config.ts';
import { RemoteControl } from '../control/remote.ts';
import { type Counters, counterIndex } from '../ring/counters.ts';
import type { Clock } from '../system/system.ts';
import { TcpTransport } from '../transport/tcp.ts';
import { type StreamSink, TRANSPORT_TCP, TRANSPORT_UDP, type Transport } from '../transport/transport.ts';
import { UdpTransport } from '../transport/udp.ts';
import { BatchUdpTransport } from '../transport/udp-batch.ts';
import { bindSharedStream } from '../transport/udp-native.ts';
import type { ThreadContext } from './context.ts';

const SEND_FAILED = counterIndex('dropped.sendFailed');
const SOCKET_BUFFER = counterIndex('dropped.socketBuffer');

export class Sockets {
  /** By transport id. */
  readonly transports: readonly Transport[];
  readonly #udp: UdpTransport | BatchUdpTransport;
  readonly #tcp: TcpTransport;
  readonly #control: RemoteControl;
  readonly #counters: Counters;
  #drops = 0;
  /** Atomics.waitAsync keeps no event loop going, and neither does a socket that has stopped receiving. */
  readonly #keepAlive = setInterval(() => {}, 2 ** 30);

  private constructor(
    udp: UdpTransport | BatchUdpTransport,
    tcp: TcpTransport,
    control: RemoteControl,
    counters: Counters,
  ) {
    this.#udp = udp;
    this.#tcp = tcp;
    this.#control = control;
    this.#counters = counters;
    const transports: Transport[] = [];
    transports[TRANSPORT_UDP] = udp;
    transports[TRANSPORT_TCP] = tcp;
    this.transports = transports;
  }

  /** Binds, and receives nothing yet. Throws what the system says of an address that can't be bound. */
  static async open(context: ThreadContext, counters: Counters, clock: Pick<Clock, 'monotonic'>): Promise<Sockets> {
    const udp = await openUdp(context, counters);
    const control = new RemoteControl(context.controlPort);
    const open = (address: HostPort) => openTcp(context, address, clock, counters, control);
    const { listen } = context.tcp;
    const wanted = listen ?? hostPortOf(udp.address);
    try {
      return new Sockets(udp, await open(wanted), control, counters);
    } catch (error) {
      // UDP's port was picked by the system, which did not ask whether TCP has it free.
      const isPicked = listen === undefined && context.udp.port === 0;
      if (isPicked && (error as NodeJS.ErrnoException).code === 'EADDRINUSE')
        return new Sockets(udp, await open({ ...wanted, port: 0 }), control, counters);
      throw Object.assign(error as Error, { flag: '--tcp' });
    }
  }

  get udp(): HostPort {
    return hostPortOf(this.#udp.address);
  }
  get tcp(): HostPort {
    return hostPortOf(this.#tcp.address);
  }
  get receiveBufferBytes(): number {
    return this.#udp.receiveBufferBytes;
  }

  /** Once, when whatever takes payloads is there. `onPayloads` comes before each run of payloads. */
  startReceiving(sink: StreamSink, onPayloads: () => void): void {
    for (const transport of this.transports) transport.startReceiving(sink, onPayloads);
  }

  /** Once a turn, after slots were freed: connections that waited for room go on, and the kernel's drops are counted. */
  afterTurn(): void {
    this.#tcp.resume();
    const drops = this.#udp instanceof BatchUdpTransport ? this.#udp.drops : 0;
    if (drops === this.#drops) return;
    this.#counters.add(SOCKET_BUFFER, drops - this.#drops);
    this.#drops = drops;
  }

  stopReceiving(): void {
    for (const transport of this.transports) transport.stopReceiving();
  }

  async close(): Promise<void> {
    await Promise.all(this.transports.map((transport) => transport.close()));
    this.#control.close();
    clearInterval(this.#keepAlive);
  }
}

async function openUdp(context: ThreadContext, counters: Counters): Promise<UdpTransport | BatchUdpTransport> {
  const { host, port, isShared } = context.udp;
  const onSendError = () => counters.add(SEND_FAILED, 1);
  if (context.sockets === 'native') {
    const options = { host, port, reusePort: context.role === 'lane', exclusive: !isShared };
    return BatchUdpTransport.open(options, onSendError);
  }
  return UdpTransport.open({ host, port }, onSendError);
}

/** Lanes share the address, which Node alone can't. */
async function openTcp(
  context: ThreadContext,
  address: HostPort,
  clock: Pick<Clock, 'monotonic'>,
  counters: Counters,
  control: RemoteControl,
): Promise<TcpTransport> {
  const { isShared, tls, limits } = context.tcp;
  const isLane = context.sockets === 'native' && context.role === 'lane';
  const listen = isLane ? { fd: await bindSharedStream(address, !isShared) } : address;
  const options = tls === undefined ? { listen, limits, clock } : { listen, limits, clock, tls };
  return TcpTransport.open(options, counters, control);
}

function hostPortOf(address: string): HostPort {
  const parts = /^\[?([^\]]*)\]?:(\d+)$/.exec(address)!;
  return { host: parts[1]!, port: Number(parts[2]) };
}
