/** The machine that this process runs on, for the checks of `claimwire doctor`. */
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import {
  closeSync,
  constants,
  fdatasyncSync,
  openSync,
  readFileSync,
  statfsSync,
  statSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { request } from 'node:http';
import { request as secureRequest } from 'node:https';
import { createRequire } from 'node:module';
import { createServer } from 'node:net';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { Secp256k1Signer } from '../../src/client/keys/secp256k1-signer.ts';
import { addonFault, addonOrigin } from '../../src/native/addon.ts';
import { NativeSigner } from '../../src/native/batch-signer.ts';
import { MODULE_VARIABLE } from '../../src/pkcs11/open.ts';
import { NativeUdp, READABLE } from '../../src/transport/udp-native.ts';
import { NativeKernel } from '../../src/verify/native.ts';
import { resolveBackend } from '../../src/verify/select.ts';
import type { BackendFacts, Machine, SigningFacts } from './machine.ts';
import { TRAIN_DATAGRAMS } from './network.ts';
import { storeFacts } from './real-store.ts';

const PROGRAM_MS_MAX = 3_000;
const REQUEST_MS_MAX = 5_000;
const TRAIN_WAIT_US = 200_000;
const DATAGRAM_BYTES = 93;
const BLOCK_BYTES = 4_096;
/** The kernel's minimum: pages that no key uses are never touched. */
const TRIAL_CACHE_BYTES = 32 * 2 ** 20;
const DRIFT_PAUSE_MS = 100;
/** A full batch, and what takes noble some milliseconds. */
const SIGNED_DIGESTS = 256;
const SIGNED_BY_NOBLE = 16;
/** The system counts processor time by milliseconds. */
const SIGNING_US = 20_000;

function unlessFails<Result>(work: () => Result): Result | undefined {
  try {
    return work();
  } catch {
    return undefined;
  }
}

function codeOf(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  return code ?? message;
}

let backend: BackendFacts | undefined;

export const realMachine: Machine = {
  platform: process.platform,
  arch: process.arch,
  nodeVersion: process.versions.node,
  userId: process.getuid?.() ?? 0,
  cores: availableParallelism(),
  // Files of /proc/sys give what they hold to the first read alone, so this one is large enough for all of it.
  text: (path) => unlessFails(() => readFileSync(path, 'utf8')),
  file: (path) =>
    unlessFails(() => {
      const stat = statSync(path);
      return { mode: stat.mode & 0o777, userId: stat.uid, isFolder: stat.isDirectory() };
    }),
  backend: () => {
    backend ??= findBackend();
    return backend;
  },
  signing: tryToSign,
  disk: (folder) =>
    unlessFails(() => {
      const { type, bsize, blocks, bavail } = statfsSync(folder);
      return { type, bytes: blocks * bsize, freeBytes: bavail * bsize };
    }),
  syncs: timedSyncs,
  trains: sentTrain,
  bindFault: (protocol, host, port) => (protocol === 'udp' ? udpFault(host, port) : tcpFault(host, port)),
  isNodeAt,
  reach: handshakeMs,
  store: storeFacts,
  hasLedgerLibrary: () => unlessFails(() => createRequire(import.meta.url).resolve('xrpl')) !== undefined,
  hasPkcs11Library: () => unlessFails(() => createRequire(import.meta.url)('pkcs11js')) !== undefined,
  pkcs11Module: () => process.env[MODULE_VARIABLE],
  output: (program, ...args) =>
    unlessFails(() =>
      execFileSync(program, args, { encoding: 'utf8', timeout: PROGRAM_MS_MAX, stdio: ['ignore', 'pipe', 'ignore'] }),
    ),
  now: () => Date.now(),
  clockDrift: async () => {
    const [wall, monotonic] = [Date.now(), performance.now()];
    await pause(DRIFT_PAUSE_MS);
    return Date.now() - wall - (performance.now() - monotonic);
  },
};

function findBackend(): BackendFacts {
  const passedOver: string[] = [];
  const name = resolveBackend('auto', TRIAL_CACHE_BYTES, (other, reason) => passedOver.push(`${other}: ${reason}`));
  const native = name === 'native' ? new NativeKernel(TRIAL_CACHE_BYTES) : undefined;
  const { kernelName: kernel, kernelNote } = native ?? { kernelName: null, kernelNote: '' };
  return { name, kernel, kernelNote, addonFault: addonFault(), addonOrigin: addonOrigin(), passedOver };
}

function tryToSign(): SigningFacts {
  const privateKey = randomBytes(32);
  const digests = randomBytes(SIGNED_DIGESTS * 32);
  const perSecond = (count: number, sign: () => void) => {
    sign();
    const before = process.cpuUsage();
    for (let done = count; ; done += count) {
      sign();
      const { user, system } = process.cpuUsage(before);
      if (user + system >= SIGNING_US) return (1e6 * done) / (user + system);
    }
  };
  const noble = new Secp256k1Signer(privateKey);
  const noblePerSecond = perSecond(SIGNED_BY_NOBLE, () => {
    for (let index = 0; index < SIGNED_BY_NOBLE; index++) noble.sign(digests.subarray(32 * index, 32 * index + 32));
  });
  try {
    const native = new NativeSigner(privateKey);
    const { kernelName: kernel, note } = native;
    const rate = perSecond(SIGNED_DIGESTS, () => native.signDigests(digests));
    native.close();
    return { kernel, perSecond: rate, fault: undefined, note, noblePerSecond };
  } catch (error) {
    return { kernel: null, perSecond: null, fault: (error as Error).message, note: '', noblePerSecond };
  } finally {
    privateKey.fill(0);
  }
}

function timedSyncs(folder: string, count: number): number[] | string {
  const path = join(folder, `.claimwire-doctor-${randomBytes(6).toString('hex')}`);
  let descriptor: number | undefined;
  try {
    descriptor = openSync(path, constants.O_CREAT | constants.O_EXCL | constants.O_WRONLY, 0o600);
    const block = randomBytes(BLOCK_BYTES);
    const times: number[] = [];
    for (let index = 0; index < count; index++) {
      const since = performance.now();
      writeSync(descriptor, block, 0, BLOCK_BYTES, index * BLOCK_BYTES);
      fdatasyncSync(descriptor);
      times.push(performance.now() - since);
    }
    return times;
  } catch (error) {
    return codeOf(error);
  } finally {
    if (descriptor !== undefined) {
      closeSync(descriptor);
      unlessFails(() => unlinkSync(path));
    }
  }
}

async function sentTrain(): Promise<number | string> {
  const opened: NativeUdp[] = [];
  try {
    const local = { host: '127.0.0.1', port: 0 };
    const receiver = await NativeUdp.open({ local, sendingBytes: 0, packetsMax: 0 });
    opened.push(receiver);
    const sender = await NativeUdp.connect(receiver.address, TRAIN_DATAGRAMS * DATAGRAM_BYTES);
    opened.push(sender);
    sender.sendSegments(0, TRAIN_DATAGRAMS * DATAGRAM_BYTES, DATAGRAM_BYTES);
    return receiver.wait(TRAIN_WAIT_US, false) === READABLE ? Math.max(0, receiver.receive(TRAIN_DATAGRAMS)) : 0;
  } catch (error) {
    return codeOf(error);
  } finally {
    for (const socket of opened) socket.close();
  }
}

async function udpFault(host: string, port: number): Promise<string | undefined> {
  const socket = createSocket({ type: host.includes(':') ? 'udp6' : 'udp4' });
  try {
    const bound = once(socket, 'listening');
    socket.bind({ port, address: host, exclusive: true });
    await bound;
    return undefined;
  } catch (error) {
    return codeOf(error);
  } finally {
    socket.close();
  }
}

async function tcpFault(host: string, port: number): Promise<string | undefined> {
  const server = createServer();
  try {
    const listening = once(server, 'listening');
    server.listen(port, host);
    await listening;
    return undefined;
  } catch (error) {
    return codeOf(error);
  } finally {
    server.close();
  }
}

function isNodeAt(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const asked = request({ host, port, path: '/healthz', timeout: REQUEST_MS_MAX, agent: false }, (response) => {
      response.resume();
      resolve(response.statusCode === 200);
    });
    asked.on('error', () => resolve(false));
    asked.on('timeout', () => asked.destroy());
    asked.end();
  });
}

/** The handshake of a WebSocket alone: it shows the name, the way, the certificate and that such a server answers. */
function handshakeMs(url: string): Promise<number | string> {
  const since = performance.now();
  const target = new URL(url.replace(/^ws/, 'http'));
  return new Promise((resolve) => {
    const asked = (target.protocol === 'https:' ? secureRequest : request)(target, {
      timeout: REQUEST_MS_MAX,
      agent: false,
      headers: {
        connection: 'Upgrade',
        upgrade: 'websocket',
        'sec-websocket-version': '13',
        'sec-websocket-key': randomBytes(16).toString('base64'),
      },
    });
    asked.on('upgrade', (_response, socket) => {
      socket.destroy();
      resolve(performance.now() - since);
    });
    asked.on('response', ({ statusCode }) => {
      asked.destroy();
      resolve(`HTTP ${statusCode}, no WebSocket`);
    });
    asked.on('timeout', () => asked.destroy(new Error(`no answer in ${REQUEST_MS_MAX / 1_000} s`)));
    asked.on('error', (error) => resolve(codeOf(error)));
    asked.end();
  });
}
