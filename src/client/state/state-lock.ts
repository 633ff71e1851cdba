/**
 * Lets a state file have one live payer. The lock is a Unix socket beside the file, which answers exactly as long as the
 * process lives, however it ends and in any pid namespace. Payer's thread, cold path.
 *
 * Each payer first makes a socket with a name of its own, and then tries all others. Of two at the same time each sees
 * the other, so both may be refused, but never both accepted. A socket that does not answer is of a process that ended;
 * its name is never used again, so it can be removed. The lock does not reach machines that share a network file system.
 */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { readdir, rename, rm } from 'node:fs/promises';
import { createConnection, createServer } from 'node:net';
import { basename, dirname, join } from 'node:path';
import { ClaimwireError } from '../../errors.ts';
import { stateError } from './payer-state.ts';

/** A Unix socket's address has 108 bytes; the rest of the name and the folder, named by its descriptor, need 40 of them. */
const NAME_BYTES_MAX = 60;

/** Resolves with a function that releases the lock. Rejects with ClaimwireError STATE_LOCKED or STATE_INVALID. */
export async function lockState(path: string): Promise<() => Promise<void>> {
  const folder = dirname(path);
  const prefix = `${basename(path)}.lock.`;
  if (Buffer.byteLength(basename(path)) > NAME_BYTES_MAX)
    throw stateError(`expected a file name of at most ${NAME_BYTES_MAX} bytes, got ${basename(path)}, choose another`);
  const name = prefix + randomBytes(6).toString('hex');
  let descriptor: number;
  try {
    descriptor = openSync(folder, 'r');
  } catch (error) {
    throw stateError(`expected a folder to lock ${path} in, got ${(error as NodeJS.ErrnoException).code}`, error);
  }
  // A long path does not fit a socket's address; the folder's descriptor does.
  const at = (file: string) =>
    process.platform === 'linux' ? `/proc/self/fd/${descriptor}/${file}` : join(folder, file);
  const server = createServer((socket) => socket.destroy());
  const release = async (): Promise<void> => {
    await rm(join(folder, name), { force: true });
    await new Promise((resolve) => server.close(resolve));
  };
  try {
    // It gets its name when it listens already, so that one that does not answer is dead, and not about to begin.
    const listening = once(server, 'listening');
    server.listen(at(`.${name}`));
    await listening;
    server.unref();
    await rename(join(folder, `.${name}`), join(folder, name));
    for (const other of await readdir(folder)) {
      if (!other.startsWith(prefix) || other === name) continue;
      if (await answers(at(other)))
        throw new ClaimwireError('STATE_LOCKED', `state: expected no other live payer with ${path}, got one; end it`);
      await rm(join(folder, other), { force: true });
    }
    return release;
  } catch (error) {
    await release();
    if (error instanceof ClaimwireError) throw error;
    throw stateError(`expected to lock ${path}, got ${(error as NodeJS.ErrnoException).code}`, error);
  } finally {
    closeSync(descriptor);
  }
}

/** Whether the socket's process lives. A stopped process sends nothing, but its socket accepts connections. */
async function answers(path: string): Promise<boolean> {
  const socket = createConnection(path);
  try {
    await once(socket, 'connect');
    return true;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return code !== 'ECONNREFUSED' && code !== 'ENOENT';
  } finally {
    socket.destroy();
  }
}
