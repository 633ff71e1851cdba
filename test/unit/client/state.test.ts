/** What a payer keeps over restarts: the file, its lock, and the questions that the payer asks the node. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Ack } from '../../../protocol/ack.ts';
import type { Claim } from '../../../protocol/claim.ts';
import { STATUS } from '../../../protocol/layout.ts';
import type { PaymentChannel } from '../../../src/client/channel.ts';
import { learnCommitted } from '../../../src/client/committed.ts';
import { Payer } from '../../../src/client/payer.ts';
import { StateFile } from '../../../src/client/state/state-file.ts';
import { ackOf, isQuestion, MemorySocket, stubSigner } from '../../support/payer-fakes.ts';

let folder: string;
let path: string;
const toClose: { close(): Promise<void> }[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'claimwire-state-'));
  path = join(folder, 'payer.state');
});
afterEach(async () => {
  vi.restoreAllMocks();
  for (const { close } of toClose.splice(0).map((it) => ({ close: () => it.close() }))) await close();
  rmSync(folder, { recursive: true });
});

const ledgerId = (number: number): Uint8Array => new Uint8Array(32).fill(number);
const hexId = (number: number): string => Buffer.from(ledgerId(number)).toString('hex').toUpperCase();

/** A node in memory: what it holds, and what it was sent. */
class Node {
  readonly socket = new MemorySocket();
  readonly held = new Map<bigint, bigint>();
  readonly claims: Claim[] = [];
  answer: (claim: Claim) => Ack | undefined = (claim) => {
    const held = this.held.get(claim.channelId) ?? 0n;
    if (claim.amount <= held) return ackOf(claim, { status: STATUS.ALREADY });
    if (isQuestion(claim)) return ackOf(claim, { status: STATUS.BAD_SIGNATURE });
    this.held.set(claim.channelId, claim.amount);
    return ackOf(claim);
  };

  constructor() {
    const push = this.socket.datagrams.push.bind(this.socket.datagrams);
    this.socket.datagrams.push = (...datagrams) => {
      const length = push(...datagrams);
      queueMicrotask(() => this.#take());
      return length;
    };
  }

  #take(): void {
    for (const claim of this.socket.takeClaims()) {
      if (!isQuestion(claim)) this.claims.push(claim);
      const ack = this.answer(claim);
      if (ack !== undefined) this.socket.deliver(ack);
    }
  }
}

async function payer(node = new Node(), file: string = path) {
  const made = new Payer({ socket: node.socket }, await StateFile.open(file));
  toClose.push(made);
  const channel = (number: number): PaymentChannel =>
    made.channel({ ledgerChannelId: ledgerId(number), key: stubSigner });
  return { node, payer: made, channel };
}

const lines = (): string[] => readFileSync(path, 'latin1').trim().split('\n');

describe('a state file', () => {
  it('keeps all channels, also those that are not used', async () => {
    const node = new Node();
    for (const numbers of [[1, 2], [2, 3], []]) {
      const one = await payer(node);
      await Promise.all(numbers.map((number) => one.channel(number).pay(5n)));
      await one.payer.close();
    }
    const [title, line, ...rest] = lines();
    expect(title).toMatch(/^claimwire payer state 1, 1 #/);
    expect(line!.split(' ').slice(0, -1)).toEqual([`${hexId(1)},5,5,1`, `${hexId(2)},10,10,2`, `${hexId(3)},5,5,1`]);
    expect(rest).toEqual([]);
  });

  it('is written once for all that is asked for meanwhile', async () => {
    const { channel, node } = await payer();
    const channels = Array.from({ length: 50 }, (_, index) => channel(index + 1));
    await Promise.all(channels.map((one) => one.pay(1n)));
    const before = lines().length;
    const payments: Promise<unknown>[] = [];
    for (let count = 0; count < 20; count += 1) payments.push(...channels.map((one) => one.pay(1n)));
    await Promise.all(payments);
    expect(lines().length - before).toBeLessThanOrEqual(2);
    expect([...node.held.values()]).toEqual(channels.map(() => 21n));
  });

  it('has an amount before it is signed', async () => {
    const { channel, node } = await payer();
    const said: string[] = [];
    const { answer } = node;
    node.answer = (claim) => {
      if (!isQuestion(claim)) said.push(lines().at(-1)!);
      return answer(claim);
    };
    const one = channel(1);
    for (const drops of [3n, 4n]) await one.pay(drops);
    expect(said[0]).toMatch(new RegExp(`^${hexId(1)},0,3,\\d+ #`));
    expect(said[1]).toMatch(new RegExp(`^${hexId(1)},3,7,\\d+ #`));
  });

  it('is copied anew before it grows without end', async () => {
    const { channel } = await payer();
    const channels = Array.from({ length: 200 }, (_, index) => channel(index));
    for (let round = 0; round < 120; round += 1) await Promise.all(channels.map((one) => one.pay(1n)));
    expect(readFileSync(path).length).toBeLessThan(1.2 * 2 ** 20);
    expect(readdirSync(folder).filter((name) => name.endsWith('.new'))).toEqual([]);
  });

  it('that cannot be written ends the payments before anything is signed', async () => {
    const { channel, node, payer: one } = await payer();
    const paying = channel(1);
    await paying.pay(1n);
    const probe = await open(path, 'r');
    vi.spyOn(Object.getPrototypeOf(probe), 'datasync').mockRejectedValueOnce(
      Object.assign(new Error('full'), { code: 'ENOSPC' }),
    );
    await probe.close();
    const both = await Promise.allSettled([paying.pay(1n), channel(2).claim(5n)]);
    expect(both.map((result) => (result as PromiseRejectedResult).reason.code)).toEqual([
      'STATE_FAILED',
      'STATE_FAILED',
    ]);
    await expect(paying.pay(1n)).rejects.toMatchObject({
      code: 'STATE_FAILED',
      message: expect.stringMatching(/ENOSPC/),
    });
    expect(node.claims.map(({ amount }) => amount)).toEqual([1n]);
    await one.close();
    await expect(paying.pay(1n)).rejects.toMatchObject({ code: 'PAYER_CLOSED' });
  });

  it('loses nothing by a cut line at its end', async () => {
    const { channel, payer: one } = await payer();
    await channel(1).pay(5n);
    await one.close();
    const whole = readFileSync(path);
    const line = Buffer.from(`${hexId(1)},5,9,2 #00000000`);
    for (let length = 0; length <= line.length; length += 7) {
      writeFileSync(path, Buffer.concat([whole, line.subarray(0, length)]));
      await (await StateFile.open(path)).close();
      expect(lines()[1]).toMatch(new RegExp(`^${hexId(1)},5,5,1 #`));
    }
  });
});

describe('STATE_INVALID', () => {
  const refused = async (message: RegExp): Promise<void> => {
    await expect(StateFile.open(path)).rejects.toMatchObject({
      code: 'STATE_INVALID',
      message: expect.stringMatching(message),
    });
    // Neither written over nor left locked.
    expect(readdirSync(folder)).toEqual(['payer.state']);
  };

  it('damage and truncation anywhere in what was there whole', async () => {
    const { channel, payer: one } = await payer();
    await Promise.all([channel(1).pay(5n), channel(2).pay(6n)]);
    await one.close();
    await (await StateFile.open(path)).close();
    const whole = readFileSync(path);
    for (let at = 0; at < whole.length; at += 5) {
      const damaged = Buffer.from(whole);
      damaged[at]! ^= 0x01;
      writeFileSync(path, damaged);
      await refused(/expected a payer's state|expected line 2 to be sound|expected \d+ lines/);
      writeFileSync(path, whole.subarray(0, at));
      await refused(/expected a payer's state|expected 2 lines/);
    }
  });

  it('something else, a pipe, a folder, a device', async () => {
    for (const text of ['', '{"privateKey":"AB"}\n', '\n\n', 'claimwire payer state 2, 0\n']) {
      writeFileSync(path, text);
      await refused(/expected a payer's state .*choose another file/);
      expect(readFileSync(path, 'utf8')).toBe(text);
    }
    rmSync(path);
    execFileSync('mkfifo', [path]);
    await refused(/got a pipe/);
    rmSync(path);
    mkdirSync(path);
    await refused(/got a folder/);
    await expect(StateFile.open(join(folder, 'none', 'x'))).rejects.toMatchObject({ code: 'STATE_INVALID' });
    await expect(StateFile.open(join(folder, 'x'.repeat(100)))).rejects.toMatchObject({ code: 'STATE_INVALID' });
  });
});

describe('its lock', () => {
  it('holds off a second payer, by any name of the file, until the first is closed', async () => {
    const { payer: first } = await payer();
    symlinkSync(path, join(folder, 'link'));
    for (const name of [path, join(folder, 'link')])
      await expect(StateFile.open(name)).rejects.toMatchObject({ code: 'STATE_LOCKED' });
    await first.close();
    await (await StateFile.open(join(folder, 'link'))).close();
    expect(readdirSync(folder).sort()).toEqual(['link', 'payer.state']);
  });

  it('is never given to two that ask at the same time, in folders of any length', async () => {
    const deep = join(folder, ...Array.from({ length: 12 }, () => 'a-rather-long-name'));
    mkdirSync(deep, { recursive: true });
    for (let round = 0; round < 10; round += 1) {
      const tries = Array.from({ length: 4 }, () => StateFile.open(join(deep, 'payer.state')));
      const opened = (await Promise.allSettled(tries)).filter(({ status }) => status === 'fulfilled');
      expect(opened.length).toBeLessThanOrEqual(1);
      for (const result of opened) await (result as PromiseFulfilledResult<StateFile>).value.close();
    }
    await (await StateFile.open(join(deep, 'payer.state'))).close();
    expect(readdirSync(deep)).toEqual(['payer.state']);
  });
});

describe('what the node is asked', () => {
  const source = (held: bigint) => {
    const asked: bigint[] = [];
    const isHeld = async (amount: bigint) => {
      asked.push(amount);
      return amount <= held;
    };
    return { asked, isHeld, prove: async () => ({ committed: held, sequence: 7 }) };
  };

  it('finds every amount between what was acknowledged and what was signed', async () => {
    for (let held = 20n; held <= 60n; held += 1n) {
      const bounds = { least: 20n, most: 60n };
      expect(await learnCommitted(source(held), bounds)).toEqual({ committed: held });
    }
    const most = 2n ** 64n - 1n;
    for (const held of [most, most - 1n, most / 2n, 1n, 0n]) {
      const node = source(held);
      expect(await learnCommitted(node, { least: 0n, most })).toEqual({ committed: held });
      expect(node.asked.length).toBeLessThan(70);
    }
  });

  it('is little where nothing was left open', async () => {
    const settled = source(25n);
    expect(await learnCommitted(settled, { least: 25n, most: 25n })).toEqual({ committed: 25n });
    expect(settled.asked).toEqual([26n, 25n]);
    const fresh = source(0n);
    expect(await learnCommitted(fresh, { least: 0n, most: undefined })).toEqual({ committed: 0n });
    expect(fresh.asked).toEqual([1n]);
    expect(await learnCommitted(source(25n), { least: 0n, most: undefined })).toEqual({ committed: 25n, sequence: 7 });
  });

  it('is believed up to what was signed: a node that says it holds everything is not paid on top', async () => {
    const node = new Node();
    const { channel, payer: one } = await payer(node);
    const paying = channel(1);
    await paying.pay(5n);
    await one.close();
    const liar = new Node();
    liar.answer = (claim) => ackOf(claim, { status: STATUS.ALREADY });
    const { channel: again } = await payer(liar);
    await expect(again(1).pay(5n)).rejects.toMatchObject({ code: 'COMMITTED_MISMATCH' });
    await expect(again(2).pay(5n)).rejects.toMatchObject({ code: 'COMMITTED_UNKNOWN' });
    expect(liar.claims).toEqual([]);
  });

  it('is asked again until it answers, and told as a time-out where it does not', async () => {
    const node = new Node();
    const { answer } = node;
    let asked = 0;
    node.answer = (claim) => {
      asked += 1;
      if (asked === 1) return undefined;
      return asked === 2 ? ackOf(claim, { status: STATUS.OVERLOADED, amount: 0n }) : answer(claim);
    };
    const one = new Payer({ socket: node.socket, rto: { initialMs: 5, minMs: 5 } });
    toClose.push(one);
    const channel = one.channel({ ledgerChannelId: ledgerId(1), key: stubSigner });
    expect(await channel.pay(1n)).toMatchObject({ amount: 1n });
    expect(asked).toBe(4);
    expect(one.stats()).toMatchObject({ questionsSent: 3, claimsSent: 1, unmatched: 0, waiting: 0 });
    const silent = new Payer({ socket: new MemorySocket(), ackTimeoutMs: 30, waitingMax: 2 });
    toClose.push(silent);
    const waiting = silent.channel({ ledgerChannelId: ledgerId(1), key: stubSigner });
    const results = await Promise.allSettled([waiting.pay(1n), waiting.pay(1n), waiting.pay(1n)]);
    const codes = results.map((result) => (result as PromiseRejectedResult).reason.code);
    expect(codes).toEqual(['ACK_TIMEOUT', 'ACK_TIMEOUT', 'PAYER_FULL']);
    const closed = waiting.pay(1n);
    await silent.close();
    await expect(closed).rejects.toMatchObject({ code: 'PAYER_CLOSED' });
  });
});

describe('a node that answers nothing', () => {
  it('every first payment is given up with those that were asked for, also those in line', async () => {
    vi.useFakeTimers();
    try {
      const socket = new MemorySocket();
      const payer = new Payer({ socket, ackTimeoutMs: 1_000 });
      toClose.push(payer);
      const channels = Array.from({ length: 200 }, (_, number) =>
        payer.channel({ ledgerChannelId: ledgerId(number), key: stubSigner, committed: 0n }),
      );
      const codes: string[] = [];
      for (const channel of channels) channel.pay(1n).catch(({ code }: { code: string }) => codes.push(code));
      await vi.advanceTimersByTimeAsync(1_500);
      expect(codes).toEqual(channels.map(() => 'ACK_TIMEOUT'));
    } finally {
      vi.useRealTimers();
    }
  });
});
