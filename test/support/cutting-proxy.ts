/** Stands between a client and a server on loopback, and cuts their connection where a test says. */
import { once } from 'node:events';
import { type AddressInfo, createServer, connect as dial, type Server, type Socket } from 'node:net';

export class CuttingProxy {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #target: () => number;
  /** Bytes that still pass, in both directions together, before the next cut. */
  #left = Number.POSITIVE_INFINITY;
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

  async close(): Promise<void> {
    this.#cut();
    this.#server.close();
    await once(this.#server, 'close');
  }

  #accept(client: Socket): void {
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
        to.destroy();
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
