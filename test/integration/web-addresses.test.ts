/** How a node's web listener is reached: by TLS, and from behind a NAT whose address a STUN server tells it. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import WebSocket from 'ws';
import { ClaimwireNode } from '../../dist/src/index.js';
import { generateKey, keySigner } from '../../src/client/keys/key-file.ts';
import { Payer } from '../../src/client/payer.ts';
import { Front } from '../../src/web/front.ts';
import { openStunDouble } from '../support/stun.ts';
import { TLS_PAIR } from '../support/wire-tcp.ts';
import { soundOffer } from '../support/wire-web.ts';

const ANY = { host: '127.0.0.1', port: 0 };
const silent = { info() {}, warn() {}, error() {} };
const trust = { tls: { ca: TLS_PAIR.cert } };

test('by TLS: wss, and offers by https; only with a certificate that the payer trusts', {
  timeout: 30_000,
}, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'claimwire-web-tls-'));
  const node = await ClaimwireNode.start({
    data: folder,
    udp: ANY,
    web: ANY,
    webrtc: true,
    tls: TLS_PAIR,
    channelsMax: 4_096,
    logger: silent,
  });
  const payers: Payer[] = [];
  try {
    for (const [index, scheme] of ['wss', 'webrtc+https'].entries()) {
      const payer = await Payer.open({ to: `${scheme}://${node.web}`, ...trust });
      payers.push(payer);
      const key = keySigner(generateKey());
      const ledgerChannelId = new Uint8Array(32).fill(index + 1);
      const channelId = new DataView(ledgerChannelId.buffer).getBigUint64(0);
      await node.openChannels([
        { channelId, ledgerChannelId, publicKey: key.publicKey, profile: 'xrpl', capacity: 1_000n, expiresAt: 0 },
      ]);
      const channel = payer.channel({ ledgerChannelId, key });
      await Promise.all([channel.pay(3n), channel.pay(4n)]);
      expect(node.channel(channelId)!.committed).toBe(7n);
      expect(await channel.resume()).toMatchObject({ committed: 7n });
      // The system trusts no certificate that was made for tests.
      await expect(Payer.open({ to: `${scheme}://${node.web}` })).rejects.toMatchObject({ code: 'NODE_UNREACHABLE' });
    }
    // Plain text, where TLS is spoken.
    const plain = new WebSocket(`ws://${node.web}/`, 'claimwire.1');
    await new Promise((resolve) => plain.on('error', resolve));
    const { web } = node.stats().counters as { web: Record<string, number> };
    await expect.poll(() => web.tlsFailed).toBeGreaterThanOrEqual(3);
    expect(web).toMatchObject({ websocketAccepted: 1, webrtcAccepted: 1 });
  } finally {
    await Promise.all(payers.map((payer) => payer.close()));
    await node.stop();
    rmSync(folder, { recursive: true, force: true });
  }
});

test('from behind a NAT: the answer has the address that a STUN server saw, which here is a double', async () => {
  const nat = { host: '203.0.113.9', port: 45_678 };
  const stun = await openStunDouble(nat);
  const iceServers = [`stun:${stun.address.host}:${stun.address.port}`];
  const settings = { listen: ANY, tls: undefined, origins: [], webrtc: true, iceServers, rings: 1, limits: {} };
  const front = await Front.open(settings, { send() {}, ask() {} });
  try {
    const { port } = front.address;
    const response = await fetch(`http://127.0.0.1:${port}/rtc`, {
      method: 'POST',
      headers: { 'content-type': 'application/sdp' },
      body: await soundOffer(),
    });
    const candidates = (await response.text()).split('\r\n').filter((line) => line.startsWith('a=candidate:'));
    // By its own address for peers that are near, and by the NAT's for all others.
    expect(candidates).toEqual([
      expect.stringMatching(new RegExp(` UDP \\d+ 127\\.0\\.0\\.1 ${port} typ host`)),
      expect.stringMatching(new RegExp(` UDP \\d+ ${nat.host.replaceAll('.', '\\.')} ${nat.port} typ srflx`)),
    ]);
    expect(stun.asked()).toBe(1);
  } finally {
    await front.close();
    stun.close();
  }
});
