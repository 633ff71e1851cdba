/** Checks of the data folder: its file system, room, sync latency, and who may read what lies in it. */
import { dirname, join, resolve } from 'node:path';
import { isTokenUri } from '../../src/pkcs11/uri.ts';
import { bytesText, type Check, error, type Finding, ok, quoted, warning } from './check.ts';
import type { Machine } from './machine.ts';

/** Magic numbers of statfs(2). */
const FILE_SYSTEMS: Readonly<Record<number, string>> = {
  61267: 'ext4',
  1481003842: 'xfs',
  2435016766: 'btrfs',
  801189825: 'zfs',
  4076150800: 'f2fs',
  16914836: 'tmpfs',
  2240043254: 'ramfs',
  2035054128: 'overlayfs',
  26985: 'nfs',
  4283649346: 'cifs',
  4266872130: 'smb2',
  1702057286: 'fuse',
  16914839: '9p',
};
const IN_MEMORY = ['tmpfs', 'ramfs'];
const OVER_NETWORK = ['nfs', 'cifs', 'smb2', 'fuse', '9p'];

/** The folder itself, or the nearest one above it that is there. */
function existing(machine: Machine, data: string): string {
  for (let folder = resolve(data); ; folder = dirname(folder))
    if (machine.file(folder)?.isFolder === true || folder === dirname(folder)) return folder;
}

export const fileSystem: Check = (machine, { data }) => {
  const folder = existing(machine, data);
  const disk = machine.disk(folder);
  if (disk === undefined) return ok(`The kind of file system of ${folder} cannot be told here.`, {});
  const kind = FILE_SYSTEMS[disk.type] ?? `0x${disk.type.toString(16)}`;
  const facts = { folder, kind };
  const elsewhere = 'claimwire node --data /var/lib/claimwire';
  if (IN_MEMORY.includes(kind))
    return warning(
      `${folder} is on ${kind}, which is memory: every claim is lost when the machine stops.`,
      elsewhere,
      facts,
    );
  if (OVER_NETWORK.includes(kind))
    return warning(
      `${folder} is on ${kind}: whether a sync is durable there, and whether locks hold, depends on another machine.`,
      elsewhere,
      facts,
    );
  if (kind === 'overlayfs')
    return warning(
      `${folder} is in a container's own layer, which is removed with the container.`,
      'docker run -v claimwire-data:/data … claimwire node --data /data',
      facts,
    );
  return ok(`${folder} is on ${kind}.`, facts);
};

const FREE_ERROR_BYTES = 256 * 2 ** 20;
const FREE_WARNING_BYTES = 2 ** 30;

export const space: Check = (machine, { data }) => {
  const folder = existing(machine, data);
  const disk = machine.disk(folder);
  if (disk === undefined) return ok(`How much room ${folder} has cannot be told here.`, {});
  const { freeBytes, bytes } = disk;
  const facts = { folder, freeBytes, bytes };
  const text = `${bytesText(freeBytes)} of ${bytesText(bytes)} are free under ${folder}`;
  const fix = `df -h ${quoted(folder)} && du -xh --max-depth=1 ${quoted(folder)} | sort -h | tail`;
  if (freeBytes < FREE_ERROR_BYTES) return error(`${text}: a lane's first journal segments do not fit.`, fix, facts);
  if (freeBytes < FREE_WARNING_BYTES)
    return warning(`${text}: journals of a few lanes and a checkpoint fill that.`, fix, facts);
  return ok(`${text}.`, facts);
};

const SYNCS = 50;
/** Group commit hides a few milliseconds; above this every ack waits long. */
const SYNC_P50_MS_SLOW = 5;
const SYNC_P99_MS_SLOW = 25;
/** No disk is so fast: what answers has kept the bytes in memory. */
const SYNC_P50_MS_UNBELIEVABLE = 0.02;

export const syncLatency: Check = (machine, { data }) => {
  const folder = existing(machine, data);
  const measured = machine.syncs(folder, SYNCS);
  if (typeof measured === 'string')
    return error(`${folder} cannot be written to (${measured}).`, `sudo chown -R "$(id -un)" ${quoted(folder)}`, {
      folder,
    });
  const sorted = measured.toSorted((a, b) => a - b);
  const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0;
  const [p50, p99] = [at(0.5), at(0.99)];
  const facts = { folder, syncs: sorted.length, p50Ms: rounded(p50), p99Ms: rounded(p99) };
  const text = `${sorted.length} writes with fdatasync in ${folder}: p50 ${msText(p50)}, p99 ${msText(p99)}`;
  if (p50 < SYNC_P50_MS_UNBELIEVABLE)
    return warning(
      `${text}. No disk is so fast: what is acknowledged here is in memory, and lost with the power.`,
      'claimwire node --data /var/lib/claimwire',
      facts,
    );
  if (p50 > SYNC_P50_MS_SLOW || p99 > SYNC_P99_MS_SLOW)
    return warning(
      `${text}. Every ack waits for a sync, so acks take at least that long.`,
      `lsblk -d -o NAME,ROTA,MODEL,SIZE && findmnt -T ${quoted(folder)}`,
      facts,
    );
  return ok(`${text}.`, facts);
};

function rounded(ms: number): number {
  return Math.round(ms * 1_000) / 1_000;
}
function msText(ms: number): string {
  return ms < 1 ? `${Math.round(ms * 1_000)} µs` : `${ms.toFixed(1)} ms`;
}

const OTHERS_WRITE = 0o022;
const OTHERS_ANYTHING = 0o077;
/** Files of a data folder that hold secrets, or digests of them. */
const SECRET_FILES = ['admin-token', 'tokens'];

export const permissions: Check = (machine, { data, wallet: source }) => {
  const wallet = source === undefined || isTokenUri(source) ? undefined : source;
  const folder = resolve(data);
  const facts = machine.file(folder);
  if (facts !== undefined && !facts.isFolder)
    return error(`${folder} is no folder.`, `claimwire node --data ${quoted(`${folder}.d`)}`, { folder });
  const secrets = [
    ...SECRET_FILES.map((name) => join(folder, name)),
    ...(wallet === undefined ? [] : [resolve(wallet)]),
  ];
  if (wallet !== undefined && machine.file(resolve(wallet)) === undefined)
    return error(`The wallet ${wallet} cannot be read.`, `ls -l ${quoted(wallet)}`, { folder });
  const open = secrets.find((path) => ((machine.file(path)?.mode ?? 0) & OTHERS_ANYTHING) !== 0);
  if (open !== undefined)
    return error(
      `${open} has mode ${modeText(machine, open)}: others on this machine may read it, and the node refuses it.`,
      `chmod 600 ${quoted(open)}`,
      { folder, file: open },
    );
  return folderFinding(machine, folder);
};

function folderFinding(machine: Machine, folder: string): Finding {
  const facts = machine.file(folder);
  if (facts === undefined) return ok(`${folder} does not exist yet; the node makes it for its user alone.`, { folder });
  if (facts.userId !== machine.userId && machine.userId !== 0)
    return error(
      `${folder} belongs to another user (${facts.userId}).`,
      `sudo chown -R "$(id -un)" ${quoted(folder)}`,
      {
        folder,
      },
    );
  if ((facts.mode & OTHERS_WRITE) !== 0)
    return warning(
      `${folder} has mode ${modeText(machine, folder)}: others may replace what lies in it.`,
      `chmod 700 ${quoted(folder)}`,
      { folder },
    );
  return ok(`${folder} and the secrets in it are this user's alone to change.`, { folder });
}

function modeText(machine: Machine, path: string): string {
  return (machine.file(path)?.mode ?? 0).toString(8).padStart(3, '0');
}
