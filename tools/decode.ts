/**
 * `claimwire decode HEX|FILE.pcap|-`: prints claims, acks and Merkle batches in words, one line each (leaves too), and why anything else is none.
 *
 * Main thread of its own process. Input is hostile: whatever it contains leads to a line and an exit code, and only one
 * piece of it at a time is in memory.
 */
import { createReadStream } from 'node:fs';
import { decodeAck } from '../protocol/ack.ts';
import { type Claim, decodeClaim } from '../protocol/claim.ts';
import {
  type FrameSink,
  WALK_CUT_FRAME,
  WALK_EMPTY,
  WALK_UNKNOWN_TYPE,
  WALK_WHOLE,
  type WalkEnd,
  walkFrames,
} from '../protocol/frames.ts';
import {
  ACK_BYTES,
  ACK_RESERVED,
  ACK_TIMESTAMP,
  CLAIM_BYTES,
  CLAIM_TIMESTAMP,
  MERKLE_HEAD_BYTES,
  MERKLE_LEAF_AMOUNT,
  MERKLE_SIGNATURE,
  MERKLE_TIMESTAMP,
  statusName,
} from '../protocol/layout.ts';
import { emptyFrameHead, frameLeafAt, readFrameHead } from '../protocol/merkle-frame.ts';
import { ClaimwireError } from '../src/errors.ts';
import { hostPortText } from '../src/host-port.ts';
import { looksLikeCapture, PcapReader, type PcapSkipped, type UdpDatagram } from '../src/pcap.ts';
import { defineCommand } from './command.ts';
import { write } from './output.ts';
import { count } from './units.ts';

const PIECE_BYTES = 1 << 18;
/** The first bytes by which a capture differs from text. */
const MAGIC_BYTES = 4;
/** Twice the largest UDP payload's digits. */
const LINE_LENGTH_MAX = 1 << 18;
const LINES_HELD = 1_024;
/** Half the order of secp256k1, rounded down: a larger s is refused. */
const HALF_ORDER = Buffer.from('7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0', 'hex');

export const command = defineCommand({
  name: 'decode',
  summary: 'shows the claims and acks in hex or a capture',
  description:
    'prints the claims and acks of a datagram in hex (blanks, colons and a leading 0x are fine), of the UDP traffic in a capture (pcap or pcapng), or of standard input (-): a capture, or one datagram in hex per line.',
  operands: { name: 'HEX|FILE|-', count: 'one' },
  options: {
    port: { value: 'N', description: 'of a capture, only datagrams to or from UDP port N', read: count(1, 65_535) },
  },
  examples: [
    ['claimwire decode capture.pcapng --port 9393', 'the claims and acks that Wireshark has captured'],
    ['tcpdump -i lo -w - udp port 9393 | claimwire decode -', 'the same while they come'],
  ],
  notes: `With --json one object per line; amounts and ids are decimal strings.

high-s: the signature is refused, unless the channel's key is Ed25519 (where it means
nothing).

Exit code: 0 all decoded, 1 something was not a claim or ack (the line says what), 2 usage.`,
  act: async ({ port, json }, [input]) => {
    const decoder = new Decoder(json);
    try {
      await decodeInput(input!, port, decoder);
    } finally {
      await decoder.flush();
    }
    return decoder.faults === 0 ? 0 : 1;
  },
});
export const { run } = command;

async function decodeInput(input: string, port: number | undefined, decoder: Decoder): Promise<void> {
  const hex = parseHex(input);
  if (hex !== undefined) {
    decoder.datagram(hex);
    return;
  }
  const pieces = readInput(input);
  const first = await firstPiece(pieces);
  if (looksLikeCapture(first)) await decodeCapture(first, pieces, port, decoder);
  else if (input === '-') await decodeLines(first, pieces, decoder);
  else {
    await pieces.return();
    throw new ClaimwireError('INPUT_INVALID', `expected hex (an even number of digits) or a capture, got ${input}`);
  }
}

/** Datagrams in hex, one a line. */
async function decodeLines(first: Buffer, pieces: Pieces, decoder: Decoder): Promise<void> {
  let text = '';
  let lines = 0;
  let isEmpty = true;
  const take = async (line: string): Promise<void> => {
    lines += 1;
    if (line.trim() === '') return;
    isEmpty = false;
    const datagram = line.length > LINE_LENGTH_MAX ? undefined : parseHex(line);
    if (datagram === undefined) {
      const expected = `expected an even number of hex digits, at most ${LINE_LENGTH_MAX}`;
      throw new ClaimwireError('INPUT_INVALID', `line ${lines}: ${expected}`);
    }
    decoder.datagram(datagram);
    if (decoder.isFull) await decoder.flush();
  };
  for (let piece: Buffer | undefined = first; piece !== undefined; piece = await nextPiece(pieces)) {
    const parts = (text + piece.toString('latin1')).split('\n');
    text = parts.pop()!;
    for (const line of parts) await take(line);
    if (text.length > LINE_LENGTH_MAX) break;
  }
  await take(text);
  if (isEmpty)
    throw new ClaimwireError('INPUT_INVALID', 'standard input: expected a pcap file or datagrams in hex, got nothing');
}

/** The bytes of `text`, or undefined when it is not hex. */
function parseHex(text: string): Buffer | undefined {
  const digits = text.trim().replace(/^0x/i, '').replace(/[\s:]/g, '');
  if (digits === '' || digits.length % 2 !== 0 || /[^0-9a-f]/i.test(digits)) return undefined;
  return Buffer.from(digits, 'hex');
}

type Pieces = AsyncGenerator<Buffer, void, undefined>;

async function* readInput(input: string): Pieces {
  try {
    yield* input === '-' ? process.stdin : createReadStream(input, { highWaterMark: PIECE_BYTES });
  } catch (error) {
    const reason = (error as NodeJS.ErrnoException).code ?? (error as Error).message;
    const what = input.length > 80 ? `${input.slice(0, 80)}…` : input;
    const message = `expected hex (an even number of digits) or a readable file, got ${what} (${reason})`;
    throw new ClaimwireError('INPUT_INVALID', message, {}, { cause: error });
  }
}

async function nextPiece(pieces: Pieces): Promise<Buffer | undefined> {
  const { value } = await pieces.next();
  return value ?? undefined;
}

/** Reads enough to tell what the input is, or all of it. */
async function firstPiece(pieces: Pieces): Promise<Buffer> {
  let first = Buffer.alloc(0);
  while (first.length < MAGIC_BYTES) {
    const piece = await nextPiece(pieces);
    if (piece === undefined) break;
    first = Buffer.concat([first, piece]);
  }
  return first;
}

async function decodeCapture(first: Buffer, pieces: Pieces, port: number | undefined, decoder: Decoder): Promise<void> {
  const skipped: PcapSkipped = { notUdp: 0, fragment: 0 };
  const reader = new PcapReader(skipped);
  const counts = { datagrams: 0, otherPorts: 0 };
  for (let piece: Buffer | undefined = first; piece !== undefined; piece = await nextPiece(pieces))
    for (const datagram of reader.push(piece)) {
      if (port !== undefined && datagram.sourcePort !== port && datagram.targetPort !== port) {
        counts.otherPorts += 1;
        continue;
      }
      counts.datagrams += 1;
      decoder.datagram(datagram.payload, datagram);
      if (decoder.isFull) await decoder.flush();
    }
  reader.end();
  process.stderr.write(
    `${counts.datagrams} datagrams; passed over: ${counts.otherPorts} of other ports, ` +
      `${skipped.fragment} IP fragments, ${skipped.notUdp} packets that are not UDP\n`,
  );
}

/** Walks datagrams and prints the frames in them. */
class Decoder implements FrameSink {
  faults = 0;
  readonly #json: boolean;
  readonly #lines: string[] = [];
  /** Before each line: where and when the datagram was captured, as text or as JSON members. */
  #prefix = '';
  #origin: Record<string, unknown> = {};
  #end = 0;

  constructor(json: boolean) {
    this.#json = json;
  }

  datagram(bytes: Uint8Array, captured?: UdpDatagram): void {
    this.#end = 0;
    if (captured !== undefined) this.#locate(captured);
    const walkEnd = walkFrames(bytes, 0, bytes.length, this);
    const missing = captured?.missingBytes ?? 0;
    if (walkEnd === WALK_WHOLE && missing === 0) return;
    this.faults += 1;
    const dropped = bytes.length - this.#end;
    const reason = whyEnded(walkEnd, bytes[this.#end], missing);
    this.#print(`undecoded offset=${this.#end} bytes=${dropped}: ${reason}`, {
      type: 'undecoded',
      offset: this.#end,
      bytes: dropped,
      reason,
    });
  }

  claim(bytes: Uint8Array, offset: number): void {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const claim = decodeClaim(view, offset);
    this.#end = offset + CLAIM_BYTES;
    const highS = Buffer.compare(claim.signature.subarray(32), HALF_ORDER) > 0;
    const bits = view.getBigUint64(offset + CLAIM_TIMESTAMP);
    const signature = Buffer.from(claim.signature).toString('hex').toUpperCase();
    const text = `claim ${amounts(claim)} ${timeText(claim.timestamp, bits)} signature=${signature}`;
    this.#print(highS ? `${text} high-s` : text, {
      type: 'claim',
      ...fields(claim),
      ...timeFields(claim.timestamp, bits),
      signature,
      highS,
    });
  }

  merkle(bytes: Uint8Array, offset: number, size: number): void {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const head = emptyFrameHead();
    readFrameHead(bytes, offset, offset + size, head);
    this.#end = offset + size;
    const { block, leaves, sequence, count } = head;
    const timestamp = view.getFloat64(offset + MERKLE_TIMESTAMP);
    const bits = view.getBigUint64(offset + MERKLE_TIMESTAMP);
    const signature = Buffer.from(bytes.subarray(offset + MERKLE_SIGNATURE, offset + MERKLE_HEAD_BYTES));
    const highS = Buffer.compare(signature.subarray(32), HALF_ORDER) > 0;
    const signed = signature.toString('hex').toUpperCase();
    const text = `merkle sequence=${sequence} block=${block} leaves=${count}/${leaves} ${timeText(timestamp, bits)}`;
    this.#print(`${text} signature=${signed}${highS ? ' high-s' : ''}`, {
      type: 'merkle',
      ...{ sequence, block, count, leaves },
      ...timeFields(timestamp, bits),
      signature: signed,
      highS,
    });
    for (let index = 0; index < count; index++) {
      const at = frameLeafAt(offset, index);
      const amount = view.getBigUint64(at + MERKLE_LEAF_AMOUNT);
      const leaf = { channelId: view.getBigUint64(at), sequence, amount };
      this.#print(`leaf ${amounts(leaf)}`, { type: 'leaf', ...fields(leaf) });
    }
  }

  ack(bytes: Uint8Array, offset: number): void {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const ack = decodeAck(view, offset);
    this.#end = offset + ACK_BYTES;
    const bits = view.getBigUint64(offset + ACK_TIMESTAMP);
    const reserved = view.getUint16(offset + ACK_RESERVED);
    const text = `ack ${statusName(ack.status)} ${amounts(ack)} ${timeText(ack.timestamp, bits)}`;
    this.#print(reserved === 0 ? text : `${text} reserved=${reserved}`, {
      type: 'ack',
      status: ack.status,
      statusName: statusName(ack.status),
      ...fields(ack),
      ...timeFields(ack.timestamp, bits),
      reserved,
    });
  }

  /** Buffers output into large pieces, as a capture may produce millions of lines. */
  get isFull(): boolean {
    return this.#lines.length >= LINES_HELD;
  }

  /** Writes what is buffered. */
  async flush(): Promise<void> {
    const lines = this.#lines.splice(0);
    if (lines.length > 0) await write(`${lines.join('\n')}\n`);
  }

  #locate(captured: UdpDatagram): void {
    const milliseconds = captured.seconds * 1000 + Math.floor(captured.nanoseconds / 1e6);
    // A time in pcapng may be outside of a Date's range.
    const date = new Date(milliseconds);
    const time = Number.isNaN(date.getTime()) ? null : date.toISOString();
    const source = hostPortText({ host: captured.source, port: captured.sourcePort });
    const target = hostPortText({ host: captured.target, port: captured.targetPort });
    this.#prefix = `${time ?? '-'} ${source} > ${target} `;
    this.#origin = { time, source, target };
  }

  #print(text: string, object: Record<string, unknown>): void {
    this.#lines.push(this.#json ? JSON.stringify({ ...this.#origin, ...object }) : this.#prefix + text);
  }
}

function whyEnded(walkEnd: WalkEnd, type: number | undefined, missing: number): string {
  if (walkEnd === WALK_UNKNOWN_TYPE) return `unknown type 0x${type!.toString(16).padStart(2, '0')}`;
  const lacking = missing === 0 ? '' : `, the capture lacks ${missing} bytes`;
  if (walkEnd === WALK_EMPTY) return `empty datagram${lacking}`;
  return walkEnd === WALK_CUT_FRAME ? `cut frame${lacking}` : `more frames${lacking}`;
}

function amounts({ channelId, sequence, amount }: Pick<Claim, 'channelId' | 'sequence' | 'amount'>): string {
  return `channel=${channelId} sequence=${sequence} amount=${amount}`;
}

function fields({
  channelId,
  sequence,
  amount,
}: Pick<Claim, 'channelId' | 'sequence' | 'amount'>): Record<string, unknown> {
  return { channelId: String(channelId), sequence, amount: String(amount) };
}

/** A timestamp as a date where it is one, otherwise its bits, since an ack echoes those. */
function timeText(timestamp: number, bits: bigint): string {
  const date = new Date(timestamp);
  return `timestamp=${Number.isNaN(date.getTime()) ? hexBits(bits) : date.toISOString()}`;
}

function timeFields(timestamp: number, bits: bigint): Record<string, unknown> {
  return { timestamp: Number.isFinite(timestamp) ? timestamp : null, timestampBits: hexBits(bits) };
}

function hexBits(bits: bigint): string {
  return `0x${bits.toString(16).padStart(16, '0').toUpperCase()}`;
}
