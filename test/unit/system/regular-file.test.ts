/** Files that an operator names: what is no regular file, or too large, is refused at once and never waited for. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadKeyFile } from '../../../src/client/keys/key-file.ts';
import { readToken } from '../../../src/control/token.ts';
import { readReplay } from '../../../src/load/replay.ts';
import { FileFault, readSmallFile } from '../../../src/system/regular-file.ts';
import { readFile } from '../../../tools/args.ts';

let folder: string;
let strange: [string, string][];

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'claimwire-files-'));
  const pipe = join(folder, 'pipe');
  execFileSync('mkfifo', ['-m', '600', pipe]);
  mkdirSync(join(folder, 'folder'));
  strange = [
    [pipe, 'got a pipe'],
    ['/dev/zero', 'got a device'],
    [join(folder, 'folder'), 'got a folder'],
    [join(folder, 'none'), 'got ENOENT'],
  ];
});
afterAll(() => rmSync(folder, { recursive: true }));

const READERS: [string, (path: string) => unknown][] = [
  ['a key', loadKeyFile],
  ['a token', (path) => readToken(path)],
  ['a file of a flag', (path) => readFile(path, '--tls-cert')],
  ['a capture to replay', readReplay],
];

describe.each(READERS)('%s', (_, readIt) => {
  it('is no pipe, device or folder', () => {
    for (const [path, message] of strange) expect(() => readIt(path), path).toThrow(message);
  });
});

describe('a small file', () => {
  it('is read whole up to its bound, and not beyond', () => {
    const path = join(folder, 'small');
    for (const length of [0, 1, 99, 100]) {
      writeFileSync(path, 'x'.repeat(length), { mode: 0o640 });
      expect(readSmallFile(path, 100)).toEqual({ bytes: Buffer.from('x'.repeat(length)), mode: 0o640 });
    }
    writeFileSync(path, 'x'.repeat(101));
    expect(() => readSmallFile(path, 100)).toThrow(new FileFault('more than 100 bytes'));
  });

  it('may say that it is empty and hold something, as those of /proc do', () => {
    expect(readSmallFile('/proc/self/stat', 10_000).bytes.length).toBeGreaterThan(10);
  });
});
