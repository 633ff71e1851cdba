/**
 * HOST:PORT and the addresses made of it: the one place that reads, writes and judges them.
 *
 * Pure, and without Node's modules: a payer in a browser reads addresses as well.
 */
import { ClaimwireError } from './errors.ts';

export interface HostPort {
  host: string;
  port: number;
}

type Scheme = 'udp' | 'tcp' | 'tls' | 'auto';

export interface NodeAddress<Of extends Scheme = Scheme> extends HostPort {
  scheme: Of;
}

const PORT_MAX = 65_535;
/** An IPv6 address in brackets, with its zone if it has one, or a name or an IPv4 address; then the port. */
const HOST_PORT = /^(?:\[([0-9a-f:.]+)(%[\w.~-]+)?\]|([^\s:/?#@%\\[\]]+))(?::([0-9]{1,5}))?$/i;
const LOOPBACK_V4 = /^(?:::ffff:)?127(?:\.[0-9]{1,3}){3}$/i;

/** Undefined for anything else than a host and a port of 0 to 65,535, which may lack only where there is a default. */
export function parseHostPort(text: string, defaultPort?: number): HostPort | undefined {
  const [, v6, zone = '', name, digits] = HOST_PORT.exec(text) ?? [];
  const port = digits === undefined ? defaultPort : Number(digits);
  if (port === undefined || port > PORT_MAX) return undefined;
  if (v6 === undefined) return name === undefined ? undefined : { host: name, port };
  return URL.canParse(`http://[${v6}]`) ? { host: v6 + zone, port } : undefined;
}

/** HOST:PORT, IPv6 in brackets. */
export function hostPortText({ host, port }: HostPort): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

/**
 * Where a node is: one of the schemes, then `://HOST:PORT`, with a port of at least 1. A slash may end it. Throws
 * INPUT_INVALID, which names the field.
 */
export function parseNodeAddress<Of extends Scheme>(
  text: string,
  schemes: readonly Of[],
  field: string,
): NodeAddress<Of> {
  const [, prefix, rest = ''] = /^([a-z]+):\/\/(.*?)\/?$/i.exec(text) ?? [];
  const scheme = schemes.find((known) => known === prefix?.toLowerCase());
  const address = parseHostPort(rest);
  if (scheme !== undefined && address !== undefined && address.port > 0) return { scheme, ...address };
  const [first, ...others] = schemes;
  const choice = others.length === 0 ? '' : ` (or ${others.join(', ')})`;
  throw new ClaimwireError('INPUT_INVALID', `${field}: expected ${first}://HOST:PORT${choice}, got ${text}`);
}

/** Whether a host is this machine by its address, or by the one name that always is. A name is not looked up. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || LOOPBACK_V4.test(host);
}
