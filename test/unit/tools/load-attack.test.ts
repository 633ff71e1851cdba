/** `claimwire load --attack`: what it refuses, and its attacks by connection, against servers in this process. */
import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { CLAIM_BYTES, FRAME_CLAIM } from '../../../protocol/layout.ts';
import type { AttackResult } from '../../../src/load/attack/run.ts';
import { command } from '../../../tools/load.ts';
import { type FakeAdmin, startFakeAdmin } from '../../support/fake-node.ts';

let admin: FakeAdmin;
beforeEach(async () => {
  admin = await startFakeAdmin();
});
afterEach(async () => {
  vi.restoreAllMocks();
  process.removeAllListeners('SIGINT').removeAllListeners('SIGTERM');
  await admin.close();
});

async function attack(...args: string[]): Promise<{ code: number; printed: string }> {
  let printed = '';
  const keep = (text: unknown) => {
    printed += String(text);
    return true;
  };
  vi.spyOn(process.stdout, 'write').mockImplementation(keep);
  vi.spyOn(process.stderr, 'write').mockReturnValue(true);
  const code = await command.run([...args, '--http', admin.url, '--token-file', admin.tokenFile]);
  vi.restoreAllMocks();
  return { code, printed };
}

/** A TCP server that hands each connection over, and what an attack on it for a fifth of a second came to. */
async function attackServer(onConnection: (socket: Socket) => void, ...args: string[]): Promise<AttackResult['tcp']> {
  const sockets = new Set<Socket>();
  const server: Server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    onConnection(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  try {
    const { code, printed } = await attack('--to', `tcp://127.0.0.1:${port}`, '--duration', '0.2', '--json', ...args);
    expect(code).toBe(0);
    return (JSON.parse(printed) as AttackResult).tcp;
  } finally {
    for (const socket of sockets) socket.destroy();
    server.close();
  }
}

describe('what is refused', () => {
  test.each([
    [['--to', 'udp://192.0.2.1:9393', '--attack', 'junk'], /expected an address of loopback.*--allow-remote/],
    [['--to', 'udp://127.0.0.1:9393', '--attack', 'connections'], /expected .*tcp:\/\/HOST:PORT/],
    [['--to', 'udp://127.0.0.1:9393', '--attack', 'tokens'], /expected http:\/\/HOST:PORT/],
    [['--to', 'udp://127.0.0.1:9393', '--attack', 'junk', '--ramp', '1k:2k:1k'], /expected no --ramp/],
    [['--to', 'udp://127.0.0.1:9393', '--attack', 'stale', '--use-channels'], /expected --attack invalid-signatures/],
    [['--to', 'udp://127.0.0.1:9393', '--attack', 'phishing'], /--attack/],
  ])('%j', async (args, message) => {
    await expect(attack(...args)).rejects.toMatchObject({ code: 'USAGE', message: expect.stringMatching(message) });
  });
});

test('guessed tokens are all refused, and said so', async () => {
  const to = ['--to', admin.url, '--attack', 'tokens', '--duration', '0.2'];
  const { code, printed } = await attack(...to, '--json');
  expect(code).toBe(0);
  const { http, isUp } = JSON.parse(printed) as AttackResult;
  expect(isUp).toBe(true);
  expect(http!.requests).toBeGreaterThan(0);
  expect(http!.answered).toEqual({ 401: http!.requests });
  const { printed: text } = await attack(...to, '--rate', '50');
  expect(text).toMatch(/^attack tokens on http.*, seed 1\n\nsent +\d+ guesses in 0\.\d s\nanswered +401 \d+\n/);
});

test('connections: how many stood, were cut and are open', async () => {
  let count = 0;
  const server = (socket: Socket) => {
    if (++count > 3) socket.destroy();
  };
  const tcp = await attackServer(server, '--attack', 'connections', '--connections', '10');
  expect(tcp).toMatchObject({
    wanted: 10,
    attempted: 10,
    connected: 10,
    failed: 0,
    cut: 7,
    openAtEnd: 3,
    bytesSent: 0,
  });
});

test('slow TCP sends a framed claim byte by byte, at the rate', async () => {
  const got: Buffer[] = [];
  const server = (socket: Socket) => socket.on('data', (chunk: Buffer) => got.push(chunk));
  const rate = ['--rate', '1000'];
  const tcp = await attackServer(server, '--attack', 'slow-tcp', '--connections', '1', ...rate);
  expect(tcp!.bytesSent).toBeGreaterThan(0);
  expect(tcp!.bytesSent).toBeLessThanOrEqual(1_000);
  const bytes = Buffer.concat(got);
  expect(bytes.subarray(0, 5)).toEqual(Buffer.from([0, 0, 0, CLAIM_BYTES, FRAME_CLAIM]).subarray(0, bytes.length));
});

test('messages that are too long, or of no length, on connections that come again when they are cut', async () => {
  const lengths: number[] = [];
  const server = (socket: Socket) =>
    socket.once('data', (chunk: Buffer) => {
      lengths.push(chunk.readUInt32BE());
      socket.destroy();
    });
  const tcp = await attackServer(server, '--attack', 'oversize-frames', '--connections', '4', '--seed', '3');
  expect(tcp!.connected).toBeGreaterThan(4);
  expect(tcp!.cut).toBeGreaterThan(4);
  expect(lengths.every((length) => length === 0 || length > 65_536)).toBe(true);
});

test.each([
  ['tcp://127.0.0.1:9', 'connections', '--connections', '2'],
  ['udp://127.0.0.1:9', 'junk', '--rate', '200', '--sockets', '1'],
  ['http://127.0.0.1:9', 'tokens'],
])('where nobody listens an attack has shown nothing, and says so: %s', async (to, ...kind) => {
  const { code, printed } = await attack('--to', to, '--duration', '0.2', '--attack', ...kind);
  expect(printed).toContain('Nobody took any of it');
  expect(code).toBe(1);
});
