/**
 * The least that a durable answer to a datagram costs: receive, write 128 bytes into a preallocated zero-filled file,
 * fdatasync, answer. It uses the node's own native sockets with blocking waits, so that only
 * verification, the protocol and the event loop make the node slower.
 *
 * `startFloor` is the bench's side; started as a program, this file is the process that answers. It owns its file.
 */

import { spawn } from 'node:child_process';
import { closeSync, fdatasyncSync, fsyncSync, openSync, writeSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { ACK_AMOUNT, ACK_BYTES, CLAIM_AMOUNT, FRAME_ACK } from '../../protocol/layout.ts';
import { hostPortText, parseHostPort } from '../../src/host-port.ts';
import { SOURCE_WORDS } from '../../src/ring/slot.ts';
import { NativeUdp } from '../../src/transport/udp-native.ts';
import { endsWithBench, within } from '../node-under-test.ts';

const program = fileURLToPath(import.meta.url);
const FILE_BYTES = 4 * 2 ** 20;
const WRITE_BYTES = 128;
const WAIT_US = 1_000_000;
const START_MS_MAX = 10_000;

export interface Floor {
  host: string;
  port: number;
  stop: () => Promise<void>;
}

/** Starts a process that writes to `path`. */
export async function startFloor(path: string): Promise<Floor> {
  const child = endsWithBench(spawn(process.execPath, [program, path], { stdio: ['ignore', 'pipe', 'inherit'] }));
  const exit = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const line = new Promise<string>((resolve, reject) => {
    createInterface({ input: child.stdout }).once('line', resolve);
    void exit.then(() => reject(new Error('the floor did not start')));
  });
  const address = parseHostPort(await within(line, START_MS_MAX, 'the floor to start'))!;
  return {
    ...address,
    // It blocks and has no handler, so the signal ends it.
    stop: () => {
      child.kill('SIGTERM');
      return exit;
    },
  };
}

/** Runs until its parent is gone or a signal ends it. */
async function answer(path: string): Promise<void> {
  const file = openSync(path, 'w');
  writeSync(file, new Uint8Array(FILE_BYTES));
  fsyncSync(file);
  const record = new Uint8Array(WRITE_BYTES);
  const udp = await NativeUdp.open({
    local: { host: '127.0.0.1', port: 0 },
    sendingBytes: ACK_BYTES,
    packetsMax: 1,
  });
  const words = new Uint32Array(SOURCE_WORDS);
  const ack = new DataView(udp.sending.buffer, udp.sending.byteOffset, ACK_BYTES);
  ack.setUint8(0, FRAME_ACK);
  let offset = 0;
  const sink = {
    payload(bytes: Uint8Array, view: DataView, at: number, length: number, source: Uint32Array) {
      for (let index = 0; index < length; index++) record[index] = bytes[at + index]!;
      writeSync(file, record, 0, WRITE_BYTES, offset);
      fdatasyncSync(file);
      offset = (offset + WRITE_BYTES) % FILE_BYTES;
      ack.setUint32(ACK_AMOUNT, view.getUint32(at + CLAIM_AMOUNT));
      ack.setUint32(ACK_AMOUNT + 4, view.getUint32(at + CLAIM_AMOUNT + 4));
      words.set(source);
      udp.describe(0, 0, ACK_BYTES, words, 0);
      udp.send(1);
    },
  };
  const parent = process.ppid;
  writeSync(1, `${hostPortText(udp.address)}\n`);
  while (process.ppid === parent) {
    if (udp.wait(WAIT_US, false) === 0) continue;
    const messages = udp.receive(1);
    for (let index = 0; index < messages; index++) udp.handOver(index, sink);
  }
  udp.close();
  closeSync(file);
}

if (process.argv[1] === program) await answer(process.argv[2]!);
