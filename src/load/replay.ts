/** The claims of a capture, to send again as they are. Main thread. The file comes from outside and may be anything. */
import { type FrameSink, walkFrames } from '../../protocol/frames.ts';
import { CLAIM_BYTES, CLAIM_CHANNEL_ID } from '../../protocol/layout.ts';
import { ClaimwireError } from '../errors.ts';
import { readPcap, type UdpDatagram } from '../pcap.ts';
import { FileFault, readSmallFile } from '../system/regular-file.ts';
import { LoadChannels } from './channels.ts';
import type { ReplayClaims } from './settings.ts';

/** The claims of the whole file are in memory at once. */
const CAPTURE_BYTES_MAX = 1 << 30;

/** Reads the claims and the channels they are of. Throws INPUT_INVALID where there are none. */
export function readReplay(file: string): { channels: LoadChannels; replay: ReplayClaims } {
  let bytes: Uint8Array;
  try {
    ({ bytes } = readSmallFile(file, CAPTURE_BYTES_MAX));
  } catch (error) {
    if (!(error instanceof FileFault)) throw error;
    throw new ClaimwireError('INPUT_INVALID', `--replay ${file}: expected a readable capture, got ${error.reason}`);
  }
  const reader = new ReplayReader();
  for (const datagram of readPcap(bytes, { notUdp: 0, fragment: 0 })) reader.datagram(datagram);
  if (reader.claims.length === 0)
    throw new ClaimwireError('INPUT_INVALID', `--replay ${file}: expected datagrams with claims, got none`);
  return { channels: LoadChannels.known([...reader.handles.keys()]), replay: reader.result() };
}

interface CapturedClaim {
  bytes: Uint8Array;
  channel: number;
  source: number;
  offset: number;
  isStart: boolean;
}

/** Collects the claims of datagrams in their order, and passes over whatever else is in them. */
class ReplayReader implements FrameSink {
  readonly claims: CapturedClaim[] = [];
  /** Numbers of channels by their handles, and of sources by their addresses. */
  readonly handles = new Map<bigint, number>();
  readonly #addresses = new Map<string, number>();
  #source = 0;
  #time = 0;
  #firstTime = Number.NaN;
  #claimsHere = 0;
  #perDatagram = 0;

  datagram(datagram: UdpDatagram): void {
    const { payload, source, sourcePort, seconds, nanoseconds } = datagram;
    this.#source = numberOf(this.#addresses, `${source} ${sourcePort}`);
    // Exact to the nanosecond only in differences of some weeks, which is all that pacing needs.
    this.#time = seconds * 1_000 + nanoseconds / 1e6;
    this.#claimsHere = 0;
    walkFrames(payload, 0, payload.length, this);
    this.#perDatagram = Math.max(this.#perDatagram, this.#claimsHere);
  }

  claim(bytes: Uint8Array, offset: number): void {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    if (this.claims.length === 0) this.#firstTime = this.#time;
    this.claims.push({
      bytes: bytes.subarray(offset, offset + CLAIM_BYTES),
      channel: numberOf(this.handles, view.getBigUint64(offset + CLAIM_CHANNEL_ID)),
      source: this.#source,
      // Times may step back in a capture of several interfaces.
      offset: Math.max(this.claims.at(-1)?.offset ?? 0, this.#time - this.#firstTime),
      isStart: this.#claimsHere === 0,
    });
    this.#claimsHere += 1;
  }
  ack(): void {}

  result(): ReplayClaims {
    const claims = new Uint8Array(new SharedArrayBuffer(this.claims.length * CLAIM_BYTES));
    for (const [index, { bytes }] of this.claims.entries()) claims.set(bytes, index * CLAIM_BYTES);
    return {
      claims,
      channels: Uint32Array.from(this.claims, ({ channel }) => channel),
      sources: Uint32Array.from(this.claims, ({ source }) => source),
      offsets: Float64Array.from(this.claims, ({ offset }) => offset),
      starts: Uint8Array.from(this.claims, ({ isStart }) => Number(isStart)),
      perDatagram: this.#perDatagram,
    };
  }
}

/** The number of a key; a new key has the next number. */
function numberOf<Key>(numbers: Map<Key, number>, key: Key): number {
  const known = numbers.get(key);
  if (known !== undefined) return known;
  numbers.set(key, numbers.size);
  return numbers.size - 1;
}
