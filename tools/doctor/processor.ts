/** Checks of Node, the addon, the processor's cores and instructions, memory and huge pages. */
import { bytesText, type Check, error, ok, warning } from './check.ts';
import type { Machine } from './machine.ts';

const NODE_MAJOR_MIN = 20;
const NODE_MINOR_MIN = 19;

export const node: Check = ({ nodeVersion, platform, arch }) => {
  const [major = 0, minor = 0] = nodeVersion.split('.').map(Number);
  const facts = { version: nodeVersion, platform, arch };
  if (major > NODE_MAJOR_MIN || (major === NODE_MAJOR_MIN && minor >= NODE_MINOR_MIN))
    return ok(`Node.js ${nodeVersion} on ${platform}-${arch}.`, facts);
  return error(
    `Node.js ${nodeVersion} is older than ${NODE_MAJOR_MIN}.${NODE_MINOR_MIN}, which claimwire needs.`,
    'nvm install 22',
    facts,
  );
};

export const addon: Check = (machine) => {
  const { name, addonFault, addonOrigin, passedOver } = machine.backend();
  const facts = { loaded: addonFault === undefined, origin: addonOrigin ?? null, backend: name };
  if (addonFault === undefined && name === 'native') return ok(`The C addon is loaded (${addonOrigin}).`, facts);
  const reason = addonFault ?? passedOver.join('; ');
  const isCheckout = addonFault === undefined || addonFault.includes('make native');
  return warning(
    `The C addon is not used (${reason}), so ${name} verifies, several times slower, over one socket.`,
    isCheckout ? 'make native' : 'npm install --include=optional claimwire',
    facts,
  );
};

/** The kernels in C, by the flags of /proc/cpuinfo that they need. */
const KERNELS = [
  { name: 'avx512ifma', flags: ['bmi2', 'avx512f', 'avx512dq', 'avx512vl', 'avx512bw', 'avx512ifma'] },
  { name: 'avx512f', flags: ['bmi2', 'avx512f', 'avx512dq', 'avx512vl', 'avx512bw'] },
  { name: 'avx2', flags: ['bmi2', 'avx2', 'fma'] },
  { name: 'neon', flags: ['asimd'] },
] as const;

export const kernel: Check = (machine) => {
  const info = machine.text('/proc/cpuinfo') ?? '';
  const flags = new Set((/^(?:flags|Features)\s*:(.*)$/m.exec(info)?.[1] ?? '').trim().split(/\s+/));
  const model = /^model name\s*:\s*(.*)$/m.exec(info)?.[1] ?? machine.arch;
  const best = KERNELS.find((each) => each.flags.every((flag) => flags.has(flag)))?.name ?? 'scalar';
  const { name, kernel: chosen, kernelNote } = machine.backend();
  const facts = { model, backend: name, kernel: chosen, best, note: kernelNote };
  if (chosen === null || name !== 'native')
    return warning(
      `${model}: the ${name} backend is chosen, which does not use the processor's ${best} instructions.`,
      'make native',
      facts,
    );
  if (kernelNote.includes('passed over'))
    return warning(
      `${model}: the ${chosen} kernel is chosen, since a faster one computes wrongly here (${kernelNote}).`,
      'update this machine (firmware, hypervisor); report it if the fault stays',
      facts,
    );
  if (chosen !== best && best !== 'scalar' && kernelNote === '')
    return warning(
      `${model} has ${best}, but the ${chosen} kernel is chosen, which is slower.`,
      'unset CLAIMWIRE_KERNEL',
      facts,
    );
  if (chosen === 'scalar' && machine.arch === 'x64')
    return warning(
      `${model} has no AVX2, or its virtual machine hides it: the scalar kernel is several times slower.`,
      'grep -m1 -o avx2 /proc/cpuinfo || echo "choose a machine, or a CPU model of the hypervisor, with AVX2"',
      facts,
    );
  const measured = kernelNote === '' ? '' : ` (${kernelNote} at start)`;
  const hashing =
    chosen === 'neon' && !flags.has('sha512') ? ' Without instructions for SHA-512 it hashes in plain C.' : '';
  return ok(`${model}: the ${name} backend with its ${chosen} kernel${measured}.${hashing}`, facts);
};

/**
 * What a file of this process's control group holds, in either version of control groups; in a container the group is their
 * root.
 */
function groupText(machine: Machine, controller: string, name: string, oldName: string): string | undefined {
  const groups = machine.text('/proc/self/cgroup') ?? '';
  const own = /^0::(\/.+)$/m.exec(groups)?.[1] ?? '';
  const old = new RegExp(`^\\d+:(?:\\w+,)*${controller}(?:,\\w+)*:(/.+)$`, 'm').exec(groups)?.[1] ?? '';
  return (
    machine.text(`/sys/fs/cgroup${own}/${name}`) ??
    machine.text(`/sys/fs/cgroup/${name}`) ??
    machine.text(`/sys/fs/cgroup/${controller}${old}/${oldName}`) ??
    machine.text(`/sys/fs/cgroup/${controller}/${oldName}`)
  );
}

/** Cores whose time the control group leaves to this process; undefined without a limit. */
function coresLimit(machine: Machine): number | undefined {
  const quotaText = groupText(machine, 'cpu', 'cpu.max', 'cpu.cfs_quota_us') ?? '';
  const periodText = groupText(machine, 'cpu', 'cpu.max', 'cpu.cfs_period_us') ?? '';
  const quota = Number(quotaText.split(/\s+/)[0]);
  const period = Number(periodText.trim().split(/\s+/).at(-1));
  return quota > 0 && period > 0 ? quota / period : undefined;
}

export const cores: Check = (machine) => {
  const limit = coresLimit(machine);
  const facts = { cores: machine.cores, limit: limit ?? null };
  const count = `${machine.cores} core${machine.cores === 1 ? '' : 's'}`;
  if (limit !== undefined && limit < machine.cores)
    return warning(
      `A node starts a lane for each of ${count}, but its control group has the time of ${limit.toFixed(1)}: lanes that are stopped in turn make acks late.`,
      `claimwire node --lanes ${Math.max(1, Math.floor(limit))}`,
      facts,
    );
  return ok(`${count}, and a lane on each.`, facts);
};

const MEMORY_ERROR_BYTES = 256 * 2 ** 20;
const MEMORY_WARNING_BYTES = 2 ** 30;

function meminfo(machine: Machine, name: string): number {
  const kib = new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(machine.text('/proc/meminfo') ?? '')?.[1];
  return Number(kib ?? 0) * 1_024;
}

export const memory: Check = (machine) => {
  const total = meminfo(machine, 'MemTotal');
  // Without a limit the old form has a number close to 2^63, and the new one "max".
  const set = Number(groupText(machine, 'memory', 'memory.max', 'memory.limit_in_bytes'));
  const limit = set > 0 && (total === 0 || set < total) ? set : undefined;
  const used = Number(groupText(machine, 'memory', 'memory.current', 'memory.usage_in_bytes') ?? 0);
  const available = Math.min(meminfo(machine, 'MemAvailable'), limit === undefined ? Number.MAX_VALUE : limit - used);
  const facts = { totalBytes: total, availableBytes: available, limitBytes: limit ?? null };
  if (total === 0) return ok('How much memory there is cannot be told here.', {});
  const left = `${bytesText(Math.max(0, available))} of ${bytesText(limit ?? total)} are free`;
  const of = limit === undefined ? '' : ', the limit of the control group';
  if (available < MEMORY_ERROR_BYTES)
    return error(
      `Only ${left}${of}: the node would soon be killed for memory.`,
      'claimwire node --key-cache 32M --channels-max 100k',
      facts,
    );
  if (available < MEMORY_WARNING_BYTES)
    return warning(
      `${left}${of}: tables of many keys have little room, and signatures of keys without one verify slower.`,
      'claimwire node --key-cache 64M',
      facts,
    );
  return ok(`${left}${of}.`, facts);
};

const HUGE_PAGES = '/sys/kernel/mm/transparent_hugepage/enabled';

export const hugePages: Check = (machine) => {
  const chosen = /\[(\w+)\]/.exec(machine.text(HUGE_PAGES) ?? '')?.[1];
  const facts = { transparent: chosen ?? null };
  if (chosen === undefined) return ok('Whether there are huge pages cannot be told here.', facts);
  if (chosen === 'never')
    return warning(
      'Transparent huge pages are off: with many keys each signature waits for the translation of addresses.',
      `echo madvise | sudo tee ${HUGE_PAGES}`,
      facts,
    );
  return ok(`Key tables get huge pages (${chosen}).`, facts);
};
