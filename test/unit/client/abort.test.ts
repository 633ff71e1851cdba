/** AbortSignals of a payer's promises, and its disposal; on a manual clock, except where real links are opened. */
import { getEventListeners, once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import type { Claim } from '../../../protocol/claim.ts';
import { abortable } from '../../../src/client/abort.ts';
import type { PaymentChannel } from '../../../src/client/channel.ts';
import { openUdpSocket } from '../../../src/client/links/transport-udp.ts';
import { Payer } from '../../../src/client/payer.ts';
import { StateFile } from '../../../src/client/state/state-file.ts';
import { ackOf, ManualClock, MemorySocket, stubSigner } from '../../support/payer-fakes.ts';

const REASON = new Error('no more');

let clock: ManualClock;
let socket: MemorySocket;
let payer: Payer;
let channel: PaymentChannel;

function sent(): Claim[] {
  clock.turn();
  return socket.takeClaims();
}

beforeEach(() => {
  clock = new ManualClock();
  socket = new MemorySocket();
  payer = new Payer({ socket, clock, random: () => 0 });
  channel = payer.channel({ ledgerChannelId: new Uint8Array(32).fill(7), key: stubSigner, committed: 0n });
});

describe('a signal', () => {
  it('aborted before the call lets nothing be signed', async () => {
    const signal = AbortSignal.abort(REASON);
    const calls = [
      channel.claim(1n, { signal }),
      channel.pay(1n, { signal }),
      channel.isDurable(1n, { signal }),
      channel.resume({ signal }),
      payer.resume(channel, { signal }),
      Payer.open({ to: 'udp://127.0.0.1:1', signal }),
      openUdpSocket('udp://127.0.0.1:1', { signal }),
    ];
    for (const call of calls) await expect(call).rejects.toBe(REASON);
    expect(sent()).toEqual([]);
    expect(payer.stats().waiting).toBe(0);
  });

  it('ends the wait of its claim alone, and a claim nobody waits for is not sent again', async () => {
    const controller = new AbortController();
    const first = channel.claim(1n, { signal: controller.signal });
    const second = channel.claim(2n);
    sent();
    controller.abort(REASON);
    await expect(first).rejects.toBe(REASON);
    expect(payer.stats()).toMatchObject({ waiting: 1, inFlight: 2 });
    clock.advance(1_000);
    const [again] = sent();
    expect(again).toMatchObject({ amount: 2n });
    socket.deliver(ackOf(again!));
    expect(await second).toMatchObject({ amount: 2n });

    const alone = new AbortController();
    const third = channel.claim(3n, { signal: alone.signal });
    const [claim] = sent();
    alone.abort(REASON);
    await expect(third).rejects.toBe(REASON);
    clock.advance(5_000);
    expect(sent()).toEqual([]);
    expect(payer.stats()).toMatchObject({ waiting: 0, inFlight: 0 });
    // Its ack may come all the same.
    socket.deliver(ackOf(claim!));
    expect(channel.committed).toBe(3n);
  });

  it('is left alone once the promise is settled', async () => {
    const controller = new AbortController();
    const { signal } = controller;
    const paid = channel.claim(1n, { signal });
    expect(getEventListeners(signal, 'abort')).toHaveLength(1);
    socket.deliver(ackOf(sent()[0]!));
    await paid;
    expect(getEventListeners(signal, 'abort')).toHaveLength(0);
  });

  it('ends every wait at once, also while nothing answers: payer, channel, socket and state file', async () => {
    const sockets: Socket[] = [];
    const silent = createServer((peer) => sockets.push(peer)).listen(0, '127.0.0.1');
    await once(silent, 'listening');
    const { port } = silent.address() as AddressInfo;
    const folder = mkdtempSync(join(tmpdir(), 'claimwire-abort-'));
    const state = await StateFile.open(join(folder, 'payer.state'));
    vi.spyOn(state, 'record').mockReturnValue(new Promise(() => {}));
    const recording = new Payer({ socket: new MemorySocket(), clock, random: () => 0 }, state);
    const connected = await Payer.open({ to: `tcp://127.0.0.1:${port}` });
    try {
      const ledgerChannelId = new Uint8Array(32).fill(9);
      const other = payer.channel({ ledgerChannelId, key: stubSigner });
      const distant = connected.channel({ ledgerChannelId, key: stubSigner });
      const recorded = recording.channel({ ledgerChannelId, key: stubSigner });
      const calls: Record<string, (signal: AbortSignal) => Promise<unknown>> = {
        claim: (signal) => channel.claim(1n, { signal }),
        'pay, which asks first': (signal) => other.pay(1n, { signal }),
        isDurable: (signal) => channel.isDurable(5n, { signal }),
        'channel.resume': (signal) => distant.resume({ signal }),
        'payer.resume': (signal) => connected.resume(distant, { signal }),
        'a claim that is being written down': (signal) => recorded.claim(1n, { signal }),
        'open a payer': (signal) => Payer.open({ to: 'udp://localhost:9', signal }),
        'open a socket': (signal) => openUdpSocket('udp://localhost:9', { signal }),
      };
      for (const [name, call] of Object.entries(calls)) {
        const controller = new AbortController();
        let ended: unknown;
        call(controller.signal).then(
          () => (ended = 'resolved'),
          (error: unknown) => (ended = error),
        );
        // The look-up of a name is over soon.
        if (!name.startsWith('open')) await turn();
        expect(ended, name).toBe(undefined);
        controller.abort(REASON);
        await turn();
        expect(ended, name).toBe(REASON);
      }
    } finally {
      for (const peer of sockets) peer.destroy();
      silent.close();
      await connected.close();
      await state.close();
      rmSync(folder, { recursive: true });
    }
  });

  it('is an option of everything in claimwire/client that makes one wait, but for closing', () => {
    const files = ['channel.ts', 'payer.ts', 'payer-core.ts', 'browser/payer.ts', 'links/transport-udp.ts'];
    const waits = files.flatMap((file) => {
      const text = readFileSync(new URL(`../../../src/client/${file}`, import.meta.url), 'utf8');
      return text.match(
        /^(?: {2}(?:static )?(?:async )?[a-z]\w*|export (?:async )?function \w+)\([^)]*\): Promise<.*$/gm,
      )!;
    });
    expect(waits.length).toBeGreaterThan(6);
    expect(waits.filter((line) => !line.includes('Abortable') && !/\bclose\(/.test(line))).toEqual([]);
  });

  it('hands what comes late to whoever cleans up', async () => {
    const controller = new AbortController();
    let finish = (_: string): void => {};
    const late = new Promise<string>((done) => {
      const work = () =>
        new Promise<string>((resolve) => {
          finish = resolve;
        });
      abortable(controller.signal, work, done).catch(() => {});
    });
    controller.abort(REASON);
    finish('opened');
    expect(await late).toBe('opened');
  });
});

it('a payer is closed at the end of its block', async () => {
  let waiting: Promise<unknown>;
  {
    await using payer = new Payer({ socket, clock, random: () => 0 });
    waiting = payer.channel({ ledgerChannelId: new Uint8Array(32).fill(8), key: stubSigner }).claim(1n);
    waiting.catch(() => {});
  }
  await expect(waiting).rejects.toMatchObject({ code: 'PAYER_CLOSED' });
});
