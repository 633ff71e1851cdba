/**
 * The data folder's lock between processes: while its owner lives nobody else gets it, from whatever pid namespace; once
 * the owner is killed the next taker has it, and of many takers one.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, readdirSync, renameSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, beforeAll, expect, test } from 'vitest';
import { FolderLock } from '../../../src/folder/folder-lock.ts';
import { compiled } from '../../support/compiled.ts';
import { temporaryFolders } from '../../support/node-process.ts';

const folder = temporaryFolders();
const children: ChildProcess[] = [];
let program = '';

beforeAll(() => {
  const dist = compiled('folder-lock', ['src/folder/folder-lock.ts']);
  program = join(dist, 'taker.mjs');
  // Each line of its input is a try: takes the lock if it can, says how that went, and keeps it.
  writeFileSync(
    program,
    `import { createInterface } from 'node:readline';
     import { FolderLock } from './src/folder/folder-lock.js';
     import { randomBytes } from 'node:crypto';
     console.log('ready');
     for await (const line of createInterface({ input: process.stdin })) {
       try { await FolderLock.acquire(process.argv[2], randomBytes); console.log('owner'); } catch (error) { console.log(error.code + ' ' + error.message); }
     }`,
  );
});
afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
});

class Taker {
  readonly child: ChildProcess;
  readonly #lines: AsyncIterator<string>;

  private constructor(data: string, within: string[]) {
    const [command = '', ...args] = [...within, process.execPath, program, data];
    this.child = spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'] });
    children.push(this.child);
    this.#lines = createInterface({ input: this.child.stdout! })[Symbol.asyncIterator]();
  }
  static async of(data: string, within: string[] = []): Promise<Taker> {
    const taker = new Taker(data, within);
    expect((await taker.#lines.next()).value).toBe('ready');
    return taker;
  }
  async take(): Promise<string> {
    this.child.stdin!.write('\n');
    return (await this.#lines.next()).value as string;
  }
  async kill(): Promise<void> {
    this.child.kill('SIGKILL');
    await once(this.child, 'exit');
  }
}

test('another process is refused and told whose it is; kill -9 frees the folder at once', async () => {
  const data = folder('lock');
  const [first, second] = [await Taker.of(data), await Taker.of(data)];
  expect(await first.take()).toBe('owner');
  expect(await second.take()).toMatch(new RegExp(`^DATA_LOCKED .* process ${first.child.pid};`));
  // A process that is stopped, or whose event loop is, has it still.
  first.child.kill('SIGSTOP');
  expect(await second.take()).toMatch(/^DATA_LOCKED/);
  await first.kill();
  expect(await second.take()).toBe('owner');
  await second.kill();
});

test('within one process the second taker is refused until the first lets go; nothing is left', async () => {
  const data = folder('one');
  const lock = await FolderLock.acquire(data, randomBytes);
  await expect(FolderLock.acquire(data, randomBytes)).rejects.toMatchObject({
    code: 'DATA_LOCKED',
    details: { pid: process.pid },
  });
  lock.release();
  const again = await FolderLock.acquire(data, randomBytes);
  again.release();
  expect(readdirSync(data)).toEqual([]);
});

test('of many takers of a dead owner’s folder exactly one has it, round after round', async () => {
  const data = folder('race');
  const takers = await Promise.all(Array.from({ length: 6 }, () => Taker.of(data)));
  for (let owner: Taker | undefined, round = 0; takers.length > 1; round++) {
    await owner?.kill();
    const answers = await Promise.all(takers.map((taker) => taker.take()));
    const owners = takers.filter((_, index) => answers[index] === 'owner');
    expect(owners.length, `round ${round}: ${answers}`).toBe(1);
    owner = owners[0]!;
    takers.splice(takers.indexOf(owner), 1);
    expect(readdirSync(data)).toEqual(['lock']);
  }
});

test('takers that come and go at random never have it together', async () => {
  const data = folder('storm');
  const witness = join(data, 'witness');
  mkdirSync(witness);
  let owned = 0;
  const storm = async () => {
    for (let round = 0; round < 40; round++) {
      const lock = await FolderLock.acquire(data, randomBytes).catch((error: { code: string }) => error.code);
      if (typeof lock === 'string') {
        expect(lock).toBe('DATA_LOCKED');
        continue;
      }
      owned++;
      mkdirSync(join(witness, 'owner'));
      await new Promise(setImmediate);
      renameSync(join(witness, 'owner'), join(witness, `was-${owned}`));
      lock.release();
    }
  };
  await Promise.all(Array.from({ length: 8 }, storm));
  expect(owned).toBeGreaterThan(20);
});

const canUnshare = spawnSync('unshare', ['-p', '-f', '--mount-proc', 'true']).status === 0;
if (!canUnshare) console.warn('PID NAMESPACES NOT CHECKED HERE: unshare -p -f --mount-proc is not permitted');

test.skipIf(!canUnshare)('an owner in another pid namespace is seen, whether both are pid 1 or not', async () => {
  const data = folder('namespaces');
  const namespace = ['unshare', '-p', '-f', '--mount-proc', '--kill-child=KILL'];
  const [inner, other, outer] = [
    await Taker.of(data, namespace),
    await Taker.of(data, namespace),
    await Taker.of(data),
  ];
  expect(await inner.take()).toBe('owner');
  expect(await other.take()).toMatch(/^DATA_LOCKED .* process 1;/);
  expect(await outer.take()).toMatch(/^DATA_LOCKED/);
  await inner.kill();
  // unshare is dead; what it started dies a moment later, by its parent's death signal.
  let answer = await other.take();
  for (let tries = 0; answer !== 'owner' && tries < 200; tries++) {
    await new Promise((resolve) => setTimeout(resolve, 20));
    answer = await other.take();
  }
  expect(answer).toBe('owner');
  expect(await outer.take()).toMatch(/^DATA_LOCKED/);
});

test('a path longer than a socket address, and dead takers’ drafts', async () => {
  const data = join(folder('long'), 'd'.repeat(120), 'e'.repeat(120));
  mkdirSync(data, { recursive: true });
  // What a taker leaves that is killed before its rename.
  const draft = join(data, 'lock.0123456789abcdef');
  mkdirSync(draft);
  writeFileSync(join(draft, '77-0123456789abcdef.sock'), '');
  const lock = await FolderLock.acquire(data, randomBytes);
  expect(readdirSync(data)).toEqual(['lock']);
  const other = await Taker.of(data);
  expect(await other.take()).toMatch(/^DATA_LOCKED/);
  lock.release();
  expect(await other.take()).toBe('owner');
});

test('what is not the lock’s own is left alone, and the folder refused with the reason', async () => {
  const data = folder('foreign');
  mkdirSync(join(data, 'lock'));
  writeFileSync(join(data, 'lock', 'notes.txt'), 'mine');
  await expect(FolderLock.acquire(data, randomBytes)).rejects.toMatchObject({
    code: 'CONFIG_INVALID',
    message: expect.stringContaining('lock/notes.txt'),
  });
  expect(readdirSync(data)).toEqual(['lock']);
  expect(readdirSync(join(data, 'lock'))).toEqual(['notes.txt']);
});

test('an owner that is stopped counts as alive, also when its queue of connections is full', async () => {
  const data = folder('full');
  const owner = await Taker.of(data);
  expect(await owner.take()).toBe('owner');
  owner.child.kill('SIGSTOP');
  const path = join(data, 'lock', readdirSync(join(data, 'lock'))[0]!);
  const codes = new Set<string>();
  const sockets = await Promise.all(
    Array.from({ length: 600 }, async () => {
      const socket = connect({ path });
      await once(socket, 'connect').catch(({ code }: NodeJS.ErrnoException) => codes.add(code!));
      return socket;
    }),
  );
  expect([...codes]).toEqual(['EAGAIN']);
  await expect(FolderLock.acquire(data, randomBytes)).rejects.toMatchObject({ code: 'DATA_LOCKED' });
  for (const socket of sockets) socket.destroy();
});
