/**
 * Something in the middle between a page and a node's `--web` listener: it passes everything on, until it blocks UDP. The
 * candidates of WebRTC answers are changed to its own UDP port.
 */
import dgram from 'node:dgram';
import { once } from 'node:events';
import http from 'node:http';
import net, { type AddressInfo } from 'node:net';

const HOST = '127.0.0.1';

export class WebMiddle {
  udpBlocked = false;
  /** Datagrams passed on, and those that were blocked. */
  passed = 0;
  blocked = 0;
  readonly #nodePort: number;
  readonly #server = http.createServer((request, response) => this.#request(request, response));
  readonly #udp = dgram.createSocket('udp4');
  /** Towards the node, one for each port of a browser. */
  readonly #onward = new Map<number, dgram.Socket>();
  readonly #streams = new Set<net.Socket>();

  private constructor(nodePort: number) {
    this.#nodePort = nodePort;
  }

  static async open(nodePort: number): Promise<WebMiddle> {
    const middle = new WebMiddle(nodePort);
    const server = middle.#server;
    const udp = middle.#udp;
    server.on('upgrade', (request, socket: net.Socket, head) => middle.#upgrade(request, socket, head));
    udp.on('message', (bytes, { port }) => middle.#fromPage(bytes, port));
    server.listen(0, HOST);
    udp.bind(0, HOST);
    await Promise.all([once(server, 'listening'), once(udp, 'listening')]);
    return middle;
  }

  get url(): string {
    return `http://${HOST}:${(this.#server.address() as AddressInfo).port}`;
  }

  close(): void {
    this.#server.close();
    this.#server.closeAllConnections();
    for (const stream of this.#streams) stream.destroy();
    for (const socket of [this.#udp, ...this.#onward.values()]) socket.close();
  }

  #request(request: http.IncomingMessage, response: http.ServerResponse): void {
    const { method, url, headers } = request;
    const onward = http.request({ host: HOST, port: this.#nodePort, method, path: url, headers });
    onward.on('response', async (answer) => {
      const body = (await answer.setEncoding('utf8').toArray()).join('');
      const own = body.replaceAll(` ${this.#nodePort} typ `, ` ${this.#udp.address().port} typ `);
      response.writeHead(answer.statusCode!, { ...answer.headers, 'content-length': Buffer.byteLength(own) }).end(own);
    });
    onward.on('error', () => response.destroy());
    request.pipe(onward);
  }

  #upgrade({ url, rawHeaders }: http.IncomingMessage, socket: net.Socket, head: Buffer): void {
    const onward = net.connect(this.#nodePort, HOST);
    let text = `GET ${url} HTTP/1.1\r\n`;
    for (let index = 0; index < rawHeaders.length; index += 2)
      text += `${rawHeaders[index]}: ${rawHeaders[index + 1]}\r\n`;
    onward.write(`${text}\r\n`);
    onward.write(head);
    socket.pipe(onward).pipe(socket);
    for (const stream of [socket, onward]) {
      this.#streams.add(stream);
      stream
        .on('error', () => {})
        .on('close', () => {
          socket.destroy();
          onward.destroy();
        });
    }
  }

  #fromPage(bytes: Buffer, port: number): void {
    if (!this.#pass()) return;
    let onward = this.#onward.get(port);
    if (onward === undefined) {
      onward = dgram.createSocket('udp4');
      onward.on('message', (answer) => {
        if (this.#pass()) this.#udp.send(answer, port, HOST);
      });
      this.#onward.set(port, onward);
    }
    onward.send(bytes, this.#nodePort, HOST);
  }

  #pass(): boolean {
    if (this.udpBlocked) this.blocked += 1;
    else this.passed += 1;
    return !this.udpBlocked;
  }
}
