/** The options of `claimwire node`, and the settings they make. */
import { DROPS_MAX } from '../protocol/layout.ts';
import { BUSY_POLL_US_MAX, ROOT_EXPOSURE_DROPS_MAX } from '../src/config.ts';
import { FEE_MAX_DROPS, type RedeemOptions } from '../src/ledger/redeem-options.ts';
import type { LedgerOptions } from '../src/ledger/settings.ts';
import { type Logger, lineLogger } from '../src/log.ts';
import type { ServeOptions } from '../src/serve.ts';
import type { TuneOptions } from '../src/tune/auto-tune.ts';
import { BACKEND_NAMES } from '../src/verify/backend.ts';
import { drops, hostPort, readFile, usage } from './args.ts';
import { DATA_OPTION, type OptionSpecs, type Values } from './options.ts';
import { complain } from './output.ts';
import { PEER_OPTIONS, peerOptions } from './peer-options.ts';
import { count, decimal, duration, size } from './units.ts';

const ADDRESSES = 'Where it listens:';
const TLS = 'TCP and TLS:';
const WEB = 'WebSocket and WebRTC (docs/transports.md):';
const MACHINE = 'How it uses the machine:';
const ROOTS = 'Merkle batches:';
const DURABLE = 'What is on the disk:';
const STORE = 'A database that several nodes share:';
const LEDGER = 'The XRP Ledger (docs/ledger.md):';
const TUNE = 'Tuning itself (docs/tuning.md):';
const SPANS = 'Spans of OpenTelemetry (docs/watching.md):';
const LOG = 'What it says (on stderr):';
const CONNECTIONS_MAX = 65_536;

/** `claimwire demo` has these too. */
export const LOG_OPTIONS = {
  'log-level': {
    value: 'LEVEL',
    description: 'the least that is told',
    choices: ['info', 'warn', 'error', 'none'],
    default: 'info',
    group: LOG,
  },
  'log-format': { value: 'NAME', description: 'how', choices: ['text', 'json'], default: 'text', group: LOG },
} as const satisfies OptionSpecs;

/** What signs for an account of the ledger. Payers' commands have these too. */
export const WALLET_OPTIONS = {
  wallet: {
    value: 'FILE|pkcs11:URI',
    description:
      "the account's key: a file of mode 0600 with a seed or a private key, or one in a hardware module; with it claims are redeemed",
    group: LEDGER,
  },
  'wallet-command': {
    value: 'CMD',
    description: 'a command that signs instead: a transaction as JSON on its stdin, {"tx_blob", "hash"} on its stdout',
    group: LEDGER,
  },
  'max-fee': {
    value: 'DROPS',
    description: 'the most that a transaction may cost',
    default: String(FEE_MAX_DROPS),
    read: (text: string, flag: string) => drops(text, flag, 1n, DROPS_MAX),
    group: LEDGER,
  },
} as const satisfies OptionSpecs;

/** `claimwire demo` has these too. */
export const BACKEND_OPTION = {
  value: 'NAME',
  description: 'what verifies signatures; auto is the fastest that passes its self-test',
  choices: ['auto', ...BACKEND_NAMES],
  default: 'auto',
  env: 'CLAIMWIRE_BACKEND',
  group: MACHINE,
} as const;

export const SERVER_OPTIONS = {
  data: DATA_OPTION,
  udp: {
    value: 'H:P',
    description: 'claims; port 0 picks one',
    default: '127.0.0.1:9393',
    read: hostPort,
    group: ADDRESSES,
  },
  tcp: {
    value: 'H:P',
    description: 'connections',
    defaultText: 'the UDP address',
    read: hostPort,
    group: ADDRESSES,
  },
  http: {
    value: 'H:P',
    description: 'the admin interface; port 0 picks one',
    default: '127.0.0.1:9394',
    env: 'CLAIMWIRE_HTTP',
    read: (text: string, flag: string) => hostPort(text.replace(/^http:\/\/([^/]*)\/?$/, '$1'), flag),
    group: ADDRESSES,
  },
  'http-host': {
    value: 'NAME',
    description: 'a name by which the admin interface may be called, beside its address and localhost; repeatable',
    repeatable: true,
    group: ADDRESSES,
  },
  web: {
    value: 'H:P',
    description: 'WebSocket and WebRTC peers, never the admin address; TLS where TCP has it; port 0 picks one',
    defaultText: 'none',
    read: hostPort,
    group: WEB,
  },
  'web-origin': {
    value: 'ORIGIN',
    description: 'a page that may connect there, like https://shop.example, or * for any; repeatable',
    repeatable: true,
    group: WEB,
  },
  webrtc: { description: 'takes WebRTC peers too, on the UDP port of the same number', group: WEB },
  'ice-server': {
    value: 'URL',
    description: 'stun:HOST:PORT or turn:USER:PASSWORD@HOST:PORT, for a node that is itself behind NAT; repeatable',
    repeatable: true,
    group: WEB,
  },
  'web-peers': {
    value: 'N',
    description: 'most peers there',
    defaultText: '4096',
    read: count(1, CONNECTIONS_MAX),
    group: WEB,
  },
  'web-peers-per-address': {
    value: 'N',
    description: 'of these from one address',
    defaultText: '1024',
    read: count(1, CONNECTIONS_MAX),
    group: WEB,
  },
  'webrtc-peers': {
    value: 'N',
    description: 'of these by WebRTC, each with some 300 KB of memory',
    defaultText: '1024',
    read: count(1, CONNECTIONS_MAX),
    group: WEB,
  },
  'web-offers': {
    value: 'N',
    description: 'WebRTC offers answered in a second, a quarter of them for one address',
    defaultText: '100',
    read: count(1, 10_000),
    group: WEB,
  },
  'tls-cert': { value: 'FILE', description: 'PEM certificate: with it and its key, TCP is TLS', group: TLS },
  'tls-key': { value: 'FILE', description: 'PEM key of the certificate', group: TLS },
  'tcp-connections': {
    value: 'N',
    description: 'most connections of a listener, one per lane',
    defaultText: '4096',
    read: count(1, CONNECTIONS_MAX),
    group: TLS,
  },
  'tcp-connections-per-address': {
    value: 'N',
    description: 'of these from one address',
    defaultText: '1024',
    read: count(1, CONNECTIONS_MAX),
    group: TLS,
  },
  backend: BACKEND_OPTION,
  layout: {
    value: 'NAME',
    description:
      'lanes: each thread runs every step, from its own socket to its own journal. pipeline: net thread, verifiers, commit thread. auto: lanes where sockets and backend are native',
    choices: ['auto', 'lanes', 'pipeline'],
    default: 'auto',
    group: MACHINE,
  },
  lanes: {
    value: 'N',
    description: 'threads (lanes)',
    defaultText: 'one per core',
    read: count(1, 64),
    group: MACHINE,
  },
  verifiers: {
    value: 'N',
    description: 'verifier threads (pipeline)',
    defaultText: 'one per core',
    read: count(1, 64),
    group: MACHINE,
  },
  sockets: {
    value: 'NAME',
    description: "native: batches of datagrams, by the addon. dgram: node's own. auto: native where it is there",
    choices: ['auto', 'native', 'dgram'],
    default: 'auto',
    group: MACHINE,
  },
  path: {
    value: 'NAME',
    description:
      "native: plain claims run through the addon's loops. portable: the same in TypeScript. auto: native where it is there",
    choices: ['auto', 'native', 'portable'],
    default: 'auto',
    group: MACHINE,
  },
  'key-cache': {
    value: 'SIZE',
    description: 'memory for key tables, like 512M',
    defaultText: 'a quarter of the free memory, at most 2G',
    read: size,
    group: MACHINE,
  },
  'warm-keys': {
    value: 'on|off',
    description: 'whether a start makes the key tables of the keys that were hottest in the last run',
    defaultText: 'on',
    choices: ['on', 'off'],
    group: MACHINE,
  },
  'channels-max': {
    value: 'N',
    description: 'room in the channel table, like 4M',
    defaultText: '2097152, or twice what is stored',
    read: count(1, 20_000_000),
    group: MACHINE,
  },
  'ring-slots': {
    value: 'N',
    description: 'claims in flight, a power of two',
    defaultText: "by the backend's speed",
    read: count(16, 65_536),
    group: MACHINE,
  },
  pin: {
    description: 'each thread of the claim path on a core of its own (Linux); for machines with cores to spare',
    group: MACHINE,
  },
  'busy-poll': {
    value: 'US',
    description:
      'microseconds for which a thread looks for more after a datagram before it sleeps, on its core; for machines with cores to spare',
    defaultText: '0',
    read: count(0, BUSY_POLL_US_MAX),
    group: MACHINE,
  },
  strangers: {
    value: 'PERCENT',
    description:
      'of the claims in flight, while signatures fail, for sources of which no claim was verified lately; 100 for no difference',
    defaultText: '50',
    read: count(1, 100),
    group: MACHINE,
  },
  roots: {
    description: 'takes Merkle batches: one signature of a payer for up to 65,536 claims',
    group: ROOTS,
  },
  'root-exposure': {
    value: 'DROPS',
    description:
      'what an xrpl channel, and all channels of one key, may owe by roots alone, which the ledger does not redeem; more than 0 implies --roots',
    defaultText: '0',
    read: count(0, ROOT_EXPOSURE_DROPS_MAX),
    group: ROOTS,
  },
  'auto-tune': {
    description:
      'changes batches, waits and the key cache while it runs, keeps what measures better, and undoes the rest',
    group: TUNE,
  },
  'target-p99': {
    value: 'MS',
    description: 'what 99 of 100 claims should take from arrival to ack, like 20ms',
    defaultText: '100ms',
    read: duration('ms', 1, 60_000),
    group: TUNE,
  },
  'target-cpu': {
    value: 'CORES',
    description: 'cores that the process should not exceed, like 1.5',
    defaultText: 'none',
    read: decimal(0.05, 1_024),
    group: TUNE,
  },
  'target-memory': {
    value: 'SIZE',
    description: 'memory of the process that the key cache should leave in bounds, like 2G',
    defaultText: 'none',
    read: size,
    group: TUNE,
  },
  verify: {
    value: 'NAME',
    description:
      "every claim, or newest: of a channel's claims in one batch only the newest, which covers the older ones",
    choices: ['every', 'newest'],
    default: 'every',
    group: MACHINE,
  },
  durability: {
    value: 'NAME',
    description:
      'sync: on stable storage before it is acknowledged. os: only written, so a loss of power may take acknowledged claims',
    choices: ['sync', 'os'],
    default: 'sync',
    group: DURABLE,
  },
  'journal-block': {
    value: 'BYTES',
    description: 'what each write to the journal is aligned to; 512 is for a disk known to write sectors of 512 bytes',
    choices: ['4096', '512'],
    default: '4096',
    group: DURABLE,
  },
  'checkpoint-seconds': {
    value: 'S',
    description: 'longest time between checkpoints, like 30s',
    default: '30',
    read: duration('s', 1, 86_400),
    group: DURABLE,
  },
  'receipt-key': {
    value: 'FILE|pkcs11:URI',
    description:
      'signs receipts of committed amounts for who asks: a key of its own (claimwire keygen --out FILE), or one in a hardware module',
    defaultText: 'no receipts',
    group: DURABLE,
  },
  'cut-journal': {
    description:
      'start on a damaged or missing journal with what lies before the damage; the rest is moved aside, never overwritten',
    group: DURABLE,
  },
  store: {
    value: 'URL',
    description:
      'keeps channels and claims in PostgreSQL, not in --data: postgres://USER@HOST:PORT,HOST:PORT/NAME. The password: PGPASSWORD, ~/.pgpass or a file',
    defaultText: 'in --data',
    group: STORE,
  },
  'store-password-file': {
    value: 'FILE',
    description: "has the database's password in its first line",
    defaultText: 'PGPASSWORD, or ~/.pgpass',
    group: STORE,
  },
  'store-unreplicated': {
    description: 'a database without a synchronous standby will do: what is acknowledged then rests on one machine',
    group: STORE,
  },
  'store-wait': {
    value: 'S',
    description: 'how long a start looks for the database, like 30s',
    default: '30',
    read: duration('s', 0, 86_400),
    group: STORE,
  },
  'node-name': {
    value: 'NAME',
    description: 'in the database, of a-z, 0-9 and hyphen',
    defaultText: 'kept in --data, at first a random one',
    group: STORE,
  },
  cluster: {
    description:
      'shares the channels with the other nodes of --store: it serves its part, and takes over those that die',
    group: STORE,
  },
  advertise: {
    value: 'PLACE,…',
    description: "where the others' payers find the node, like udp://10.0.0.1:9393,tcp://10.0.0.1:9393",
    defaultText: 'where it listens',
    read: (text: string) => text.split(','),
    group: STORE,
  },
  ...PEER_OPTIONS,
  ledger: {
    value: 'URL',
    description:
      'a server, like wss://s1.ripple.com: channels are opened from the ledger and watched there; repeatable, or a list with commas, where the next one stands in for one that fails',
    repeatable: true,
    read: (text: string) => text.split(','),
    env: 'CLAIMWIRE_LEDGER',
    group: LEDGER,
  },
  account: { value: 'rADDRESS', description: 'the account that the channels pay', group: LEDGER },
  'min-settle-delay': {
    value: 'S',
    description: 'shortest SettleDelay of a channel that is opened, like 1h',
    default: '3600',
    read: duration('s', 1, 0xffff_ffff),
    group: LEDGER,
  },
  'ledger-poll': {
    value: 'S',
    description: 'how often every channel is looked at, beside what the servers tell',
    default: '60',
    read: duration('s', 1, 86_400),
    group: LEDGER,
  },
  'auto-open': {
    description: 'open channels that pay the account by themselves, once claims of an unknown channel come',
    group: LEDGER,
  },
  'ledger-network': {
    value: 'ID',
    description: 'the only network that is believed, needed with --cluster',
    defaultText: 'the one that is seen first',
    read: count(0, 0xffff_ffff),
    group: LEDGER,
  },
  ...WALLET_OPTIONS,
  'redeem-above': {
    value: 'DROPS',
    description: 'redeem a channel once so much of it is committed and not paid out',
    read: (text: string, flag: string) => drops(text, flag, 1n, DROPS_MAX),
    group: LEDGER,
  },
  'redeem-every': {
    value: 'S',
    description: 'redeem what is committed at this interval, like 1d',
    read: duration('s', 60, 0xffff_ffff),
    group: LEDGER,
  },
  otel: {
    value: 'URL',
    description:
      'a collector, like http://127.0.0.1:4318 (OTLP over HTTP): gets spans of charges, redemptions and requests of the gateway; env: the one of OTEL_EXPORTER_OTLP_ENDPOINT',
    group: SPANS,
  },
  'otel-ratio': {
    value: 'R',
    description: 'share of charges and requests that get a span, unless their caller decides',
    default: '1',
    read: (text: string, flag: string) =>
      /^(0|1|[01]?[.][0-9]+)$/.test(text) && Number(text) <= 1
        ? Number(text)
        : usage(`${flag}: expected a share from 0 to 1, got ${text}`),
    group: SPANS,
  },
  'otel-rate': {
    value: 'N',
    description: 'most of them in a second',
    default: '100',
    read: count(1, 10_000),
    group: SPANS,
  },
  ...LOG_OPTIONS,
} as const satisfies OptionSpecs;

/** Settings that are left out are decided by the node. */
export function nodeOptions(values: Values<typeof SERVER_OPTIONS>): ServeOptions & { logger: Logger } {
  const tls = readTls(values['tls-cert'], values['tls-key']);
  const options: ServeOptions & { logger: Logger } = {
    data: values.data,
    udp: values.udp,
    tcp: values.tcp,
    http: values.http,
    httpHosts: values['http-host'],
    web: values.web,
    webOrigins: values['web-origin'],
    webrtc: values.webrtc,
    iceServers: values['ice-server'],
    backend: values.backend,
    layout: values.layout,
    sockets: values.sockets,
    path: values.path,
    verify: values.verify,
    durability: values.durability,
    journalBlockBytes: Number(values['journal-block']),
    checkpointSeconds: Math.round(values['checkpoint-seconds'] / 1_000),
    cutJournal: values['cut-journal'],
    receiptKey: values['receipt-key'],
    store: values.store,
    storePasswordFile: values['store-password-file'],
    storeUnreplicated: values['store-unreplicated'],
    storeWaitSeconds: Math.round(values['store-wait'] / 1_000),
    nodeName: values['node-name'],
    cluster: values.cluster,
    advertise: values.advertise ?? [],
    logger: lineLogger(
      values['log-level'],
      values['log-format'],
      values['log-format'] === 'text' ? complain : undefined,
    ),
    ...(tls && { tls }),
    peers: peerOptions(values, tls, { cluster: values.cluster, advertise: values.advertise ?? [] }),
    ledger: ledgerOptions(values),
    redeem: redeemOptions(values),
    tune: tuneOptions(values),
    ...(values.otel !== undefined && {
      otel: { url: values.otel, ratio: values['otel-ratio'], perSecondMax: values['otel-rate'] },
    }),
  };
  if (values['tcp-connections'] !== undefined) options.tcpConnections = values['tcp-connections'];
  if (values['tcp-connections-per-address'] !== undefined)
    options.tcpConnectionsPerAddress = values['tcp-connections-per-address'];
  if (values['web-peers'] !== undefined) options.webPeers = values['web-peers'];
  if (values['web-peers-per-address'] !== undefined) options.webPeersPerAddress = values['web-peers-per-address'];
  if (values['webrtc-peers'] !== undefined) options.webrtcPeers = values['webrtc-peers'];
  if (values['web-offers'] !== undefined) options.webOffersPerSecond = values['web-offers'];
  if (values.lanes !== undefined) options.lanes = values.lanes;
  if (values.verifiers !== undefined) options.verifiers = values.verifiers;
  if (values['key-cache'] !== undefined) options.keyCacheBytes = values['key-cache'];
  if (values['warm-keys'] !== undefined) options.warmKeys = values['warm-keys'] === 'on';
  if (values['channels-max'] !== undefined) options.channelsMax = values['channels-max'];
  if (values['ring-slots'] !== undefined) options.ringSlots = values['ring-slots'];
  if (values.pin !== undefined) options.pin = values.pin;
  if (values['busy-poll'] !== undefined) options.busyPollUs = values['busy-poll'];
  if (values.roots) options.roots = true;
  if (values['root-exposure'] !== undefined) options.rootExposureDrops = values['root-exposure'];
  if (values.strangers !== undefined) options.strangersPercent = values.strangers;
  return options;
}

function tuneOptions(values: Values<typeof SERVER_OPTIONS>): TuneOptions | undefined {
  const { 'target-p99': targetP99Ms, 'target-cpu': targetCpu, 'target-memory': targetMemory } = values;
  if (values['auto-tune']) return { targetP99Ms, targetCpu, targetMemory };
  if (targetP99Ms === undefined && targetCpu === undefined && targetMemory === undefined) return undefined;
  return usage('--auto-tune: expected it, as a --target- is there, got nothing');
}

function ledgerOptions(values: Values<typeof SERVER_OPTIONS>): LedgerOptions | undefined {
  const { account } = values;
  const urls = values.ledger.flat();
  if (urls.length === 0 && account === undefined && !values['auto-open']) return undefined;
  if (urls.length === 0) return usage('--ledger: expected a server, as --account or --auto-open is there, got nothing');
  if (account === undefined)
    return usage('--account: expected the address that channels pay, as --ledger is there, got nothing');
  return {
    urls,
    account,
    minSettleDelaySeconds: Math.round(values['min-settle-delay'] / 1_000),
    pollSeconds: Math.round(values['ledger-poll'] / 1_000),
    autoOpen: values['auto-open'],
    networkId: values['ledger-network'],
  };
}

function redeemOptions(values: Values<typeof SERVER_OPTIONS>): RedeemOptions | undefined {
  const { wallet: file, 'wallet-command': command, 'redeem-above': aboveDrops, 'redeem-every': everyMs } = values;
  if (file === undefined && command === undefined) {
    if (aboveDrops === undefined && everyMs === undefined) return undefined;
    return usage(
      '--wallet: expected it or --wallet-command, as --redeem-above or --redeem-every is there, got nothing',
    );
  }
  if (file !== undefined && command !== undefined) return usage('--wallet: expected it or --wallet-command, got both');
  if (values.ledger.flat().length === 0) return usage('--ledger: expected a server, as a wallet is there, got nothing');
  const everySeconds = everyMs === undefined ? undefined : Math.round(everyMs / 1_000);
  return { wallet: { file, command }, feeMaxDrops: values['max-fee'], aboveDrops, everySeconds };
}

function readTls(cert: string | undefined, key: string | undefined): { cert: string; key: string } | undefined {
  if (cert === undefined && key === undefined) return undefined;
  if (cert === undefined) return usage('--tls-cert: expected a PEM file, as --tls-key is there, got nothing');
  if (key === undefined) return usage('--tls-key: expected a PEM file, as --tls-cert is there, got nothing');
  return { cert: readFile(cert, '--tls-cert'), key: readFile(key, '--tls-key') };
}
