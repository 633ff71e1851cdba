/**
 * Claims over WebSockets or data channels: one message for what would be a datagram.
 *
 * Generator thread, which for WebRTC is the only one of its process that may have the library.
 */
import { copyClaim } from '../../../protocol/claim.ts';
import { CLAIM_BYTES } from '../../../protocol/layout.ts';
import type { Carrier } from '../../client/links/carrier.ts';
import { type CarrierScheme, carrierTo } from '../../client/links/open-carrier.ts';
import type { HostPort } from '../../host-port.ts';
import { SOURCE_WORDS } from '../../ring/slot.ts';
import { EventLoopLink, type LinkOptions, type LoadLink } from './link.ts';

/** A carrier with more unsent bytes than this counts as full. */
const UNSENT_BYTES_MAX = 256 << 10;
const NO_SOURCE = new Uint32Array(SOURCE_WORDS);

export class CarrierLink extends EventLoopLink implements LoadLink {
  readonly name: 'websocket' | 'webrtc';
  readonly #claims: DataView;
  readonly #target: HostPort;
  readonly #carriers: (Carrier | undefined)[] = [];
  #isClosed = false;

  private constructor(claims: DataView, name: 'websocket' | 'webrtc', target: HostPort) {
    super();
    this.#claims = claims;
    this.name = name;
    this.#target = target;
  }

  /** Rejects where the node does not take the transport, and with DEPENDENCY_MISSING. */
  static async open(claims: DataView, scheme: CarrierScheme, options: LinkOptions): Promise<CarrierLink> {
    const { host, port, sockets, sink } = options;
    const link = new CarrierLink(claims, scheme.startsWith('webrtc') ? 'webrtc' : 'websocket', { host, port });
    const connect = await carrierTo(scheme, { host, port });
    while (link.#carriers.length < sockets) {
      const place = link.#carriers.length;
      link.#carriers[place] = await connect({
        message: (bytes) => {
          const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
          sink.payload(bytes, view, 0, bytes.length, NO_SOURCE);
        },
        closed: () => {
          if (!link.#isClosed) link.failed(new Error('connection closed by the node'));
          link.#carriers[place] = undefined;
        },
      });
    }
    return link;
  }

  /** What a capture names; the carriers' own addresses are not known. */
  local(): HostPort {
    return this.#target;
  }

  /** Claims for a closed carrier are lost, and so remain unanswered. */
  send(socket: number, slots: Uint32Array, count: number): boolean {
    const carrier = this.#carriers[socket];
    if (carrier === undefined) return true;
    if (carrier.unsentBytes > UNSENT_BYTES_MAX) return false;
    const bytes = new Uint8Array(count * CLAIM_BYTES);
    const view = new DataView(bytes.buffer);
    for (let index = 0; index < count; index++) copyClaim(this.#claims, slots[index]!, view, index * CLAIM_BYTES);
    carrier.send(bytes);
    return true;
  }

  flush(): void {}

  async close(): Promise<void> {
    this.#isClosed = true;
    for (const carrier of this.#carriers) carrier?.close();
  }
}
