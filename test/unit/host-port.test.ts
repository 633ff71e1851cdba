/**
 * HOST:PORT, read and written: one opinion of brackets, zones, ports, empty hosts and defaults, for command lines,
 * `--to`, Host headers, sockets' own addresses and captures alike. And no module of Node's is needed for it.
 */
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { expect, test } from 'vitest';
import { hostPortText, isLoopback, parseHostPort, parseNodeAddress } from '../../src/host-port.ts';
import { hostPort } from '../../tools/args.ts';

test.each([
  ['127.0.0.1:9393', '127.0.0.1', 9_393],
  ['localhost:0', 'localhost', 0], // the system picks the port
  ['node-1.example.org:65535', 'node-1.example.org', 65_535],
  ['bücher.example:1', 'bücher.example', 1],
  ['host:00080', 'host', 80],
  ['[::1]:9393', '::1', 9_393],
  ['[::]:1', '::', 1],
  ['[2001:DB8::ff00:42:8329]:1', '2001:DB8::ff00:42:8329', 1],
  ['[::ffff:10.1.2.3]:1', '::ffff:10.1.2.3', 1],
  ['[fe80::1%eth0]:1', 'fe80::1%eth0', 1], // a link-local address is none without its zone
])('%s is a host and a port', (text, host, port) => {
  expect(parseHostPort(text)).toEqual({ host, port });
  expect(parseHostPort(hostPortText({ host, port }))).toEqual({ host, port });
});

test.each([
  '',
  ':',
  ':9393', // no host
  '[]:9393',
  '127.0.0.1', // no port
  '127.0.0.1:',
  'host:65536',
  'host:123456',
  'host:-1',
  'host:+1',
  'host:1.5',
  'host:0x50',
  'host:8o',
  'host:٣', // a digit, and not one of ours
  '::1:9393', // IPv6 needs its brackets: where does the address end?
  '2001:db8::1',
  '[::1]', // brackets, and no port
  '[::1]9393',
  '[::1:9393',
  '::1]:9393',
  '[127.0.0.1]:1', // brackets are for IPv6
  '[localhost]:1',
  '[1:2:3]:1',
  '[::1::2]:1',
  '[12345::]:1',
  '[::ffff:10.1.2.300]:1',
  '[::1%]:1',
  '[fe80::1%eth0/64]:1',
  'fe80%eth0:1',
  'a:b:1',
  ' host:1',
  'host:1 ',
  'ho st:1',
  'host:1\n',
  'user@host:1',
  'host/path:1',
  'host?query:1',
  'udp://host:1',
])('%j is not', (text) => {
  expect(parseHostPort(text)).toBeUndefined();
  expect(() => hostPort(text, '--udp')).toThrow('--udp: expected HOST:PORT like 127.0.0.1:9393, got');
});

test('a default stands in for a port that is absent, and for nothing else', () => {
  expect(parseHostPort('localhost', 80)).toEqual({ host: 'localhost', port: 80 });
  expect(parseHostPort('[::1]', 80)).toEqual({ host: '::1', port: 80 });
  expect(parseHostPort('localhost:9394', 80)).toEqual({ host: 'localhost', port: 9_394 });
  for (const text of ['', ':80', 'localhost:', '::1', 'localhost:65536', '[::1]:'])
    expect(parseHostPort(text, 80), text).toBeUndefined();
});

const ALL = ['udp', 'tcp', 'tls', 'auto'] as const;

test('a node’s address has a scheme and a port that somebody can listen on', () => {
  expect(parseNodeAddress('udp://127.0.0.1:9393', ALL, 'to')).toEqual({
    scheme: 'udp',
    host: '127.0.0.1',
    port: 9_393,
  });
  expect(parseNodeAddress('TLS://[::1]:1/', ALL, 'to')).toEqual({ scheme: 'tls', host: '::1', port: 1 });
  expect(parseNodeAddress('auto://host:65535', ALL, 'to').scheme).toBe('auto');
  expect(parseNodeAddress('tcp://[fe80::1%lo]:5', ['tcp', 'tls'], 'to').host).toBe('fe80::1%lo');
});

test.each([
  '',
  'udp',
  'udp:',
  'udp://',
  'host:1',
  '//host:1',
  'udp:host:1',
  'http://host:1',
  'udp://host',
  'udp://host:0',
  'udp://host:65536',
  'udp://:5',
  'udp://::1:5',
  'udp://[::1]',
  'udp://host:1//',
  'udp://host:1/path',
  'udp://user@host:1',
  ' udp://host:1',
  'xudp://host:1',
])('%j is no node’s address', (text) => {
  const message = `--to: expected udp://HOST:PORT (or tcp, tls, auto), got ${text}`;
  expect(() => parseNodeAddress(text, ALL, '--to')).toThrow(
    expect.objectContaining({ code: 'INPUT_INVALID', message }),
  );
});

test('a scheme that is not asked for is named with those that are', () => {
  expect(() => parseNodeAddress('tcp://host:1', ['udp'], 'to')).toThrow(
    'to: expected udp://HOST:PORT, got tcp://host:1',
  );
  expect(() => parseNodeAddress('udp://host:1', ['tcp', 'tls'], 'to')).toThrow(
    'to: expected tcp://HOST:PORT (or tls), got',
  );
});

test('loopback is an address of this machine, not a name that begins like one', () => {
  for (const host of ['localhost', '127.0.0.1', '127.255.255.254', '::1', '::ffff:127.0.0.1', '::FFFF:127.0.0.1'])
    expect(isLoopback(host), host).toBe(true);
  for (const host of ['', '127', '127.', '127.0.0.1.nip.io', '127.example.org', 'localhost.example.org', '128.0.0.1'])
    expect(isLoopback(host), host).toBe(false);
  for (const host of ['::', '::2', '::ffff:10.0.0.1', '[::1]', '0127.0.0.1', 'x127.0.0.1'])
    expect(isLoopback(host), host).toBe(false);
});

test('nothing of Node is imported, so that a browser may have it', () => {
  const files = ['host-port.ts', 'errors.ts'].map((name) =>
    readFileSync(resolve(import.meta.dirname, '../../src', name), 'utf8'),
  );
  expect(files.flatMap((text) => [...text.matchAll(/from '([^']+)'/g)].map((match) => match[1]))).toEqual([
    './errors.ts',
  ]);
});
