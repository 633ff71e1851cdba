/** Stands between a client and a server on loopback, and cuts their connection, or lets nothing pass, where a test says. */
import { once } from 'node:events';
import { type AddressInfo, createServer, connect as dial, type Server, type Socket } from 'node:net';

export class CuttingProxy {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #target: () => number;
  /** Bytes that still pass, in both directions together, before the next cut. */
  #left = Number.POSITIVE_INFINITY;
  /** What nobody reads, since nothing passes; and what is done when it does again. */
  #isHeld = false;
  #later: (() => void)[] = [];
  /** How many times it has cut. */
  cuts = 0;

  private constructor(target: () => number) {
    this.#target = target;
    this.#server = createServer((client) => this.#accept(client));
  }

  /** @param target the server's port at that time */
  static async start(target: () => number): Promise<CuttingProxy> {
    const self = new CuttingProxy(target);
    self.#server.listen(0, '127.0.0.1');
    await once(self.#server, 'listening');
    return self;
  }

  /** HOST:PORT. */
  get place(): string {
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Cuts every connection after so many more bytes, of which the last ones still arrive. */
  cutAfter(bytes: number): void {
    this.#left = bytes;
  }

  /** Cuts every connection now. */
  cut(): void {
    if (this.#sockets.size > 0) this.cuts += 1;
    this.#cut();
  }

  /** Until `pass` nothing passes, neither bytes nor ends of connections, as on a network that is split. */
  hold(): void {
    this.#isHeld = true;
    for (const socket of this.#sockets) socket.pause();
  }
  pass(): void {
    this.#isHeld = false;
    for (const call of this.#later.splice(0)) call();
    for (const socket of this.#sockets) socket.resume();
  }

  async close(): Promise<void> {
    this.#later = [];
    this.#cut();
    this.#server.close();
    await once(this.#server, 'close');
  }

  #accept(client: Socket): void {
    if (this.#isHeld) {
      client.on('error', () => {});
      this.#sockets.add(client);
      client.pause();
      this.#later.push(() => this.#join(client));
    } else this.#join(client);
  }

  #join(client: Socket): void {
    const server = dial(this.#target(), '127.0.0.1');
    for (const [from, to] of [
      [client, server],
      [server, client],
    ] as const) {
      this.#sockets.add(from);
      from.setNoDelay(true);
      from.on('data', (bytes) => this.#pass(bytes, to));
      from.on('error', () => {});
      from.on('close', () => {
        this.#sockets.delete(from);
        if (this.#isHeld) this.#later.push(() => to.destroy());
        else to.destroy();
      });
    }
  }

  #pass(bytes: Buffer, to: Socket): void {
    if (bytes.length <= this.#left) {
      this.#left -= bytes.length;
      to.write(bytes);
      return;
    }
    this.cuts += 1;
    const last = bytes.subarray(0, this.#left);
    this.#left = Number.POSITIVE_INFINITY;
    // Both learn of it at once, once what has passed is out.
    to.write(last, () => this.#cut());
  }

  #cut(): void {
    for (const socket of this.#sockets) socket.destroy();
  }
}
