/**
 * A key in a token against a TEST DOUBLE of pkcs11js, for what SoftHSM never does: too few sessions, odd signatures, a token
 * that goes away in the middle. Its signatures are real ones, of high s every other time.
 */
import { getPublicKey } from '@noble/secp256k1';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { TokenKey } from '../../../src/pkcs11/token-key.ts';
import { parsePkcs11Uri } from '../../../src/pkcs11/uri.ts';
import { bytes32, HALF_ORDER, isValid, ORDER, scalar, sign } from '../../support/curve.ts';
import { random } from '../../support/random.ts';

const token = vi.hoisted(() => ({
  label: 'claims',
  sessionsMax: 16,
  pin: '4711',
  objects: 1,
  isAway: false,
  /** What C_SignAsync returns in place of a signature. */
  signature: undefined as Uint8Array | undefined,
  isFinalized: 0,
  /** Sessions that were ended while they signed: a real module would read memory that is free. */
  endedInUse: 0,
  isSlotBad: false,
  last: 0,
  logins: 0,
  isLoggedIn: false,
  open: new Set<number>(),
  active: new Set<number>(),
  signed: [] as number[],
  sign: (_digest: Uint8Array): Uint8Array => new Uint8Array(0),
  point: new Uint8Array(0),
}));

vi.mock('../../../src/optional-libraries.ts', () => {
  const fail = (name: string): never => {
    throw new Error(`CKR_${name}:1`);
  };
  const here = () => (token.isAway ? fail('DEVICE_REMOVED') : undefined);
  class PKCS11 {
    load(path: string): void {
      if (path === '/none.so') throw new Error('cannot open shared object file\nmore');
    }
    C_Initialize(): void {}
    C_Finalize(): void {
      token.isFinalized += 1;
      token.endedInUse += token.active.size;
      token.isLoggedIn = false;
      // The next sessions have the same numbers.
      token.last = 0;
      token.open.clear();
      token.active.clear();
    }
    C_GetSlotList(): string[] {
      here();
      return token.isSlotBad ? ['bad', 'slot'] : ['slot'];
    }
    C_GetTokenInfo(slot: string) {
      if (slot === 'bad') fail('TOKEN_NOT_RECOGNIZED');
      return { label: `${token.label}   `, serialNumber: '1' };
    }
    C_OpenSession(): number {
      if (token.open.size >= token.sessionsMax) fail('SESSION_COUNT');
      token.last += 1;
      token.open.add(token.last);
      return token.last;
    }
    C_CloseSession(session: number): void {
      if (token.active.has(session)) token.endedInUse += 1;
      token.open.delete(session);
      if (token.open.size === 0) token.isLoggedIn = false;
      token.active.delete(session);
    }
    C_Login(_session: number, _user: number, pin: string): void {
      if (token.isLoggedIn) fail('USER_ALREADY_LOGGED_IN');
      token.logins += 1;
      if (pin !== token.pin) fail('PIN_INCORRECT');
      token.isLoggedIn = true;
    }
    C_FindObjectsInit(): void {}
    C_FindObjects(): string[] {
      return Array.from({ length: token.objects }, () => 'object');
    }
    C_FindObjectsFinal(): void {}
    C_GetAttributeValue(_session: number, _object: string, [{ type }]: [{ type: string }]) {
      return [{ value: type === 'POINT' ? token.point : Buffer.from('06052b8104000a', 'hex') }];
    }
    C_SignInit(session: number): void {
      here();
      if (!token.open.has(session)) fail('SESSION_HANDLE_INVALID');
      if (token.active.has(session)) fail('OPERATION_ACTIVE');
      token.active.add(session);
    }
    async C_SignAsync(session: number, digest: Buffer): Promise<Uint8Array> {
      await new Promise((resolve) => setImmediate(resolve));
      here();
      token.active.delete(session);
      token.signed.push(session);
      return Buffer.from(token.signature ?? token.sign(digest));
    }
  }
  return { loadPkcs11: async () => ({ PKCS11, CKA_EC_POINT: 'POINT', CKA_EC_PARAMS: 'PARAMS' }) };
});

const SECRET = new Uint8Array(32).fill(7);
const KEY = scalar(SECRET);
const URI = parsePkcs11Uri('pkcs11:token=claims;object=payer');
const DIGESTS = random(1).bytes(32 * 24);

/** As a token gives it: s is as it comes, high about every other time. */
function highEveryOther(digest: Uint8Array): Uint8Array {
  const signature = sign(digest, KEY).slice();
  if ((digest[0]! & 1) === 0) return signature;
  signature.set(bytes32(ORDER - scalar(signature.subarray(32))), 32);
  return signature;
}

let opened: TokenKey | undefined;
beforeEach(() => {
  Object.assign(token, { label: 'claims', sessionsMax: 16, objects: 1, isAway: false, signature: undefined });
  Object.assign(token, {
    isSlotBad: false,
    endedInUse: 0,
    isFinalized: 0,
    logins: 0,
    signed: [],
    sign: highEveryOther,
    point: wrapped(),
  });
});
afterEach(() => {
  opened?.close();
  opened = undefined;
  expect(token.open.size).toBe(0);
  expect(token.endedInUse).toBe(0);
});

/** The public key's point as tokens give it, 04 41 before it. */
function wrapped(): Uint8Array {
  return Buffer.concat([Uint8Array.of(4, 65), getPublicKey(SECRET, false)]);
}

async function open(options: { pin?: string; sessions?: number; modulePath?: string } = {}): Promise<TokenKey> {
  opened = await TokenKey.open(URI, { modulePath: '/module.so', pin: token.pin, ...options });
  return opened;
}

test('every session signs, each digest once, and no s is high', async () => {
  const key = await open({ sessions: 3 });
  const signatures = await key.signDigests(DIGESTS);
  for (let at = 0; at < 24; at++) {
    const signature = signatures.subarray(at * 64, at * 64 + 64);
    expect(scalar(signature.subarray(32)) <= HALF_ORDER).toBe(true);
    expect(isValid({ digest: DIGESTS.subarray(at * 32, at * 32 + 32), signature, key: key.publicKey })).toBe(true);
  }
  expect(new Set(token.signed).size).toBe(3);
});

test('calls at once do not share a session', async () => {
  const key = await open({ sessions: 2 });
  await Promise.all([key.signDigests(DIGESTS), key.signDigests(DIGESTS), key.signDigests(DIGESTS)]);
  expect(token.signed).toHaveLength(1 + 3 * 24);
});

test('a token with few sessions is used with those', async () => {
  token.sessionsMax = 2;
  const key = await open({ sessions: 4 });
  await key.signDigests(DIGESTS);
  expect(new Set(token.signed).size).toBe(2);
});

test('a token with no session left', async () => {
  token.sessionsMax = 0;
  await expect(open()).rejects.toMatchObject({
    code: 'PKCS11_LOST',
    message: expect.stringContaining('the token allows no more'),
    details: { returned: 'SESSION_COUNT' },
  });
});

test.each([
  ['the pin is wrong', {}, { pin: '1' }, 'PKCS11_PIN'],
  ['there is no such module', {}, { modulePath: '/none.so' }, 'PKCS11_LOST'],
  ['there is no such token', { label: 'other' }, {}, 'PKCS11_LOST'],
  ['the key is not there', { objects: 0 }, {}, 'PKCS11_LOST'],
  ['the name is not unique', { objects: 2 }, {}, 'PKCS11_LOST'],
  ['the point is odd', { point: new Uint8Array(66) }, {}, 'PKCS11_FAILED'],
  ['the signature is short', { signature: new Uint8Array(63) }, {}, 'PKCS11_FAILED'],
  ['the signature is another key’s', { signature: new Uint8Array(64).fill(1) }, {}, 'PKCS11_LOST'],
])('nothing is opened where %s', async (_name, state, options, code) => {
  Object.assign(token, state);
  await expect(open(options)).rejects.toMatchObject({ code });
});

test('a token that goes away fails that call; the next one begins again', async () => {
  const key = await open();
  token.isAway = true;
  await expect(key.signDigests(DIGESTS)).rejects.toMatchObject({ code: 'PKCS11_LOST' });
  await expect(key.signDigests(DIGESTS)).rejects.toMatchObject({ code: 'PKCS11_LOST' });
  expect(token.isFinalized).toBe(1);
  token.isAway = false;
  expect(await key.signDigests(DIGESTS)).toHaveLength(24 * 64);
});

test('a pin that was changed meanwhile is not tried again and again', async () => {
  const key = await open();
  token.isAway = true;
  await expect(key.signDigests(DIGESTS)).rejects.toMatchObject({ code: 'PKCS11_LOST' });
  Object.assign(token, { isAway: false, logins: 0, pin: 'changed' });
  for (let call = 0; call < 4; call++)
    await expect(key.signDigests(DIGESTS)).rejects.toMatchObject({ code: 'PKCS11_PIN' });
  expect(token.logins).toBe(1);
  token.pin = '4711';
});

test('a closed key signs nothing', async () => {
  const key = await open();
  key.close();
  await expect(key.signDigests(DIGESTS)).rejects.toMatchObject({ code: 'PKCS11_LOST' });
});

test('a key that is closed while it signs ends its sessions once they have signed', async () => {
  const key = await open({ sessions: 2 });
  const signing = key.signDigests(DIGESTS);
  const behind = key.signDigests(DIGESTS);
  signing.catch(() => {});
  behind.catch(() => {});
  await new Promise((resolve) => setImmediate(resolve));
  const closed = key.close();
  await expect(signing).rejects.toMatchObject({ code: 'PKCS11_LOST', details: { returned: 'CLOSED' } });
  await expect(behind).rejects.toMatchObject({ code: 'PKCS11_LOST' });
  await closed;
  expect(token.signed.length).toBeLessThan(1 + 8);
});

test('a key whose module begins again takes no other key’s sessions, nor ends them while they sign', async () => {
  const other = await TokenKey.open(URI, { modulePath: '/module.so', pin: token.pin, sessions: 2 });
  const key = await open({ sessions: 2 });
  try {
    token.signature = new Uint8Array(63);
    await expect(key.signDigests(DIGESTS)).rejects.toMatchObject({ code: 'PKCS11_FAILED' });
    token.signature = undefined;
    const signing = other.signDigests(DIGESTS);
    await new Promise((resolve) => setImmediate(resolve));
    token.label = 'away';
    const failing = key.signDigests(DIGESTS);
    const meanwhile = other.signDigests(DIGESTS);
    meanwhile.catch(() => {});
    await expect(failing).rejects.toMatchObject({ code: 'PKCS11_LOST' });
    token.label = 'claims';
    expect(await signing).toHaveLength(24 * 64);
    expect(token.isFinalized).toBeGreaterThan(0);
    await meanwhile.catch(() => {});
    const both = await Promise.all([key.signDigests(DIGESTS), other.signDigests(DIGESTS)]);
    expect(both.map((signatures) => signatures.length)).toEqual([24 * 64, 24 * 64]);
  } finally {
    other.close();
  }
});

test('a wrong pin is one where another key has logged in already', async () => {
  await open();
  const second = TokenKey.open(URI, { modulePath: '/module.so', pin: '1' });
  await expect(second).rejects.toMatchObject({ code: 'PKCS11_PIN' });
  expect(token.logins).toBe(1);
  const third = await TokenKey.open(URI, { modulePath: '/module.so', pin: token.pin });
  await third.close();
});

test('a slot with a card that cannot be read does not hide the token', async () => {
  token.isSlotBad = true;
  expect(await (await open()).signDigests(DIGESTS)).toHaveLength(24 * 64);
});

test.each([0, -1, 1.5, 257, Number.NaN])('%s sessions are refused', async (sessions) => {
  await expect(open({ sessions })).rejects.toMatchObject({ code: 'INPUT_INVALID' });
});

test('what is signed is what was handed over, whatever becomes of it while it waits', async () => {
  const key = await open();
  const before = key.signDigests(DIGESTS);
  const digest = DIGESTS.slice(0, 32);
  const signing = key.signDigests(digest);
  digest.fill(0);
  await before;
  expect(isValid({ digest: DIGESTS.subarray(0, 32), signature: await signing, key: key.publicKey })).toBe(true);
});
