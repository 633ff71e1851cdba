/** `claimwire doctor`: each warning, and the command that mends it, from what a machine answered once. */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test, vi } from 'vitest';
import type { Wanted } from '../../../tools/doctor/check.ts';
import type { StoreFacts } from '../../../tools/doctor/machine.ts';
import { realMachine } from '../../../tools/doctor/real-machine.ts';
import { CHECKS, command, examinationText, examine } from '../../../tools/doctor.ts';
import { output } from '../../../tools/output.ts';
import { type Recorded, recordedMachine } from '../../support/recorded-machine.ts';

afterEach(() => {
  vi.restoreAllMocks();
  output.json = false;
});

const WANTED: Wanted = {
  data: '/data',
  udp: { host: '127.0.0.1', port: 9393 },
  http: { host: '127.0.0.1', port: 9394 },
  ledger: 'wss://ledger.example',
  store: { url: 'postgres://db1,db2/claimwire', passwordFile: undefined },
  wallet: undefined,
};
/** A file that anybody may read. */
const PLAIN = { mode: 0o644, userId: 0, isFolder: false };
const HUGE_PAGES = '/sys/kernel/mm/transparent_hugepage/enabled';
const SOURCE = '/sys/devices/system/clocksource/clocksource0/current_clocksource';

test('a good machine has nothing to mend', async () => {
  const { ok, errors, warnings, checks } = await examine(recordedMachine(), WANTED);
  expect(checks.filter(({ state }) => state !== 'ok')).toEqual([]);
  expect({ ok, errors, warnings, names: checks.map(({ name }) => name) }).toEqual({
    ok: true,
    errors: 0,
    warnings: 0,
    names: Object.keys(CHECKS),
  });
});

test('a kernel that won its race is no slower one', async () => {
  const { checks } = await examine(
    recordedMachine({
      backend: { kernel: 'avx2', kernelNote: 'avx512f took 1.12 times as long' },
      texts: { '/proc/cpuinfo': 'flags : fma bmi2 avx2 avx512f avx512dq avx512vl avx512bw\nmodel name : A\n' },
    }),
    WANTED,
  );
  expect(checks.find(({ name }) => name === 'kernel')).toMatchObject({
    state: 'ok',
    message: 'A: the native backend with its avx2 kernel (avx512f took 1.12 times as long at start).',
  });
});

test.each([
  ['sha2', ' Without instructions for SHA-512 it hashes in plain C.'],
  ['sha2 sha512', ''],
])('an ARM64 processor with %s', async (hashing, text) => {
  const machine = recordedMachine({
    arch: 'arm64',
    backend: { kernel: 'neon' },
    texts: { '/proc/cpuinfo': `processor : 0\nFeatures : fp asimd ${hashing}\n` },
  });
  const { checks } = await examine(machine, WANTED);
  expect(checks.find(({ name }) => name === 'kernel')).toMatchObject({
    state: 'ok',
    message: `arm64: the native backend with its neon kernel.${text}`,
    facts: { best: 'neon', kernel: 'neon' },
  });
});

test('without an addon a payer has noble, and is told why', async () => {
  const signing = { kernel: null, perSecond: null, fault: 'expected build/claimwire.node, got none' };
  const { checks } = await examine(recordedMachine({ signing }), WANTED);
  expect(checks.find(({ name }) => name === 'signer')).toMatchObject({
    state: 'ok',
    message:
      'A payer signs all claims with noble, some 3,100 a second: the addon does not sign (expected build/claimwire.node, got none).',
  });
});

test('this machine tells how fast it signs', () => {
  const { kernel, fault, perSecond, noblePerSecond } = realMachine.signing();
  expect(noblePerSecond).toBeGreaterThan(100);
  if (fault === undefined) expect([typeof kernel, perSecond! > 1_000]).toEqual(['string', true]);
});

function primary(more: Partial<NonNullable<StoreFacts['primary']>>): Recorded {
  const facts = { isPostgres: true, names: 's1', synchronous: 1, other: 0, commitMs: [0.5], ...more };
  return { store: async () => ({ hosts: [{ host: 'db1:5432', state: 'primary' }], primary: facts }) };
}

type Case = [
  name: keyof typeof CHECKS,
  state: 'warning' | 'error',
  text: string,
  fix: string,
  Recorded,
  Partial<Wanted>?,
];
const CASES: Case[] = [
  [
    'signer',
    'warning',
    'avx2 kernel, some 130,000 a second on a core, but the memory can be swapped',
    'ulimit -l unlimited',
    { signing: { note: 'the memory can be swapped' } },
  ],
  ['node', 'error', 'older than 20.19', 'nvm install 22', { nodeVersion: '20.18.1' }],
  [
    'addon',
    'warning',
    'noble verifies',
    'make native',
    {
      backend: {
        name: 'noble',
        kernel: null,
        addonFault: 'expected build/claimwire.node, got none; make native builds it',
      },
    },
  ],
  [
    'addon',
    'warning',
    'wasm verifies',
    'npm install --include=optional claimwire',
    {
      backend: { name: 'wasm', kernel: 'simd', addonFault: 'expected the package @claimwire/linux-x64-gnu, got none' },
    },
  ],
  [
    'kernel',
    'warning',
    'has avx2, but the scalar kernel is chosen',
    'unset CLAIMWIRE_KERNEL',
    { backend: { kernel: 'scalar' } },
  ],
  [
    'kernel',
    'warning',
    'a faster one computes wrongly here (avx512ifma was passed over for a wrong verdict in a batch)',
    'update this machine',
    { backend: { kernel: 'avx2', kernelNote: 'avx512ifma was passed over for a wrong verdict in a batch' } },
  ],
  [
    'kernel',
    'warning',
    'has no AVX2',
    'grep -m1 -o avx2 /proc/cpuinfo',
    { backend: { kernel: 'scalar' }, texts: { '/proc/cpuinfo': 'flags : sse2\n' } },
  ],
  [
    'kernel',
    'warning',
    'arm64 has neon, but the scalar kernel is chosen',
    'unset CLAIMWIRE_KERNEL',
    { arch: 'arm64', backend: { kernel: 'scalar' }, texts: { '/proc/cpuinfo': 'Features : fp asimd sha2\n' } },
  ],
  [
    'cores',
    'warning',
    'the time of 1.5',
    'claimwire node --lanes 1',
    { texts: { '/sys/fs/cgroup/system.slice/claimwire.service/cpu.max': '150000 100000\n' } },
  ],
  [
    'cores',
    'warning',
    'the time of 2.0',
    'claimwire node --lanes 2',
    {
      texts: {
        '/proc/self/cgroup': '3:cpu,cpuacct:/kube/pod7\n',
        '/sys/fs/cgroup/cpu/kube/pod7/cpu.cfs_quota_us': '200000\n',
        '/sys/fs/cgroup/cpu/kube/pod7/cpu.cfs_period_us': '100000\n',
      },
    },
  ],
  [
    'memory',
    'warning',
    '477 MiB of 16 GiB are free',
    'claimwire node --key-cache 64M',
    { texts: { '/proc/meminfo': 'MemTotal: 16384000 kB\nMemAvailable: 488281 kB\n' } },
  ],
  [
    'memory',
    'error',
    '128 MiB of 512 MiB are free, the limit of the control group',
    'claimwire node --key-cache 32M --channels-max 100k',
    { texts: { '/sys/fs/cgroup/memory.max': `${2 ** 29}\n`, '/sys/fs/cgroup/memory.current': `${3 * 2 ** 27}\n` } },
  ],
  [
    'hugePages',
    'warning',
    'Transparent huge pages are off',
    `echo madvise | sudo tee ${HUGE_PAGES}`,
    { texts: { [HUGE_PAGES]: 'always madvise [never]\n' } },
  ],
  [
    'receiveBuffer',
    'warning',
    'may have 208 KiB, and the node asks for 1 MiB',
    'echo net.core.rmem_max=4194304 | sudo tee /etc/sysctl.d/90-claimwire.conf && sudo sysctl --system',
    { texts: { '/proc/sys/net/core/rmem_max': '212992\n' } },
  ],
  ['trains', 'warning', 'arrived as 4 messages', 'uname -r', { trains: async () => 4 }],
  ['trains', 'warning', 'did not arrive', 'sudo nft list ruleset', { trains: async () => 0 }],
  ['trains', 'warning', 'in trains (batched UDP: none)', 'make native', { trains: async () => 'batched UDP: none' }],
  [
    'descriptors',
    'warning',
    '1024 files may be open',
    'ulimit -n 4352',
    { texts: { '/proc/self/limits': 'Max open files  1024  524288 files\n' } },
  ],
  [
    'descriptors',
    'error',
    '64 files may be open',
    'ulimit -n 4352',
    { texts: { '/proc/self/limits': 'Max open files  64  64 files\n' } },
  ],
  [
    'ports',
    'error',
    'UDP 127.0.0.1:9393 is in use by another program',
    "sudo ss -ulnp 'sport = :9393'",
    { bindFault: async (protocol) => (protocol === 'udp' ? 'EADDRINUSE' : undefined) },
  ],
  [
    'ports',
    'error',
    'TCP 127.0.0.1:80 needs rights',
    'claimwire node --http 127.0.0.1:19393',
    { bindFault: async (_, __, port) => (port === 80 ? 'EACCES' : undefined) },
    { http: { host: '127.0.0.1', port: 80 } },
  ],
  ['ports', 'error', '(EADDRNOTAVAIL)', 'ip -brief address', { bindFault: async () => 'EADDRNOTAVAIL' }],
  [
    'fileSystem',
    'warning',
    'on tmpfs, which is memory',
    'claimwire node --data /var/lib/claimwire',
    { disk: { type: 0x01021994 } },
  ],
  ['fileSystem', 'warning', 'on nfs', 'claimwire node --data /var/lib/claimwire', { disk: { type: 0x6969 } }],
  [
    'fileSystem',
    'warning',
    "container's own layer",
    'docker run -v claimwire-data:/data',
    { disk: { type: 0x794c7630 } },
  ],
  [
    'space',
    'warning',
    '512 MiB of 100 GiB are free under /data',
    'df -h /data && du -xh --max-depth=1 /data',
    { disk: { freeBytes: 2 ** 29 } },
  ],
  ['space', 'error', '10 MiB of 100 GiB', 'df -h /data', { disk: { freeBytes: 10 * 2 ** 20 } }],
  [
    'syncLatency',
    'warning',
    'p50 300 µs, p99 80.0 ms',
    'lsblk -d -o NAME,ROTA,MODEL,SIZE && findmnt -T /data',
    { syncMs: [...new Array(24).fill(0.3), 80] },
  ],
  ['syncLatency', 'warning', 'p50 8.0 ms', 'lsblk', { syncMs: [8] }],
  ['syncLatency', 'warning', 'No disk is so fast', 'claimwire node --data /var/lib/claimwire', { syncMs: [0.004] }],
  ['syncLatency', 'error', 'cannot be written to (EROFS)', 'sudo chown -R "$(id -un)" /data', { syncMs: 'EROFS' }],
  [
    'permissions',
    'error',
    '/data/admin-token has mode 644',
    'chmod 600 /data/admin-token',
    { files: { '/data/admin-token': { mode: 0o644, userId: 1000, isFolder: false } } },
  ],
  [
    'permissions',
    'error',
    'has mode 640',
    "chmod 600 '/keys/my wallet'",
    { files: { '/keys/my wallet': { mode: 0o640, userId: 1000, isFolder: false } } },
    { wallet: '/keys/my wallet' },
  ],
  ['permissions', 'error', 'wallet /none cannot be read', 'ls -l /none', {}, { wallet: '/none' }],
  [
    'permissions',
    'error',
    'belongs to another user (7)',
    'sudo chown -R "$(id -un)" /data',
    { files: { '/data': { mode: 0o700, userId: 7, isFolder: true } } },
  ],
  [
    'permissions',
    'warning',
    '/data has mode 777',
    'chmod 700 /data',
    { files: { '/data': { mode: 0o777, userId: 1000, isFolder: true } } },
  ],
  [
    'permissions',
    'error',
    '/data is no folder',
    'claimwire node --data /data.d',
    { files: { '/data': { mode: 0o600, userId: 1000, isFolder: false } } },
  ],
  ['clock', 'error', 'says 1970-01-01', 'sudo timedatectl set-ntp true', { now: () => 5_000 }],
  ['clock', 'warning', 'is not synchronised', 'sudo timedatectl set-ntp true', { output: () => 'no\n' }],
  [
    'clock',
    'warning',
    'moved -900 ms',
    'timedatectl timesync-status || chronyc tracking',
    { clockDrift: async () => -900 },
  ],
  ['clockSource', 'warning', 'is hpet', `echo tsc | sudo tee ${SOURCE}`, { texts: { [SOURCE]: 'hpet\n' } }],
  [
    'ledger',
    'error',
    'cannot be reached (ENOTFOUND)',
    'curl -sv --max-time 5 https://ledger.example',
    { reach: async () => 'ENOTFOUND' },
  ],
  ['ledger', 'error', 'is not installed', 'npm install xrpl', { hasLedgerLibrary: () => false }],
  [
    'hardware',
    'warning',
    'the optional library pkcs11js is not',
    'npm install pkcs11js',
    { files: { '/opt/hsm.so': PLAIN }, pkcs11Module: () => '/opt/hsm.so', hasPkcs11Library: () => false },
  ],
  ['hardware', 'warning', 'names /opt/hsm.so, which', 'ls -l /opt/hsm.so', { pkcs11Module: () => '/opt/hsm.so' }],
  [
    'ledger',
    'warning',
    'answers after 3.0 s',
    'claimwire node --ledger wss://ledger.example --ledger',
    { reach: async () => 3_000 },
  ],
  ['store', 'error', 'cannot be asked: expected pg', 'npm install pg', { store: async () => 'expected pg' }],
  [
    'store',
    'error',
    'No primary answers: db1:5432 standby, db2:5432 unreachable (ECONNREFUSED)',
    'pg_isready --host db1',
    {
      store: async () => ({
        hosts: [
          { host: 'db1:5432', state: 'standby' },
          { host: 'db2:5432', state: 'unreachable', fault: 'ECONNREFUSED' },
        ],
      }),
    },
  ],
  ['store', 'error', 'synchronous_standby_names is empty', 'alter system set', primary({ names: '', synchronous: 0 })],
  [
    'store',
    'error',
    'No standby of synchronous_standby_names (s1)',
    'pg_stat_replication',
    primary({ synchronous: 0 }),
  ],
  ['store', 'error', '(permission denied)', 'grant create', primary({ commitMs: 'permission denied' })],
  ['store', 'warning', 'may not see its standbys', 'grant pg_monitor', primary({ synchronous: null, other: null })],
  ['store', 'warning', 'takes 25.00 ms (p99 25.00 ms)', 'flush_lag', primary({ commitMs: [25] })],
];

test.each(CASES)('%s: %s, %s', async (name, state, text, fix, recorded, wanted = {}) => {
  const { checks, ok } = await examine(recordedMachine(recorded), { ...WANTED, ...wanted });
  const check = checks.find((each) => each.name === name)!;
  expect(check).toMatchObject({ state, message: expect.stringContaining(text) });
  expect(check.fix).toContain(fix);
  if (state === 'error') expect(ok).toBe(false);
});

test('every check is shown with something to mend', () => {
  expect(new Set(CASES.map(([name]) => name))).toEqual(new Set(Object.keys(CHECKS)));
});

test('a machine that tells nothing of itself is no error of its own', async () => {
  const nothing = recordedMachine();
  const { errors } = await examine({ ...nothing, text: () => undefined, disk: () => undefined }, WANTED);
  expect(errors).toBe(0);
});

test('what hardware is there, and what of it is used', async () => {
  const softhsm = '/usr/lib/softhsm/libsofthsm2.so';
  const said = async (recorded: Recorded) => {
    const { checks } = await examine(recordedMachine(recorded), WANTED);
    return checks.find(({ name }) => name === 'hardware')!.message;
  };
  expect(await said({})).toBe('No PKCS#11 module was found: keys are in files; no GPU is needed, and none is here.');
  const files = { [softhsm]: PLAIN, '/dev/nvidia0': PLAIN };
  expect(await said({ files })).toBe(
    `PKCS#11 modules for --key pkcs11:…: ${softhsm}; a GPU is here (/dev/nvidia0) and not used: the processor verifies.`,
  );
});

test('a wallet in a token is no file to look at', async () => {
  const { checks } = await examine(recordedMachine(), { ...WANTED, wallet: 'pkcs11:token=t;object=o' });
  expect(checks.find(({ name }) => name === 'permissions')).toMatchObject({ state: 'ok' });
});

test('a node that runs already has its ports', async () => {
  const recorded = { bindFault: async () => 'EADDRINUSE', isNodeAt: async () => true };
  const { checks } = await examine(recordedMachine(recorded), WANTED);
  expect(checks.find(({ name }) => name === 'ports')).toMatchObject({ state: 'ok', facts: { node: true } });
});

test('a check that fails itself is told, and the others go on', async () => {
  const broken = { ...recordedMachine(), trains: () => Promise.reject(new Error('no socket')) };
  const { checks } = await examine(broken, WANTED);
  expect(checks.filter(({ state }) => state === 'error').map(({ name }) => name)).toEqual(['trains']);
  expect(checks).toHaveLength(Object.keys(CHECKS).length);
});

test('text: states in colour on a terminal alone, and a command stays in one line', async () => {
  const examination = await examine(recordedMachine({ texts: { '/proc/sys/net/core/rmem_max': '4096\n' } }), WANTED);
  const plain = examinationText(examination, 60, false);
  expect(plain).not.toContain('\x1b');
  expect(plain).toContain(
    '\n                        $ echo net.core.rmem_max=4194304 | sudo tee /etc/sysctl.d/90-claimwire.conf && sudo sysctl --system\n',
  );
  expect(plain).toMatch(/no errors, 1 warning in 20 checks\n$/);
  expect(examinationText(examination, 60, true)).toContain('\x1b[33mwarning');
});

test('on this machine: the disk is measured with syncs of its own, and nothing is left in the folder', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'claimwire-doctor-'));
  try {
    const times = realMachine.syncs(folder, 5);
    expect(times).toHaveLength(5);
    expect(Math.min(...(times as number[]))).toBeGreaterThan(0);
    expect(readdirSync(folder)).toEqual([]);
    expect(realMachine.syncs(join(folder, 'none'), 5)).toBe('ENOENT');
    expect(await realMachine.reach('ws://127.0.0.1:1')).toBe('ECONNREFUSED');
    expect(realMachine.text('/proc/self/limits')).toContain('Max open files');
    let printed = '';
    vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
      printed += String(text);
      return true;
    });
    const args = ['--data', join(folder, 'data'), '--json', '--udp', '127.0.0.1:0', '--http', '127.0.0.1:0'];
    const code = await command.run(args);
    const found = JSON.parse(printed);
    expect(code).toBe(found.errors > 0 ? 1 : 0);
    expect(found.checks.find((each: { name: string }) => each.name === 'syncLatency').facts.syncs).toBe(50);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
