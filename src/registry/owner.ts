/**
 * Which process owns a data folder, and whether it still lives.
 *
 * Main thread. A pid may be reused, so on Linux the process's start time (clock ticks since boot) and the boot id are
 * compared too. Processes in different pid namespaces cannot see each other, so this is not the lock (folder/folder-lock.ts
 * is): it only finds running nodes of versions that are older than the lock.
 */
import { readFileSync } from 'node:fs';

/** JSON-safe identity of a process. */
export interface Owner {
  pid: number;
  /** Field 22 of /proc/<pid>/stat, or null where there is no /proc. */
  startTicks: string | null;
  bootId: string | null;
}

export function ownerOf(pid: number): Owner {
  return { pid, startTicks: readStat(pid)?.startTicks ?? null, bootId: readText('/proc/sys/kernel/random/boot_id') };
}

/** Whether `owner` still runs. A zombie does not count: it holds no file and writes nothing. */
export function isOwnerAlive(owner: Owner): boolean {
  if (owner.bootId !== readText('/proc/sys/kernel/random/boot_id')) return false;
  if (owner.startTicks !== null) {
    const stat = readStat(owner.pid);
    return stat !== undefined && stat.startTicks === owner.startTicks && stat.state !== 'Z' && stat.state !== 'X';
  }
  try {
    process.kill(owner.pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

function readStat(pid: number): { state: string; startTicks: string } | undefined {
  const text = readText(`/proc/${pid}/stat`);
  if (text === null) return undefined;
  // The command name in brackets may itself contain brackets and spaces, so fields count from the last bracket.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  const [state, startTicks] = [fields[0], fields[19]];
  return state === undefined || startTicks === undefined ? undefined : { state, startTicks };
}

function readText(path: string): string | null {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch {
    return null;
  }
}
