/**
 * The optional libraries of the web transports, `ws` and `node-datachannel`, of the shared store, `pg`, and of keys in
 * hardware, `pkcs11js`: this file alone imports them, when asked.
 *
 * node-datachannel may be used by one thread of a process only: a second thread that loads it aborts the process.
 */
import { ClaimwireError } from './errors.ts';

export type WebSocketLibrary = typeof import('ws');
export type DataChannelLibrary = typeof import('node-datachannel');

export type Pkcs11Library = typeof import('pkcs11js');

export type PostgresLibrary = typeof import('pg');

/** Rejects with DEPENDENCY_MISSING. */
export async function loadPostgres(): Promise<PostgresLibrary> {
  return await loaded('pg', () => import('pg'));
}

/** A CommonJS module, whose names are those of its default export. Rejects with DEPENDENCY_MISSING. */
export async function loadPkcs11(): Promise<Pkcs11Library> {
  const { default: library } = await loaded('pkcs11js', () => import('pkcs11js'));
  return library as unknown as Pkcs11Library;
}

/** Rejects with DEPENDENCY_MISSING. */
export async function loadWebSocket(): Promise<WebSocketLibrary> {
  return await loaded('ws', () => import('ws'));
}

/** Rejects with DEPENDENCY_MISSING. */
export async function loadDataChannel(): Promise<DataChannelLibrary> {
  return await loaded('node-datachannel', () => import('node-datachannel'));
}

/** The browser's RTCPeerConnection over node-datachannel. Rejects with DEPENDENCY_MISSING. */
export async function loadPeerConnection(): Promise<typeof import('node-datachannel/polyfill').RTCPeerConnection> {
  const library = await loaded('node-datachannel', () => import('node-datachannel/polyfill'));
  return library.RTCPeerConnection;
}

async function loaded<Library>(name: string, load: () => Promise<Library>): Promise<Library> {
  try {
    return await load();
  } catch (error) {
    const message = `expected the optional library ${name}, got ${(error as Error).message}; run npm install ${name}`;
    throw new ClaimwireError('DEPENDENCY_MISSING', message, { library: name }, { cause: error });
  }
}
