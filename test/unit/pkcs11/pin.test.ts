/** Where a pin comes from. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { pinOf } from '../../../src/pkcs11/pin.ts';
import { parsePkcs11Uri } from '../../../src/pkcs11/uri.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'claimwire-pin-'));
  vi.stubEnv('CLAIMWIRE_PKCS11_PIN', undefined);
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(folder, { recursive: true });
});

const named = (file: string) => parsePkcs11Uri(`pkcs11:object=a?pin-source=file:${file}`);

function file(text: string, mode = 0o600): string {
  const path = join(folder, 'pin');
  writeFileSync(path, text, { mode });
  return path;
}

test('the first line of the file, before the environment', async () => {
  vi.stubEnv('CLAIMWIRE_PKCS11_PIN', 'other');
  expect(await pinOf(named(file('4711\nmore\n')))).toBe('4711');
  expect(await pinOf(parsePkcs11Uri('pkcs11:object=a'))).toBe('other');
});

test.each([
  ['that others may read', '4711', 0o644, /mode 0600, got 0644/],
  ['without a pin', '\n', 0o600, /got none/],
])('a file %s is refused, and its pin not repeated', async (_name, text, mode, message) => {
  await expect(pinOf(named(file(text, mode)))).rejects.toMatchObject({
    code: 'PKCS11_PIN',
    message: expect.stringMatching(message),
  });
});

test('no file, and nobody to ask', async () => {
  await expect(pinOf(named(join(folder, 'none')))).rejects.toThrow(/expected a readable file/);
  vi.spyOn(process, 'stdin', 'get').mockReturnValue({ isTTY: false } as never);
  await expect(pinOf(parsePkcs11Uri('pkcs11:object=a'))).rejects.toThrow(/no terminal to ask at/);
  vi.restoreAllMocks();
});
