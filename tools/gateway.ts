/**
 * `claimwire gateway`: a node, and in the same process a reverse proxy that asks the price of each request before it passes
 * it on. stdout carries the lines of `claimwire node`, the first with the gateway's address.
 */

import type { Server } from 'node:net';
import { DROPS_MAX } from '../protocol/layout.ts';
import { parseDecimal } from '../src/channel/parse.ts';
import { Gateway, type GatewayOptions } from '../src/gateway/gateway.ts';
import { MovingMeter } from '../src/gateway/moving-meter.ts';
import { suitNode } from '../src/gateway/node-settings.ts';
import { Routes } from '../src/gateway/routes.ts';
import { type HostPort, hostPortText } from '../src/host-port.ts';
import { AdminClient } from '../src/http/client.ts';
import { openPeerDoor } from '../src/http/listen.ts';
import type { LedgerOptions } from '../src/ledger/settings.ts';
import { parseAddress } from '../src/ledger/xrpl.ts';
import type { Logger } from '../src/log.ts';
import { type ServeOptions, type ServingNode, serve } from '../src/serve.ts';
import { hostPort, readFile, usage } from './args.ts';
import { defineCommand } from './command.ts';
import { nextSignal, print, printRows, readyLine, untilStopped } from './node.ts';
import { nodeOptions, SERVER_OPTIONS } from './node-options.ts';
import { readyRows } from './node-text.ts';
import type { OptionSpecs, Values } from './options.ts';
import type { PEER_OPTIONS } from './peer-options.ts';
import { duration } from './units.ts';

const PEERS = 'Requests about channels of other nodes (docs/cluster.md):';
const SELLS = 'What it sells:';
const SECRET_CHARACTERS = 64;

const GATEWAY_OPTIONS = {
  upstream: {
    value: 'URL',
    description: 'the service behind it, http:// or https://',
    required: 'the address of the service, like http://127.0.0.1:3000',
    group: SELLS,
  },
  recipient: {
    value: 'ADDRESS',
    description: "the payee's address on the ledger, r…: what channels must pay to",
    required: "the payee's address, like rHb9CJAWyB4rj91VRWn96DkukG4bwdtyTh",
    read: (text: string) => parseAddress(text, '--recipient'),
    group: SELLS,
  },
  price: {
    value: 'DROPS',
    description: 'for a request that no route names; 0 is free. Without it such requests are answered 404',
    read: (text: string) => parseDecimal(text, 0n, DROPS_MAX, '--price'),
    group: SELLS,
  },
  routes: { value: 'FILE', description: 'JSON: prices by path and method (docs/gateway.md)', group: SELLS },
  listen: {
    value: 'H:P',
    description: 'HTTP for customers; port 0 picks one',
    default: '127.0.0.1:9402',
    read: hostPort,
    group: SELLS,
  },
  realm: {
    value: 'NAME',
    description: 'the host name that customers call it by',
    defaultText: 'the host of --listen',
    read: realm,
    group: SELLS,
  },
  network: {
    value: 'NAME',
    description: "the ledger's network: mainnet, testnet, devnet, or its number",
    default: 'mainnet',
    read: network,
    group: SELLS,
  },
  'secret-file': {
    value: 'FILE',
    description: '64 hex digits that sign its challenges; gateways with one secret know each other’s',
    defaultText: 'new at each start',
    group: SELLS,
  },
  'settle-margin': {
    value: 'S',
    description: 'how long before its end a channel is not taken any more, like 5m',
    default: '300',
    read: duration('s', 0, 30 * 86_400),
    group: SELLS,
  },
  'cluster-gateway': {
    value: 'H:P',
    description:
      'where gateways of other nodes hand in over TLS what is paid from channels held here; name it in --advertise as gateway+https://H:P',
    defaultText: 'at --listen, for nodes on this machine, as gateway+http://',
    read: hostPort,
    group: PEERS,
  },
} as const satisfies OptionSpecs;

export const command = defineCommand({
  name: 'gateway',
  summary: 'a node, and a proxy that puts a price before a web service',
  description: 'runs a node, and a reverse proxy before a web service that answers 402 until a request is paid.',
  options: { ...GATEWAY_OPTIONS, ...SERVER_OPTIONS },
  examples: [
    [
      'claimwire gateway --upstream http://127.0.0.1:3000 --price 25 --recipient rHb9CJAWyB4rj91VRWn96DkukG4bwdtyTh',
      '25 drops for each request',
    ],
    [
      'claimwire gateway --upstream http://127.0.0.1:3000 --routes routes.json --realm api.example.com --recipient r…',
      'prices by path; no other path is there',
    ],
  ],
  notes: `The routes file is an array of rules, of which the first that fits counts:
{"path": "/files/*", "method": "GET", "price": "25"} with "per" request, byte or event.

GET /stats of the admin interface shows the gateway's counters under "gateway". It listens for
plain HTTP: put a server with TLS before it, since a token or a credential is worth money.

Exit code: 0 stopped by a signal, 1 could not start or go on, 2 usage.`,
  act: async (values) => {
    const [node, gateway] = [nodeOptions(values), gatewayOptions(values)];
    expectCluster(values, node);
    const account = node.ledger?.account;
    const { recipient } = gateway.merchant;
    // Customers would create channels that nobody here can redeem.
    if (account !== undefined && account !== recipient)
      return usage(`--recipient: expected ${account}, which the node redeems for (--account), got ${recipient}`);
    if (node.ledger !== undefined) node.ledger = onNetwork(node.ledger, values.network);
    const more = {
      door: values['cluster-gateway'],
      tokenFile: values['cluster-token-file'],
      forPrograms: values.json || !process.stdout.isTTY,
    };
    return runGateway(node, gateway, more);
  },
});
export const { run } = command;

/** What a gateway of a cluster needs beside what its node does. */
function expectCluster(
  values: Values<typeof GATEWAY_OPTIONS & typeof PEER_OPTIONS>,
  { cluster, advertise = [], peers }: ServeOptions,
): void {
  const hasDoor = values['cluster-gateway'] !== undefined;
  if (cluster !== true) {
    if (hasDoor) usage('--cluster: expected it, as --cluster-gateway is there, got nothing');
    return;
  }
  if (values['secret-file'] === undefined)
    usage(
      '--secret-file: expected one that all gateways of the cluster have, since a challenge of one is answered at another, got none; openssl rand -hex 32 makes one',
    );
  if (values['cluster-token-file'] === undefined)
    usage(
      '--cluster-token-file: expected one that all nodes take, since what was charged here is given back at another where its channel has moved, got none',
    );
  if (!hasDoor) return;
  if (peers?.tls === undefined)
    usage('--cluster-ca: expected it with --cluster-cert and --cluster-key, as --cluster-gateway is there, got none');
  if (!advertise.some((place) => place.startsWith('gateway+https://')))
    usage('--advertise: expected a gateway+https:// place too, as --cluster-gateway is there, got none');
}

/** Refunds of channels that have moved are asked of this node's own admin interface, which passes them on to the holder. */
function movingMeter({ node, http }: ServingNode, tokenFile: string, logger: Logger): MovingMeter {
  const admin = AdminClient.open({ http: `http://${http}`, tokenFile });
  const refund = async (channelId: bigint, drops: bigint, key: string) => {
    const { spent, committed, repeated } = await admin.charge(String(channelId), drops, { key });
    return { spent: BigInt(spent), committed: BigInt(committed), repeated };
  };
  return new MovingMeter(node, refund, logger);
}

const NETWORK_IDS = new Map([
  ['mainnet', 0],
  ['testnet', 1],
  ['devnet', 2],
]);

/** A ledger that is believed on one network alone: that which customers are told, where its name says which it is. */
export function onNetwork(ledger: LedgerOptions, network: string): LedgerOptions {
  const networkId = /^\d+$/.test(network) ? Number(network) : NETWORK_IDS.get(network);
  if (networkId === undefined) return ledger;
  if (ledger.networkId !== undefined && ledger.networkId !== networkId)
    return usage(`--network: expected the network of --ledger-network ${ledger.networkId}, got ${network}`);
  return { ...ledger, networkId };
}

type Settings = Pick<GatewayOptions, 'listen' | 'upstream' | 'routes' | 'merchant' | 'secret' | 'payments'>;

function gatewayOptions(values: Values<typeof GATEWAY_OPTIONS>): Settings {
  const { upstream, recipient, listen } = values;
  const file = values['secret-file'];
  return {
    listen,
    upstream: upstream!,
    routes: routesOf(values.routes, values.price),
    merchant: { realm: values.realm ?? listen.host, recipient: recipient!, network: values.network },
    secret: file === undefined ? undefined : secretOf(file),
    payments: { settleMarginSeconds: Math.round(values['settle-margin'] / 1_000) },
  };
}

function routesOf(file: string | undefined, price: bigint | undefined): Routes {
  if (file === undefined)
    return price === undefined ? usage('--price: expected it or --routes, got neither') : Routes.flat(price);
  const text = readFile(file, '--routes');
  let rules: unknown;
  try {
    rules = JSON.parse(text);
  } catch (error) {
    return usage(`--routes ${file}: expected JSON, got what JSON does not know: ${(error as Error).message}`);
  }
  return Routes.parse(rules, price);
}

function secretOf(file: string): Uint8Array {
  const text = readFile(file, '--secret-file').trim();
  if (text.length === SECRET_CHARACTERS && /^[0-9a-fA-F]+$/.test(text)) return Buffer.from(text, 'hex');
  return usage(`--secret-file ${file}: expected ${SECRET_CHARACTERS} hex digits, got ${text.length} characters`);
}

function realm(text: string): string {
  return /^[\w.:[\]-]{1,255}$/.test(text) ? text : usage(`--realm: expected a host name, got ${text}`);
}

function network(text: string): string {
  return /^[\w-]{1,32}$/.test(text) ? text : usage(`--network: expected a name like testnet or a number, got ${text}`);
}

interface RunSettings {
  /** Where gateways of other nodes come in. */
  door: HostPort | undefined;
  /** Has the token that all nodes of the cluster take. */
  tokenFile: string | undefined;
  forPrograms: boolean;
}

async function runGateway(
  options: ServeOptions & { logger: Logger },
  settings: Settings,
  { door: listen, tokenFile, forPrograms }: RunSettings,
): Promise<number> {
  const { logger } = options;
  const serving = await serve(options);
  const { node } = serving;
  suitNode(node.tuning);
  const { tls, isPlain } = options.peers ?? {};
  let gateway: Gateway | undefined;
  let door: Server | undefined;
  try {
    gateway = await Gateway.start({
      ...settings,
      node,
      meter: tokenFile === undefined ? node : movingMeter(serving, tokenFile, logger),
      ledger: serving.ledger,
      spans: serving.spans,
      peers: options.cluster === true ? { tls, isPlain } : undefined,
      logger,
    });
    const { accept } = gateway;
    door = await openPeerDoor(listen && { listen, tls }, accept, logger, 'cluster-gateway');
  } catch (error) {
    await gateway?.close();
    await serving.stop();
    throw error;
  }
  const started = gateway;
  node.addStats('gateway', () => started.stats());
  // Installed before the ready line is printed, as its reader may stop the node at once.
  const signal = nextSignal();
  const address = hostPortText(started.address);
  const ready = readyLine(serving);
  if (forPrograms) print({ ...ready, gateway: address });
  else printRows([['gateway', `http://${address}`], ...readyRows(ready)]);
  const stop = async () => {
    door?.close();
    await started.close();
    return serving.stop();
  };
  return await untilStopped({ node, stop }, signal, logger, forPrograms);
}
