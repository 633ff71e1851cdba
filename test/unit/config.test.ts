/**
 * What a node makes of its options on machines of different means: defaults by what is there, and what is refused.
 */
import { cpSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, afterEach, describe, expect, test } from 'vitest';
import {
  backendChoice,
  type Capabilities,
  type NodeOptions,
  resolveConfig,
  ringSlots,
  tableCapacity,
} from '../../src/config.ts';
import { ClaimwireError } from '../../src/errors.ts';
import { planArena } from '../../src/ring/arena.ts';
import { getJson, NodeProcess, openChannels, temporaryFolders } from '../support/node-process.ts';
import { PayerRun } from '../support/payer-run.ts';

const folder = temporaryFolders();
const CORES = Math.min(availableParallelism(), 64);

const FULL: Capabilities = { backend: 'native', nativeSocketsFault: undefined, nativePathFault: undefined };
const FAULT = 'expected build/claimwire.node, got none';
const NO_ADDON: Capabilities = { backend: 'wasm', nativeSocketsFault: FAULT, nativePathFault: FAULT };
const WASM_BESIDE: Capabilities = { ...FULL, backend: 'wasm' };
const OTHER_SYSTEM: Capabilities = { ...FULL, nativeSocketsFault: 'expected Linux, got darwin' };

/** The message of the CONFIG_INVALID that these options meet. */
function refusal(options: NodeOptions, capabilities = FULL): string {
  try {
    resolveConfig(options, capabilities);
  } catch (error) {
    expect(error).toBeInstanceOf(ClaimwireError);
    expect((error as ClaimwireError).code).toBe('CONFIG_INVALID');
    return (error as ClaimwireError).message;
  }
  throw new Error(`expected a refusal of ${JSON.stringify(options)}`);
}

test('there is room for twice the channels, and for a quarter more than ten million: the table fits its 4 GiB', () => {
  const config = resolveConfig({}, FULL);
  const rooms = [0, 1_000_000, 2_000_000, 10_000_000, 16_000_000].map((channels) => tableCapacity(config, channels));
  expect(rooms).toEqual([2 ** 21, 2 ** 21, 2 ** 22, 12_500_000, 2 ** 24]);
  for (const [channelsMax, lanes] of [
    [12_500_000, 16],
    [2 ** 24, 32],
    [2 ** 24, 64],
  ] as const) {
    const slots = ringSlots(resolveConfig({ layout: 'lanes', lanes }, FULL));
    const shape = {
      kernelBytes: 0,
      rings: lanes,
      ringSlots: slots,
      ackSlots: 2 * slots,
      threads: lanes + 1,
      channelsMax,
    };
    expect(() => planArena({ ...shape, hasFrames: true })).not.toThrow();
  }
});

test('a native path that is not there is refused, as a backend would be', () => {
  expect(() => resolveConfig({ path: 'native' }, NO_ADDON)).toThrow(
    expect.objectContaining({ code: 'BACKEND_UNAVAILABLE', message: expect.stringContaining(FAULT) }),
  );
});

describe('layout, sockets and lanes are chosen by what is there', () => {
  const lanes = { layout: 'lanes', sockets: 'native', lanes: CORES };
  const cases: [string, Capabilities, NodeOptions, object][] = [
    ['native sockets and backend', FULL, {}, lanes],
    ['the same by name', FULL, { layout: 'auto', sockets: 'auto' }, lanes],
    ['a backend that is not native', WASM_BESIDE, {}, { layout: 'pipeline', sockets: 'native' }],
    ['no addon', NO_ADDON, {}, { layout: 'pipeline', sockets: 'dgram', lanes: 1 }],
    ['another system', OTHER_SYSTEM, {}, { layout: 'pipeline', sockets: 'dgram', lanes: 1 }],
    ['dgram asked for', FULL, { sockets: 'dgram' }, { layout: 'pipeline', sockets: 'dgram', lanes: 1 }],
    ['lanes over dgram', NO_ADDON, { layout: 'lanes' }, { layout: 'lanes', sockets: 'dgram', lanes: 1 }],
    ['lanes with wasm', WASM_BESIDE, { layout: 'lanes' }, lanes],
    ['pipeline asked for', FULL, { layout: 'pipeline' }, { layout: 'pipeline', sockets: 'native' }],
    ['the path beside native sockets', FULL, { path: 'auto' }, { path: 'native' }],
    ['the path without an addon', NO_ADDON, {}, { path: 'portable' }],
    ['the path on another system', OTHER_SYSTEM, { path: 'native' }, { path: 'native', sockets: 'dgram' }],
    ['the portable path asked for', FULL, { path: 'portable' }, { path: 'portable', sockets: 'native' }],
    ['three lanes', FULL, { lanes: 3 }, { layout: 'lanes', lanes: 3 }],
  ];
  test.each(cases)('%s', (_, capabilities, options, expected) => {
    expect(resolveConfig(options, capabilities)).toMatchObject({ ...expected, backend: capabilities.backend });
  });

  test('settings that no machine can have name the setting, so that the command line can tell them as usage', () => {
    const cases: [NodeOptions, string, RegExp][] = [
      [{ layout: 'pipeline', lanes: 3 }, 'lanes', /lanes: expected layout lanes, got pipeline; give --layout lanes/],
      [{ busyPollUs: 1_000_001 }, 'busy-poll', /expected 0\.\.1000000|1,?000,?000/],
      [{ ringSlots: 100 }, 'ring-slots', /expected a power of two, got 100/],
      [{ httpHosts: ['node.example:80'] }, 'http-host', /expected a name like node.example, without a port/],
    ];
    for (const [options, setting, message] of cases) {
      expect(refusal(options)).toMatch(message);
      expect(() => resolveConfig(options, FULL)).toThrow(expect.objectContaining({ details: { setting } }));
    }
  });

  test('a database has no password in its address, is waited for, and its other settings name one', () => {
    const store = 'postgres://me@a:5432,b/claims';
    expect(resolveConfig({ store, nodeName: 'one' }, FULL)).toMatchObject({ store, storeWaitSeconds: 30 });
    expect(resolveConfig({}, FULL).store).toBeUndefined();
    expect(refusal({ store: 'postgres://me:secret@a/claims' })).toMatch(/without a password, which everybody sees/);
    expect(refusal({ store: 'postgres://me:secret@a/claims' })).not.toContain('secret');
    for (const other of ['mysql://a/b', 'postgres://', 'postgres://a'])
      expect(refusal({ store: other })).toMatch(/store: expected postgres:\/\/USER@HOST:PORT\/NAME/);
    for (const options of [{ nodeName: 'one' }, { storePasswordFile: 'f' }, { storeUnreplicated: true }])
      expect(refusal(options)).toMatch(/store: expected an address, as there are other settings of it/);
    expect(refusal({ store, nodeName: 'One' })).toMatch(/node-name: expected 1 to 64 of a-z/);
    expect(refusal({ store, durability: 'os' })).toMatch(/durability: expected sync with a database/);
    expect(refusal({ store, cutJournal: true })).toMatch(/cut-journal: expected a store with journals/);
    expect(refusal({ store, storeWaitSeconds: -1 })).toMatch(/store-wait: expected a whole number/);
  });

  test('the safe policies are the defaults', () => {
    expect(resolveConfig({}, FULL)).toMatchObject({
      durability: 'sync',
      verify: 'every',
      verifiers: CORES,
      cutJournal: false,
      journalBlockBytes: 4_096,
      udp: { host: '127.0.0.1', port: 9393 },
    });
  });

  test('more lanes than one need native sockets, and native sockets have to be there', () => {
    expect(refusal({ lanes: 2, sockets: 'dgram', layout: 'lanes' })).toMatch(/lanes: expected 1 with dgram.*got 2/);
    expect(refusal({ lanes: 2, layout: 'lanes' }, NO_ADDON)).toMatch(/lanes: expected 1 with dgram/);
    for (const capabilities of [NO_ADDON, OTHER_SYSTEM])
      expect(refusal({ sockets: 'native' }, capabilities)).toContain(capabilities.nativeSocketsFault);
  });
});

test.each([
  ['verifiers', 1, 64],
  ['lanes', 1, 64],
  ['channelsMax', 0, 20_000_000],
  ['checkpointSeconds', 1, 86_400],
  ['keyCacheBytes', 32 * 2 ** 20, 64 * 2 ** 30],
] as const)('%s is a whole number from %d to %d', (name, min, max) => {
  for (const value of [min, max]) expect(resolveConfig({ [name]: value }, FULL)[name]).toBeGreaterThanOrEqual(min);
  // 0 asks for the default where there is one.
  for (const value of [min - 1, max + 1, min + 0.5, Number.NaN, Number.POSITIVE_INFINITY])
    if (value !== 0 && !(name === 'keyCacheBytes' && Number.isNaN(value)))
      expect(refusal({ [name]: value })).toMatch(/expected a whole number from/);
});

test('rings are powers of two, segments whole blocks of a size that holds a group', () => {
  expect(refusal({ ringSlots: 100 })).toMatch(/power of two, got 100/);
  expect(refusal({ ringSlots: 1 << 17 })).toMatch(/from 0 to 65536/);
  expect(refusal({ segmentBytes: 4_096 })).toMatch(/segment-bytes: expected a whole number from 1048576/);
  expect(refusal({ segmentBytes: 2 ** 20 + 1 })).toMatch(/whole blocks of 4096/);
  expect(refusal({ segmentBytes: 2 ** 20 + 512 })).toMatch(/whole blocks of 4096/);
  expect(resolveConfig({ segmentBytes: 2 ** 20 + 512, journalBlockBytes: 512 }, FULL).journalBlockBytes).toBe(512);
  expect(refusal({ journalBlockBytes: 1_024 })).toMatch(/journal-block: expected 512 or 4096, got 1024/);
  expect(ringSlots(resolveConfig({ ringSlots: 16 }, FULL))).toBe(16);
  // A slow backend gets a short queue, and a lane's ring is its own verifier's alone.
  const noble = { ...FULL, backend: 'noble' as const };
  expect(ringSlots(resolveConfig({ layout: 'lanes', lanes: 8 }, noble))).toBe(512);
  expect(ringSlots(resolveConfig({ layout: 'pipeline', verifiers: 16 }, noble))).toBe(2_048);
  expect(ringSlots(resolveConfig({}, FULL))).toBe(32_768);
  expect(ringSlots(resolveConfig({ layout: 'lanes', lanes: 64 }, FULL))).toBe(16_384);
});

describe('CLAIMWIRE_BACKEND', () => {
  const before = process.env.CLAIMWIRE_BACKEND;
  afterEach(() => {
    if (before === undefined) delete process.env.CLAIMWIRE_BACKEND;
    else process.env.CLAIMWIRE_BACKEND = before;
  });

  test('stands in for the option, which goes before it', () => {
    delete process.env.CLAIMWIRE_BACKEND;
    expect(backendChoice({})).toBe('auto');
    process.env.CLAIMWIRE_BACKEND = 'noble';
    expect(backendChoice({})).toBe('noble');
    expect(backendChoice({ backend: 'wasm' })).toBe('wasm');
    process.env.CLAIMWIRE_BACKEND = 'magic';
    expect(() => backendChoice({})).toThrow(/CLAIMWIRE_BACKEND: expected auto, native, wasm, noble, got "magic"/);
    expect(backendChoice({ backend: 'noble' })).toBe('noble');
  });
});

describe('a node whose addon is not there', () => {
  // Inside the package, so that node_modules is found; build/claimwire.node is not, from there.
  const root = resolve(import.meta.dirname, '../..');
  mkdirSync(join(root, 'build'), { recursive: true });
  const copy = mkdtempSync(join(root, 'build', 'no-addon-'));
  cpSync(join(root, 'dist'), join(copy, 'dist'), { recursive: true });
  cpSync(join(root, 'src/kernel/claimwire.wasm'), join(copy, 'src/kernel/claimwire.wasm'));
  afterAll(() => rmSync(copy, { recursive: true, force: true }));
  const cli = join(copy, 'dist/tools/cli.js');

  test('takes claims over dgram, verifies with wasm, and says so', async () => {
    const data = folder('no-addon');
    const node = new NodeProcess(data, [], cli);
    const ready = await node.ready;
    expect(ready).toMatchObject({ backend: 'wasm', kernel: 'wasm', layout: 'pipeline', sockets: 'dgram' });
    expect(ready).toMatchObject({ path: 'portable' });
    expect(node.stderr).toMatch(/native path passed over: expected build\/claimwire\.node, got none/);
    expect(node.stderr).toMatch(/native sockets passed over: expected build\/claimwire\.node, got none/);
    const passedOver =
      /warn +backend native passed over: expected build\/claimwire\.node, got none; make native builds it/;
    expect(node.stderr).toMatch(passedOver);
    expect(node.stderr).toMatch(/dgram sockets with receive buffers/);
    const run = new PayerRun(10, 9);
    await openChannels(ready, data, run.channels);
    await run.run(ready, 200);
    const rows = await getJson<{ committed: string }[]>(ready, '/channels');
    expect(rows.map((row) => row.committed).sort()).toEqual(run.claimed.map(String).sort());
    await node.stop();
  });

  test.each([
    [['--sockets', 'native'], /sockets: expected native ones, got none/],
    [['--path', 'native'], /path: expected the native one, got none: expected build\/claimwire\.node/],
    [['--backend', 'native'], /backend: native: expected build\/claimwire\.node, got none/],
    [['--layout', 'lanes', '--lanes', '2'], /lanes: expected 1 with dgram sockets, got 2/],
  ])('refuses %j', async (flags, message) => {
    const node = new NodeProcess(folder('refused'), flags, cli);
    expect((await node.exit).code).toBe(1);
    expect(node.stderr).toMatch(message);
    expect(node.stdout).toEqual([]);
  });
});
