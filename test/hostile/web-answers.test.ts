/**
 * What stands between a payer and a node's web listener, or in the node's place, and is not honest: a session with another
 * certificate than the one that the answer or the offer names never opens, and an answer without end is not read to it.
 */
import { once } from 'node:events';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { WebSocketServer } from 'ws';
import { carrierTo } from '../../src/client/links/open-carrier.ts';
import { Front } from '../../src/web/front.ts';

const HOST = '127.0.0.1';
let server: Server | undefined;
let front: Front | undefined;
afterEach(async () => {
  server?.closeAllConnections();
  await Promise.all([server?.close(), front?.close()]);
});

/** Connects to a listener that is not the node's, and may listen for more. */
async function connectTo(
  listener: RequestListener,
  scheme: 'webrtc+http' | 'ws' = 'webrtc+http',
  onMessage = () => {},
  more: (server: Server) => void = () => {},
) {
  server = createServer(listener);
  more(server);
  server.listen(0, HOST);
  await once(server, 'listening');
  const connect = await carrierTo(scheme, { host: HOST, port: (server.address() as AddressInfo).port });
  let tellClosed = () => {};
  const closed = new Promise<void>((resolve) => {
    tellClosed = resolve;
  });
  return { opened: connect({ message: onMessage, closed: tellClosed }), closed };
}

/** The SDP with the first digit of its fingerprint changed. */
const forged = (sdp: string) =>
  sdp.replace(/(a=fingerprint:sha-256 )(.)/, (_, name: string, digit: string) => name + (digit === '0' ? '1' : '0'));

test.each([
  ['answer', (sdp: string) => sdp, forged],
  ['offer', forged, (sdp: string) => sdp],
])(
  'a certificate that is not the one in the %s opens no session',
  { timeout: 20_000 },
  async (_, inOffer, inAnswer) => {
    const listen = { host: HOST, port: 0 };
    const settings = { listen, tls: undefined, origins: [], webrtc: true, iceServers: [], rings: 1, limits: {} };
    front = await Front.open(settings, { send() {}, ask() {} });
    const { address, counts } = front;
    const { opened } = await connectTo(async (request, response) => {
      let offer = '';
      for await (const chunk of request) offer += chunk;
      const options = { method: 'POST', headers: { 'content-type': 'application/sdp' }, body: inOffer(offer) };
      const answer = await fetch(`http://${HOST}:${address.port}/rtc`, options);
      response.end(inAnswer(await answer.text()));
    });
    await expect(opened).rejects.toThrow();
    expect(counts).toMatchObject({ offers: 1, webrtcAccepted: 0 });
  },
);

test('an answer without end is given up', async () => {
  let sent = 0;
  const { opened } = await connectTo((_, response) => {
    const more = () => {
      while (!response.destroyed && sent < 64 << 20) {
        sent += 16_384;
        if (!response.write('x'.repeat(16_384))) return;
      }
    };
    response.on('drain', more);
    more();
  });
  await expect(opened).rejects.toThrow('an answer of over 65536 bytes');
  expect(sent).toBeLessThan(32 << 20);
});

test('a message that is longer than any of a node ends its connection', async () => {
  let longest = 0;
  const onMessage = (bytes?: Uint8Array) => {
    longest = Math.max(longest, bytes?.length ?? 0);
  };
  const sending = (over: Server) => {
    new WebSocketServer({ server: over }).on('connection', (socket) => socket.send(new Uint8Array(65_537)));
  };
  const { opened, closed } = await connectTo(() => {}, 'ws', onMessage, sending);
  await opened;
  await closed;
  expect(longest).toBe(0);
});
