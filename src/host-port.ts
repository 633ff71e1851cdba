/**
 * Parses and prints HOST:PORT, and node addresses made of it. Pure, and without Node's modules, since browsers use it too.
 */
import { ClaimwireError } from './errors.ts';

/** An address: a name or a literal without brackets, and a port of 0 to 65,535. */
export interface HostPort {
  host: string;
  port: number;
}

type Scheme = 'udp' | 'tcp' | 'tls' | 'auto' | 'ws' | 'wss' | 'webrtc+http' | 'webrtc+https';

export interface NodeAddress<Of extends Scheme = Scheme> extends HostPort {
  scheme: Of;
}

const PORT_MAX = 65_535;
/** An IPv6 address in brackets, perhaps with a zone, or a name or an IPv4 address; then the port. */
const HOST_PORT = /^(?:\[([0-9a-f:.]+)(%[\w.~-]+)?\]|([^\s:/?#@%\\[\]]+))(?::([0-9]{1,5}))?$/i;
const LOOPBACK_V4 = /^(?:::ffff:)?127(?:\.[0-9]{1,3}){3}$/i;

/** A host and a port of 0 to 65,535, which may be missing if there is a default. Undefined for any other text. */
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
 * Parses a node's address: one of the schemes, then `://HOST:PORT` with a port of at least 1, and perhaps a slash. Throws
 * INPUT_INVALID, which names the field.
 */
export function parseNodeAddress<Of extends Scheme>(
  text: string,
  schemes: readonly Of[],
  field: string,
): NodeAddress<Of> {
  const [, prefix, rest = ''] = /^([a-z+]+):\/\/(.*?)\/?$/i.exec(text) ?? [];
  const scheme = schemes.find((known) => known === prefix?.toLowerCase());
  const address = parseHostPort(rest);
  if (scheme !== undefined && address !== undefined && address.port > 0) return { scheme, ...address };
  const [first, ...others] = schemes;
  const choice = others.length === 0 ? '' : ` (or ${others.join(', ')})`;
  throw new ClaimwireError('INPUT_INVALID', `${field}: expected ${first}://HOST:PORT${choice}, got ${text}`);
}

/** Whether a host is this machine's loopback address, or `localhost`. Other names are not resolved. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || LOOPBACK_V4.test(host);
}
