/** Options of `claimwire node` for requests from node to node, and the settings they make. */
import { readToken } from '../src/control/token.ts';
import type { ServeOptions } from '../src/serve.ts';
import { hostPort, readFile, usage } from './args.ts';
import type { OptionSpecs, Values } from './options.ts';

const PEERS = 'Requests about channels of other nodes (docs/cluster.md):';

export const PEER_OPTIONS = {
  'cluster-http': {
    value: 'H:P',
    description: 'where the other nodes hand them in over TLS; name it in --advertise as https://H:P',
    defaultText: 'at --http, for nodes on this machine',
    read: hostPort,
    group: PEERS,
  },
  'cluster-ca': {
    value: 'FILE',
    description: "the cluster's own authority (PEM): both sides show a certificate that it has signed",
    group: PEERS,
  },
  'cluster-cert': { value: 'FILE', description: 'certificate (PEM)', defaultText: '--tls-cert', group: PEERS },
  'cluster-key': { value: 'FILE', description: 'its key (PEM)', defaultText: '--tls-key', group: PEERS },
  'cluster-plain': {
    description: 'pass them on to other machines without TLS too: for a network that nobody else reaches',
    group: PEERS,
  },
  'cluster-token-file': {
    value: 'FILE',
    description: "a token like DIR/admin-token that all nodes take: only this one of the operator's is passed on",
    group: PEERS,
  },
} as const satisfies OptionSpecs;

/** @param tls the node's own certificate, in case it has no other for the cluster */
export function peerOptions(
  values: Values<typeof PEER_OPTIONS>,
  tls: { cert: string; key: string } | undefined,
  { cluster, advertise }: { cluster: boolean; advertise: readonly string[] },
): ServeOptions['peers'] {
  const { 'cluster-ca': ca, 'cluster-cert': certFile, 'cluster-key': keyFile, 'cluster-http': listen } = values;
  const tokenFile = values['cluster-token-file'];
  if (!cluster) {
    const given = Object.keys(PEER_OPTIONS).find((name) => Boolean(values[name as keyof typeof values]));
    return given === undefined ? undefined : usage(`--cluster: expected it, as --${given} is there, got nothing`);
  }
  if ((certFile === undefined) !== (keyFile === undefined))
    return usage('--cluster-cert: expected it and --cluster-key, got one of them');
  const own =
    certFile === undefined
      ? tls
      : { cert: readFile(certFile, '--cluster-cert'), key: readFile(keyFile!, '--cluster-key') };
  if (ca === undefined && (listen !== undefined || certFile !== undefined))
    return usage("--cluster-ca: expected the PEM file of the cluster's authority, got nothing");
  if (ca !== undefined && own === undefined)
    return usage('--cluster-cert: expected a PEM file that --cluster-ca has signed, got nothing');
  if (listen !== undefined && !advertise.some((place) => place.startsWith('https://')))
    return usage('--advertise: expected an https:// place too, as --cluster-http is there, got none');
  return {
    listen,
    tls: ca === undefined ? undefined : { ca: readFile(ca, '--cluster-ca'), ...own! },
    isPlain: values['cluster-plain'],
    token: tokenFile === undefined ? undefined : readToken(tokenFile),
  };
}
