/** One list of cases for all side tables: those in LMDB and their twin in memory. Then what is LMDB's alone. Test's thread. */
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, afterEach, describe, expect, test } from 'vitest';
import { ClaimwireError } from '../../../src/errors.ts';
import { closeFolder, openFolder } from '../../../src/folder/data-folder.ts';
import { Registry } from '../../../src/registry/registry.ts';
import { checkSideTables } from '../../../src/registry/side-check.ts';
import { SideStore, sideFolder } from '../../../src/registry/side-store.ts';
import { SIDE_LIMITS, type SideTables } from '../../../src/registry/side-tables.ts';
import type { ClaimDatabase } from '../../../src/store/claim-database.ts';
import { DatabaseSides } from '../../../src/store/database-sides.ts';
import { HeldFence } from '../../../src/store/held-fence.ts';
import { MemoryDatabase } from '../../../src/store/memory-database.ts';
import { nodeSystem } from '../../../src/system/system.ts';
import { MemorySideTables } from '../../support/memory-side-tables.ts';

const work = mkdtempSync(join(tmpdir(), 'claimwire-side-'));
afterAll(() => rmSync(work, { recursive: true, force: true }));
const silent = { info: () => {}, warn: () => {}, error: () => {} };

/** Side tables, and what may happen to them. */
interface Subject {
  readonly tables: SideTables;
  /** The next commit finds no room on the disk. */
  failNext(): void;
  /** The process is killed now; `tables` are then another process's. */
  kill(): void | Promise<void>;
  close(): Promise<void>;
}

let folders = 0;
const freshFolder = () => sideFolder(join(work, String(folders++)));

/** A disk on which nothing new fits, while `isFull`. */
const disk = { isFull: false };
const system = {
  ...nodeSystem,
  files: {
    ...nodeSystem.files,
    renameSync: (from: string, to: string) => {
      if (!disk.isFull) return nodeSystem.files.renameSync(from, to);
      disk.isFull = false;
      throw Object.assign(new Error('no space left on device'), { code: 28 });
    },
  },
};

class InLmdb implements Subject {
  tables: SideStore;
  readonly #opened: SideStore[] = [];
  constructor() {
    this.tables = this.#open(freshFolder());
  }
  #open(directory: string): SideStore {
    mkdirSync(dirname(directory), { recursive: true });
    checkSideTables(directory);
    const tables = SideStore.open(directory, system);
    this.#opened.push(tables);
    return tables;
  }
  failNext(): void {
    const isMade = existsSync(this.tables.directory);
    if (isMade) failTransaction(this.tables, 28);
    else disk.isFull = true;
  }
  /** Another process sees what the file holds at this moment. */
  kill(): void {
    const copy = freshFolder();
    if (existsSync(this.tables.directory)) cpSync(this.tables.directory, copy, { recursive: true });
    rmSync(join(copy, 'lock.mdb'), { force: true });
    this.tables = this.#open(copy);
  }
  async close(): Promise<void> {
    for (const tables of this.#opened) await tables.close();
  }
}

class InMemory implements Subject {
  tables = new MemorySideTables();
  failNext(): void {
    this.tables.failures = 1;
  }
  kill(): void {
    this.tables = this.tables.kill();
  }
  async close(): Promise<void> {}
}

/** Over the database's twin. */
class InDatabase implements Subject {
  tables!: DatabaseSides;
  readonly #database = new MemoryDatabase();
  #failures = 0;
  static async make(): Promise<InDatabase> {
    const subject = new InDatabase();
    await subject.kill();
    return subject;
  }
  failNext(): void {
    this.#failures = 1;
  }
  /** The next process enters the database anew, which ends what the one before had under way. */
  async kill(): Promise<void> {
    const fence = HeldFence.of(await this.#database.enter('one'));
    const commitSides: ClaimDatabase['commitSides'] = async (...call) => {
      if (this.#failures-- > 0) throw new ClaimwireError('REGISTRY_FULL', 'no room');
      await this.#database.commitSides(...call);
    };
    const readSides: ClaimDatabase['readSides'] = (...call) => this.#database.readSides(...call);
    this.tables = await DatabaseSides.load({ commitSides, readSides }, fence);
  }
  async close(): Promise<void> {}
}

const bytes = (text: string) => new Uint8Array(Buffer.from(text, 'latin1'));
const put = (table: string, key: string, value: string) => ({ table, key: bytes(key), value: bytes(value) });
const text = (value: Uint8Array | undefined) => value && Buffer.from(value).toString('latin1');

let subject: Subject;
afterEach(() => subject?.close());
const entriesOf = (table: string, from?: string) =>
  [...subject.tables.entries(table, from === undefined ? undefined : bytes(from))].map(
    ([key, value]) => `${text(key)}=${text(value)}`,
  );

describe.each([
  ['in LMDB', () => new InLmdb()],
  ['in memory', () => new InMemory()],
  ['in a database', () => InDatabase.make()],
] as const)('side tables %s', (_, make: () => Subject | Promise<Subject>) => {
  const fresh = async () => {
    subject = await make();
    return subject;
  };

  test('have nothing at first', async () => {
    const { tables } = await fresh();
    expect(tables.get('a', bytes('k'))).toBeUndefined();
    expect(entriesOf('a')).toEqual([]);
    await subject.kill();
    expect(entriesOf('a')).toEqual([]);
  });

  test('keep, replace and remove entries, for good', async () => {
    const { tables } = await fresh();
    await tables.commit([put('a', 'k', '1'), put('a', 'l', '2'), put('b-2', 'k', '')]);
    await tables.commit([put('a', 'k', '3'), { table: 'a', key: bytes('l') }, { table: 'c', key: bytes('none') }]);
    await tables.commit([]);
    for (const look of ['at once', 'after a kill']) {
      expect(text(subject.tables.get('a', bytes('k'))), look).toBe('3');
      expect(subject.tables.get('a', bytes('l')), look).toBeUndefined();
      expect(text(subject.tables.get('b-2', bytes('k'))), look).toBe('');
      await subject.kill();
    }
  });

  test("a table's entries come in the order of their keys' bytes, without those of other tables", async () => {
    const { tables } = await fresh();
    const keys = ['b', 'ab', 'a', '\xff\xff', '\x00', 'a\x00', '\x80'];
    await tables.commit(['t', 'ta', 's', 'u', 'z9'].flatMap((table) => keys.map((key) => put(table, key, table))));
    const sorted = ['\x00', 'a', 'a\x00', 'ab', 'b', '\x80', '\xff\xff'];
    expect(entriesOf('t')).toEqual(sorted.map((key) => `${key}=t`));
    expect(entriesOf('z9')).toEqual(sorted.map((key) => `${key}=z9`));
    expect(entriesOf('t', 'a\x00')).toEqual(['a\x00=t', 'ab=t', 'b=t', '\x80=t', '\xff\xff=t']);
    expect(entriesOf('t', 'aa')).toEqual(['ab=t', 'b=t', '\x80=t', '\xff\xff=t']);
    expect(entriesOf('t', '\xff\xff\x00')).toEqual([]);
  });

  test('take the largest entries, and give and take copies', async () => {
    const { tables } = await fresh();
    const table = 'a'.repeat(SIDE_LIMITS.tableNameMax);
    const key = new Uint8Array(SIDE_LIMITS.keyBytesMax).fill(255);
    const value = new Uint8Array(SIDE_LIMITS.valueBytesMax).fill(7);
    const committed = tables.commit([{ table, key, value }]);
    value.fill(0);
    await committed;
    await subject.kill();
    const got = subject.tables.get(table, key)!;
    expect(got.every((byte) => byte === 7) && got.length === SIDE_LIMITS.valueBytesMax).toBe(true);
    got.fill(1);
    expect(subject.tables.get(table, key)![0]).toBe(7);
    const [entry] = [...subject.tables.entries(table)];
    expect([entry![0].length, entry![1].length]).toEqual([key.length, value.length]);
    entry![1].fill(1);
    expect(subject.tables.get(table, key)![0]).toBe(7);
  });

  test('a commit is seen at once, also by who has read in the same event turn', async () => {
    const { tables } = await fresh();
    for (let turn = 0; turn < 30; turn++) {
      let seen: string | undefined;
      const committed = tables.commit([put('a', 'k', String(turn))]).then(() => {
        seen = text(tables.get('a', bytes('k')));
      });
      while (seen === undefined) {
        tables.get('a', bytes('k'));
        await new Promise(setImmediate);
      }
      await committed;
      expect(seen).toBe(String(turn));
    }
  });

  test('calls that wait take effect in their order', async () => {
    const { tables } = await fresh();
    await Promise.all(
      [1, 2, 3, 4, 5].map((turn) => tables.commit([put('a', 'k', String(turn)), put('a', `${turn}`, '')])),
    );
    await subject.kill();
    expect(entriesOf('a')).toEqual(['1=', '2=', '3=', '4=', '5=', 'k=5']);
  });

  test('a commit that failed left nothing, and the next one goes through', async () => {
    const { tables } = await fresh();
    for (const turn of [1, 2]) {
      subject.failNext();
      await expect(tables.commit([put('a', 'k', 'none'), put('b', 'k', 'none')])).rejects.toMatchObject({
        code: 'REGISTRY_FULL',
      });
      expect([...entriesOf('a'), ...entriesOf('b')]).toEqual(turn === 1 ? [] : ['k=1']);
      await tables.commit([put('a', 'k', String(turn))]);
    }
    await subject.kill();
    expect(entriesOf('a')).toEqual(['k=2']);
  });

  test('what was committed is there after a kill; of what was under way all or nothing', async () => {
    const { tables } = await fresh();
    await tables.commit([put('a', 'k', '1')]);
    tables.commit([put('a', 'k', '2'), put('a', 'l', '2')]).catch(() => {});
    await subject.kill();
    const left = entriesOf('a');
    expect([['k=1'], ['k=2', 'l=2']]).toContainEqual(left);
    // The other process's commits are its own: what the dead one had under way never comes after them.
    await subject.tables.commit([put('a', 'm', '3')]);
    expect(entriesOf('a')).toEqual([...left, 'm=3']);
  });
});

/** The next transaction fails with an error of LMDB. */
function failTransaction(tables: SideStore, code: number): void {
  const { database } = tables as unknown as { database: Record<string, unknown> };
  const real = database.batch;
  database.batch = () => {
    database.batch = real;
    return Promise.reject(Object.assign(new Error('the disk says no'), { code }));
  };
}

describe('in LMDB', () => {
  const fresh = (): SideStore => {
    const made = new InLmdb();
    subject = made;
    return made.tables;
  };

  test('calls that wait share a transaction', async () => {
    const tables = fresh();
    await tables.commit([put('a', 'k', '1')]);
    const { database } = tables as unknown as { database: { batch: (work: () => void) => Promise<void> } };
    const real = database.batch.bind(database);
    let transactions = 0;
    database.batch = (change) => {
      transactions++;
      return real(change);
    };
    const first = tables.commit([put('a', 'k', '2')]);
    await Promise.resolve();
    await Promise.all([first, ...Array.from({ length: 100 }, (_, turn) => tables.commit([put('a', `${turn}`, '')]))]);
    expect(transactions).toBe(2);
  });

  test('are written no more once it is not known what the file holds', async () => {
    const tables = fresh();
    await tables.commit([put('a', 'k', '1')]);
    failTransaction(tables, 5);
    const both = [tables.commit([put('a', 'k', '2')]), tables.commit([put('a', 'l', '2')])];
    for (const commit of [...both, both[0]!.catch(() => tables.commit([put('a', 'm', '3')]))])
      await expect(commit).rejects.toMatchObject({ code: 'REGISTRY_FAILED' });
    expect(entriesOf('a')).toEqual(['k=1']);
  });

  test('only so many bytes of changes wait', async () => {
    const tables = fresh();
    const value = new Uint8Array(SIDE_LIMITS.valueBytesMax);
    const count = SIDE_LIMITS.waitingBytesMax / value.length;
    const changes = Array.from({ length: count - 2 }, () => ({ table: 'a', key: bytes('k'), value }));
    const first = tables.commit(changes);
    await expect(tables.commit(changes)).rejects.toMatchObject({ code: 'NODE_BUSY' });
    await first;
    // What is committed waits no more.
    await tables.commit(changes);
    await tables.commit([put('a', 'k', 'small')]);
    expect(entriesOf('a')).toEqual(['k=small']);
  });

  test('names, keys and values out of range are a bug of the caller', async () => {
    const tables = fresh();
    const [key, value] = [bytes('k'), new Uint8Array(SIDE_LIMITS.valueBytesMax + 1)];
    for (const table of ['', 'A', 'a b', 'a'.repeat(33)])
      await expect(tables.commit([{ table, key }])).rejects.toThrow("a side table's name");
    await expect(tables.commit([{ table: 'a', key: new Uint8Array() }])).rejects.toThrow('1 to 128 bytes');
    await expect(tables.commit([{ table: 'a', key: new Uint8Array(129) }])).rejects.toThrow('1 to 128 bytes');
    await expect(tables.commit([{ table: 'a', key, value }])).rejects.toThrow('up to 65536 bytes');
  });
});

describe('the folder of the side tables', () => {
  const folder = () => join(work, String(folders++));

  test('comes with the first commit; a half-made one of a killed run goes', async () => {
    const data = folder();
    const first = await openFolder(data, nodeSystem, silent);
    expect(readdirSync(data)).not.toContain('side');
    await first.side.commit([put('a', 'k', '1')]);
    await closeFolder(first, silent);
    mkdirSync(join(data, 'side.0123456789ab.new'));
    const again = await openFolder(data, nodeSystem, silent);
    expect(text(again.side.get('a', bytes('k')))).toBe('1');
    expect(readdirSync(data)).not.toContain('side.0123456789ab.new');
    const registry = Registry.open(join(data, 'registry'), { readOnly: true });
    expect(registry.count).toBe(0);
    await registry.close();
    await closeFolder(again, silent);
  });

  test('a flipped bit anywhere is found before LMDB reads the file, and nothing is changed', async () => {
    const data = folder();
    const first = await openFolder(data, nodeSystem, silent);
    await first.side.commit([put('a', 'k', 'the value'), put('a', 'l', 'x'.repeat(9_000))]);
    await closeFolder(first, silent);
    const file = join(sideFolder(data), 'data.mdb');
    const sound = readFileSync(file);
    const flips = [sound.indexOf('the value') + 2, sound.indexOf('xxxx') + 5_000, 24, sound.indexOf('\x01ak') + 1];
    for (const place of flips) {
      const damaged = Buffer.from(sound);
      damaged[place]! ^= 0x10;
      writeFileSync(file, damaged);
      await expect(openFolder(data, nodeSystem, silent), `byte ${place}`).rejects.toMatchObject({
        code: 'REGISTRY_CORRUPT',
      });
      expect(readFileSync(file).equals(damaged)).toBe(true);
    }
    writeFileSync(file, sound);
    await closeFolder(await openFolder(data, nodeSystem, silent), silent);
  });

  test('a meta page that a loss of power made garbage is restored', async () => {
    const data = folder();
    const first = await openFolder(data, nodeSystem, silent);
    for (const value of ['1', '2', '3']) await first.side.commit([put('a', 'k', value)]);
    await closeFolder(first, silent);
    const file = join(sideFolder(data), 'data.mdb');
    const torn = readFileSync(file);
    // The transaction numbers of the two meta pages: the newer one is torn.
    const newer = torn.readBigUInt64LE(152) > torn.readBigUInt64LE(4096 + 152) ? 0 : 4096;
    torn.fill(0xa5, newer, newer + 4096);
    writeFileSync(file, torn);
    const again = await openFolder(data, nodeSystem, silent);
    expect(text(again.side.get('a', bytes('k')))).toBe('2');
    await closeFolder(again, silent);
  });
});

describe('in a database', () => {
  const rig = async () => {
    const database = new MemoryDatabase();
    const fence = HeldFence.of(await database.enter('one'));
    let commits = 0;
    const counting = {
      readSides: database.readSides.bind(database),
      commitSides: (...call: Parameters<ClaimDatabase['commitSides']>) => {
        commits++;
        return database.commitSides(...call);
      },
    };
    return { database, fence, counting, commits: () => commits };
  };

  test('calls that come while a commit is under way share the next, and no commit is too large', async () => {
    const { fence, counting, commits } = await rig();
    const tables = await DatabaseSides.load(counting, fence);
    await Promise.all(Array.from({ length: 50 }, (_, number) => tables.commit([put('a', `k${number}`, '1')])));
    expect(commits()).toBe(1);
    const value = new Uint8Array(SIDE_LIMITS.valueBytesMax);
    await Promise.all(
      Array.from({ length: 65 }, (_, number) => tables.commit([{ table: 'b', key: bytes(`${number}`), value }])),
    );
    expect(commits()).toBe(3);
  });

  test('only so many bytes of changes wait, and only so many of entries are kept', async () => {
    const { fence, counting } = await rig();
    const tables = await DatabaseSides.load(counting, fence, 1_000);
    await tables.commit([put('a', 'k', 'x'.repeat(500))]);
    await expect(tables.commit([put('a', 'l', 'x'.repeat(500))])).rejects.toMatchObject({ code: 'REGISTRY_FULL' });
    await tables.commit([{ table: 'a', key: bytes('k') }]);
    await tables.commit([put('a', 'l', 'x'.repeat(500))]);
    await expect(DatabaseSides.load(counting, fence, 100)).rejects.toMatchObject({ code: 'REGISTRY_FULL' });
    const large = await DatabaseSides.load(counting, fence);
    const value = new Uint8Array(SIDE_LIMITS.valueBytesMax);
    const changes = Array.from({ length: 1_000 }, () => ({ table: 'a', key: bytes('k'), value }));
    const first = large.commit(changes);
    await expect(large.commit(changes)).rejects.toMatchObject({ code: 'NODE_BUSY' });
    await first;
  });

  test('names, keys and values out of range are a bug of the caller, and fail nobody else', async () => {
    const { fence, counting } = await rig();
    const tables = await DatabaseSides.load(counting, fence);
    const [key, value] = [bytes('k'), new Uint8Array(SIDE_LIMITS.valueBytesMax + 1)];
    const other = tables.commit([put('a', 'k', '1')]);
    await expect(tables.commit([{ table: 'A', key }])).rejects.toThrow("a side table's name");
    await expect(tables.commit([{ table: 'a', key: new Uint8Array() }])).rejects.toThrow('1 to 128 bytes');
    await expect(tables.commit([{ table: 'a', key, value }])).rejects.toThrow('up to 65536 bytes');
    await other;
  });
});
