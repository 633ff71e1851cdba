/**
 * What the payer uses of a browser, as types. The package is compiled with Node's types, and without the DOM's, so that
 * no other file can use a page's globals. `tsconfig.browser.json` checks that the DOM has all of this.
 */

/** It is called with an event. `never` lets the DOM's own types fit. */
type Handler = ((event: never) => void) | null;

/** An event with a message. */
export interface MessageEventLike {
  readonly data: unknown;
}

/** A WebSocket. */
export interface WebSocketLike {
  binaryType: string;
  readonly bufferedAmount: number;
  onopen: Handler;
  onmessage: Handler;
  onclose: Handler;
  send(bytes: Uint8Array<ArrayBuffer>): void;
  close(): void;
}

export interface DataChannelLike {
  binaryType: string;
  readonly readyState: string;
  readonly bufferedAmount: number;
  onopen: Handler;
  onmessage: Handler;
  onclose: Handler;
  send(bytes: Uint8Array<ArrayBuffer>): void;
}

interface SessionDescription {
  type: 'answer' | 'offer' | 'pranswer' | 'rollback';
  sdp: string;
}

/** A STUN or TURN server, as RTCPeerConnection takes it. */
export interface IceServer {
  urls: string | string[];
  username?: string;
  credential?: string;
}

export interface PeerConnectionLike {
  readonly iceGatheringState: string;
  readonly connectionState: string;
  readonly localDescription: { readonly sdp: string } | null;
  onicegatheringstatechange: Handler;
  onconnectionstatechange: Handler;
  createDataChannel(label: string, options: { ordered: boolean; maxRetransmits: number; protocol: string }): DataChannelLike;
  setLocalDescription(): Promise<void>;
  setRemoteDescription(description: SessionDescription): Promise<void>;
  close(): void;
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
