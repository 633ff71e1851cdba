/**
 * A node's settings: defaults, limits and the reasons for them. Checked once, before anything is opened.
 */
import { availableParallelism, freemem } from 'node:os';
import { ClaimwireError } from './errors.ts';
import { SECTOR_BYTES, SEGMENT_BYTES_MAX } from './journal/record.ts';
import { powerOfTwoAtLeast } from './ring/arena.ts';
import { BACKEND_CLAIMS_PER_MS, BACKEND_NAMES, type BackendChoice, type BackendName } from './verify/backend.ts';

/** `pipeline`: a net thread, n verifiers, a commit thread. `lanes`: every step in one thread. */
export type LayoutName = 'pipeline' | 'lanes';

export interface HostPort {
  host: string;
  port: number;
}

/** What an operator may set; everything has a default. */
export interface NodeOptions {
  /** Data folder: registry, journal, admin token. */
  data?: string;
  udp?: HostPort;
  http?: HostPort;
  layout?: LayoutName;
  /** Verifier threads (`pipeline`). */
  verifiers?: number;
  backend?: BackendChoice;
  /** Bytes for key tables; 0 lets the node choose: a quarter of the free memory, at most 1 GiB. */
  keyCacheBytes?: number;
  /** Most channels; 0 lets the node choose: 2 million, or twice what the registry holds. */
  channelsMax?: number;
  /** Slots of the claim ring, a power of two; 0 lets the node choose by the backend's speed. */
  ringSlots?: number;
  /** Empty steps a thread spins before it sleeps; -1 lets the node choose by its cores. */
  spins?: number;
  segmentBytes?: number;
  checkpointSeconds?: number;
  /** Start although the journal is corrupt, with what lies before the bad place; the rest is moved aside. */
  cutJournal?: boolean;
}

export type NodeConfig = Required<NodeOptions>;

const DEFAULT_UDP: HostPort = { host: '127.0.0.1', port: 9393 };
const DEFAULT_HTTP: HostPort = { host: '127.0.0.1', port: 9394 };
const VERIFIERS_MAX = 64;
const RING_SLOTS_MAX = 65_536;
/** What the kernel takes at the least; a table of a hot key is 130 KB, of a cold one 16. */
const KEY_CACHE_MIN = 32 * 2 ** 20;
const KEY_CACHE_DEFAULT_MAX = 2 ** 30;
/** A large table for each of half a million keys. */
const KEY_CACHE_MAX = 64 * 2 ** 30;
/** More than twice the largest group. */
const SEGMENT_BYTES_MIN = 2 ** 20;
const CHANNELS_MIN = 1 << 21;
/** Claims may wait in the ring about this long before the door says OVERLOADED: a backlog only adds latency. */
const RING_MS = 250;
const RING_SLOTS_MIN = 512;
const RING_SLOTS_DEFAULT_MAX = 8_192;

/** Fills in defaults and checks ranges. Throws CONFIG_INVALID. */
export function resolveConfig(options: NodeOptions): NodeConfig {
  const config: NodeConfig = {
    data: options.data ?? './data',
    udp: options.udp ?? DEFAULT_UDP,
    http: options.http ?? DEFAULT_HTTP,
    layout: options.layout ?? 'pipeline',
    verifiers: options.verifiers ?? Math.min(availableParallelism(), VERIFIERS_MAX),
    backend: options.backend ?? environmentBackend(),
    keyCacheBytes: options.keyCacheBytes || defaultKeyCache(),
    channelsMax: options.channelsMax ?? 0,
    ringSlots: options.ringSlots ?? 0,
    spins: options.spins ?? -1,
    segmentBytes: options.segmentBytes ?? 64 * 2 ** 20,
    checkpointSeconds: options.checkpointSeconds ?? 30,
    cutJournal: options.cutJournal ?? false,
  };
  expectRange('verifiers', config.verifiers, 1, VERIFIERS_MAX);
  expectRange('channels-max', config.channelsMax, 0, 20_000_000);
  expectRange('ring-slots', config.ringSlots, 0, RING_SLOTS_MAX);
  if (powerOfTwoAtLeast(config.ringSlots) !== config.ringSlots && config.ringSlots !== 0)
    throw new ClaimwireError('CONFIG_INVALID', `ring-slots: expected a power of two, got ${config.ringSlots}`);
  expectRange('segment-bytes', config.segmentBytes, SEGMENT_BYTES_MIN, SEGMENT_BYTES_MAX);
  if (config.segmentBytes % SECTOR_BYTES !== 0)
    throw new ClaimwireError('CONFIG_INVALID', `segment-bytes: expected whole sectors, got ${config.segmentBytes}`);
  expectRange('key-cache', config.keyCacheBytes, KEY_CACHE_MIN, KEY_CACHE_MAX);
  expectRange('checkpoint-seconds', config.checkpointSeconds, 1, 86_400);
  return config;
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

/** Slots of the claim ring: what the verifiers judge in RING_MS. */
export function ringSlots(config: NodeConfig, backend: BackendName): number {
  if (config.ringSlots !== 0) return config.ringSlots;
  const threads = config.layout === 'lanes' ? 1 : config.verifiers;
  const wanted = powerOfTwoAtLeast(BACKEND_CLAIMS_PER_MS[backend] * threads * RING_MS);
  return Math.min(RING_SLOTS_DEFAULT_MAX, Math.max(RING_SLOTS_MIN, wanted));
}

function expectRange(name: string, value: number, min: number, max: number): void {
  if (!Number.isSafeInteger(value) || value < min || value > max)
    throw new ClaimwireError('CONFIG_INVALID', `${name}: expected a whole number from ${min} to ${max}, got ${value}`);
}
