/**
 * One server of the test ledger: a WebSocket at a URL of its own, and a view of the chain that all servers share. Tests set
 * its faults; without them it answers at once and shows every ledger as soon as it is validated.
 */
import type { AddressInfo } from 'node:net';
import { type WebSocket, WebSocketServer } from 'ws';
import type { Chain } from './chain.ts';
import { COMMANDS, CommandError, completeLedgers, type Fields, type View } from './commands.ts';
import { affectedAccounts, ledgerMessage, transactionMessage } from './streams.ts';

interface Subscription {
  ledgers: boolean;
  accounts: Set<string>;
}

export class TestServer implements View {
  readonly chain: Chain;
  /** Answers and streams come this much later, in real time. */
  answerDelayMs = 0;
  /** Takes requests and answers none; streams are silent. */
  hung = false;
  /** Ends every connection as soon as it is made. */
  refusing = false;
  /** Every answer is from a fork that no ledger will follow: `validated: false`, transactions in it that were lost. */
  fork = false;
  /** Set to answer in a way that rippled does not: called with each request, and its answer replaces the honest one. */
  forge: ((request: Fields, honest: Fields) => unknown) | undefined;
  /** Every request it got, newest last. */
  readonly requests: Fields[] = [];
  readonly forgotten = new Set<number>();
  private readonly validationDelay: number;
  private readonly sockets = new Map<WebSocket, Subscription>();
  private lag = 0;
  private stoppedAt: number | undefined;
  private published: number;
  private listener: WebSocketServer | undefined;

  private constructor(chain: Chain, validationDelay: number) {
    this.chain = chain;
    this.validationDelay = validationDelay;
    this.published = this.validatedIndex;
  }

  static async start(chain: Chain, validationDelay: number): Promise<TestServer> {
    const server = new TestServer(chain, validationDelay);
    await server.listen(0);
    return server;
  }

  private async listen(port: number): Promise<void> {
    const listener = new WebSocketServer({ host: '127.0.0.1', port, perMessageDeflate: false });
    this.listener = listener;
    listener.on('connection', (socket) => this.accept(socket));
    await new Promise((resolve, reject) => listener.once('listening', resolve).once('error', reject));
  }

  get url(): string {
    return `ws://127.0.0.1:${(this.listener!.address() as AddressInfo).port}`;
  }

  /** Clients connected now. */
  get connections(): number {
    return this.sockets.size;
  }

  get validatedIndex(): number {
    const first = this.chain.ledgers[0]!.index;
    return this.stoppedAt ?? Math.max(first, this.chain.last.index - this.validationDelay - this.lag);
  }

  /** Its validated ledger is this many ledgers behind the newest one, and its streams with it. */
  set lagLedgers(ledgers: number) {
    this.lag = ledgers;
    this.published = Math.min(this.published, this.validatedIndex);
    this.publish();
  }

  /** Its validated ledger stands still, while others go on. */
  standStill(): void {
    this.stoppedAt = this.validatedIndex;
  }

  /** It goes on from where it stood, and tells subscribers of all that they missed. */
  goOn(): void {
    this.stoppedAt = undefined;
    this.publish();
  }

  /** It loses the ledger of this transaction, and says so in complete_ledgers. */
  forget(hash: string): void {
    const found = this.chain.find(hash);
    if (found !== undefined) this.forgotten.add(found.ledgerIndex);
  }

  dropConnections(): void {
    for (const socket of this.sockets.keys()) socket.terminate();
  }

  /** Sends this to every client as it is, whatever it is. */
  sendRaw(message: string | Uint8Array): void {
    for (const socket of this.sockets.keys()) socket.send(message);
  }

  /** Tells subscribers of ledgers that became validated. */
  publish(): void {
    for (; this.published < this.validatedIndex; this.published += 1) {
      const closed = this.chain.ledger(this.published + 1)!;
      const told = closed.transactions.map((applied) => ({ applied, accounts: affectedAccounts(applied) }));
      for (const [socket, { ledgers, accounts }] of this.sockets) {
        if (ledgers) this.send(socket, ledgerMessage(this, closed));
        for (const { applied, accounts: affected } of told)
          if ([...affected].some((address) => accounts.has(address)))
            this.send(socket, transactionMessage(applied, closed));
      }
    }
  }

  async stop(): Promise<void> {
    this.dropConnections();
    await new Promise((resolve) => this.listener!.close(resolve));
  }

  private accept(socket: WebSocket): void {
    if (this.refusing) {
      socket.terminate();
      return;
    }
    this.sockets.set(socket, { ledgers: false, accounts: new Set() });
    socket.on('close', () => this.sockets.delete(socket));
    socket.on('error', () => {});
    socket.on('message', (data) => this.answer(socket, JSON.parse(String(data)) as Fields));
  }

  private answer(socket: WebSocket, request: Fields): void {
    this.requests.push(request);
    const id = request.id;
    const answer = this.honestAnswer(socket, request);
    const forged = this.forge?.(request, answer) ?? answer;
    this.send(socket, typeof forged === 'object' ? { id, type: 'response', ...forged } : forged);
  }

  private honestAnswer(socket: WebSocket, request: Fields): Fields {
    const { command } = request as { command: string };
    try {
      const follow = command === 'subscribe' || command === 'unsubscribe';
      if (!follow && COMMANDS[command] === undefined) throw new CommandError('unknownCmd', 'Unknown method.');
      const result = follow ? this.follow(socket, request) : COMMANDS[command]!(this, request);
      return { api_version: 2, result, status: 'success' };
    } catch (error) {
      if (!(error instanceof CommandError)) throw error;
      const { id: _, ...asked } = request;
      return { ...error.looked, error: error.error, error_message: error.message, request: asked, status: 'error' };
    }
  }

  private follow(socket: WebSocket, request: Fields): Fields {
    const subscription = this.sockets.get(socket)!;
    const on = request.command === 'subscribe';
    const ledgers = Array.isArray(request.streams) && request.streams.includes('ledger');
    if (ledgers) subscription.ledgers = on;
    for (const address of (request.accounts ?? []) as string[])
      if (on) subscription.accounts.add(address);
      else subscription.accounts.delete(address);
    if (!ledgers || !on) return {};
    const { type: _, txn_count: _count, ...newest } = ledgerMessage(this, this.chain.ledger(this.validatedIndex)!);
    return { ...newest, validated_ledgers: completeLedgers(this) };
  }

  private send(socket: WebSocket, message: unknown): void {
    if (this.hung) return;
    const text = typeof message === 'string' ? message : JSON.stringify(message);
    if (this.answerDelayMs === 0) socket.send(text);
    else setTimeout(() => socket.send(text), this.answerDelayMs);
  }
}
