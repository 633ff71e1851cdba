/** PKCS#11 URIs: what they name, and what is refused in them. */
import { expect, test } from 'vitest';
import { isTokenUri, parsePkcs11Uri } from '../../../src/pkcs11/uri.ts';

const bytes = (text: string) => new Uint8Array(Buffer.from(text));

test('the parts of a URI', () => {
  const uri = parsePkcs11Uri(
    'pkcs11:token=My%20token;serial=0a;object=payer;id=%00%ff;type=private?module-path=/usr/lib/a.so&pin-source=file:/run/pin',
  );
  expect(uri).toEqual({
    token: 'My token',
    serial: '0a',
    object: 'payer',
    id: Uint8Array.of(0, 255),
    modulePath: '/usr/lib/a.so',
    pinFile: '/run/pin',
  });
  expect(parsePkcs11Uri('pkcs11:id=ab')).toEqual({
    token: undefined,
    serial: undefined,
    object: undefined,
    id: bytes('ab'),
    modulePath: undefined,
    pinFile: undefined,
  });
  expect(parsePkcs11Uri('pkcs11:object=a?pin-source=/run/pin').pinFile).toBe('/run/pin');
  expect([isTokenUri('pkcs11:object=a'), isTokenUri('payer.json')]).toEqual([true, false]);
});

test.each([
  ['payer.json', /got 10 other characters/],
  [`pkcs11:object=${'a'.repeat(1_024)}`, /other characters/],
  ['pkcs11:token=t', /expected the key by object= or id=/],
  ['pkcs11:object', /NAME=VALUE/],
  ['pkcs11:=a', /NAME=VALUE/],
  ['pkcs11:object=a;object=b', /each once/],
  ['pkcs11:object=%4', /%XX/],
  ['pkcs11:object=a;colour=red', /got colour/],
  ['pkcs11:object=a;type=public', /type=private/],
  ['pkcs11:object=a?pin-source=|cat%20pin:', /file:\/PATH/],
])('%s is refused', (text, message) => {
  expect(() => parsePkcs11Uri(text)).toThrow(message);
});

test('a pin in an argument is refused, and never repeated', () => {
  const said = () => parsePkcs11Uri('pkcs11:object=a?pin-value=4711');
  expect(said).toThrow(/pin-source=file/);
  expect(said).not.toThrow(/4711/);
});
