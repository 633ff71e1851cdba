/** A key in a hardware module, named by a URI (RFC 7512): pkcs11:token=…;object=…?module-path=… Any thread. */
import { ClaimwireError } from '../errors.ts';

/** Where a key is. What is absent may be anything. */
export interface Pkcs11Uri {
  /** The token's label. */
  readonly token: string | undefined;
  /** The token's serial number. */
  readonly serial: string | undefined;
  /** The key's label, CKA_LABEL. */
  readonly object: string | undefined;
  /** The key's CKA_ID. */
  readonly id: Uint8Array | undefined;
  /** The library that speaks to the token. */
  readonly modulePath: string | undefined;
  /** A file that has the pin. */
  readonly pinFile: string | undefined;
}

const PKCS11_SCHEME = 'pkcs11:';
/** Whether a key is named by a URI of a token, and not by a file. */
export function isTokenUri(text: string): boolean {
  return text.startsWith(PKCS11_SCHEME);
}

const CHARACTERS_MAX = 1_024;
const PATH_NAMES = ['token', 'serial', 'object', 'id', 'type', 'slot-id', 'manufacturer', 'model'];

/** Throws ClaimwireError INPUT_INVALID. No message has the query, in which somebody may have put a pin. */
export function parsePkcs11Uri(text: string): Pkcs11Uri {
  if (!isTokenUri(text) || text.length > CHARACTERS_MAX)
    throw invalid(`expected ${PKCS11_SCHEME}token=…;object=…, got ${text.length} other characters`);
  const [path = '', query = ''] = text.slice(PKCS11_SCHEME.length).split('?', 2);
  const names = attributes(path, ';');
  const options = attributes(query, '&');
  if (options.has('pin-value'))
    throw invalid(
      'expected no pin-value, since others can read arguments, got one; use pin-source=file:… or the environment',
    );
  const stranger = [...names.keys()].find((name) => !PATH_NAMES.includes(name));
  if (stranger !== undefined) throw invalid(`expected token, serial, object or id, got ${stranger}`);
  if (!['private', undefined].includes(textOf(names.get('type')))) throw invalid('expected type=private, got another');
  const uri = {
    token: textOf(names.get('token')),
    serial: textOf(names.get('serial')),
    object: textOf(names.get('object')),
    id: names.get('id'),
    modulePath: textOf(options.get('module-path')),
    pinFile: pinFile(textOf(options.get('pin-source'))),
  };
  if (uri.object === undefined && uri.id === undefined)
    throw invalid('expected the key by object= or id=, got neither');
  return uri;
}

function attributes(text: string, separator: string): Map<string, Uint8Array> {
  const found = new Map<string, Uint8Array>();
  for (const part of text.split(separator).filter((each) => each !== '')) {
    const equals = part.indexOf('=');
    const name = part.slice(0, Math.max(equals, 0));
    if (equals < 1 || found.has(name)) throw invalid('expected NAME=VALUE, each once, got something else');
    found.set(name, unescaped(part.slice(equals + 1)));
  }
  return found;
}

/** The bytes of a percent-encoded value. */
function unescaped(value: string): Uint8Array {
  const bytes: number[] = [];
  for (let at = 0; at < value.length; at++) {
    if (value[at] !== '%') {
      bytes.push(...Buffer.from(value[at]!));
      continue;
    }
    const digits = value.slice(at + 1, at + 3);
    if (!/^[0-9a-f]{2}$/i.test(digits)) throw invalid('expected %XX, got another escape');
    bytes.push(Number.parseInt(digits, 16));
    at += 2;
  }
  return Uint8Array.from(bytes);
}

function textOf(bytes: Uint8Array | undefined): string | undefined {
  return bytes && Buffer.from(bytes).toString();
}

function pinFile(source: string | undefined): string | undefined {
  if (source === undefined) return undefined;
  const path = source.replace(/^file:(\/\/)?/, '');
  if (path.startsWith('/') || !source.includes(':')) return path;
  throw invalid('expected pin-source=file:/PATH, got another source');
}

function invalid(message: string): ClaimwireError {
  return new ClaimwireError('INPUT_INVALID', `pkcs11: ${message}`);
}
