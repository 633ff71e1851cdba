/** Loads on one node, by one transport after the other. Main thread of the bench; each load is a process of its own. */
import { assert } from '../../src/errors.ts';
import { hostPortText } from '../../src/host-port.ts';
import type { BenchContext } from '../harness.ts';
import type { NodeUnderTest } from '../node-under-test.ts';
import { type ProvenLoad, provenLoad } from '../path/load.ts';

export type Transport = 'udp' | 'tcp' | 'tls' | 'websocket' | 'webrtc';
export type Turn<Of extends Transport> = Record<Of, ProvenLoad>;

const SCHEMES = { udp: 'udp', tcp: 'tcp', tls: 'tls', websocket: 'ws', webrtc: 'webrtc+http' } as const;

/** Runs loads on one node, each continuing from the amounts of the last. */
export class Turns {
  readonly #node: NodeUnderTest;
  readonly #context: BenchContext;
  #drops = 0;
  #taken = 0;

  constructor(node: NodeUnderTest, context: BenchContext) {
    this.#node = node;
    this.#context = context;
  }

  /** Runs the transports with the same flags, in alternating order. */
  async take<Of extends Transport>(
    transports: readonly Of[],
    name: string,
    flags: readonly string[],
  ): Promise<Turn<Of>> {
    const isSwapped = (this.#taken++ + this.#context.repeat) % 2 === 1;
    const turn: Partial<Turn<Of>> = {};
    for (const transport of isSwapped ? transports.toReversed() : transports)
      turn[transport] = await this.#load(transport, name, flags);
    return turn as Turn<Of>;
  }

  async #load(transport: Transport, name: string, flags: readonly string[]): Promise<ProvenLoad> {
    const address = transport === 'websocket' || transport === 'webrtc' ? this.#node.web : this.#node.udp;
    assert(address !== undefined, `the node takes ${transport}`);
    const to = `${SCHEMES[transport]}://${hostPortText(address)}`;
    const load = await provenLoad(this.#node, ['--to', to, ...flags], this.#drops, transport === 'webrtc');
    const { result, step, work, perSecond, committedDrops } = load;
    const { sender, reconciliation, target } = result;
    const isSent = transport === 'udp' ? sender === 'native' || sender === 'dgram' : sender === transport;
    assert(isSent, `claims go by ${transport}, not by ${sender}`);
    this.#drops = committedDrops;
    this.#context.note(
      `${name}, ${transport}: ${target!.layout}, ${target!.backend}, ${Math.round(perSecond)}/s; ${committedDrops} drops committed, all ${reconciliation!.acknowledgedDrops} acknowledged there; ${work.verified} verified, ${work.superseded} superseded, ${work.already} already covered, ${work.socketDrops} datagrams dropped by the system, ${step.unanswered} unanswered, ${step.late.claims} late`,
    );
    return load;
  }
}
