/** An HTTP client that sends the bytes it is told to, and keeps what comes back. */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

/** Long enough for a machine on which many programs run: nothing waits for it but a test that fails. */
const WAIT_MS_MAX = 60_000;

export class RawHttp {
  readonly socket: Socket;
  readonly closed: Promise<void>;
  text = '';
  isClosed = false;

  constructor(port: number, bytes = '') {
    this.socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    this.socket.on('error', () => {});
    this.socket.on('data', (data) => {
      this.text += data.toString('latin1');
    });
    this.socket.on('end', () => this.socket.end());
    this.closed = new Promise((resolve) => {
      this.socket.on('close', () => {
        this.isClosed = true;
        resolve();
      });
    });
    if (bytes !== '') this.socket.write(bytes);
  }

  /** Connected, so that the order in which the server sees its clients is known. */
  async connected(): Promise<this> {
    if (this.socket.connecting) await once(this.socket, 'connect');
    return this;
  }

  get statuses(): number[] {
    return [...this.text.matchAll(/^HTTP\/1\.1 (\d+) /gm)].map((match) => Number(match[1]));
  }

  /** Waits until so many answers began. */
  async answers(count: number): Promise<number[]> {
    await until(() => this.statuses.length >= count || this.isClosed);
    return this.statuses;
  }
}

export async function until(condition: () => boolean): Promise<void> {
  const deadline = Date.now() + WAIT_MS_MAX;
  while (!condition()) {
    if (Date.now() > deadline) throw new Error('expected the condition to hold within 60 s, got it not');
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
