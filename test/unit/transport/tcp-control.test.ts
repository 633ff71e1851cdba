/**
 * Control messages over connections: replies by id beside acks, errors that keep the connection, bounds on size, number
 * and rate.
 */
import { afterEach, expect, test } from 'vitest';
import type { ControlReply, ControlRequest } from '../../../protocol/control.ts';
import { encodeControl } from '../../../protocol/control-codec.ts';
import type { ControlPort, ControlSession } from '../../../src/transport/control-port.ts';
import { bareClaim, framed, TcpPeer, TcpRig, TEST_TLS, until } from '../../support/tcp.ts';

/** Keeps requests until the test answers them. */
class Held implements ControlPort {
  readonly sessions: ControlSession[] = [];
  readonly requests: ControlRequest[] = [];
  readonly #answers: ((reply: ControlReply) => void)[] = [];

  request(request: ControlRequest, session: ControlSession): Promise<ControlReply> {
    this.requests.push(request);
    this.sessions.push(session);
    return new Promise((resolve) => this.#answers.push(resolve));
  }

  /** Answers all that wait, the last first. */
  answer(): void {
    const first = this.requests.length - this.#answers.length;
    for (let index = this.#answers.length - 1; index >= 0; index--)
      this.#answers[index]!({ id: this.requests[first + index]!.id, ok: true, index });
    this.#answers.length = 0;
  }
}

const status = (id: number): ControlRequest => ({ id, type: 'status', channelId: String(id) });
const hello: ControlRequest = { id: 1, type: 'hello', client: 'test', versions: [1] };

const rigs: TcpRig[] = [];
const peers: TcpPeer[] = [];

async function start(control?: ControlPort, tls = false): Promise<TcpRig> {
  const rig = await TcpRig.start(tls ? { tls: TEST_TLS } : {}, control);
  rigs.push(rig);
  return rig;
}
async function connect(rig: TcpRig, tls = false): Promise<TcpPeer> {
  const peer = await TcpPeer.to(rig.port, { tls });
  peers.push(peer);
  return peer;
}

afterEach(async () => {
  for (const peer of peers.splice(0)) peer.close();
  for (const rig of rigs.splice(0)) await rig.transport.close();
});

test('replies come by id, in any order, beside acks; a connection has one nonce, another connection another', async () => {
  const held = new Held();
  const rig = await start(held);
  const peer = await connect(rig);
  const ids = Array.from({ length: 16 }, (_, index) => index + 10);
  peer.write(Buffer.concat(ids.map((id) => framed(encodeControl(status(id))))));
  await peer.ask(1n, 1);
  expect(held.requests).toEqual(ids.map(status));
  expect(peer.replies).toEqual([]);
  held.answer();
  await until(() => peer.replies.length === 16);
  expect(peer.replies.map(({ id }) => id)).toEqual(ids.toReversed());
  const other = await connect(rig);
  other.write(framed(encodeControl(hello)));
  await until(() => held.requests.length === 17);
  const nonces = held.sessions.map(({ nonce }) => nonce);
  expect(nonces[0]).toMatch(/^[0-9A-F]{32}$/);
  expect(new Set(nonces.slice(0, 16)).size).toBe(1);
  expect(new Set(nonces).size).toBe(2);
  // One that has gone does not mind its answer.
  other.close();
  await until(() => rig.counter('tcp.closed') === 1);
  held.answer();
  await peer.ask(1n, 2);
});

test.each([false, true])('a peer on this machine, or TLS (%s), is protected', async (tls) => {
  const held = new Held();
  const rig = await start(held, tls);
  (await connect(rig, tls)).write(framed(encodeControl(hello)));
  await until(() => held.requests.length === 1);
  expect(held.sessions[0]!.isProtected).toBe(true);
});

test('more than 16 at a time are refused, by id; when some are answered there is room again', async () => {
  const held = new Held();
  const peer = await connect(await start(held));
  for (let id = 1; id <= 20; id++) peer.write(framed(encodeControl(status(id))));
  await until(() => peer.replies.length === 4);
  expect(peer.replies).toMatchObject([17, 18, 19, 20].map((id) => ({ id, ok: false, code: 'OVERLOADED' })));
  held.answer();
  await until(() => peer.replies.length === 20);
  peer.write(framed(encodeControl(status(21))));
  await until(() => held.requests.length === 17);
});

test('malformed messages get an error and keep the connection; those cut or endless are malformed too', async () => {
  const rig = await start();
  const peer = await connect(rig);
  const whole = encodeControl(hello);
  const readable = [
    encodeControl({ ...status(5), more: 'x'.repeat(4_096) } as never),
    encodeControl(status(6)).subarray(0, -1),
  ];
  const bad = [
    Uint8Array.of(0x80),
    Uint8Array.of(0x80, 0xc1),
    Uint8Array.of(0x80, 0xdd, 255, 255, 255, 255),
    whole.subarray(0, 4),
    Buffer.concat([Buffer.of(0x80), Buffer.of(0)]),
    new Uint8Array(4_098).fill(0x80),
    new Uint8Array(65_536).fill(0x80),
    ...readable,
  ];
  for (const payload of bad) peer.write(framed(payload));
  peer.write(framed(encodeControl({ id: 8, type: 'nothing' } as never)));
  await until(() => peer.replies.length === bad.length + 1);
  for (const reply of peer.replies.slice(0, -1)) expect(reply).toMatchObject({ ok: false, code: 'MALFORMED' });
  // The id where it stands before the fault.
  expect(peer.replies.slice(0, -1).map(({ id }) => id)).toEqual([...new Array(bad.length - 2).fill(0), 5, 6]);
  expect(peer.replies.at(-1)).toMatchObject({ id: 8, code: 'UNKNOWN_TYPE' });
  expect(rig.counter('tcp.controlRefused')).toBe(bad.length + 1);
  expect(await peer.control(hello)).toMatchObject({ code: 'NOT_HERE', message: 'hello' });
  await peer.ask(1n, 1);
});

test('over the rate a connection is not read on for a while; nothing is lost, others do not wait', async () => {
  const rig = await start();
  const peer = await connect(rig);
  const messages = Array.from({ length: 150 }, (_, index) => framed(encodeControl(status(index))));
  peer.write(Buffer.concat([...messages, framed(bareClaim(1n, 5))]));
  await until(() => rig.counter('tcp.controlHeld') > 0);
  await (await connect(rig)).ask(2n, 1);
  expect(peer.replies.length).toBeLessThanOrEqual(128);
  await until(() => peer.acks.length === 1);
  const ids = peer.replies.map(({ id }) => id).sort((one, other) => one - other);
  expect(ids).toEqual(messages.map((_, index) => index));
  expect(rig.counter('tcp.control')).toBe(150);
});
