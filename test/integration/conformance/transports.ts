/**
 * Every transport the suite judges. A new one: a client of its wire (test/support/wire-*.ts), and a line in TRANSPORTS.
 */
import type { ClaimwireNode } from '../../../dist/src/index.js';
import { brieflyOrAtLength } from '../../support/length.ts';
import type { Random } from '../../support/random.ts';
import { storeUnderTest } from '../../support/store-under-test.ts';
import type { StreamWire, Wire } from '../../support/wire-client.ts';
import { cuttingRelay, openTcpWire, openTlsWire, TLS_PAIR } from '../../support/wire-tcp.ts';
import { type FaultyPath, lossyRelay, openUdpWire } from '../../support/wire-udp.ts';
import { openRtcWire, openWebSocketWire } from '../../support/wire-web.ts';

const ANY_PORT = { host: '127.0.0.1', port: 0 };
type Layout = 'pipeline' | 'lanes';
/**
 * Briefly UDP over lanes, as a node runs unless told otherwise, reconciles most claims. Each other way has every fault in the
 * brief form too: the paths below it are the same, and its connections are cut more often there.
 */
const CLAIMS_OF_LANES = brieflyOrAtLength(10_000, 100_000);
const CLAIMS = brieflyOrAtLength(2_500, 100_000);
/** Bytes of a connection, both ways together, before it is cut: some within a handshake, most after many frames. */
const CUT_AFTER_BYTES_MAX = brieflyOrAtLength(30_000, 150_000);
const cutPath = (address: string, from: Random): Promise<FaultyPath> =>
  cuttingRelay(address, from, CUT_AFTER_BYTES_MAX);

export interface TransportEntry {
  name: string;
  /** What the node is started with. */
  options: object;
  /** Where the node takes this transport's payloads. */
  address(node: ClaimwireNode): string;
  connect(address: string): Promise<Wire>;
  /** Where the transport is a stream of bytes: the same connection, with `write`. */
  connectStream?: (address: string) => Promise<StreamWire>;
  /** A way to the address that does the worst the transport allows for. */
  faultyPath(address: string, from: Random): Promise<FaultyPath>;
  /** How many claims are reconciled after faults. */
  claims: number;
  /** Of each fault the path knows, so many are done to 100,000 claims at the least. */
  faultsMin: number;
  /** Most bytes in a payload. */
  payloadBytesMax: number;
  /** A node that is full reads no further; else it answers OVERLOADED. */
  hasBackpressure: boolean;
}

const udp = (layout: Layout): TransportEntry => ({
  name: `udp, ${layout}`,
  options: { layout },
  address: (node) => node.udp,
  connect: openUdpWire,
  faultyPath: lossyRelay,
  claims: layout === 'lanes' ? CLAIMS_OF_LANES : CLAIMS,
  faultsMin: 300,
  payloadBytesMax: 65_507,
  hasBackpressure: false,
});

const stream = (name: string, layout: Layout, connect: typeof openTcpWire, options: object = {}): TransportEntry => ({
  name: `${name}, ${layout}`,
  options: { layout, tcp: ANY_PORT, ...options },
  address: (node) => node.tcp,
  connect,
  connectStream: connect,
  faultyPath: cutPath,
  claims: CLAIMS,
  faultsMin: 25,
  payloadBytesMax: 65_536,
  hasBackpressure: true,
});

/** Below DTLS and SCTP: the answer is as the node gave it, but for the port, which is the relay's. */
async function lossyRtcPath(address: string, from: Random): Promise<FaultyPath> {
  const relay = await lossyRelay(address, from);
  return { ...relay, address: `${address}/${relay.address}`, witness: undefined, isUnordered: true };
}

const web = (
  name: string,
  layout: Layout,
  parts: Pick<TransportEntry, 'connect' | 'faultyPath' | 'faultsMin'>,
): TransportEntry => ({
  name: `${name}, ${layout}`,
  options: { layout, web: ANY_PORT, webrtc: name === 'webrtc', webOffersPerSecond: 10_000 },
  address: (node) => node.web,
  ...parts,
  claims: CLAIMS,
  payloadBytesMax: 65_536,
  hasBackpressure: true,
});
const websocket = { connect: openWebSocketWire, faultyPath: cutPath, faultsMin: 5 };
const webrtc = { connect: openRtcWire, faultyPath: lossyRtcPath, faultsMin: 100 };

const ALL: readonly TransportEntry[] = [
  udp('pipeline'),
  udp('lanes'),
  stream('tcp', 'pipeline', openTcpWire),
  stream('tcp', 'lanes', openTcpWire),
  stream('tls', 'pipeline', openTlsWire, { tls: TLS_PAIR }),
  stream('tls', 'lanes', openTlsWire, { tls: TLS_PAIR }),
  web('websocket', 'pipeline', websocket),
  web('websocket', 'lanes', websocket),
  web('webrtc', 'pipeline', webrtc),
  web('webrtc', 'lanes', webrtc),
];

/** What a claim comes by is below its store: on a database, briefly, one of each kind and layout stands for all. */
const BRIEFLY = ['udp, lanes', 'tcp, pipeline'];
const CLAIMS_OF_DATABASE = 1_500;

export const TRANSPORTS: readonly TransportEntry[] = storeUnderTest.isBrief
  ? ALL.filter(({ name }) => BRIEFLY.includes(name)).map((entry) => ({ ...entry, claims: CLAIMS_OF_DATABASE }))
  : ALL;
