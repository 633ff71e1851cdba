/**
 * A capture's claims, to be sent again as they are. Main thread; the file is another program's, and may be anything.
 */
import { type FrameSink, walkFrames } from '../../protocol/frames.ts';
import { CLAIM_BYTES, CLAIM_CHANNEL_ID } from '../../protocol/layout.ts';
import { ClaimwireError } from '../errors.ts';
import { readPcap, type UdpDatagram } from '../pcap.ts';
import { FileFault, readSmallFile } from '../system/regular-file.ts';
import { LoadChannels } from './channels.ts';
import type { ReplayClaims } from './settings.ts';

/** Its claims are held in memory at once. */
const CAPTURE_BYTES_MAX = 1 << 30;

/** Reads the claims and the channels they are of. Throws INPUT_INVALID where there are none. */
export function readReplay(file: string): { channels: LoadChannels; replay: ReplayClaims } {
  const reader = new ReplayReader();
  for (const datagram of readPcap(readCapture(file), { notUdp: 0, fragment: 0 })) reader.datagram(datagram);
  if (reader.claims.length === 0)
    throw new ClaimwireError('INPUT_INVALID', `--replay ${file}: expected datagrams with claims, got none`);
  return { channels: LoadChannels.known([...reader.handles.keys()]), replay: reader.result() };
}

/** Puts the claims of datagrams together, as they come; whatever else is in them is passed over. */
class ReplayReader implements FrameSink {
  readonly claims: Uint8Array[] = [];
  /** Numbers of channels by their handles, and of sources by their addresses. */
  readonly handles = new Map<bigint, number>();
  readonly #addresses = new Map<string, number>();
  readonly #channels: number[] = [];
  readonly #sources: number[] = [];
  readonly #offsets: number[] = [];
  readonly #starts: number[] = [];
  #source = 0;
  #time = 0;
  #firstTime = Number.NaN;
  #claimsHere = 0;
  #perDatagram = 0;

  datagram(datagram: UdpDatagram): void {
    const { payload, source, sourcePort } = datagram;
    this.#source = numberOf(this.#addresses, `${source} ${sourcePort}`);
    this.#time = timeMs(datagram);
    this.#claimsHere = 0;
    walkFrames(payload, 0, payload.length, this);
    this.#perDatagram = Math.max(this.#perDatagram, this.#claimsHere);
  }

  claim(bytes: Uint8Array, offset: number): void {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const handle = view.getBigUint64(offset + CLAIM_CHANNEL_ID);
    if (this.claims.length === 0) this.#firstTime = this.#time;
    this.claims.push(bytes.subarray(offset, offset + CLAIM_BYTES));
    this.#channels.push(numberOf(this.handles, handle));
    this.#sources.push(this.#source);
    // A capture of several interfaces may step back.
    this.#offsets.push(Math.max(this.#offsets.at(-1) ?? 0, this.#time - this.#firstTime));
    this.#starts.push(this.#claimsHere === 0 ? 1 : 0);
    this.#claimsHere += 1;
  }
  ack(): void {}

  result(): ReplayClaims {
    const claims = new Uint8Array(new SharedArrayBuffer(this.claims.length * CLAIM_BYTES));
    this.claims.forEach((claim, index) => {
      claims.set(claim, index * CLAIM_BYTES);
    });
    return {
      claims,
      channels: Uint32Array.from(this.#channels),
      sources: Uint32Array.from(this.#sources),
      offsets: Float64Array.from(this.#offsets),
      starts: Uint8Array.from(this.#starts),
      perDatagram: this.#perDatagram,
    };
  }
}

/** The number a key has, or the next one for it. */
function numberOf<Key>(numbers: Map<Key, number>, key: Key): number {
  const known = numbers.get(key);
  if (known !== undefined) return known;
  numbers.set(key, numbers.size);
  return numbers.size - 1;
}

/** Milliseconds, exact to the nanosecond only in differences of some weeks: what pacing needs. */
function timeMs({ seconds, nanoseconds }: UdpDatagram): number {
  return seconds * 1_000 + nanoseconds / 1e6;
}

function readCapture(file: string): Uint8Array {
  try {
    return readSmallFile(file, CAPTURE_BYTES_MAX).bytes;
  } catch (error) {
    if (!(error instanceof FileFault)) throw error;
    throw new ClaimwireError('INPUT_INVALID', `--replay ${file}: expected a readable capture, got ${error.reason}`);
  }
}
