/**
 * protocol/claimwire.lua under tshark: real claims and acks go over a loopback socket, a capture of them is dissected,
 * and every field is compared to what was sent.
 *
 * The capture is dumpcap's where this account may capture; otherwise a file of the very bytes the sockets received
 * is written, and the test says so. Without tshark nothing here can run: it is reported as skipped, loudly.
 */
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import {
  ackBytes,
  claimBytes,
  decodeAck,
  decodeClaim,
  encodeStreamHeader,
  merkleFrameBytes,
  walkFrames,
} from '../../protocol/index.ts';
import { type Ipv4Datagram, readPcap, writePcap } from '../../src/pcap.ts';
import { random } from '../support/random.ts';

const DISSECTOR = fileURLToPath(new URL('../../protocol/claimwire.lua', import.meta.url));
const VECTORS = new URL('../../protocol/vectors/', import.meta.url);
const CAPTURE_TIMEOUT_MS = 10_000;
const TEST_TIMEOUT_MS = 30_000;
const FIELDS = [
  ...['type', 'channel', 'sequence', 'amount', 'timestamp_bits', 'signature', 'status', 'reserved'],
  ...['merkle_reserved', 'block', 'tree', 'path'],
] as const;

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const vectorWires = (name: string): Uint8Array[] =>
  JSON.parse(readFileSync(new URL(name, VECTORS), 'utf8')).vectors.map(({ wire }: { wire: string }) =>
    Uint8Array.from(Buffer.from(wire, 'hex')),
  );

/** What tshark should print for a datagram: every field of every whole frame, in order, as this codec reads it. */
function expectedFields(bytes: Uint8Array): Record<string, string[]> {
  const fields: Record<string, string[]> = Object.fromEntries(FIELDS.map((name) => [name, []]));
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const common = (type: string, frame: { channelId: bigint; sequence: number; amount: bigint }, bits: number): void => {
    fields.type!.push(type);
    fields.channel!.push(String(frame.channelId));
    fields.sequence!.push(String(frame.sequence));
    fields.amount!.push(String(frame.amount));
    fields.timestamp_bits!.push(`0x${hex(bytes.subarray(bits, bits + 8))}`);
  };
  walkFrames(bytes, 0, bytes.length, {
    claim(_, offset) {
      common('0x01', decodeClaim(view, offset), offset + 85);
      fields.signature!.push(hex(bytes.subarray(offset + 21, offset + 85)));
    },
    ack(_, offset) {
      common('0x02', decodeAck(view, offset), offset + 24);
      fields.status!.push(String(bytes[offset + 1]));
      fields.reserved!.push(`0x${hex(bytes.subarray(offset + 2, offset + 4))}`);
    },
    merkle(_, offset, size) {
      fields.type!.push('0x03');
      fields.merkle_reserved!.push('0x00');
      fields.block!.push(String(view.getUint16(offset + 2)));
      fields.tree!.push(String(view.getUint32(offset + 4)));
      fields.sequence!.push(String(view.getUint32(offset + 8)));
      fields.timestamp_bits!.push(`0x${hex(bytes.subarray(offset + 12, offset + 20))}`);
      fields.signature!.push(hex(bytes.subarray(offset + 20, offset + 84)));
      const leavesEnd = offset + 84 + 16 * Math.min(64, view.getUint32(offset + 4) - 64 * view.getUint16(offset + 2));
      for (let at = offset + 84; at < leavesEnd; at += 16) {
        fields.channel!.push(String(view.getBigUint64(at)));
        fields.amount!.push(String(view.getBigUint64(at + 8)));
      }
      for (let at = leavesEnd; at < offset + size; at += 32) fields.path!.push(hex(bytes.subarray(at, at + 32)));
    },
  });
  return fields;
}

/** The expert notes a datagram deserves, from a look at its bytes that owes nothing to the dissector. */
function expectedNotes(bytes: Uint8Array): string[] {
  const notes: string[] = [];
  const half = '7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0';
  for (let offset = 0; offset < bytes.length; ) {
    const type = bytes[offset]!;
    const size = type === 1 ? 93 : type === 2 ? 32 : type === 3 ? merkleFrameBytes(bytes, offset, bytes.length) : 0;
    if (size === 0 || offset + size > bytes.length) return [...notes, size === 0 ? 'unknown type' : 'cut frame'];
    if (type === 1 && hex(bytes.subarray(offset + 53, offset + 85)) > half) notes.push('High-S');
    if (type === 2 && bytes[offset + 1]! > 24) notes.push('Status this version');
    else if (type === 2 && bytes[offset + 1]! >= 16) notes.push('Claim refused');
    if (type === 2 && (bytes[offset + 2] !== 0 || bytes[offset + 3] !== 0)) notes.push('Reserved bits');
    offset += size;
  }
  return notes;
}

/** Sound and faulty datagrams for the node's port, and acks for the way back. */
function traffic(): { toNode: Uint8Array[]; toPayer: Uint8Array[] } {
  const rng = random(11);
  const claims = Array.from({ length: 15 }, (_, index) =>
    claimBytes({
      channelId: rng.u64(),
      sequence: rng.u32(),
      amount: rng.u64(),
      signature: rng.bytes(64),
      timestamp: 1.7e12 + index + 0.25,
    }),
  );
  const acks = Array.from({ length: 45 }, () =>
    ackBytes({ status: 0, sequence: rng.u32(), channelId: rng.u64(), amount: rng.u64(), timestamp: rng.u32() }),
  );
  const highS = vectorWires('refusals.json')[1]!;
  const reserved = acks[0]!.slice();
  reserved.set([0xbe, 0xef], 2);
  const batches: Uint8Array[] = JSON.parse(readFileSync(new URL('merkle.json', VECTORS), 'utf8')).vectors.flatMap(
    ({ frames }: { frames: { wire: string }[] }) => frames.map(({ wire }) => Uint8Array.from(Buffer.from(wire, 'hex'))),
  );
  const unsound = batches[3]!.slice();
  unsound[2] = 9;
  const mixed = [Buffer.concat([claims[0]!, batches[0]!, claims[1]!]), batches[3]!.subarray(0, -1), unsound];
  const walks = vectorWires('walks.json').filter((wire) => wire.length > 0);
  const packed = Buffer.concat(claims);
  return {
    toNode: [
      ...vectorWires('claims.json'),
      packed,
      Buffer.concat([claims[0]!, highS, claims[1]!]),
      ...walks,
      ...batches,
      ...mixed,
    ],
    toPayer: [...vectorWires('acks.json'), Buffer.concat(acks), Buffer.concat([acks[1]!, reserved])],
  };
}

/** Starts dumpcap on loopback; undefined where this account may not, with the reason said aloud. */
async function startCapture(file: string, port: number, packets: number): Promise<ChildProcess | undefined> {
  const filter = `udp port ${port}`;
  const limits = ['-c', String(packets), '-a', `duration:${CAPTURE_TIMEOUT_MS / 1000}`];
  const child = spawn('dumpcap', ['-q', '-i', 'lo', '-f', filter, '-P', '-w', file, ...limits]);
  let errors = '';
  const opened = await new Promise<boolean>((resolve) => {
    child.stderr.on('data', (text) => {
      errors += text;
      // Printed once the interface is open and filtered: from here on packets are kept.
      if (errors.includes('File: ')) resolve(true);
    });
    child.on('error', (error) => {
      errors += error.message;
      resolve(false);
    });
    child.on('exit', () => resolve(false));
  });
  if (opened) return child;
  console.warn(`LIVE CAPTURE NOT POSSIBLE (${errors.trim()}): dissecting a file of the bytes the sockets received`);
  return undefined;
}

/** A bound loopback socket that keeps what it receives. */
async function listen(received: Ipv4Datagram[]): Promise<Socket> {
  const socket = createSocket('udp4');
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  const { port: targetPort } = socket.address();
  socket.on('message', (payload, from) => {
    const ports = { source: from.address, sourcePort: from.port, target: '127.0.0.1', targetPort };
    received.push({ seconds: 1, nanoseconds: received.length, ...ports, payload });
  });
  return socket;
}

/** Sends one after the other, so that neither a buffer overflows nor the order changes. */
async function exchange(from: Socket, to: Socket, payloads: readonly Uint8Array[]): Promise<void> {
  for (const payload of payloads) {
    const arrived = once(to, 'message', { signal: AbortSignal.timeout(CAPTURE_TIMEOUT_MS) });
    from.send(payload, to.address().port, '127.0.0.1');
    await arrived;
  }
}

const hasTshark = spawnSync('tshark', ['--version']).status === 0;

describe('claimwire.lua', { timeout: TEST_TIMEOUT_MS }, () => {
  let directory = '';

  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), 'claimwire-dissector-'));
  });
  afterAll(() => rmSync(directory, { recursive: true, force: true }));

  beforeEach((context) => {
    if (hasTshark) return;
    const message = 'TSHARK ABSENT: the dissector is NOT checked; install tshark';
    console.warn(message);
    context.skip(message);
  });

  /** Runs tshark over a capture: one row per packet, each field a list of its occurrences. */
  function dissect(file: string, fields: readonly string[], options: readonly string[] = []): string[][][] {
    const columns = fields.flatMap((name) => ['-e', name]);
    const format = ['-T', 'fields', '-E', 'separator=/t', '-E', 'occurrence=a', '-E', 'aggregator=;'];
    const args = ['-n', '-X', `lua_script:${DISSECTOR}`, '-r', file, ...options, ...format, ...columns];
    // A configuration directory of its own: no profile of whoever runs this changes a column or a port.
    const env = { ...process.env, WIRESHARK_CONFIG_DIR: directory };
    const output = execFileSync('tshark', args, { encoding: 'utf8', env, stdio: ['ignore', 'pipe', 'ignore'] });
    const lines = output.split('\n').slice(0, -1);
    return lines.map((line) => line.split('\t').map((cell) => (cell === '' ? [] : cell.split(';'))));
  }

  it('reads every field of real traffic, faulty datagrams included', async () => {
    const received: Ipv4Datagram[] = [];
    const [node, payer] = [await listen(received), await listen(received)];
    const { toNode, toPayer } = traffic();
    const sent = [...toNode, ...toPayer];
    const file = join(directory, 'traffic.pcap');
    const { port } = node.address();
    const capture = await startCapture(file, port, sent.length);
    try {
      await exchange(payer, node, toNode);
      await exchange(node, payer, toPayer);
      if (capture === undefined) writeFileSync(file, writePcap(received));
      else if (capture.exitCode === null) await once(capture, 'exit');
    } finally {
      capture?.kill();
      node.close();
      payer.close();
    }
    console.info(`dissected ${capture === undefined ? 'a WRITTEN capture' : 'a LIVE capture by dumpcap'}`);

    const skipped = { notUdp: 0, fragment: 0 };
    const read = [...readPcap(readFileSync(file), skipped)];
    expect(read.map(({ payload }) => hex(payload))).toEqual(sent.map(hex));
    expect(read.map(({ targetPort }) => targetPort === port)).toEqual(sent.map((_, index) => index < toNode.length));
    expect(skipped).toEqual({ notUdp: 0, fragment: 0 });

    const names = [...FIELDS.map((name) => `claimwire.${name}`), '_ws.expert.message', '_ws.col.Protocol'];
    const rows = dissect(file, names, ['-o', `claimwire.port:${port}`]);
    expect(rows.length).toBe(sent.length);
    for (const [index, bytes] of sent.entries()) {
      const row = rows[index]!;
      const fields = Object.fromEntries(FIELDS.map((name, column) => [name, row[column]]));
      expect(fields, `packet ${index + 1}`).toEqual(expectedFields(bytes));
      const notes = expectedNotes(bytes);
      const said = row[FIELDS.length]!;
      expect(said.length, `packet ${index + 1}: ${said}`).toBe(notes.length);
      for (const [at, note] of notes.entries()) expect(said[at], `packet ${index + 1}`).toContain(note);
      expect(row[FIELDS.length + 1]).toEqual(['claimwire']);
    }
  });

  it('listens on 9393 by itself, counts frames and sums a datagram up in the info column', () => {
    const [claim, ack] = [vectorWires('claims.json')[0]!, vectorWires('acks.json')[3]!];
    const payloads = [claim, ack, Buffer.concat([claim, ack, claim]), Buffer.concat([claim, claim.subarray(0, 9)])];
    const ends = { source: '127.0.0.1', sourcePort: 40_000, target: '127.0.0.1', targetPort: 9393 };
    const file = join(directory, 'default-port.pcap');
    writeFileSync(file, writePcap(payloads.map((payload) => ({ seconds: 1, nanoseconds: 2, ...ends, payload }))));
    const rows = dissect(file, ['claimwire.claims', 'claimwire.acks', '_ws.col.Info', 'claimwire.timestamp']);
    const channel = 'channel 6750926077978654334';
    expect(rows.map(([claims, acks, info]) => [claims![0], acks![0], info![0]])).toEqual([
      ['1', '0', `Claim ${channel} seq 1 amount 1000000`],
      ['0', '1', `Ack BAD_SIGNATURE ${channel} seq 4294967281 amount 1000000`],
      ['2', '1', `2 claims, 1 acks: Claim ${channel} seq 1 amount 1000000 …`],
      ['1', '0', `Claim ${channel} seq 1 amount 1000000 [cut frame]`],
    ]);
    expect(rows[0]![3]).toEqual(['1767323045678']);
    expect(dissect(file, ['claimwire.type'], ['-o', 'claimwire.port:9500'])).toEqual([[[]], [[]], [[]], [[]]]);
  });

  it('puts TCP messages together over segments, and flags a bad length', () => {
    const claim = vectorWires('claims.json')[0]!;
    const message = (payload: Uint8Array): Buffer => {
      const header = Buffer.alloc(4);
      encodeStreamHeader(new DataView(header.buffer, header.byteOffset), 0, payload.length);
      return Buffer.concat([header, payload]);
    };
    const control = Uint8Array.of(0x80, 0x81, 0xa1, 0x61, 0x00);
    const stream = Buffer.concat([message(claim), message(Buffer.concat([claim, claim])), message(control)]);
    // Cut inside a header and inside payloads; the last segment begins a message of length 0.
    const cuts = [0, 2, 50, 99, 250, stream.length];
    const segments = cuts.slice(1).map((cut, index) => stream.subarray(cuts[index], cut));
    const file = join(directory, 'tcp.pcap');
    tcpCapture(join(directory, 'tcp.txt'), file, [...segments, Buffer.from('00000000ffff', 'hex')]);
    const names = ['claimwire.length', 'claimwire.amount', 'claimwire.control', '_ws.expert.message'];
    const rows = dissect(file, names);
    expect(rows.flatMap(([lengths]) => lengths!)).toEqual(['93', '186', '5', '0']);
    expect(rows.flatMap(([, amounts]) => amounts!)).toEqual(['1000000', '1000000', '1000000']);
    expect(rows.flatMap(([, , controls]) => controls!)).toEqual(['81 a1 61 00']);
    expect(rows.at(-1)![3]!.join()).toContain('Length outside 1..65536');
  });
});

/** Has text2pcap (it comes with tshark) put dummy TCP headers before `segments`. */
function tcpCapture(textFile: string, file: string, segments: readonly Uint8Array[]): void {
  const line = (bytes: Uint8Array): string =>
    `000000 ${[...bytes].map((byte) => hex(Uint8Array.of(byte))).join(' ')}\n`;
  writeFileSync(textFile, segments.map(line).join('\n'));
  execFileSync('text2pcap', ['-q', '-T', '40000,9393', textFile, file], { stdio: ['ignore', 'ignore', 'pipe'] });
}
