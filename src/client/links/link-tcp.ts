/** A payer's link over a pool of connections, its own or one shared with other payers. Payer's thread. */
import type { ControlAnswer } from '../../../protocol/control.ts';
import { assert } from '../../errors.ts';
import type { ConnectionPool } from '../pool/pool.ts';
import type { RouteOwner } from '../pool/router.ts';
import type { LinkReceiver, LinkStats, PeerLink, RequestMaker } from './peer-link.ts';

export class TcpLink implements PeerLink, RouteOwner {
  readonly #pool: ConnectionPool;
  readonly #ownsPool: boolean;
  #receiver: LinkReceiver | undefined;

  /** @param ownsPool whether the pool ends with the payer */
  constructor(pool: ConnectionPool, ownsPool: boolean) {
    this.#pool = pool;
    this.#ownsPool = ownsPool;
  }

  get peer(): string {
    return this.#pool.peer;
  }

  get receiver(): LinkReceiver {
    assert(this.#receiver !== undefined, 'listen is called before a link is used');
    return this.#receiver;
  }

  listen(receiver: LinkReceiver): void {
    this.#receiver = receiver;
    this.#pool.join(this);
  }

  open(channelId: bigint): boolean {
    return this.#pool.open(channelId, this);
  }

  send(claims: DataView, offset: number): boolean {
    return this.#pool.send(claims, offset, this.receiver);
  }

  sendFrame(bytes: Uint8Array, offset: number, size: number): boolean {
    return this.#pool.sendFrame(bytes, offset, size, this.receiver);
  }

  ask(request: RequestMaker): Promise<ControlAnswer> {
    return this.#pool.ask(request);
  }

  stats(): LinkStats {
    return { transport: this.#pool.transport, transportSwitches: 0, datagramsSent: 0, pool: this.#pool.stats() };
  }

  async close(): Promise<void> {
    this.#pool.leave(this);
    if (this.#ownsPool) await this.#pool.close();
  }
}
