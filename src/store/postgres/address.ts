/**
 * Where the database is: `postgres://USER@HOST:PORT,HOST:PORT/NAME?sslmode=…`, as libpq writes it. The password is never part of
 * it, since an address is seen by everybody who lists processes: it comes from PGPASSWORD, a file, or ~/.pgpass.
 */
import { type ConnectionOptions, checkServerIdentity } from 'node:tls';
import { ClaimwireError } from '../../errors.ts';
import { type HostPort, isLoopback, parseHostPort } from '../../host-port.ts';
import { FileFault, readSmallFile } from '../../system/regular-file.ts';

const PORT_DEFAULT = 5_432;
const HOSTS_MAX = 16;
const FILE_BYTES_MAX = 2 ** 20;
const MODES = ['disable', 'require', 'verify-ca', 'verify-full'] as const;
const PARAMETERS = ['sslmode', 'sslrootcert', 'sslcert', 'sslkey'] as const;
type Parameter = (typeof PARAMETERS)[number];
const FORM = /^postgres(?:ql)?:\/\/(?:([^/@?]*)@)?([^/?]*)\/([^/?]*)(?:\?(.*))?$/;

export interface PostgresAddress {
  /** In the order in which they are tried. */
  readonly hosts: readonly HostPort[];
  /** Undefined for PGUSER, or the name of who runs the process. */
  readonly user: string | undefined;
  readonly database: string;
  /** What a connection is encrypted with, or false for none. */
  readonly tls: ConnectionOptions | false;
}

/** @throws ClaimwireError INPUT_INVALID; no message has a password */
export function parsePostgresAddress(text: string): PostgresAddress {
  const [, login = '', places = '', name = '', query = ''] = FORM.exec(text) ?? [];
  if (places === '' || name === '') throw invalid('expected postgres://USER@HOST:PORT/NAME, got something else');
  if (login.includes(':'))
    throw invalid(
      'expected no password in the address, got one, which everybody sees who lists processes; set PGPASSWORD or name a file',
    );
  const hosts = places.split(',').map((place) => {
    const host = parseHostPort(place, PORT_DEFAULT);
    if (host === undefined || host.port === 0) throw invalid(`expected HOST:PORT, got ${place}`);
    return host;
  });
  if (hosts.length > HOSTS_MAX) throw invalid(`expected ${HOSTS_MAX} hosts at most, got ${hosts.length}`);
  const user = login === '' ? undefined : decoded(login);
  return { hosts, user, database: decoded(name), tls: tlsOf(parametersOf(query), hosts) };
}

/** The first line of the file that has the password. */
export function readPassword(path: string): string {
  return fileText(path, 'password file').split(/\r?\n/, 1)[0]!;
}

function parametersOf(query: string): Partial<Record<Parameter, string>> {
  const found: Partial<Record<Parameter, string>> = {};
  for (const [key, value] of new URLSearchParams(query)) {
    const known = PARAMETERS.find((parameter) => parameter === key);
    if (known === undefined) throw invalid(`expected ${PARAMETERS.join(', ')} after the question mark, got ${key}`);
    found[known] = value;
  }
  return found;
}

/** Without a mode, only what stays on this machine is not encrypted, and whoever answers must prove to be the host. */
function tlsOf(found: Partial<Record<Parameter, string>>, hosts: readonly HostPort[]): ConnectionOptions | false {
  const fallback = hosts.every(({ host }) => isLoopback(host)) ? 'disable' : 'verify-full';
  const mode = MODES.find((known) => known === (found.sslmode ?? fallback));
  if (mode === undefined) throw invalid(`expected sslmode to be ${MODES.join(', ')}, got ${found.sslmode}`);
  if (mode === 'disable') return false;
  const { sslrootcert, sslcert, sslkey } = found;
  if (mode === 'verify-ca' && sslrootcert === undefined)
    throw invalid(
      'expected sslrootcert with sslmode=verify-ca, got none: any certificate of a public authority would pass',
    );
  const options: ConnectionOptions = { rejectUnauthorized: mode !== 'require' };
  if (sslrootcert !== undefined) options.ca = fileText(sslrootcert, 'sslrootcert');
  if (sslcert !== undefined) options.cert = fileText(sslcert, 'sslcert');
  if (sslkey !== undefined) options.key = fileText(sslkey, 'sslkey');
  options.checkServerIdentity = mode === 'verify-full' ? checkServerIdentity : () => undefined;
  return options;
}

function fileText(path: string, what: string): string {
  try {
    return readSmallFile(path, FILE_BYTES_MAX).bytes.toString('utf8');
  } catch (error) {
    if (error instanceof FileFault) throw invalid(`${what} ${path}: ${error.message}`);
    throw error;
  }
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw invalid(`expected percent-encoded text, got ${text}`);
  }
}

function invalid(message: string): ClaimwireError {
  return new ClaimwireError('INPUT_INVALID', `store: ${message}`);
}
