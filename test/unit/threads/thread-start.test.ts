/**
 * What arrives while a thread with sockets is still starting: UDP and connections, between the moment their addresses are
 * bound and the one at which every step is there. Runs a lane and a net thread in this thread.
 *
 * The look-up of TCP's host is held until the early ones were sent, so that they always come too early.
 */
import dgram from 'node:dgram';
import dns from 'node:dns';
import dnsPromises from 'node:dns/promises';
import { mkdtempSync, rmSync } from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MessageChannel } from 'node:worker_threads';
import { afterAll, afterEach, expect, test } from 'vitest';
import { STATUS } from '../../../protocol/layout.ts';
import type { SocketKind } from '../../../src/config.ts';
import { Arena } from '../../../src/ring/arena.ts';
import { ClaimRing } from '../../../src/ring/claim-ring.ts';
import { ControlWords, PHASE_DRAINED, PHASE_STOPPING } from '../../../src/ring/control-words.ts';
import type { ThreadReady, ThreadRole } from '../../../src/threads/context.ts';
import { runLane } from '../../../src/threads/lane.ts';
import { runNet } from '../../../src/threads/net.ts';
import { ThreadParts } from '../../../src/threads/parts.ts';
import { nativeUdpFault } from '../../../src/transport/udp-native.ts';
import { bareClaim, framed, TcpPeer, until } from '../../support/tcp.ts';
import { WirePeer } from '../../support/wire.ts';

const ROOT = mkdtempSync(join(tmpdir(), 'claimwire-start-'));
afterAll(() => rmSync(ROOT, { recursive: true, force: true }));

const lookups = { callback: dns.lookup, promise: dnsPromises.lookup };
afterEach(() => {
  dns.lookup = lookups.callback;
  dnsPromises.lookup = lookups.promise;
  syncBuiltinESMExports();
});

/** Until the result resolves, nobody learns the address of `localhost`. Resolves `asked` when somebody asks for it. */
function holdLookups(): { asked: Promise<void>; release: () => void } {
  let release = () => {};
  const released = new Promise<void>((resolve) => {
    release = resolve;
  });
  let ask = () => {};
  const asked = new Promise<void>((resolve) => {
    ask = resolve;
  });
  dns.lookup = ((hostname: string, options: object, callback: () => void) => {
    if (hostname !== 'localhost') return lookups.callback(hostname, options, callback);
    ask();
    void released.then(() => lookups.callback('127.0.0.1', options, callback));
  }) as typeof dns.lookup;
  dnsPromises.lookup = (async (hostname: string, options: object) => {
    if (hostname === 'localhost') {
      ask();
      await released;
    }
    return lookups.promise('127.0.0.1', options);
  }) as typeof dnsPromises.lookup;
  syncBuiltinESMExports();
  return { asked, release };
}

async function freePort(): Promise<number> {
  const socket = dgram.createSocket('udp4');
  await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve));
  const { port } = socket.address();
  await new Promise<void>((resolve) => socket.close(resolve));
  return port;
}

function partsOf(role: ThreadRole, sockets: SocketKind, port: number, tcpPort: number): ThreadParts {
  const shape = { kernelBytes: 0, rings: 1, ringSlots: 64, ackSlots: 64, threads: 1, channelsMax: 16 };
  const arena = Arena.create(shape);
  return new ThreadParts({
    role,
    memory: arena.memory,
    shape: arena.plan.shape,
    backend: 'noble',
    verify: 'every',
    durability: 'sync',
    sockets,
    path: 'portable',
    idle: { spins: 0, sleepMsMax: 100 },
    measuring: true,
    ring: 0,
    thread: 0,
    kernel: { cacheBytes: 1, threads: 1, thread: 0 },
    udp: { host: '127.0.0.1', port, isShared: false },
    tcp: { listen: { host: 'localhost', port: tcpPort }, isShared: false, tls: undefined, limits: {} },
    controlPort: new MessageChannel().port1,
    journal: {
      directory: join(ROOT, `${role}-${sockets}`),
      segmentBytes: 1 << 20,
      journalId: new Uint8Array(16).fill(1),
      segment: 1,
      group: 1,
    },
  });
}

const KINDS: SocketKind[] = nativeUdpFault() === undefined ? ['dgram', 'native'] : ['dgram'];
const CASES = (['lane', 'net'] as const).flatMap((role) => KINDS.map((kind) => [role, kind] as const));

test.each(CASES)(
  '%s over %s: what comes before everything is there waits or is lost, and ends nothing',
  async (role, kind) => {
    const port = await freePort();
    const parts = partsOf(role, kind, port, 0);
    const lookup = holdLookups();
    let over = Promise.resolve();
    const starting = new Promise<ThreadReady>((resolve, reject) => {
      over = (role === 'lane' ? runLane : runNet)(parts, resolve);
      over.catch(reject);
    });
    // Bound by now, and not yet listening for connections.
    await lookup.asked;
    const early = await WirePeer.to(`127.0.0.1:${port}`);
    for (let sequence = 1; sequence <= 20; sequence++) await early.send(bareClaim(5n, sequence));
    // Turns of the event loop in which a socket that polls hands in what came.
    for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setTimeout(resolve, 2));
    lookup.release();
    const { tcp } = await starting;
    const peer = await TcpPeer.to(tcp!.port);
    peer.write(framed(bareClaim(5n, 21)));
    await until(() => peer.acks.length > 0);
    expect(peer.acks[0]!.status).toBe(STATUS.UNKNOWN_CHANNEL);
    await early.send(bareClaim(5n, 22));
    expect((await early.ack(({ sequence }) => sequence === 22)).status).toBe(STATUS.UNKNOWN_CHANNEL);
    peer.close();
    early.close();
    const control = new ControlWords(parts.arena);
    control.advanceTo(PHASE_STOPPING);
    new ClaimRing(parts.arena, 0).ringAll();
    // There is no committer here to say so.
    if (role === 'net') {
      await until(() => control.phase > PHASE_STOPPING);
      control.advanceTo(PHASE_DRAINED);
      new ClaimRing(parts.arena, 0).ringAll();
    }
    await over;
  },
);

test.each(CASES)(
  '%s over %s: what comes in its last moment asks for no turn over closed sockets',
  async (role, kind) => {
    const parts = partsOf(role, kind, 0, 0);
    let turnsAfterClose = 0;
    const openSockets = parts.openSockets.bind(parts);
    parts.openSockets = async () => {
      const sockets = await openSockets();
      const [startReceiving, afterTurn, close] = [sockets.startReceiving, sockets.afterTurn, sockets.close];
      let onPayloads = () => {};
      let isClosed = false;
      sockets.startReceiving = (sink, callback) => {
        onPayloads = callback;
        startReceiving.call(sockets, sink, callback);
      };
      sockets.afterTurn = () => {
        if (isClosed) turnsAfterClose++;
        else afterTurn.call(sockets);
      };
      sockets.close = () => {
        onPayloads();
        isClosed = true;
        return close.call(sockets);
      };
      return sockets;
    };
    let over = Promise.resolve();
    await new Promise<ThreadReady>((resolve, reject) => {
      over = (role === 'lane' ? runLane : runNet)(parts, resolve);
      over.catch(reject);
    });
    new ControlWords(parts.arena).advanceTo(PHASE_DRAINED);
    new ClaimRing(parts.arena, 0).ringAll();
    await over;
    for (let turn = 0; turn < 3; turn++) await new Promise(setImmediate);
    expect(turnsAfterClose).toBe(0);
  },
);
