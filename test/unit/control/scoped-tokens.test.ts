/** Tokens of smaller scopes: made, listed and revoked in a data folder, while a node reads them. */
import { expect, test } from 'vitest';
import { createToken, listTokens, revokeToken, ScopedTokens } from '../../../src/control/scoped-tokens.ts';
import { nodeSystem } from '../../../src/system/system.ts';
import { MemoryFiles } from '../../support/memory-files.ts';

const PATH = '/data/tokens';

function folder() {
  const files = new MemoryFiles();
  files.mkdirSync('/data');
  files.durableFolders.add('/data');
  const time = { now: 0 };
  const clock = { ...nodeSystem.clock, monotonic: () => time.now };
  const system = { ...nodeSystem, files, clock };
  const errors: string[] = [];
  const logger = { info: () => {}, warn: () => {}, error: (line: string) => errors.push(line) };
  const tokens = new ScopedTokens('/data', system, logger);
  const find = (token: string) => tokens.find(`Bearer ${token}`);
  return { files, system, time, errors, find, tokens };
}

function put(files: MemoryFiles, text: string): void {
  const fd = files.openSync(PATH, 'w');
  files.writeSync(fd, Buffer.from(text), 0, text.length, 0);
  files.closeSync(fd);
}

test('a token allows what it was made for, in either case, and only its hash is kept', () => {
  const { files, system, find } = folder();
  const { token, entry } = createToken('/data', { name: 'shop', scope: 'charge', channels: [7n, 8n] }, system);
  expect(entry).toMatchObject({ name: 'shop', scope: 'charge', channels: ['7', '8'] });
  expect(find(token)).toEqual({ name: 'shop', scope: 'charge', channels: new Set([7n, 8n]) });
  expect(find(token.toUpperCase())?.name).toBe('shop');
  const fd = files.openSync(PATH, 'r');
  const text = Buffer.alloc(files.fstatSync(fd).size);
  files.readSync(fd, text, 0, text.length, 0);
  expect(text.toString()).not.toContain(token);
  const { token: other, entry: unnamed } = createToken('/data', { scope: 'read', channels: null }, system);
  expect(unnamed.name).toBe(unnamed.sha256.slice(0, 8));
  expect(listTokens('/data', system)).toEqual([entry, unnamed]);
  for (const wrong of ['', 'x', '0'.repeat(64), `${other}0`, entry.sha256]) expect(find(wrong)).toBeUndefined();
});

test('a running node sees a new token, and the end of one, within a second, and reads no more often', () => {
  const { files, system, time, find } = folder();
  expect(find('0'.repeat(64))).toBeUndefined();
  let reads = 0;
  files.before = () => {
    reads++;
  };
  const { token } = createToken('/data', { name: 'a', scope: 'read', channels: null }, system);
  reads = 0;
  for (let index = 0; index < 100; index++) expect(find(token)).toBeUndefined();
  expect(reads).toBe(0);
  time.now += 1_000;
  expect(find(token)?.scope).toBe('read');
  expect(revokeToken('/data', 'a', system).name).toBe('a');
  time.now += 1_000;
  expect(find(token)).toBeUndefined();
});

test('a damaged file lets nobody in, says so once, and does again when it is mended', () => {
  const { files, system, time, errors, find } = folder();
  const { token } = createToken('/data', { name: 'a', scope: 'read', channels: null }, system);
  expect(find(token)?.name).toBe('a');
  const [entry] = listTokens('/data', system);
  const line = JSON.stringify(entry);
  const damaged = [
    'nonsense',
    line.slice(0, -5),
    line.replace('"read"', '"admin"'),
    line.replace('"a"', '"a b"'),
    line.replace(entry!.sha256, 'ff'),
    line.replace('null', '[]'),
    line.replace('null', '["x"]'),
  ];
  for (const text of damaged) {
    put(files, `${text}\n`);
    time.now += 1_000;
    expect(find(token), text).toBeUndefined();
    expect(() => listTokens('/data', system), text).toThrow(/tokens \/data\/tokens: line 1: /);
    time.now += 1_000;
    expect(find(token)).toBeUndefined();
  }
  expect(errors).toHaveLength(1);
  put(files, `${line}\n`);
  time.now += 1_000;
  expect(find(token)?.name).toBe('a');
});

test('names are unique and plain, tokens are bounded, and an unknown one is not revoked', () => {
  const { system } = folder();
  const make = (name: string, channels: bigint[] | null = null) =>
    createToken('/data', { name, scope: 'read', channels }, system);
  make('a');
  expect(() => make('a')).toThrow(/a name that no other has/);
  expect(() => make('a b')).toThrow(/expected a name/);
  expect(() => make('', [])).toThrow(/expected a name/);
  expect(() => make('none', [])).toThrow(/1 to 256 channels/);
  expect(() => revokeToken('/data', 'b', system)).toThrow('token: expected a, got "b"');
  for (let index = 1; index < 256; index++) make(`n${index}`);
  expect(() => make('more')).toThrow(/at most 256/);
  expect(listTokens('/data', system)).toHaveLength(256);
});
