/**
 * What the payer uses of a browser, as types. The package is compiled with Node's types, and without the DOM's, so that
 * no other file can use a page's globals. `tsconfig.browser.json` checks that the DOM has all of this.
 */

import type { PeerConnectionLike } from './links/carrier-webrtc.ts';
import type { WebSocketLike } from './links/carrier-websocket.ts';

/** It is called with an event. `never` lets the DOM's own types fit. */
type Handler = ((event: never) => void) | null;

/** A STUN or TURN server, as RTCPeerConnection takes it. */
export interface IceServer {
  urls: string | string[];
  username?: string;
  credential?: string;
}

interface RequestLike<Result> {
  readonly result: Result;
  readonly error: Error | null;
  onsuccess: Handler;
  onerror: Handler;
}

interface ObjectStoreLike {
  get(key: string): RequestLike<unknown>;
  getAll(): RequestLike<unknown[]>;
  getAllKeys(): RequestLike<unknown[]>;
  put(value: unknown, key: string): RequestLike<unknown>;
  add(value: unknown, key: string): RequestLike<unknown>;
}

interface TransactionLike {
  readonly error: Error | null;
  oncomplete: Handler;
  onabort: Handler;
  objectStore(name: string): ObjectStoreLike;
}

export interface DatabaseLike {
  transaction(stores: string, mode: 'readonly' | 'readwrite', options?: { durability: 'strict' }): TransactionLike;
  createObjectStore(name: string): unknown;
  close(): void;
  onversionchange: Handler;
}

interface OpenRequestLike extends RequestLike<DatabaseLike> {
  onupgradeneeded: Handler;
  onblocked: Handler;
}

interface MessageChannelLike {
  readonly port1: { onmessage: Handler };
  readonly port2: { postMessage(message: null): void };
}

/** A browser's globals. */
export interface WebGlobals {
  readonly MessageChannel: new () => MessageChannelLike;
  readonly WebSocket: new (url: string, protocol: string) => WebSocketLike;
  readonly RTCPeerConnection?: new (options: { iceServers: IceServer[] }) => PeerConnectionLike;
  readonly indexedDB?: { open(name: string, version: number): OpenRequestLike };
  readonly navigator: {
    readonly locks?: {
      request(
        name: string,
        options: { ifAvailable: boolean },
        held: (lock: object | null) => Promise<unknown>,
      ): Promise<unknown>;
    };
  };
}

export const web = globalThis as unknown as WebGlobals;
