/** The keys of pages: encrypted where they are kept, the same after a reload, refused when damaged. */
import { expect, it } from 'vitest';
import { keptKey } from '../../../../src/client/browser/key-vault.ts';
import { MemoryBrowser } from '../../../support/browser/memory-browser.ts';

const kept = (browser: MemoryBrowser) =>
  browser.stored('claimwire:keys', 'keys') as Map<string, { wrapping: { extractable: boolean }; sealed: ArrayBuffer }>;

it('makes a key once, and keeps it encrypted by a key that cannot be read out', async () => {
  const browser = new MemoryBrowser();
  const key = await keptKey('shop', browser);
  expect(await keptKey('shop', browser)).toEqual(key);
  expect((await keptKey('other', browser)).publicKey).not.toBe(key.publicKey);
  const { wrapping, sealed } = kept(browser).get('shop')!;
  expect(wrapping.extractable).toBe(false);
  expect(Buffer.from(sealed).toString('latin1')).not.toContain(key.privateKey);
  await expect(crypto.subtle.exportKey('raw', wrapping as never)).rejects.toThrow();
});

it('gives two tabs that ask at the same time the same key', async () => {
  const browser = new MemoryBrowser();
  const keys = await Promise.all([keptKey('shop', browser), keptKey('shop', browser)]);
  expect(keys[0]).toEqual(keys[1]);
});

it('refuses a key that is damaged, or was kept under another name', async () => {
  const browser = new MemoryBrowser();
  await keptKey('shop', browser);
  kept(browser).set('moved', kept(browser).get('shop')!);
  await expect(keptKey('moved', browser)).rejects.toMatchObject({ code: 'KEY_FILE_INVALID' });
  new Uint8Array(kept(browser).get('shop')!.sealed)[3]! ^= 1;
  await expect(keptKey('shop', browser)).rejects.toMatchObject({ code: 'KEY_FILE_INVALID' });
  await expect(keptKey('', browser)).rejects.toMatchObject({ code: 'INPUT_INVALID' });
});
