/** Where a payer's node is: `udp://HOST:PORT`, or `tcp`, `tls`, `auto` in its place. Pure. */
import { ClaimwireError } from '../errors.ts';

type Scheme = 'udp' | 'tcp' | 'tls' | 'auto';

export interface NodeAddress {
  readonly scheme: Scheme;
  readonly host: string;
  readonly port: number;
}

/** IPv6 is in brackets. Throws ClaimwireError INPUT_INVALID. */
export function parseAddress(to: string): NodeAddress {
  const match = /^(udp|tcp|tls|auto):\/\/(?:\[([0-9a-f:.%]+)\]|([^/:[\]]+)):([0-9]{1,5})\/?$/i.exec(to);
  const port = Number(match?.[4]);
  if (match === null || port < 1 || port > 65_535)
    throw new ClaimwireError('INPUT_INVALID', `to: expected udp://HOST:PORT (or tcp, tls, auto), got ${to}`);
  return { scheme: match[1]!.toLowerCase() as Scheme, host: (match[2] ?? match[3])!, port };
}

/** HOST:PORT, IPv6 in brackets. */
export function hostPortText({ host, port }: { host: string; port: number }): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}
