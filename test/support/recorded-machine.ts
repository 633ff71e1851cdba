/** A machine as its files and trials answered once: what the checks of `claimwire doctor` are tested against. */
import type { BackendFacts, DiskFacts, FileFacts, Machine, SigningFacts } from '../../tools/doctor/machine.ts';

const NATIVE: BackendFacts = {
  name: 'native',
  kernel: 'avx2',
  kernelNote: '',
  addonFault: undefined,
  addonOrigin: 'build/claimwire.node',
  passedOver: [],
};
const SIGNING: SigningFacts = {
  kernel: 'avx2',
  perSecond: 130_000,
  fault: undefined,
  note: '',
  noblePerSecond: 3_100,
};
const GIB = 2 ** 30;

/** A good server with 4 cores, as recorded on Debian 12. */
const TEXTS: Readonly<Record<string, string>> = {
  '/proc/cpuinfo': 'processor\t: 0\nmodel name\t: AMD EPYC 7543\nflags\t\t: fpu sse2 bmi2 fma avx2\n',
  '/proc/meminfo': 'MemTotal:       16384000 kB\nMemFree:         2000000 kB\nMemAvailable:   12000000 kB\n',
  '/proc/self/cgroup': '0::/system.slice/claimwire.service\n',
  '/proc/self/limits':
    'Limit                     Soft Limit           Hard Limit           Units     \n' +
    'Max open files            65536                524288               files     \n',
  '/proc/sys/net/core/rmem_max': '4194304\n',
  '/sys/kernel/mm/transparent_hugepage/enabled': 'always [madvise] never\n',
  '/sys/devices/system/clocksource/clocksource0/current_clocksource': 'tsc\n',
  '/sys/devices/system/clocksource/clocksource0/available_clocksource': 'tsc hpet acpi_pm \n',
};

export interface Recorded extends Partial<Omit<Machine, 'text' | 'file' | 'backend' | 'signing' | 'disk' | 'syncs'>> {
  /** What differs; undefined: the file is missing. */
  texts?: Record<string, string | undefined>;
  files?: Record<string, FileFacts | undefined>;
  backend?: Partial<BackendFacts>;
  signing?: Partial<SigningFacts>;
  disk?: Partial<DiskFacts>;
  syncMs?: readonly number[] | string;
}

export function recordedMachine({
  texts,
  files,
  backend,
  signing,
  disk,
  syncMs = [0.3],
  ...more
}: Recorded = {}): Machine {
  const known: Record<string, FileFacts | undefined> = {
    '/': { mode: 0o755, userId: 0, isFolder: true },
    '/data': { mode: 0o700, userId: 1000, isFolder: true },
    '/data/admin-token': { mode: 0o600, userId: 1000, isFolder: false },
    ...files,
  };
  const all: Record<string, string | undefined> = { ...TEXTS, ...texts };
  return {
    platform: 'linux',
    arch: 'x64',
    nodeVersion: '22.11.0',
    userId: 1000,
    cores: 4,
    text: (path) => all[path],
    file: (path) => known[path],
    backend: () => ({ ...NATIVE, ...backend }),
    signing: () => ({ ...SIGNING, ...signing }),
    disk: () => ({ type: 0xef53, bytes: 100 * GIB, freeBytes: 50 * GIB, ...disk }),
    syncs: (_folder, count) =>
      typeof syncMs === 'string' ? syncMs : Array.from({ length: count }, (_, at) => syncMs[at % syncMs.length]!),
    trains: async () => 1,
    bindFault: async () => undefined,
    isNodeAt: async () => false,
    reach: async () => 120,
    store: async () => ({
      hosts: [
        { host: 'db1:5432', state: 'primary' },
        { host: 'db2:5432', state: 'standby' },
      ],
      primary: { isPostgres: true, names: 'ANY 1 (s1, s2)', synchronous: 2, other: 0, commitMs: [0.6] },
    }),
    hasLedgerLibrary: () => true,
    hasPkcs11Library: () => true,
    pkcs11Module: () => undefined,
    output: (program) => (program === 'timedatectl' ? 'yes\n' : undefined),
    now: () => Date.UTC(2026, 5, 1),
    clockDrift: async () => 0.2,
    ...more,
  };
}
