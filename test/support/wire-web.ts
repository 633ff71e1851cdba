/**
 * A WebSocket wire and a WebRTC wire, by the libraries alone. Test's thread, which must be the process's main one: the
 * WebRTC library may be loaded by one thread only.
 */
import { once } from 'node:events';
import type { DataChannel, PeerConnection } from 'node-datachannel';
import WebSocket from 'ws';
import { AckInbox, type Wire } from './wire-client.ts';

const PROTOCOL = 'claimwire.1';
const OPEN_MS_MAX = 10_000;

export async function openWebSocketWire(address: string): Promise<Wire> {
  const inbox = new AckInbox();
  const socket = new WebSocket(`ws://${address}/`, PROTOCOL, { perMessageDeflate: false });
  socket.on('message', (bytes, isBinary) =>
    isBinary ? inbox.payload(bytes as Buffer) : inbox.fault(`a text, ${String(bytes)}`),
  );
  socket.on('error', () => {});
  // It may be cut before it is open.
  await Promise.race([once(socket, 'open'), once(socket, 'close')]).catch(() => {});
  return {
    inbox,
    get isOpen() {
      return socket.readyState === WebSocket.OPEN;
    },
    send: (payload) => new Promise((resolve) => socket.send(payload, () => resolve())),
    close: () => socket.terminate(),
  };
}

/** An open data channel to the node at `address`, and its connection. */
interface RtcSession {
  connection: PeerConnection;
  channel: DataChannel;
  close(): void;
}

/** @param address HOST:PORT, and perhaps `/HOST:PORT` of a relay in front of the node's UDP port */
async function openRtcSession(address: string): Promise<RtcSession> {
  const [node, relay] = address.split('/');
  const { default: library } = await import('node-datachannel');
  const connection = new library.PeerConnection('test', {
    iceServers: [],
    bindAddress: '127.0.0.1',
    maxMessageSize: 65_536,
  });
  const gathered = new Promise<void>((resolve) =>
    connection.onGatheringStateChange((state) => state === 'complete' && resolve()),
  );
  const channel = connection.createDataChannel('claims', { unordered: true, maxRetransmits: 0, protocol: PROTOCOL });
  const opened = new Promise<void>((resolve) => channel.onOpen(resolve));
  await gathered;
  const response = await fetch(`http://${node}/rtc`, {
    method: 'POST',
    headers: { 'content-type': 'application/sdp' },
    body: connection.localDescription()!.sdp,
  });
  if (!response.ok) {
    connection.close();
    throw new Error(`expected an answer, got ${response.status}`);
  }
  const answer = await response.text();
  const port = relay?.split(':')[1];
  const place = port === undefined ? answer : answer.replace(/^(a=candidate:.*) \d+ typ host/m, `$1 ${port} typ host`);
  connection.setRemoteDescription(place, 'answer');
  const timer = new Promise<never>((_, reject) => {
    setTimeout(() => reject(new Error('expected an open channel')), OPEN_MS_MAX).unref();
  });
  await Promise.race([opened, timer]);
  return { connection, channel, close: () => connection.close() };
}

export async function openRtcWire(address: string): Promise<Wire> {
  const { channel, close } = await openRtcSession(address);
  const inbox = new AckInbox();
  let isOpen = true;
  channel.onClosed(() => {
    isOpen = false;
  });
  channel.onMessage((message) =>
    typeof message === 'string' ? inbox.fault('a text') : inbox.payload(new Uint8Array(message)),
  );
  return {
    inbox,
    get isOpen() {
      return isOpen;
    },
    send: async (payload) => {
      try {
        if (isOpen) channel.sendMessageBinary(payload);
      } catch {
        isOpen = false;
      }
    },
    close: () => {
      isOpen = false;
      close();
    },
  };
}

/** An offer that a node can answer, of a peer that never connects. */
export async function soundOffer(): Promise<string> {
  const { default: library } = await import('node-datachannel');
  const connection = new library.PeerConnection('never', { iceServers: [], bindAddress: '127.0.0.1' });
  const gathered = new Promise<void>((resolve) =>
    connection.onGatheringStateChange((state) => state === 'complete' && resolve()),
  );
  connection.createDataChannel('claims', { protocol: 'claimwire.1' });
  await gathered;
  const { sdp } = connection.localDescription()!;
  connection.close();
  return sdp;
}
