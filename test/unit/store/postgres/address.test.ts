import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { parsePostgresAddress, readPassword } from '../../../../src/store/postgres/address.ts';

const folder = mkdtempSync(join(tmpdir(), 'claimwire-address-'));
const certificate = join(folder, 'ca.pem');
writeFileSync(certificate, 'a certificate');
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const refused = (message: string | RegExp) =>
  expect.objectContaining({ code: 'INPUT_INVALID', message: expect.stringMatching(message) });

describe('a database’s address', () => {
  test('names hosts in their order, the user and the database', () => {
    expect(parsePostgresAddress('postgres://app%40x@127.0.0.1:1,[::1]:2,localhost/claims')).toEqual({
      hosts: [
        { host: '127.0.0.1', port: 1 },
        { host: '::1', port: 2 },
        { host: 'localhost', port: 5_432 },
      ],
      user: 'app@x',
      database: 'claims',
      tls: false,
    });
    expect(parsePostgresAddress('postgresql://db.example/claims')).toMatchObject({ user: undefined });
  });

  test('beyond loopback means TLS with a proven name, unless it says otherwise', () => {
    const tls = (text: string) => parsePostgresAddress(text).tls;
    expect(tls('postgres://127.0.0.1,db.example/c')).toMatchObject({ rejectUnauthorized: true });
    expect(tls('postgres://db.example/c?sslmode=disable')).toBe(false);
    expect(tls('postgres://db.example/c?sslmode=require')).toMatchObject({ rejectUnauthorized: false });
    const own = tls(`postgres://db.example/c?sslmode=verify-ca&sslrootcert=${certificate}&sslkey=${certificate}`);
    expect(own).toMatchObject({ rejectUnauthorized: true, ca: 'a certificate', key: 'a certificate' });
    expect(() => tls('postgres://db.example/c?sslmode=verify-ca')).toThrow(refused('sslrootcert'));
    expect(() => tls('postgres://db.example/c?sslmode=prefer')).toThrow(refused('sslmode'));
    expect(() => tls('postgres://db.example/c?sslrootcert=/nowhere')).toThrow(refused('/nowhere'));
  });

  test('has no password, and what is refused does not print it', () => {
    const withPassword = () => parsePostgresAddress('postgres://app:sesame@db.example/c');
    expect(withPassword).toThrow(refused('PGPASSWORD'));
    expect(withPassword).not.toThrow(/sesame/);
  });

  test.each([
    'http://db.example/c',
    'postgres://db.example',
    'postgres:///c',
    'postgres://db.example:99999/c',
    'postgres://db.example:0/c',
    'postgres://a,,b/c',
    `postgres://${'a,'.repeat(16)}a/c`,
    'postgres://%zz@a/c',
    'postgres://a/c?options=-c%20synchronous_commit%3Doff',
  ])('%s is refused', (text) => {
    expect(() => parsePostgresAddress(text)).toThrow(refused('expected'));
  });

  test('goes with the first line of a password file', () => {
    const path = join(folder, 'password');
    writeFileSync(path, 'open sesame\r\nnot this\n');
    expect(readPassword(path)).toBe('open sesame');
    expect(() => readPassword(folder)).toThrow(refused('a folder'));
  });
});
