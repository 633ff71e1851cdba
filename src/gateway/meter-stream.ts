/**
 * Counts what a streamed answer costs: bytes, or events of an event stream (text/event-stream, HTML standard section 9.2).
 * Pure but for its state.
 */
import type { PriceUnit } from './routes.ts';

const LINE_FEED = 0x0a;
const CARRIAGE_RETURN = 0x0d;

export class UnitCounter {
  /** Units begun or whole, so far. */
  count = 0;
  readonly #per: PriceUnit;
  /** Whether the line so far is empty, and whether the event so far has a line. */
  #isLineEmpty = true;
  #isEventEmpty = true;
  #afterReturn = false;

  constructor(per: PriceUnit) {
    this.#per = per;
  }

  /** Whether the stream stands between two events, where one more may be written. */
  get isBetweenEvents(): boolean {
    return this.#isEventEmpty && this.#isLineEmpty;
  }

  /** Takes as much of a piece of the answer as lies within the first `limit` units of the stream; so many bytes. */
  take(piece: Uint8Array, limit = Number.POSITIVE_INFINITY): number {
    if (this.#per === 'request') return piece.length;
    if (this.#per === 'byte') {
      const bytes = Math.min(limit - this.count, piece.length);
      this.count += bytes;
      return bytes;
    }
    for (let at = 0; at < piece.length; at++) {
      if (this.count >= limit && this.isBetweenEvents && !isLineEnd(piece[at]!)) return at;
      this.#addByte(piece[at]!);
    }
    return piece.length;
  }

  /** An event counts from its first byte on, so that none is sent before it is paid. */
  #addByte(byte: number): void {
    if (byte === LINE_FEED && this.#afterReturn) {
      this.#afterReturn = false;
      return;
    }
    this.#afterReturn = byte === CARRIAGE_RETURN;
    if (!isLineEnd(byte)) {
      if (this.#isEventEmpty && this.#isLineEmpty) this.count++;
      this.#isLineEmpty = false;
      return;
    }
    if (this.#isLineEmpty) this.#isEventEmpty = true;
    else this.#isEventEmpty = false;
    this.#isLineEmpty = true;
  }
}

function isLineEnd(byte: number): boolean {
  return byte === LINE_FEED || byte === CARRIAGE_RETURN;
}
