/**
 * The lock of a data folder: one node at a time, in whatever container, pid namespace or user it runs. Main thread.
 *
 * The owner listens on a Unix socket with a random name in the folder `lock`. A connection to the socket succeeds exactly as
 * long as some process holds the listening descriptor, even a stopped one, and is refused once that process has ended, also
 * by kill -9. Such a socket belongs to its inode, not to a pid or network namespace, so containers that share the folder see
 * each other.
 *
 * To take the lock, a process makes a draft folder `lock.RANDOM` with a listening socket, and renames it to `lock`. POSIX
 * lets a rename replace a folder only if that is empty. If it is not, the process connects to each socket in it. If one
 * accepts, its owner lives, and the process gives up; if one refuses, it is dead, and the process unlinks it and renames
 * again.
 *
 * Two processes never both have the lock: `lock` holds only the socket with which it was renamed, since nobody adds to it.
 * Names are never reused, so an unlink after a refusal hits only the dead socket, never a successor. While the owner lives,
 * its socket stays, the folder is not empty, and no rename succeeds. After the rename a process connects to its own socket
 * under the final name. This fails if another process removed its draft before it listened, or on a file system that has no
 * sockets.
 *
 * The kernel keeps sockets, so this uses the real file system, even if the rest of the node runs on other files. Machines
 * that share a network file system do not see each other's sockets: a data folder is for one machine.
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
/** The shortest sun_path of any system (macOS) less its terminator. Longer paths are silently cut off. */
const SOCKET_PATH_BYTES_MAX = 103;
/** A retry is needed only if the owner removed the draft in the microseconds before its socket listened. */
const TRIES_MAX = 100;

/** `unclear`: a full queue, a socket of another user, no descriptor left. The owner may live. */
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
   * Takes the lock of the existing folder `data`. Throws ClaimwireError DATA_LOCKED while another node has it, and
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

  /** Undefined where another process interfered; the caller tries again. */
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
      // An owner removed the draft as a dead one, and gave up the lock before the rename.
      server.close();
      return undefined;
    } catch (error) {
      server?.close();
      files.rmSync(join(data, draft), { recursive: true, force: true });
      if (error instanceof ClaimwireError) throw error;
      throw cannotLock(data, (error as NodeJS.ErrnoException).code ?? String(error));
    }
  }

  /** Gives up the lock. This process may not touch the folder afterwards. */
  release(): void {
    const folder = join(this.#data, LOCK_FOLDER);
    try {
      files.unlinkSync(join(folder, this.#socket));
      files.rmdirSync(folder);
    } catch {
      // The folder is gone, or the next owner's already. The lock ends with the socket.
    }
    this.#server.close();
  }
}

/** Unlinks the sockets of dead owners. Throws DATA_LOCKED if an owner lives. */
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

/** Renames the draft; false if the lock's folder is not empty. */
function rename(draft: string, lock: string): boolean {
  try {
    files.renameSync(draft, lock);
    return true;
  } catch (error) {
    if (hasCode(error, 'ENOTEMPTY', 'EEXIST')) return false;
    // The owner has removed the draft. The connection to its socket will show it.
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

/** Removes drafts of killed processes. Only the owner does this, so no other process gets the lock meanwhile. */
async function clearDrafts(data: string): Promise<void> {
  for (const draft of files.readdirSync(data).filter((file) => DRAFT.test(file))) {
    const [socket] = filesOf(join(data, draft)).filter((file) => SOCKET.test(file));
    // A draft without a socket may be of a process that does not listen yet, so it stays.
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
  // `exclusive`: in a cluster's worker the primary would hold the descriptor, which would then outlive this process.
  await atPath(data, socket, (path) => {
    return new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen({ path, exclusive: true }, resolve);
    });
  });
  // An error to accept a connection (no descriptor left) does not matter: the kernel has answered it.
  server.removeAllListeners('error').on('error', () => {});
  return server.unref();
}

/** Calls `use` with a path that fits a socket address; a path too long goes through a descriptor of the folder. */
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
