/**
 * A node's settings: defaults, limits and the reasons for them. Checked once, before anything is opened.
 */
import { availableParallelism, freemem } from 'node:os';
import { ClaimwireError } from './errors.ts';
import { BLOCK_BYTES, BLOCK_SIZES, SEGMENT_BYTES_MAX } from './journal/record.ts';
import { powerOfTwoAtLeast } from './ring/arena.ts';
import { TCP_LIMITS } from './transport/tcp-options.ts';
import { BACKEND_CLAIMS_PER_MS, BACKEND_NAMES, type BackendChoice, type BackendName } from './verify/backend.ts';

/** `pipeline`: a net thread, n verifiers, a commit thread. `lanes`: n threads that each run every step. */
export type LayoutName = 'pipeline' | 'lanes';
/** `sync`: on stable storage before it is acknowledged. `os`: written; a loss of power may take it. */
export type Durability = 'sync' | 'os';
/** `newest`: of a channel's claims in one batch only the newest is verified (verify/newest-backend.ts). */
export type VerifyPolicy = 'every' | 'newest';
/** Native batch I/O needs the addon; dgram is everywhere, one socket. */
export type SocketKind = 'native' | 'dgram';

/** Whose loops plain claims run through: the addon's, or the steps' own, which are everywhere. */
export type PathKind = 'native' | 'portable';

/** An address to listen on; port 0 picks a free one. */
export interface HostPort {
  host: string;
  port: number;
}

export function hostPortText({ host, port }: HostPort): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

/** What an operator may set; everything has a default. */
export interface NodeOptions {
  /** Data folder: registry, journal, admin token. */
  data?: string;
  udp?: HostPort;
  /** By default the UDP address. */
  tcp?: HostPort | undefined;
  /** PEM texts; with them TCP is TLS. */
  tls?: { cert: string; key: string } | undefined;
  /** Most TCP connections of a listener (each lane has one), in all and from one address. */
  tcpConnections?: number;
  tcpConnectionsPerAddress?: number;
  http?: HostPort;
  /** `auto`: lanes where sockets and backend are native, else pipeline. */
  layout?: LayoutName | 'auto';
  /** Lanes (`lanes`), each with a socket, a ring and a journal of its own; more than one needs native sockets. */
  lanes?: number;
  /** Verifier threads (`pipeline`). */
  verifiers?: number;
  sockets?: SocketKind | 'auto';
  /** `auto`: native where the addon is there. */
  path?: PathKind | 'auto';
  durability?: Durability;
  verify?: VerifyPolicy;
  backend?: BackendChoice;
  /** Bytes for key tables; 0 lets the node choose: a quarter of the free memory, at most 1 GiB. */
  keyCacheBytes?: number;
  /** Most channels; 0 lets the node choose: 2 million, or twice what the registry holds. */
  channelsMax?: number;
  /** Slots of the claim ring, a power of two; 0 lets the node choose by the backend's speed. */
  ringSlots?: number;
  segmentBytes?: number;
  /** What groups of the journal are aligned to: 4,096, or 512 for disks known to write sectors of 512 bytes. */
  journalBlockBytes?: number;
  checkpointSeconds?: number;
  /** Start although the journal is corrupt, with what lies before the bad place; the rest is moved aside. */
  cutJournal?: boolean;
}

/** Complete, and everything that was left to the node decided. */
export interface NodeConfig extends Required<NodeOptions> {
  layout: LayoutName;
  sockets: SocketKind;
  path: PathKind;
  backend: BackendName;
}

/** What this machine offers, found out before the settings are. */
export interface Capabilities {
  backend: BackendName;
  /** Why native sockets can't be had, or undefined. */
  nativeSocketsFault: string | undefined;
  /** The same of the C path. */
  nativePathFault: string | undefined;
}

const DEFAULT_UDP: HostPort = { host: '127.0.0.1', port: 9393 };
export const DEFAULT_HTTP: HostPort = { host: '127.0.0.1', port: 9394 };
const VERIFIERS_MAX = 64;
const LANES_MAX = 64;
const TCP_CONNECTIONS_MAX = 65_536;
const RING_SLOTS_MAX = 65_536;
/** What the kernel takes at the least; a table of a hot key is 130 KB, of a cold one 16. */
const KEY_CACHE_MIN = 32 * 2 ** 20;
const KEY_CACHE_DEFAULT_MAX = 2 ** 30;
/** A large table for each of half a million keys. */
const KEY_CACHE_MAX = 64 * 2 ** 30;
/** More than twice the largest group. */
const SEGMENT_BYTES_MIN = 2 ** 20;
const CHANNELS_MIN = 1 << 21;
/** Claims may wait in the ring about this long before the receive step answers OVERLOADED: a backlog only adds latency. */
const RING_MS = 250;
const RING_SLOTS_MIN = 512;
const RING_SLOTS_DEFAULT_MAX = 8_192;

/** The backend asked for, before anything else is decided. Throws CONFIG_INVALID. */
export function backendChoice(options: NodeOptions): BackendChoice {
  return options.backend ?? environmentBackend();
}

/** Bytes for key tables. Throws CONFIG_INVALID. */
export function keyCacheBytes(options: NodeOptions): number {
  const bytes = options.keyCacheBytes || defaultKeyCache();
  expectRange('key-cache', bytes, KEY_CACHE_MIN, KEY_CACHE_MAX);
  return bytes;
}

/** Fills in defaults and checks ranges. Throws CONFIG_INVALID. */
export function resolveConfig(options: NodeOptions, capabilities: Capabilities): NodeConfig {
  const cores = availableParallelism();
  const sockets = socketKind(options, capabilities);
  const isNative = sockets === 'native' && capabilities.backend === 'native';
  const layout = options.layout === undefined || options.layout === 'auto' ? defaultLayout(isNative) : options.layout;
  const lanes = options.lanes ?? (sockets === 'native' ? Math.min(cores, LANES_MAX) : 1);
  if (options.lanes !== undefined && options.layout !== layout && layout !== 'lanes')
    throw new ClaimwireError('CONFIG_INVALID', `lanes: expected layout lanes, got ${layout}; give --layout lanes`);
  const config: NodeConfig = {
    data: options.data ?? './data',
    udp: options.udp ?? DEFAULT_UDP,
    tcp: options.tcp,
    tls: options.tls,
    tcpConnections: options.tcpConnections ?? TCP_LIMITS.connectionsMax,
    tcpConnectionsPerAddress: options.tcpConnectionsPerAddress ?? TCP_LIMITS.connectionsPerAddressMax,
    http: options.http ?? DEFAULT_HTTP,
    layout,
    lanes,
    verifiers: options.verifiers ?? Math.min(cores, VERIFIERS_MAX),
    sockets,
    path: pathKind(options, capabilities),
    backend: capabilities.backend,
    durability: options.durability ?? 'sync',
    verify: options.verify ?? 'every',
    keyCacheBytes: keyCacheBytes(options),
    channelsMax: options.channelsMax ?? 0,
    ringSlots: options.ringSlots ?? 0,
    segmentBytes: options.segmentBytes ?? 64 * 2 ** 20,
    journalBlockBytes: options.journalBlockBytes ?? BLOCK_BYTES,
    checkpointSeconds: options.checkpointSeconds ?? 30,
    cutJournal: options.cutJournal ?? false,
  };
  expectRange('verifiers', config.verifiers, 1, VERIFIERS_MAX);
  expectRange('lanes', config.lanes, 1, LANES_MAX);
  if (config.lanes > 1 && sockets !== 'native' && layout === 'lanes')
    throw new ClaimwireError('CONFIG_INVALID', `lanes: expected 1 with dgram sockets, got ${config.lanes}`);
  expectRange('tcp-connections', config.tcpConnections, 1, TCP_CONNECTIONS_MAX);
  expectRange('tcp-connections-per-address', config.tcpConnectionsPerAddress, 1, TCP_CONNECTIONS_MAX);
  expectRange('channels-max', config.channelsMax, 0, 20_000_000);
  expectRange('ring-slots', config.ringSlots, 0, RING_SLOTS_MAX);
  if (powerOfTwoAtLeast(config.ringSlots) !== config.ringSlots && config.ringSlots !== 0)
    throw new ClaimwireError('CONFIG_INVALID', `ring-slots: expected a power of two, got ${config.ringSlots}`);
  expectRange('segment-bytes', config.segmentBytes, SEGMENT_BYTES_MIN, SEGMENT_BYTES_MAX);
  if (!BLOCK_SIZES.includes(config.journalBlockBytes))
    throw new ClaimwireError(
      'CONFIG_INVALID',
      `journal-block: expected ${BLOCK_SIZES.join(' or ')}, got ${config.journalBlockBytes}`,
    );
  if (config.segmentBytes % config.journalBlockBytes !== 0)
    throw new ClaimwireError(
      'CONFIG_INVALID',
      `segment-bytes: expected whole blocks of ${config.journalBlockBytes}, got ${config.segmentBytes}`,
    );
  expectRange('checkpoint-seconds', config.checkpointSeconds, 1, 86_400);
  return config;
}

/** One socket and slow verifiers want a pipeline; native sockets and verifiers run to completion, a thread a core. */
function defaultLayout(isNative: boolean): LayoutName {
  return isNative ? 'lanes' : 'pipeline';
}

function socketKind(options: NodeOptions, { nativeSocketsFault }: Capabilities): SocketKind {
  if (options.sockets === 'dgram') return 'dgram';
  if (nativeSocketsFault === undefined) return 'native';
  if (options.sockets === 'native')
    throw new ClaimwireError('CONFIG_INVALID', `sockets: expected native ones, got none: ${nativeSocketsFault}`);
  return 'dgram';
}

function pathKind(options: NodeOptions, { nativePathFault }: Capabilities): PathKind {
  if (options.path === 'portable') return 'portable';
  if (nativePathFault === undefined) return 'native';
  if (options.path === 'native')
    throw new ClaimwireError('BACKEND_UNAVAILABLE', `path: expected the native one, got none: ${nativePathFault}`);
  return 'portable';
}

/** CLAIMWIRE_BACKEND stands in for a flag that is not given. */
function environmentBackend(): BackendChoice {
  const name = process.env.CLAIMWIRE_BACKEND ?? 'auto';
  const known = ['auto', ...BACKEND_NAMES].find((choice) => choice === name);
  if (known !== undefined) return known as BackendChoice;
  throw new ClaimwireError(
    'CONFIG_INVALID',
    `CLAIMWIRE_BACKEND: expected auto, ${BACKEND_NAMES.join(', ')}, got ${JSON.stringify(name)}`,
  );
}

function defaultKeyCache(): number {
  return Math.max(KEY_CACHE_MIN, Math.min(KEY_CACHE_DEFAULT_MAX, Math.floor(freemem() / 4)));
}

/** Rows the channel table has room for, given how many the registry holds. */
export function tableCapacity(config: NodeConfig, channels: number): number {
  if (config.channelsMax === 0) return Math.max(CHANNELS_MIN, powerOfTwoAtLeast(channels * 2));
  if (config.channelsMax >= channels) return config.channelsMax;
  throw new ClaimwireError(
    'CONFIG_INVALID',
    `channels-max: expected at least the ${channels} channels the registry holds, got ${config.channelsMax}`,
  );
}

/** Slots of a claim ring: what its verifiers judge in RING_MS. */
export function ringSlots(config: NodeConfig): number {
  if (config.ringSlots !== 0) return config.ringSlots;
  // A lane's ring is its own verifier's alone.
  const threads = config.layout === 'lanes' ? 1 : config.verifiers;
  const wanted = powerOfTwoAtLeast(BACKEND_CLAIMS_PER_MS[config.backend] * threads * RING_MS);
  return Math.min(RING_SLOTS_DEFAULT_MAX, Math.max(RING_SLOTS_MIN, wanted));
}

function expectRange(name: string, value: number, min: number, max: number): void {
  if (!Number.isSafeInteger(value) || value < min || value > max)
    throw new ClaimwireError('CONFIG_INVALID', `${name}: expected a whole number from ${min} to ${max}, got ${value}`);
}
