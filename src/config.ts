/**
 * A node's settings: defaults, limits and the reasons for them. Checked once, before anything is opened.
 */
import { availableParallelism, freemem } from 'node:os';
import { ClaimwireError } from './errors.ts';
import type { HostPort } from './host-port.ts';
import { BLOCK_BYTES, BLOCK_SIZES, SEGMENT_BYTES_MAX } from './journal/record.ts';
import { powerOfTwoAtLeast } from './ring/arena.ts';
import { TCP_LIMITS } from './transport/tcp-options.ts';
import { BACKEND_CLAIMS_PER_MS, BACKEND_NAMES, type BackendChoice, type BackendName } from './verify/backend.ts';
import { WEB_LIMITS } from './web/limits.ts';

/** `pipeline`: a net thread, n verifiers and a commit thread. `lanes`: n threads that each run every step. */
export type LayoutName = 'pipeline' | 'lanes';
/** `sync`: claims are on stable storage before they are acknowledged. `os`: only written, so a loss of power may lose them. */
export type Durability = 'sync' | 'os';
/** `newest`: only the newest of a channel's claims in one batch is verified (verify/newest-backend.ts). */
export type VerifyPolicy = 'every' | 'newest';
/** `native`: batched I/O, which needs the addon. `dgram`: Node's own, one socket. */
export type SocketKind = 'native' | 'dgram';
/** `native`: the addon's loops handle plain claims. `portable`: the steps in TypeScript do. */
export type PathKind = 'native' | 'portable';

/** The settings of a node; all have defaults. */
export interface NodeOptions {
  /** Data folder: registry, journal, admin token. */
  data?: string;
  udp?: HostPort;
  /** By default the UDP address. */
  tcp?: HostPort | undefined;
  /** PEM texts. With them, TCP connections use TLS. */
  tls?: { cert: string; key: string } | undefined;
  /** Most TCP connections of a listener (each lane has one), in all and from one address. */
  tcpConnections?: number;
  tcpConnectionsPerAddress?: number;
  /** Where WebSocket and WebRTC peers connect; by default nowhere. Needs the library `ws`. */
  web?: HostPort | undefined;
  /** Origins of pages that may connect there, like `https://shop.example`, or `*`. Programs send none, and are always let in. */
  webOrigins?: readonly string[];
  /** Takes WebRTC peers there as well, on the UDP port of the same number. Needs the library `node-datachannel`. */
  webrtc?: boolean;
  /** For a node that is itself behind NAT: `stun:HOST:PORT`, `turn:USER:PASSWORD@HOST:PORT`. */
  iceServers?: readonly string[];
  /** Most WebSocket and WebRTC peers, in all and from one address. */
  webPeers?: number;
  webPeersPerAddress?: number;
  /** Of these, most WebRTC peers. */
  webrtcPeers?: number;
  /** WebRTC offers that are answered in a second, in all; a quarter of them for one address. */
  webOffersPerSecond?: number;
  http?: HostPort;
  /** Host names that requests to the admin interface may use, besides its address and localhost. */
  httpHosts?: readonly string[];
  /** `auto`: lanes where sockets and backend are native, else pipeline. */
  layout?: LayoutName | 'auto';
  /** Number of lanes, for layout `lanes`. More than one needs native sockets. */
  lanes?: number;
  /** Number of verifier threads, for layout `pipeline`. */
  verifiers?: number;
  sockets?: SocketKind | 'auto';
  /** `auto`: native where the addon loads. */
  path?: PathKind | 'auto';
  durability?: Durability;
  verify?: VerifyPolicy;
  backend?: BackendChoice;
  /** Bytes for key tables; 0 lets the node choose: a quarter of the free memory, at most 2 GiB. */
  keyCacheBytes?: number;
  /** Whether a start makes the key tables of the keys that were hottest at the end of the last run; by default it does. */
  warmKeys?: boolean;
  /** Most channels; 0 lets the node choose: 2 million, or twice what the registry holds. */
  channelsMax?: number;
  /** Slots of the claim ring, a power of two; 0 lets the node choose by the backend's speed. */
  ringSlots?: number;
  /** Whether each thread of the claim path has a core of its own, of those that the process may use. Linux, with the addon. */
  pin?: boolean;
  /** Microseconds for which a thread with sockets looks for more after a datagram, on its core, before it sleeps; 0: not at all. */
  busyPollUs?: number;
  /**
   * Percent of a ring that claims of pairs of source and channel of which none was verified lately may fill while signatures fail
   * (path/stranger-room.ts); 100 for no difference.
   */
  strangersPercent?: number;
  /** Takes Merkle batches: signed roots over many claims. Memory for them is made; needs the data folder as its store. */
  roots?: boolean;
  /**
   * Drops that an `xrpl` channel, and all channels of one key together, may owe by leaves of roots alone, which the ledger does not
   * redeem; 0: such channels take no leaves at all. More than 0 implies `roots`.
   */
  rootExposureDrops?: number;
  segmentBytes?: number;
  /** Block to which the journal's groups are aligned: 4,096, or 512 for disks known to write sectors of 512 bytes. */
  journalBlockBytes?: number;
  checkpointSeconds?: number;
  /** Cut a corrupt journal at its bad place: start with what lies before it, and move the rest aside. */
  cutJournal?: boolean;
  /**
   * Keeps channels and claims in a database that several nodes may share, `postgres://USER@HOST:PORT,HOST:PORT/NAME`, and not in
   * the data folder. Its password comes from `storePasswordFile`, PGPASSWORD or ~/.pgpass. Needs the library `pg`.
   */
  store?: string | undefined;
  /** Takes part in the cluster of nodes that share the store: serves its part of the shards, and takes over nodes that die. */
  cluster?: boolean;
  /** Where the other nodes' peers find this one, like `udp://10.0.0.1:9393`, at most 8. By default where it listens. */
  advertise?: readonly string[];
  /** The node's name in the database: 1 to 64 of a-z, 0-9 and hyphen. By default the one kept in the data folder, at first a random one. */
  nodeName?: string | undefined;
  /** A file with the database's password in its first line. */
  storePasswordFile?: string | undefined;
  /** A database without synchronous standbys will do: what is acknowledged then rests on one machine. */
  storeUnreplicated?: boolean;
  /** Seconds for which a start looks for the database. */
  storeWaitSeconds?: number;
}

/** Complete settings: the node has decided all that was left to it. */
export interface NodeConfig extends Required<NodeOptions> {
  layout: LayoutName;
  sockets: SocketKind;
  path: PathKind;
  backend: BackendName;
}

/** What this machine offers. */
export interface Capabilities {
  backend: BackendName;
  /** Why native sockets are not available, or undefined. */
  nativeSocketsFault: string | undefined;
  /** Why the native path is not available, or undefined. */
  nativePathFault: string | undefined;
}

const DEFAULT_UDP: HostPort = { host: '127.0.0.1', port: 9393 };
export const DEFAULT_HTTP: HostPort = { host: '127.0.0.1', port: 9394 };
const VERIFIERS_MAX = 64;
const LANES_MAX = 64;
const TCP_CONNECTIONS_MAX = 65_536;
/** Peers share one process. */
const WEB_PEERS_MAX = 65_536;
const RING_SLOTS_MAX = 65_536;
/** Sums of so many are exact in a double; the ledger has 11 times as many drops. */
export const ROOT_EXPOSURE_DROPS_MAX = Number.MAX_SAFE_INTEGER;
/** A second awake after each datagram is a core for good. */
export const BUSY_POLL_US_MAX = 1_000_000;
/** The kernel's minimum. The table of a hot key takes 130 KB, that of a cold key 16 KB. */
const KEY_CACHE_MIN = 32 * 2 ** 20;
/** A large table for each of 15,000 keys. */
const KEY_CACHE_DEFAULT_MAX = 2 ** 31;
/** A large table for each of half a million keys. */
const KEY_CACHE_MAX = 64 * 2 ** 30;
/** More than twice the largest group. */
const SEGMENT_BYTES_MIN = 2 ** 20;
const CHANNELS_DOUBLED_MAX = 2 ** 23;
/** With so many the table takes 3.6 GiB; twice the index would not fit. */
const CHANNELS_FIT = 2 ** 24;
const CHANNELS_MIN = 1 << 21;
/** Places of a node in the map that peers get (protocol/route.ts). */
const PLACES_MAX = 8;
/**
 * A default ring holds about so much work; beyond it the receive step answers OVERLOADED, since a backlog adds only latency. The
 * largest one lasts a lane of 400,000 claims/s for 80 ms, and a second in which 100,000 keys have no tables yet (bench:restart).
 */
const RING_MS = 250;
const RING_SLOTS_MIN = 512;
const RING_SLOTS_DEFAULT_MAX = 32_768;
/** A slot takes some 390 bytes with all that goes with it, 450 with roots: more lanes have half as many each, so that 16 million channels fit beside them. */
const LANES_WITH_LARGE_RINGS = 32;

/** The backend asked for, by an option or else by CLAIMWIRE_BACKEND. Throws CONFIG_INVALID. */
export function backendChoice(options: NodeOptions): BackendChoice {
  if (options.backend !== undefined) return options.backend;
  const name = process.env.CLAIMWIRE_BACKEND ?? 'auto';
  const known = (['auto', ...BACKEND_NAMES] as const).find((choice) => choice === name);
  if (known !== undefined) return known;
  const expected = `expected auto, ${BACKEND_NAMES.join(', ')}, got ${JSON.stringify(name)}`;
  throw new ClaimwireError('CONFIG_INVALID', `CLAIMWIRE_BACKEND: ${expected}`);
}

/** Bytes for key tables, by default a quarter of the free memory. Throws CONFIG_INVALID. */
export function keyCacheBytes(options: NodeOptions): number {
  const quarter = Math.max(KEY_CACHE_MIN, Math.min(KEY_CACHE_DEFAULT_MAX, Math.floor(freemem() / 4)));
  const bytes = options.keyCacheBytes || quarter;
  expectRange('key-cache', bytes, KEY_CACHE_MIN, KEY_CACHE_MAX);
  return bytes;
}

/** Fills in defaults and checks ranges. Throws CONFIG_INVALID. */
export function resolveConfig(options: NodeOptions, capabilities: Capabilities): NodeConfig {
  const cores = availableParallelism();
  const sockets = socketKind(options, capabilities);
  const isNative = sockets === 'native' && capabilities.backend === 'native';
  const { layout: choice = 'auto' } = options;
  // One socket and slow verifiers suit a pipeline; native sockets and verifiers suit lanes, a thread per core.
  const layout = choice === 'auto' ? (isNative ? 'lanes' : 'pipeline') : choice;
  const lanes = options.lanes ?? (sockets === 'native' ? Math.min(cores, LANES_MAX) : 1);
  if (options.lanes !== undefined && layout !== 'lanes')
    throw settingFault('lanes', `expected layout lanes, got ${layout}; give --layout lanes or leave --lanes out`);
  const config: NodeConfig = {
    data: options.data ?? './data',
    udp: options.udp ?? DEFAULT_UDP,
    tcp: options.tcp,
    tls: options.tls,
    tcpConnections: options.tcpConnections ?? TCP_LIMITS.connectionsMax,
    tcpConnectionsPerAddress: options.tcpConnectionsPerAddress ?? TCP_LIMITS.connectionsPerAddressMax,
    web: options.web,
    webOrigins: options.webOrigins ?? [],
    webrtc: options.webrtc ?? false,
    iceServers: options.iceServers ?? [],
    webPeers: options.webPeers ?? WEB_LIMITS.peersMax,
    webPeersPerAddress: options.webPeersPerAddress ?? WEB_LIMITS.peersPerAddressMax,
    webrtcPeers: options.webrtcPeers ?? WEB_LIMITS.rtcPeersMax,
    webOffersPerSecond: options.webOffersPerSecond ?? WEB_LIMITS.offersPerSecond,
    http: options.http ?? DEFAULT_HTTP,
    httpHosts: options.httpHosts ?? [],
    layout,
    lanes,
    verifiers: options.verifiers ?? Math.min(cores, VERIFIERS_MAX),
    sockets,
    path: pathKind(options, capabilities),
    backend: capabilities.backend,
    durability: options.durability ?? 'sync',
    verify: options.verify ?? 'every',
    keyCacheBytes: keyCacheBytes(options),
    warmKeys: options.warmKeys ?? true,
    channelsMax: options.channelsMax ?? 0,
    ringSlots: options.ringSlots ?? 0,
    pin: options.pin ?? false,
    busyPollUs: options.busyPollUs ?? 0,
    strangersPercent: options.strangersPercent ?? 50,
    roots: options.roots ?? (options.rootExposureDrops ?? 0) > 0,
    rootExposureDrops: options.rootExposureDrops ?? 0,
    segmentBytes: options.segmentBytes ?? 64 * 2 ** 20,
    journalBlockBytes: options.journalBlockBytes ?? BLOCK_BYTES,
    checkpointSeconds: options.checkpointSeconds ?? 30,
    cutJournal: options.cutJournal ?? false,
    store: options.store,
    cluster: options.cluster ?? false,
    advertise: options.advertise ?? [],
    nodeName: options.nodeName,
    storePasswordFile: options.storePasswordFile,
    storeUnreplicated: options.storeUnreplicated ?? false,
    storeWaitSeconds: options.storeWaitSeconds ?? 30,
  };
  expectRange('verifiers', config.verifiers, 1, VERIFIERS_MAX);
  expectRange('lanes', config.lanes, 1, LANES_MAX);
  if (config.lanes > 1 && sockets !== 'native' && layout === 'lanes')
    throw new ClaimwireError('CONFIG_INVALID', `lanes: expected 1 with dgram sockets, got ${config.lanes}`);
  expectRange('tcp-connections', config.tcpConnections, 1, TCP_CONNECTIONS_MAX);
  expectRange('tcp-connections-per-address', config.tcpConnectionsPerAddress, 1, TCP_CONNECTIONS_MAX);
  expectWeb(config);
  expectRange('channels-max', config.channelsMax, 0, 20_000_000);
  expectRange('ring-slots', config.ringSlots, 0, RING_SLOTS_MAX);
  if (powerOfTwoAtLeast(config.ringSlots) !== config.ringSlots && config.ringSlots !== 0)
    throw settingFault('ring-slots', `expected a power of two, got ${config.ringSlots}`);
  expectRange('busy-poll', config.busyPollUs, 0, BUSY_POLL_US_MAX);
  expectRange('strangers', config.strangersPercent, 1, 100);
  // Frames may take as much of a group as claims.
  const segmentBytesMin = config.roots ? 2 * SEGMENT_BYTES_MIN : SEGMENT_BYTES_MIN;
  expectRange('segment-bytes', config.segmentBytes, segmentBytesMin, SEGMENT_BYTES_MAX);
  if (!BLOCK_SIZES.includes(config.journalBlockBytes))
    throw settingFault('journal-block', `expected ${BLOCK_SIZES.join(' or ')}, got ${config.journalBlockBytes}`);
  if (config.segmentBytes % config.journalBlockBytes !== 0)
    throw settingFault(
      'segment-bytes',
      `expected whole blocks of ${config.journalBlockBytes}, got ${config.segmentBytes}`,
    );
  for (const name of config.httpHosts)
    if (!/^[a-z0-9_.-]{1,253}$/i.test(name))
      throw settingFault('http-host', `expected a name like node.example, without a port, got ${JSON.stringify(name)}`);
  expectRange('checkpoint-seconds', config.checkpointSeconds, 1, 86_400);
  expectRange('root-exposure', config.rootExposureDrops, 0, ROOT_EXPOSURE_DROPS_MAX);
  if (!config.roots && config.rootExposureDrops > 0)
    throw settingFault('roots', 'expected it, as there is an exposure, got none; leave root-exposure out');
  expectStore(config);
  expectCluster(config);
  return config;
}

/** Throws CONFIG_INVALID. */
function expectWeb({ web, webOrigins, webrtc, iceServers, ...config }: NodeConfig): void {
  if (web === undefined && (webrtc || webOrigins.length > 0 || iceServers.length > 0))
    throw settingFault('web', 'expected an address, as there are other settings of it, got none; give --web H:P');
  expectRange('web-peers', config.webPeers, 1, WEB_PEERS_MAX);
  expectRange('web-peers-per-address', config.webPeersPerAddress, 1, WEB_PEERS_MAX);
  expectRange('webrtc-peers', config.webrtcPeers, 1, WEB_PEERS_MAX);
  expectRange('web-offers', config.webOffersPerSecond, 1, 10_000);
  for (const origin of webOrigins)
    if (origin !== '*' && (!URL.canParse(origin) || new URL(origin).origin !== origin))
      throw settingFault('web-origin', `expected an origin like https://shop.example, or *, got ${origin}`);
  for (const server of iceServers)
    if (!/^(stun:|turns?:([^\s:@]+:[^\s@]+@)?)[^\s:@]+:[0-9]{1,5}$/.test(server))
      throw settingFault('ice-server', 'expected stun:HOST:PORT or turn:USER:PASSWORD@HOST:PORT, got another text');
}

/** Throws CONFIG_INVALID. What else is wrong with the address is said when it is used. */
function expectStore(config: NodeConfig): void {
  const { store, nodeName, storePasswordFile, storeUnreplicated, storeWaitSeconds, durability, cutJournal } = config;
  if (store === undefined) {
    if (nodeName !== undefined || storePasswordFile !== undefined || storeUnreplicated)
      throw settingFault('store', 'expected an address, as there are other settings of it, got none; give --store URL');
    return;
  }
  const [, login = ''] = /^postgres(?:ql)?:\/\/(?:([^/?]*)@)?[^/?@]+\//.exec(store) ?? [undefined];
  if (!/^postgres(ql)?:\/\/[^/?]+\//.test(store))
    throw settingFault('store', 'expected postgres://USER@HOST:PORT/NAME, got another text');
  if (login.includes(':'))
    throw settingFault(
      'store',
      'expected an address without a password, which everybody sees who lists processes, got one with it; set PGPASSWORD, or name a file',
    );
  if (nodeName !== undefined && !/^[a-z0-9-]{1,64}$/.test(nodeName))
    throw settingFault('node-name', `expected 1 to 64 of a-z, 0-9 and hyphen, got ${JSON.stringify(nodeName)}`);
  if (durability !== 'sync')
    throw settingFault('durability', `expected sync with a database as the store, got ${durability}`);
  if (config.roots)
    throw settingFault(
      'roots',
      'expected a data folder to keep leaves and their frames in, got a database; leave --store out',
    );
  if (cutJournal) throw settingFault('cut-journal', 'expected a store with journals, got a database');
  expectRange('store-wait', storeWaitSeconds, 0, 86_400);
}

/** Throws CONFIG_INVALID. */
function expectCluster({ cluster, advertise, store, udp }: NodeConfig): void {
  if (!cluster) {
    if (advertise.length > 0)
      throw settingFault('advertise', 'expected a node of a cluster, got one without; give --cluster');
    return;
  }
  if (store === undefined)
    throw settingFault('cluster', 'expected a store that nodes share, got the data folder; give --store URL');
  if (advertise.length > PLACES_MAX)
    throw settingFault('advertise', `expected at most ${PLACES_MAX} places, got ${advertise.length}`);
  for (const place of advertise)
    if (!/^(?:udp|tcp|tls|wss?|https?|gateway\+https?):\/\/(?:[^\s/:@]+|\[[0-9a-fA-F:.]+\]):[0-9]{1,5}$/.test(place))
      throw settingFault(
        'advertise',
        `expected udp://HOST:PORT, tcp://…, tls://…, wss://… for its --web, or https://… and gateway+https://… for requests of other nodes, got ${JSON.stringify(place)}`,
      );
  if (advertise.length === 0 && (udp.host === '0.0.0.0' || udp.host === '::'))
    throw settingFault(
      'advertise',
      `expected an address at which peers find the node, as it listens on every one (${udp.host}), got none; give --advertise udp://HOST:PORT,tcp://HOST:PORT`,
    );
}

function socketKind({ sockets = 'auto' }: NodeOptions, { nativeSocketsFault }: Capabilities): SocketKind {
  if (sockets === 'native' && nativeSocketsFault !== undefined)
    throw new ClaimwireError('CONFIG_INVALID', `sockets: expected native ones, got none: ${nativeSocketsFault}`);
  return sockets !== 'auto' ? sockets : nativeSocketsFault === undefined ? 'native' : 'dgram';
}

function pathKind({ path = 'auto' }: NodeOptions, { nativePathFault }: Capabilities): PathKind {
  if (path === 'native' && nativePathFault !== undefined)
    throw new ClaimwireError('BACKEND_UNAVAILABLE', `path: expected the native one, got none: ${nativePathFault}`);
  return path !== 'auto' ? path : nativePathFault === undefined ? 'native' : 'portable';
}

/** Rows of the channel table, given the number of channels in the registry. Throws CONFIG_INVALID. */
export function tableCapacity(config: NodeConfig, channels: number): number {
  if (config.channelsMax === 0) return Math.max(CHANNELS_MIN, roomFor(channels));
  if (config.channelsMax >= channels) return config.channelsMax;
  throw new ClaimwireError(
    'CONFIG_INVALID',
    `channels-max: expected at least the ${channels} channels the registry holds, got ${config.channelsMax}`,
  );
}

/** Room for twice the channels; of many, for a quarter more, since the table is in one shared memory of at most 4 GiB. */
function roomFor(channels: number): number {
  const room = Math.max(Math.min(powerOfTwoAtLeast(channels * 2), CHANNELS_DOUBLED_MAX), Math.ceil(channels * 1.25));
  return Math.max(Math.min(room, CHANNELS_FIT), channels);
}

/** Slots of a claim ring: as many claims as its verifiers check in RING_MS. */
export function ringSlots(config: NodeConfig): number {
  if (config.ringSlots !== 0) return config.ringSlots;
  // A lane's ring has one verifier, the lane itself.
  const threads = config.layout === 'lanes' ? 1 : config.verifiers;
  const wanted = powerOfTwoAtLeast(BACKEND_CLAIMS_PER_MS[config.backend] * threads * RING_MS);
  const most =
    config.layout === 'lanes' && config.lanes > LANES_WITH_LARGE_RINGS
      ? RING_SLOTS_DEFAULT_MAX / 2
      : RING_SLOTS_DEFAULT_MAX;
  return Math.min(most, Math.max(RING_SLOTS_MIN, wanted));
}

function expectRange(name: string, value: number, min: number, max: number): void {
  if (!Number.isSafeInteger(value) || value < min || value > max)
    throw settingFault(name, `expected a whole number from ${min} to ${max}, got ${value}`);
}

/** A setting that is wrong on any machine; the command line reports it as a usage error. */
function settingFault(setting: string, message: string): ClaimwireError {
  return new ClaimwireError('CONFIG_INVALID', `${setting}: ${message}`, { setting });
}
