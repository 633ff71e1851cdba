/**
 * Two nodes that pay each other over one connection: who is paid, what a lost connection costs, and what strangers may do.
 * The nodes are models, so that each test decides how they answer.
 */
import net from 'node:net';
import { Duplex } from 'node:stream';
import { afterEach, describe, expect, it } from 'vitest';
import { ackBytes } from '../../../protocol/ack.ts';
import { decodeControl, encodeControl } from '../../../protocol/control-codec.ts';
import { PAYLOAD_CONTROL } from '../../../protocol/layout.ts';
import { StreamParser } from '../../../protocol/stream.ts';
import { generateKey } from '../../../src/client/keys/key-file.ts';
import { framed, PeerWire } from '../../../src/client/peering/peer-wire.ts';
import { Peering, type PeeringOptions } from '../../../src/client/peering/peering.ts';
import { ledgerId, ModelNode, until } from '../../support/client-node.ts';
import { ackOf, claimsIn } from '../../support/payer-fakes.ts';
import { signedClaim } from '../../support/wire.ts';
import { TLS_PAIR } from '../../support/wire-tcp.ts';

const toClose: { close(): Promise<unknown> }[] = [];
afterEach(async () => {
  for (const one of toClose.splice(0).reverse()) await one.close();
});

/** `handleOf` is how a peer knows the other, `ledgerId(n)` what that one pays by. */
const handleOf = (number: number) => Buffer.from(ledgerId(number)).readBigUInt64BE(0);
const KEY = generateKey();
const ANN_PAYS = { ledgerChannelId: ledgerId(1), key: KEY };
const BEN_PAYS = { ledgerChannelId: ledgerId(2), key: KEY };
const LOCAL = { host: '127.0.0.1', port: 0 };

/** A node that says of any `resume` that it is right, unless it is told to refuse. */
async function openNode(refuses = () => false): Promise<ModelNode> {
  const node = await ModelNode.open({
    control: ({ channelId }) =>
      refuses()
        ? { ok: false, code: 'UNAUTHORIZED', message: 'no' }
        : { ok: true, channelId, committed: '0', sequence: 0, timestamp: '0'.repeat(16), signature: null },
  });
  toClose.push(node);
  return node;
}

async function openPeering(node: ModelNode, options: Partial<PeeringOptions> = {}): Promise<Peering> {
  const peering = await Peering.open({ node: node.url('tcp'), ...options });
  toClose.push(peering);
  return peering;
}

/** Ann listens, Ben dials; `via` may stand between them. */
async function pair(via = async (address: string) => address) {
  const annNode = await openNode();
  const benNode = await openNode();
  const ann = await openPeering(annNode, { listen: LOCAL });
  const ben = await openPeering(benNode);
  const toBen = ann.accept({ channelId: handleOf(2) }).channel(ANN_PAYS);
  const toAnn = ben.dial({ to: `tcp://${await via(ann.address)}`, proof: BEN_PAYS }).channel(BEN_PAYS);
  return { annNode, benNode, ann, ben, toBen, toAnn };
}

/** A peer that says what a test tells it to. */
async function stranger(address: string) {
  const [host, port] = address.split(':');
  const socket = net.connect(Number(port), host);
  const heard: Uint8Array[] = [];
  const parser = new StreamParser();
  socket.on('data', (chunk) => {
    parser.push(chunk, { payload: (bytes, start, end) => void heard.push(bytes.slice(start, end)) });
  });
  socket.on('error', () => {});
  toClose.push({ close: async () => socket.destroy() });
  const control = (message: object) => say(encodeControl(message as Parameters<typeof encodeControl>[0]));
  const say = (...payloads: Uint8Array[]) =>
    void socket.write(Buffer.concat(payloads.map((payload) => framed(payload, 0, payload.length))));
  const replies = () =>
    heard.filter(([type]) => type === PAYLOAD_CONTROL).map((bytes) => decodeControl(bytes, 1, bytes.length));
  const prove = (channelId: bigint) =>
    control({ id: 1, type: 'resume', channelId: String(channelId), signature: 'AB'.repeat(64) });
  return { socket, heard, say, control, replies, prove };
}

describe('two nodes that pay each other', () => {
  it('share one connection, and each node takes what it is paid', async () => {
    const { annNode, benNode, ann, ben, toBen, toAnn } = await pair();
    const both = Array.from({ length: 20 }, () => [toBen.pay(3n), toAnn.pay(5n)]).flat();
    await Promise.all(both);
    expect([annNode.best, benNode.best]).toEqual([new Map([[handleOf(2), 100n]]), new Map([[handleOf(1), 60n]])]);
    expect([ann.stats(), ben.stats()]).toEqual([
      { connections: 1, refusedFull: 0, acceptFailed: 0, unproven: 0, refusedRequests: 0 },
      { connections: 1, refusedFull: 0, acceptFailed: 0, unproven: 0, refusedRequests: 0 },
    ]);
    expect([annNode.connections, benNode.connections]).toEqual([1, 1]);
  });

  it('do so over TLS, where nobody can stand between them', async () => {
    const annNode = await openNode();
    const benNode = await openNode();
    const ann = await openPeering(annNode, { listen: LOCAL, listenTls: TLS_PAIR });
    const ben = await openPeering(benNode);
    const trust = { tls: { ca: TLS_PAIR.cert, servername: 'localhost' } };
    const toAnn = ben.dial({ to: `tls://${ann.address}`, proof: BEN_PAYS, ...trust }).channel(BEN_PAYS);
    const toBen = ann.accept({ channelId: handleOf(2) }).channel(ANN_PAYS);
    await Promise.all([toAnn.pay(2n), toBen.pay(3n)]);
    expect([annNode.best.get(handleOf(2)), benNode.best.get(handleOf(1))]).toEqual([2n, 3n]);
    // One in the midst of its handshake does not keep it from closing.
    await stranger(ann.address);
  });

  it('go on after a lost connection, and pay nothing twice', async () => {
    const sockets = new Set<net.Socket>();
    const { annNode, benNode, toBen, toAnn } = await pair(async (address) => {
      const relay = net.createServer((from) => {
        const to = net.connect(Number(address.split(':')[1]), '127.0.0.1');
        for (const [one, other] of [
          [from, to],
          [to, from],
        ] as const) {
          sockets.add(one);
          one
            .on('error', () => {})
            .on('close', () => other.destroy())
            .pipe(other);
        }
      });
      toClose.push({ close: async () => relay.close() });
      await new Promise<void>((done) => relay.listen(LOCAL, done));
      return `127.0.0.1:${(relay.address() as net.AddressInfo).port}`;
    });
    for (let round = 1; round <= 5; round += 1) {
      const paid = Promise.all([toBen.pay(1n), toAnn.pay(2n), toBen.pay(1n), toAnn.pay(2n)]);
      if (round > 1) for (const socket of sockets) socket.destroy();
      await paid;
    }
    expect([annNode.best, benNode.best]).toEqual([new Map([[handleOf(2), 20n]]), new Map([[handleOf(1), 10n]])]);
    expect(sockets.size).toBeGreaterThan(2);
  });

  it('a peer whose proof is refused is not paid; one that proves itself later is', async () => {
    let refuses = true;
    const annNode = await openNode(() => refuses);
    const benNode = await openNode();
    const ann = await openPeering(annNode, { listen: LOCAL });
    const ben = await openPeering(benNode);
    const paid = ann
      .accept({ channelId: handleOf(2) })
      .channel(ANN_PAYS)
      .pay(4n);
    ben.dial({ to: `tcp://${ann.address}`, proof: BEN_PAYS });
    await until(() => annNode.controls.filter(({ type }) => type === 'resume').length >= 2);
    expect(benNode.received).toBe(0);
    refuses = false;
    expect(await paid).toMatchObject({ status: 'COMMITTED', amount: 4n });
  });

  it('a peer that proves itself again is paid over its newest connection', async () => {
    const ann = await openPeering(await openNode(), { listen: LOCAL });
    const payer = ann.accept({ channelId: handleOf(2) });
    const old = await stranger(ann.address);
    old.prove(handleOf(2));
    await until(() => payer.stats().pool!.connections === 1);
    const next = await stranger(ann.address);
    next.prove(handleOf(2));
    await until(() => old.socket.destroyed && payer.stats().pool!.opened === 2);
    void payer
      .channel(ANN_PAYS)
      .claim(9n)
      .catch(() => {});
    await until(() => next.heard.some(([type]) => type === 1));
    expect(old.heard.some(([type]) => type === 1)).toBe(false);
  });

  it('a message of claims and acks goes to the node and to the payer, each its own', async () => {
    const annNode = await openNode();
    const ann = await openPeering(annNode, { listen: LOCAL });
    const payer = ann.accept({ channelId: handleOf(2) });
    const peer = await stranger(ann.address);
    peer.prove(handleOf(2));
    const paid = payer.channel({ ...ANN_PAYS, committed: 0n }).claim(9n);
    const claims = () => peer.heard.filter(([type]) => type === 1).flatMap((bytes) => claimsIn(bytes, 0, bytes.length));
    await until(() => claims().length > 0);
    peer.say(Buffer.concat([signedClaim(7n, 1n), ackBytes(ackOf(claims()[0]!)), signedClaim(7n, 2n)]));
    expect(await paid).toMatchObject({ amount: 9n });
    await until(() => annNode.best.get(7n) === 2n);
    expect(payer.stats()).toMatchObject({ malformed: 0, unmatched: 0 });
  });
});

describe('a stranger', () => {
  it('is not let near the operator: no request with a token reaches the node', async () => {
    const annNode = await openNode();
    const ann = await openPeering(annNode, { listen: LOCAL });
    const peer = await stranger(ann.address);
    peer.control({ id: 7, type: 'stats', token: 'c1'.repeat(32) });
    peer.control({ id: 8, type: 'status', channelId: '5' });
    await until(() => peer.replies().length === 2);
    expect(peer.replies()).toEqual(
      expect.arrayContaining([
        expect.objectContaining({ id: 7, ok: false, code: 'UNAUTHORIZED' }),
        expect.objectContaining({ id: 8, ok: true }),
      ]),
    );
    expect(annNode.controls.map(({ type }) => type)).toEqual(['status']);
    expect(ann.stats().refusedRequests).toBe(1);
  });

  it('may pay for a while, and is cut unless it proves that it is a peer', async () => {
    const annNode = await openNode();
    const ann = await openPeering(annNode, { listen: LOCAL, proofMsMax: 30 });
    ann.accept({ channelId: handleOf(2) });
    const peer = await stranger(ann.address);
    peer.say(signedClaim(7n, 1n));
    await until(() => peer.socket.destroyed);
    expect(annNode.best.get(7n)).toBe(1n);
    expect(ann.stats()).toMatchObject({ connections: 0, unproven: 1 });
  });

  it('that sends no stream of messages is cut', async () => {
    const ann = await openPeering(await openNode(), { listen: LOCAL });
    const peer = await stranger(ann.address);
    peer.socket.write(Buffer.alloc(4));
    await until(() => peer.socket.destroyed);
    expect(ann.stats().connections).toBe(0);
  });

  it('is turned away where there are too many connections', async () => {
    const ann = await openPeering(await openNode(), { listen: LOCAL, connectionsMax: 1 });
    await stranger(ann.address);
    await until(() => ann.stats().connections === 1);
    const second = await stranger(ann.address);
    await until(() => second.socket.destroyed);
    expect(ann.stats()).toMatchObject({ connections: 1, refusedFull: 1 });
  });
});

it('a peer that is refused and does not read the refusals is cut: they would fill the memory', () => {
  const peer = new Duplex({ read: () => {}, write: () => {}, writableHighWaterMark: 1 });
  let refused = 0;
  const wire = new PeerWire(peer, {
    connectNode: () => expect.fail('nothing is for the node'),
    proved: () => {},
    refused: () => {
      refused += 1;
    },
    gone: () => {},
  });
  const request = encodeControl({ id: 1, type: 'stats', token: 'c1'.repeat(32) });
  for (let count = 0; count < 3; count += 1) peer.emit('data', framed(request, 0, request.length));
  expect([refused, wire.isDestroyed, peer.destroyed]).toEqual([1, true, true]);
});

describe('Peering', () => {
  it('expects addresses, a place to listen, and one payer a peer', async () => {
    const node = await openNode();
    await expect(Peering.open({ node: 'udp://127.0.0.1:1' })).rejects.toMatchObject({ code: 'INPUT_INVALID' });
    const dialer = await openPeering(node);
    expect(dialer.address).toBe('');
    expect(() => dialer.accept({ channelId: 1n })).toThrow(expect.objectContaining({ code: 'INPUT_INVALID' }));
    expect(() => dialer.dial({ to: 'ann', proof: BEN_PAYS })).toThrow(
      expect.objectContaining({ code: 'INPUT_INVALID' }),
    );
    const listener = await openPeering(node, { listen: LOCAL });
    listener.accept({ channelId: 1n });
    const notPem = { listen: LOCAL, listenTls: { cert: 'x', key: 'y' } };
    await expect(openPeering(node, notPem)).rejects.toMatchObject({ code: 'INPUT_INVALID' });
    expect(() => listener.accept({ channelId: 1n })).toThrow(expect.objectContaining({ code: 'CHANNEL_EXISTS' }));
  });
});
