/**
 * Payloads of many peers in one message between the web process and a thread with sockets. The same in both directions:
 * payloads back to back, each after 12 bytes that name its peer.
 */

/** Slot, generation and length, u32 little-endian. */
export const RECORD_HEADER_BYTES = 12;
const FIRST_BYTES = 4_096;

export class BatchWriter {
  #bytes = new Uint8Array(FIRST_BYTES);
  #view = new DataView(this.#bytes.buffer);
  #length = 0;

  get length(): number {
    return this.#length;
  }

  /** Copies `bytes[start, end)`. */
  add(slot: number, generation: number, bytes: Uint8Array, start: number, end: number): void {
    const length = end - start;
    this.#reserve(RECORD_HEADER_BYTES + length);
    this.#view.setUint32(this.#length, slot, true);
    this.#view.setUint32(this.#length + 4, generation, true);
    this.#view.setUint32(this.#length + 8, length, true);
    this.#bytes.set(bytes.subarray(start, end), this.#length + RECORD_HEADER_BYTES);
    this.#length += RECORD_HEADER_BYTES + length;
  }

  /** What was added since the last call, in memory of its own. */
  take(): Uint8Array<ArrayBuffer> {
    const taken = this.#bytes.slice(0, this.#length);
    this.#length = 0;
    return taken;
  }

  #reserve(more: number): void {
    const needed = this.#length + more;
    if (needed <= this.#bytes.length) return;
    const grown = new Uint8Array(Math.max(needed, 2 * this.#bytes.length));
    grown.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = grown;
    this.#view = new DataView(grown.buffer);
  }
}

/** Calls `visit` with each payload, as `bytes[start, end)`. */
export function eachRecord(
  bytes: Uint8Array,
  visit: (slot: number, generation: number, start: number, end: number) => void,
): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  for (let at = 0; at < bytes.length; ) {
    const start = at + RECORD_HEADER_BYTES;
    const end = start + view.getUint32(at + 8, true);
    visit(view.getUint32(at, true), view.getUint32(at + 4, true), start, end);
    at = end;
  }
}
