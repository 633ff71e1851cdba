/**
 * One connection to the admin server with any bytes, from anybody who may even know the token: an answer is never 500, the server never
 * throws, and it answers the next connection.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startFakeAdmin } from '../../support/fake-node.ts';
import type { Target } from '../target.ts';

const TOKEN = 'ab'.repeat(32);
/** An answer that waits for something else than the client is not waited for. */
const ANSWER_MS_MAX = 50;

const folder = mkdtempSync(join(tmpdir(), 'claimwire-fuzz-'));
writeFileSync(join(folder, 'admin-token'), `${TOKEN}\n`, { mode: 0o600 });
const admin = await startFakeAdmin(undefined, {}, { folder });
process.once('beforeExit', () => void admin.close());

const opening = (index: number) => ({
  ledgerChannelId: index.toString(16).padStart(16, '0').padEnd(64, 'A').toUpperCase(),
  publicKey: '0257CF4F3929F535518D624292D62ACE47E9DA563D7DFA7EA4C6BC24258AB467B7',
  capacity: '1000',
});
const REQUESTS: [string, string, unknown?, string?][] = [
  ['GET', '/health'],
  ['GET', '/channels?limit=2&from=0&state=open'],
  ['POST', '/channels', opening(7)],
  ['POST', '/channels', `${JSON.stringify(opening(7))}\n{}\n`, 'application/x-ndjson'],
  ['GET', '/channels/7'],
  ['PATCH', '/channels/7', { capacity: '2000', expiresAt: '2031-01-01T00:00:00.000Z' }],
  ['POST', '/channels/7/charges', { key: 'a', amount: '1', wait: 0 }],
  ['DELETE', '/channels/7'],
  ['GET', '/stats'],
  ['GET', '/events'],
  ['POST', '/claims', { claim: '00' }],
];

export const target: Target = {
  bytesMax: 1_500,
  seeds: () => REQUESTS.map(request),
  async run(bytes) {
    admin.node.rows.clear();
    admin.node.failure = undefined;
    const text = await answered(bytes);
    assert(!/HTTP\/1\.1 500 /.test(text), text);
    assert(text === '' || text.startsWith('HTTP/1.1 '), text);
  },
};

function request([method, path, body, type = 'application/json']: (typeof REQUESTS)[number]): Uint8Array {
  const text = body === undefined ? '' : typeof body === 'string' ? body : JSON.stringify(body);
  const head = `${method} ${path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer ${TOKEN}\r\n`;
  const more = text === '' ? '' : `content-type: ${type}\r\ncontent-length: ${text.length}\r\n`;
  return new Uint8Array(Buffer.from(`${head}${more}\r\n${text}`));
}

function answered(bytes: Uint8Array): Promise<string> {
  return new Promise((resolve) => {
    let text = '';
    const socket = connect({ port: admin.server.port, host: '127.0.0.1' });
    const timer = setTimeout(() => socket.destroy(), ANSWER_MS_MAX);
    socket.setEncoding('latin1');
    socket.on('data', (part: string) => {
      text += part;
    });
    socket.on('error', () => {});
    socket.once('close', () => {
      clearTimeout(timer);
      resolve(text);
    });
    socket.end(bytes);
  });
}
