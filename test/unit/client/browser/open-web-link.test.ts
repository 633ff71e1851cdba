/** Which link an address calls for in a page, and what the page's payer does with keys and states that it cannot have. */
import { expect, it } from 'vitest';
import { generateKey, keySigner, Payer } from '../../../../src/client/browser/index.ts';
import { openWebLink } from '../../../../src/client/browser/open-web-link.ts';
import { pageClock } from '../../../../src/client/browser/page-clock.ts';
import { generateKey as generateNodeKey } from '../../../../src/client/keys/key-file.ts';
import { UdpLink } from '../../../../src/client/links/link-udp.ts';
import { newSendPath } from '../../../../src/client/payer-core.ts';
import type { WebGlobals } from '../../../../src/client/web-globals.ts';
import { ManualClock, MemorySocket, stubSigner } from '../../../support/payer-fakes.ts';

const clock = new ManualClock();
const urls: string[] = [];
class FakeSocket {
  constructor(url: string, protocol: string) {
    urls.push(`${url} ${protocol}`);
  }
  close(): void {}
}
class FakeConnection {
  constructor() {
    throw new Error('not in this test');
  }
}
const WebSocket = FakeSocket as unknown as WebGlobals['WebSocket'];
const RTCPeerConnection = FakeConnection as unknown as NonNullable<WebGlobals['RTCPeerConnection']>;
const newPath = () => newSendPath({});
const receiver = {
  rtt: { smoothedMs: 0, rtoMs: 1_000 },
  message: () => {},
  fault: () => {},
  resend: () => {},
  resendAll: () => {},
};

it.each([
  ['https://node.example', 'webrtc', 'node.example:443'],
  ['http://127.0.0.1:9396/', 'webrtc', '127.0.0.1:9396'],
  ['webrtc+https://[::1]:9396', 'webrtc', '[::1]:9396'],
  ['webrtc+http://h:1', 'webrtc', 'h:1'],
  ['wss://node.example', 'websocket', 'node.example:443'],
  ['ws://node.example', 'websocket', 'node.example:80'],
])('%s is %s to %s', async (to, transport, peer) => {
  const link = await openWebLink({ to }, clock, () => 0, newPath, { WebSocket, RTCPeerConnection });
  expect([link.stats().transport, link.peer]).toEqual([transport, peer]);
});

it('without WebRTC https:// is a secure WebSocket, and webrtc+https:// is refused', async () => {
  const link = await openWebLink({ to: 'https://node.example' }, clock, () => 0, newPath, { WebSocket });
  expect(link.stats().transport).toBe('websocket');
  link.listen(receiver);
  expect(urls).toEqual(['wss://node.example:443/ claimwire.1']);
  const other = openWebLink({ to: 'webrtc+https://h:1' }, clock, () => 0, newPath, { WebSocket });
  await expect(other).rejects.toThrow(/without/);
});

it.each(['udp://h:1', 'https://', 'https://h:0', 'https://h:1/path', 'https://u:p@h:1', 'h:1', ''])(
  'refuses %j',
  async (to) => {
    await expect(Payer.open({ to })).rejects.toMatchObject({ code: 'INPUT_INVALID' });
  },
);

it('signs by secp256k1 keys, and refuses those of Ed25519', async () => {
  const key = generateKey();
  expect(keySigner(key).publicKey).toHaveLength(33);
  const payer = new Payer({ link: new UdpLink(new MemorySocket(), pageClock) });
  expect(payer.channel({ ledgerChannelId: 'AB'.repeat(32), key }).channelId).toBe(0xababababababababn);
  const options = { ledgerChannelId: 'AC'.repeat(32), key: generateNodeKey('ed25519') };
  expect(() => payer.channel(options)).toThrow(expect.objectContaining({ code: 'KEY_FILE_INVALID' }));
  expect(payer.channel({ ...options, key: stubSigner }).claimed).toBe(0n);
  await payer.close();
});

it('the clock of a page calls back after the input, in order, and not again', async () => {
  const calls: number[] = [];
  pageClock.afterInput(() => calls.push(1));
  pageClock.afterInput(() => calls.push(2));
  await Promise.resolve();
  expect(calls).toEqual([]);
  await new Promise<void>((resolve) => pageClock.afterInput(resolve));
  expect(calls).toEqual([1, 2]);
  const cancel = pageClock.after(0, () => calls.push(3));
  cancel();
  await new Promise<void>((resolve) => pageClock.after(1, resolve));
  expect(calls).toEqual([1, 2]);
});
