/**
 * The links to the nodes of a cluster as one link: a node's sockets are numbered from its slot × sockets on. Generator thread.
 *
 * A node keeps its slot and its link for the whole run, also once the map no longer has it: what it sent last is still read,
 * and where it comes back it is found at the same address.
 */
import { ClaimwireError } from '../../errors.ts';
import { type HostPort, hostPortText } from '../../host-port.ts';
import type { LoadLink } from '../links/link.ts';

/** Addresses of a run: as many as a map may have. */
const NODES_MAX = 256;

export class ClusterLink implements LoadLink {
  readonly #open: (to: HostPort) => Promise<LoadLink>;
  readonly #sockets: number;
  readonly #links: LoadLink[] = [];
  readonly #slots = new Map<string, number>();
  /** Sent last. */
  #last = 0;

  private constructor(open: (to: HostPort) => Promise<LoadLink>, sockets: number) {
    this.#open = open;
    this.#sockets = sockets;
  }

  /** @param sockets of each node; @param nodes at least one */
  static async open(
    open: (to: HostPort) => Promise<LoadLink>,
    sockets: number,
    nodes: readonly HostPort[],
  ): Promise<ClusterLink> {
    const link = new ClusterLink(open, sockets);
    await link.reach(nodes);
    return link;
  }

  /** Opens links to those that have none yet, and says which slot each has. Throws INPUT_INVALID where they are too many. */
  async reach(nodes: readonly HostPort[]): Promise<number[]> {
    const slots: number[] = [];
    for (const node of nodes) {
      const address = hostPortText(node);
      const known = this.#slots.get(address);
      if (known === undefined && this.#links.length === NODES_MAX)
        throw new ClaimwireError('INPUT_INVALID', `nodes: expected at most ${NODES_MAX} addresses in a run, got more`);
      if (known === undefined) this.#links.push(await this.#open(node));
      const slot = known ?? this.#links.length - 1;
      this.#slots.set(address, slot);
      slots.push(slot);
    }
    return slots;
  }

  get name(): LoadLink['name'] {
    return this.#links[0]!.name;
  }
  get failures(): number {
    return this.#links.reduce((sum, { failures }) => sum + failures, 0);
  }
  get lastFailure(): string | undefined {
    return this.#links.findLast(({ lastFailure }) => lastFailure !== undefined)?.lastFailure;
  }
  get drops(): number {
    return this.#links.reduce((sum, { drops }) => sum + drops, 0);
  }

  local(socket: number): HostPort {
    return this.#links[this.#slotOf(socket)]!.local(socket % this.#sockets);
  }

  send(socket: number, slots: Uint32Array, count: number): boolean {
    this.#last = this.#slotOf(socket);
    return this.#links[this.#last]!.send(socket % this.#sockets, slots, count);
  }

  departure(socket: number): number {
    return this.#links[this.#slotOf(socket)]!.departure(socket % this.#sockets);
  }

  flush(): void {
    for (const link of this.#links) link.flush();
  }

  receive(): void {
    for (const link of this.#links) link.receive();
  }

  /** Waits for the node that was sent to last; acks of the others are read on the next turn. */
  wait(waitUs: number): void {
    this.#links[this.#last]!.wait(waitUs);
  }

  async close(): Promise<void> {
    await Promise.all(this.#links.map((link) => link.close()));
  }

  #slotOf(socket: number): number {
    return Math.floor(socket / this.#sockets);
  }
}
