/**
 * The lock of a data folder: one node at a time, whatever container, pid namespace or user it runs in. Main thread.
 *
 * The owner listens on a Unix socket in the folder `lock`, under a random name. The kernel keeps the lock: a
 * connection to the socket succeeds exactly as long as some process holds the listening descriptor, even a stopped one,
 * and is refused once that process has ended, kill -9 included. Sockets with a path belong to the inode, not to a pid or
 * network namespace, so containers that share the folder see each other.
 *
 * Taking it: a folder of one's own, `lock.RANDOM` with a listening socket in it, is renamed to `lock`. POSIX lets a rename
 * replace a folder only while that is empty. If it is not, each socket in it is tried: one that answers belongs to an
 * owner that lives, and the taker gives up; one that refuses is dead, and the taker unlinks it and renames again.
 *
 * Why two takers never both have it: `lock` holds at most the one socket it was renamed with, since nobody adds to it.
 * Names are never used twice, so an unlink after a refusal can only hit the dead socket that refused, never a successor.
 * While the owner lives its socket refuses nobody, so it stays, the folder is not empty, and no rename succeeds. A taker
 * connects to its own socket under the final name before it believes the rename: that finds the folder of a taker whose
 * socket was cleared away before it listened, and a file system on which sockets do not work.
 *
 * A socket is the kernel's, so its folder lies on the machine's own disk, whatever files the rest of the node is handed.
 * Processes on several machines (a network file system) do not see each other's sockets: a data folder is for one machine.
 */
import { connect, createServer, type Server } from 'node:net';
import { join, resolve } from 'node:path';
import { ClaimwireError } from '../errors.ts';
import { nodeFiles as files, hasCode } from '../system/files.ts';
import type { System } from '../system/system.ts';

const LOCK_FOLDER = 'lock';
const DRAFT = /^lock\.[0-9a-f]{16}$/;
/** The owner's process id, for the message, and the random part. */
const SOCKET = /^(\d+)-[0-9a-f]{16}\.sock$/;
/** The shortest sun_path of any system (macOS) less its end; a longer path is cut off without a word. */
const SOCKET_PATH_BYTES_MAX = 103;
/** A taker begins anew only where an owner that was clearing up met it in the microseconds before it listened. */
const TRIES_MAX = 100;

/** `unclear`: a full queue, a socket of another user's, no descriptor left. Not dead, in any case. */
type Answer = 'alive' | 'dead' | 'gone' | 'unclear';

export class FolderLock {
  readonly #server: Server;
  readonly #data: string;
  readonly #socket: string;

  private constructor(server: Server, data: string, socket: string) {
    this.#server = server;
    this.#data = data;
    this.#socket = socket;
  }

  /**
   * Takes the lock of the folder `data`, which exists. Throws ClaimwireError DATA_LOCKED while another node has it, and
   * CONFIG_INVALID where the file system can't hold it.
   */
  static async acquire(data: string, random: System['random']): Promise<FolderLock> {
    for (let tries = 0; tries < TRIES_MAX; tries++) {
      const lock = await FolderLock.#tryTake(data, random);
      if (lock === undefined) continue;
      await clearDrafts(data);
      return lock;
    }
    throw locked(data);
  }

  /** Undefined where another taker got in between: the next try finds it, or finds it gone. */
  static async #tryTake(data: string, random: System['random']): Promise<FolderLock | undefined> {
    const name = random(8).toString('hex');
    const draft = `${LOCK_FOLDER}.${name}`;
    const socket = `${process.pid}-${name}.sock`;
    let server: Server | undefined;
    try {
      files.mkdirSync(join(data, draft), { mode: 0o700 });
      server = await listen(data, join(draft, socket));
      while (!rename(join(data, draft), join(data, LOCK_FOLDER))) await clearDead(data);
      const answer = await ask(data, join(LOCK_FOLDER, socket));
      if (answer === 'alive') return new FolderLock(server, data, socket);
      if (answer !== 'gone') throw cannotLock(data, 'one on which no connection succeeds');
      // An owner that was clearing up took the draft for a dead taker's, and was gone before the rename.
      server.close();
      return undefined;
    } catch (error) {
      server?.close();
      files.rmSync(join(data, draft), { recursive: true, force: true });
      if (error instanceof ClaimwireError) throw error;
      throw cannotLock(data, (error as NodeJS.ErrnoException).code ?? String(error));
    }
  }

  /** Gives it up. Nothing of the folder may be touched afterwards. */
  release(): void {
    const folder = join(this.#data, LOCK_FOLDER);
    try {
      files.unlinkSync(join(folder, this.#socket));
      files.rmdirSync(folder);
    } catch {
      // Gone with the folder, or the next owner's already: the socket's end is what counts.
    }
    this.#server.close();
  }
}

/** Unlinks the sockets of owners that have ended. Throws DATA_LOCKED where one lives. */
async function clearDead(data: string): Promise<void> {
  for (const file of filesOf(join(data, LOCK_FOLDER))) {
    const pid = SOCKET.exec(file)?.[1];
    if (pid === undefined) throw cannotLock(data, `a file that is none of its own, ${join(LOCK_FOLDER, file)}`);
    const socket = join(LOCK_FOLDER, file);
    const answer = await ask(data, socket);
    if (answer === 'dead') files.rmSync(join(data, socket), { force: true });
    else if (answer !== 'gone') throw locked(data, Number(pid));
  }
}

/** Whether the folder has left its old name; false where another that is not empty has the new one. */
function rename(draft: string, lock: string): boolean {
  try {
    files.renameSync(draft, lock);
    return true;
  } catch (error) {
    if (hasCode(error, 'ENOTEMPTY', 'EEXIST')) return false;
    // An owner that was clearing up removed it altogether: the look at its socket says so.
    if (hasCode(error, 'ENOENT')) return true;
    throw error;
  }
}

function filesOf(folder: string): string[] {
  try {
    return files.readdirSync(folder);
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return [];
    throw error;
  }
}

/** What takers that were killed left. Only the owner clears up, so nobody's rename succeeds meanwhile. */
async function clearDrafts(data: string): Promise<void> {
  for (const draft of files.readdirSync(data).filter((file) => DRAFT.test(file))) {
    const [socket] = filesOf(join(data, draft)).filter((file) => SOCKET.test(file));
    // Without a socket it is a taker's that has not come to listen yet; should it have been killed there, it stays.
    if (socket === undefined || (await ask(data, join(draft, socket))) !== 'dead') continue;
    files.rmSync(join(data, draft), { recursive: true, force: true });
  }
}

async function ask(data: string, socket: string): Promise<Answer> {
  return atPath(data, socket, (path) => {
    return new Promise<Answer>((resolve) => {
      const connection = connect({ path });
      connection.once('connect', () => {
        connection.destroy();
        resolve('alive');
      });
      connection.once('error', ({ code }: NodeJS.ErrnoException) => {
        if (code === 'ENOENT') resolve('gone');
        else resolve(code === 'ECONNREFUSED' ? 'dead' : 'unclear');
      });
    });
  });
}

async function listen(data: string, socket: string): Promise<Server> {
  const server = createServer((connection) => connection.destroy());
  // In a cluster's worker the listening descriptor would be the primary's, and outlive this process.
  await atPath(data, socket, (path) => {
    return new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen({ path, exclusive: true }, resolve);
    });
  });
  // A connection that could not be accepted (no descriptor left) changes nothing: the kernel has answered it.
  server.removeAllListeners('error').on('error', () => {});
  return server.unref();
}

/** Calls `use` with a path that fits a socket address, by way of a descriptor of the folder where its own is too long. */
async function atPath<T>(data: string, socket: string, use: (path: string) => Promise<T>): Promise<T> {
  const path = resolve(data, socket);
  if (Buffer.byteLength(path) <= SOCKET_PATH_BYTES_MAX) return use(path);
  const fd = files.openSync(data, 'r');
  try {
    return await use(`/proc/self/fd/${fd}/${socket}`);
  } finally {
    files.closeSync(fd);
  }
}

function locked(data: string, pid?: number): ClaimwireError {
  const owner = pid === undefined ? 'another node' : `process ${pid}`;
  return new ClaimwireError(
    'DATA_LOCKED',
    `${data}: expected a data folder of our own, got one used by ${owner}; stop it or give --data another folder`,
    pid === undefined ? {} : { pid },
  );
}

function cannotLock(data: string, got: string): ClaimwireError {
  return new ClaimwireError(
    'CONFIG_INVALID',
    `${data}: expected a folder of this machine that can hold a lock (a Unix socket in lock/), got ${got}; use a local file system`,
  );
}
