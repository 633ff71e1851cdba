/** A page's link over a carrier in memory: when it connects, what it holds back, and what it sends again. */
import { expect, it } from 'vitest';
import { ackBytes } from '../../../../protocol/ack.ts';
import type { ControlRequest } from '../../../../protocol/control.ts';
import { decodeControl, encodeControl } from '../../../../protocol/control-codec.ts';
import { CLAIM_BYTES, STATUS } from '../../../../protocol/layout.ts';
import { MessageLink } from '../../../../src/client/browser/message-link.ts';
import { generateKey, keySigner } from '../../../../src/client/keys/key-file.ts';
import type { Carrier, ConnectCarrier } from '../../../../src/client/links/carrier.ts';
import { Payer } from '../../../../src/client/payer.ts';
import { ackOf, claimsIn, isQuestion, ManualClock, stubSigner } from '../../../support/payer-fakes.ts';

type CarrierEvents = Parameters<ConnectCarrier>[0];

class MemoryCarrier implements Carrier {
  unsentBytes = 0;
  isClosed = false;
  readonly messages: Uint8Array[] = [];
  readonly events: CarrierEvents;
  constructor(events: CarrierEvents) {
    this.events = events;
  }
  send(bytes: Uint8Array): void {
    this.messages.push(bytes);
  }
  close(): void {
    this.isClosed = true;
  }
}

const settled = () => new Promise((resolve) => setTimeout(resolve, 0));

class Rig {
  readonly clock = new ManualClock();
  readonly carriers: MemoryCarrier[] = [];
  attempts = 0;
  readonly payer: Payer;

  constructor({ isBlocked = false, waitForNode = false } = {}) {
    const link = new MessageLink({
      transport: 'websocket',
      peer: 'memory',
      connect: async (events) => {
        this.attempts += 1;
        if (isBlocked) throw new Error('a wall');
        const carrier = new MemoryCarrier(events);
        this.carriers.push(carrier);
        return carrier;
      },
      claimsPerMessageMax: 2,
      clock: this.clock,
      random: () => 0.5,
    });
    this.payer = new Payer({ link, clock: this.clock, window: 64, waitForNode, random: () => 0.5 });
  }

  channel(number: number) {
    return this.payer.channel({ ledgerChannelId: new Uint8Array(32).fill(number), key: stubSigner });
  }

  get carrier(): MemoryCarrier {
    return this.carriers.at(-1)!;
  }

  /** Answers all that the carrier was given. */
  async answer(carrier = this.carrier): Promise<number> {
    this.clock.turn();
    const claims = carrier.messages.splice(0).flatMap((bytes) => claimsIn(bytes));
    for (const claim of claims)
      carrier.events.message(ackBytes(ackOf(claim, isQuestion(claim) ? { status: STATUS.BAD_SIGNATURE } : {})));
    await settled();
    return claims.length;
  }
}

it('connects at once, holds claims until it is open, and sends as many in a message as may be', async () => {
  const rig = new Rig();
  const claims = [1, 2, 3].map((number) => rig.channel(number).claim(5n));
  expect(rig.payer.stats()).toMatchObject({ claimsSent: 0, transport: 'websocket' });
  await settled();
  rig.clock.turn();
  expect(rig.carrier.messages.map(({ length }) => length / CLAIM_BYTES)).toEqual([2, 1]);
  await rig.answer();
  expect(await Promise.all(claims)).toHaveLength(3);
  expect(rig.payer.stats()).toMatchObject({ claimsSent: 3, retransmits: 0, messages: { opened: 1, messagesSent: 2 } });
  await rig.payer.close();
  expect(rig.carrier.isClosed).toBe(true);
});

it('sends what a lost carrier may have lost by the next one, and none is connected where nothing waits', async () => {
  const rig = new Rig();
  await settled();
  const claim = rig.channel(1).claim(5n);
  rig.clock.turn();
  rig.carrier.events.closed();
  expect(rig.attempts).toBe(1);
  rig.clock.advance(60);
  await settled();
  expect(rig.attempts).toBe(2);
  await rig.answer();
  expect(await claim).toMatchObject({ status: 'COMMITTED', amount: 5n });
  rig.carrier.events.closed();
  rig.clock.advance(60_000);
  await settled();
  expect(rig.attempts).toBe(2);
  expect(rig.payer.stats().messages).toMatchObject({ opened: 2, lost: 2, openFailures: 0 });
  await rig.payer.close();
});

it('replaces a carrier whose node does not answer, but not one that is idle', async () => {
  const rig = new Rig();
  await settled();
  const channel = rig.channel(1);
  const first = channel.claim(5n);
  await rig.answer();
  await first;
  rig.clock.advance(30_000);
  expect(rig.carrier.isClosed).toBe(false);
  void channel.claim(6n).catch(() => {});
  const patienceMs = Math.max(2_000, 4 * rig.payer.stats().rtoMs);
  rig.clock.advance(patienceMs - 100);
  expect(rig.carrier.isClosed).toBe(false);
  const silent = rig.carrier;
  rig.clock.advance(200);
  expect(silent.isClosed).toBe(true);
  expect(rig.attempts).toBe(2);
  await rig.payer.close();
});

it('keeps claims at the payer while the carrier has much unsent, and sends the newest when it has room', async () => {
  const rig = new Rig();
  await settled();
  const channel = rig.channel(1);
  rig.carrier.unsentBytes = 1 << 20;
  const claims = [channel.claim(5n), channel.claim(6n)];
  rig.clock.advance(20);
  expect(rig.carrier.messages).toEqual([]);
  rig.carrier.unsentBytes = 0;
  rig.clock.advance(5);
  expect(rig.carrier.messages.flatMap((bytes) => claimsIn(bytes)).map(({ amount }) => amount)).toEqual([6n]);
  await rig.answer();
  expect(await Promise.all(claims)).toMatchObject([{ amount: 6n }, { amount: 6n }]);
  await rig.payer.close();
});

it('says at once that nothing is there', async () => {
  const rig = new Rig({ isBlocked: true });
  const message = expect.stringContaining('a node at memory') as string;
  await expect(rig.channel(1).claim(5n)).rejects.toMatchObject({ code: 'NODE_UNREACHABLE', message });
  await rig.payer.close();
});

it('pauses longer and longer between attempts, up to three seconds', async () => {
  const rig = new Rig({ isBlocked: true, waitForNode: true });
  const claim = rig.channel(1).claim(5n);
  claim.catch(() => {});
  const times: number[] = [];
  for (let step = 0; step < 450; step += 1) {
    rig.clock.advance(20);
    await settled();
    if (rig.attempts > times.length) times.push(rig.clock.time);
  }
  const pauses = times.slice(1).map((time, index) => time - times[index]!);
  expect(pauses.length).toBeGreaterThan(5);
  expect(pauses).toEqual(pauses.toSorted((left, right) => left - right));
  expect(pauses.at(-1)).toBeLessThanOrEqual(3_000);
  await rig.payer.close();
});

/** The requests that the carrier was given, as they are. */
function requestsIn(carrier: MemoryCarrier) {
  return carrier.messages.splice(0).map((bytes) => decodeControl(bytes, 1, bytes.length) as ControlRequest);
}

const HELLO = {
  version: 1,
  server: 'memory',
  profiles: ['xrpl'],
  transports: {},
  limits: {},
};
const KEY = generateKey();

/** Answers `hello` and `resume`, the latter with that nothing is committed. Returns the signatures. */
function answerRequests(carrier: MemoryCarrier, nonce: string): string[] {
  const signatures: string[] = [];
  for (const request of requestsIn(carrier)) {
    const { id } = request;
    if (request.type === 'resume') signatures.push(request.signature);
    const best = { committed: '0', sequence: 0, timestamp: '0'.repeat(16), signature: null };
    const channelId = request.type === 'resume' ? request.channelId : '';
    const fields = request.type === 'hello' ? { ...HELLO, nonce } : { ...best, channelId };
    carrier.events.message(encodeControl({ ...fields, id, ok: true }));
  }
  return signatures;
}

it('asks the node beside its claims, and again where a message is lost, the node is busy, or the carrier ends', async () => {
  const rig = new Rig();
  const channel = rig.payer.channel({ ledgerChannelId: new Uint8Array(32).fill(7), key: keySigner(KEY) });
  const resumed = channel.resume();
  await settled();
  const [lost] = requestsIn(rig.carrier);
  expect(lost).toMatchObject({ type: 'hello' });
  rig.clock.advance(500);
  const [hello] = requestsIn(rig.carrier);
  expect(hello).toEqual(lost);
  rig.carrier.events.message(encodeControl({ id: hello!.id, ok: false, code: 'OVERLOADED', message: 'busy' }));
  await settled();
  rig.clock.advance(500);
  answerRequests(rig.carrier, 'A'.repeat(32));
  await settled();
  expect(requestsIn(rig.carrier)).toMatchObject([{ type: 'resume' }]);

  // Its end comes before the answer: the next one has another nonce, which is asked for first.
  rig.carrier.events.closed();
  await settled();
  rig.clock.advance(200);
  await settled();
  expect(rig.carriers).toHaveLength(2);
  answerRequests(rig.carrier, 'B'.repeat(32));
  await settled();
  expect(answerRequests(rig.carrier, 'B'.repeat(32))).toHaveLength(1);
  expect(await resumed).toMatchObject({ committed: 0n });
  expect(rig.payer.stats()).toMatchObject({ malformed: 0, unmatched: 0 });
});

it('a question to a node that answers none ends, and so does one of a payer that closes', async () => {
  const rig = new Rig({ isBlocked: true });
  const channel = rig.payer.channel({ ledgerChannelId: new Uint8Array(32).fill(7), key: keySigner(KEY) });
  const late = channel.resume().catch((error: unknown) => error);
  const closed = channel.resume().catch((error: unknown) => error);
  await settled();
  rig.clock.advance(10_001);
  expect(await late).toMatchObject({ code: 'NODE_UNREACHABLE' });
  await closed;
  const last = channel.resume().catch((error: unknown) => error);
  await rig.payer.close();
  expect(await last).toMatchObject({ code: 'PAYER_CLOSED' });
});
