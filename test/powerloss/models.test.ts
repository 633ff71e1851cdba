import { describe, expect, it } from 'vitest';
import { random } from '../support/random.ts';
import { Disk } from './disk.ts';
import { type ImageFolder, imageOf, MODELS, type Model } from './models.ts';
import { Script } from './synthetic.ts';

const IMAGES = 200;
const BLOCK = 4096;
const LOSING: Model[] = ['strict', 'ordered', 'torn512', 'torn4096'];

/** Images of the disk at the script's end. */
function images(script: Script, model: Model): ImageFolder[] {
  const disk = new Disk();
  for (const [at, record] of script.records.entries()) disk.apply(record, at);
  return Array.from({ length: IMAGES }, (_, seed) => imageOf(disk, model, random(seed)));
}

/** A file that is durable, name and contents, and open. */
function withFile(contents: Uint8Array): { script: Script; fd: number } {
  const script = new Script();
  const fd = script.open('file', { create: true });
  script.write(fd, 0, contents).fsync(fd).syncFolder('');
  return { script, fd };
}

const filled = (byte: number, length: number) => Buffer.alloc(length, byte);
const fileOf = (image: ImageFolder, name = 'file') => image[name] as Buffer | undefined;
/** The different values of a property of images, sorted. */
const values = (found: readonly ImageFolder[], of: (image: ImageFolder) => unknown) =>
  [...new Set(found.map((image) => String(of(image))))].sort();

describe('contents', () => {
  it('are all there under every model once they are synced, and their name too', () => {
    for (const model of MODELS)
      for (const image of images(withFile(filled(1, 3 * BLOCK)).script, model))
        expect(fileOf(image)!.equals(filled(1, 3 * BLOCK)), model).toBe(true);
  });

  it('may be lost, kept and split when they are not synced, unless the process alone dies', () => {
    const { script, fd } = withFile(filled(1, 2 * BLOCK));
    script.write(fd, 0, filled(2, 2 * BLOCK));
    for (const model of LOSING) {
      const seen = values(images(script, model), (image) => `${fileOf(image)![0]},${fileOf(image)![BLOCK]}`);
      expect(seen, model).toEqual(expect.arrayContaining(['1,1', '1,2', '2,1', '2,2']));
    }
    expect(values(images(script, 'kept'), (image) => fileOf(image)![0])).toEqual(['2']);
  });

  it('are torn inside a page by 512 alone, and garbage by 4096 alone, whole blocks with what was synced before', () => {
    const { script, fd } = withFile(filled(1, BLOCK));
    script.write(fd, 512, filled(2, 1024));
    const split = (image: ImageFolder) => `${fileOf(image)![512]},${fileOf(image)![1024]}`;
    expect(values(images(script, 'ordered'), split)).toEqual(['1,1', '2,2']);
    expect(values(images(script, 'torn512'), split)).toEqual(['1,1', '1,2', '2,1', '2,2']);
    const isSpoilt = (image: ImageFolder) => !fileOf(image)!.subarray(2048).equals(filled(1, 2048));
    expect(values(images(script, 'torn512'), isSpoilt)).toEqual(['false']);
    expect(values(images(script, 'torn4096'), isSpoilt)).toEqual(['false', 'true']);
  });

  it('are never garbage in a block that no unsynced write touches', () => {
    const { script, fd } = withFile(filled(1, 2 * BLOCK));
    script.write(fd, BLOCK, filled(2, 512));
    for (const image of images(script, 'torn4096'))
      expect(fileOf(image)!.subarray(0, BLOCK).equals(filled(1, BLOCK))).toBe(true);
  });

  it('count as synced from the end of a sync, and only what stood before it began', () => {
    const { script, fd } = withFile(filled(1, BLOCK));
    script.write(fd, 0, filled(2, BLOCK));
    const call = script.beginSync(fd);
    expect(values(images(script, 'ordered'), (image) => fileOf(image)![0])).toEqual(['1', '2']);
    script.write(fd, 0, filled(3, BLOCK)).endSync(fd, call);
    expect(values(images(script, 'ordered'), (image) => fileOf(image)![0])).toEqual(['2', '3']);
  });

  it('written with O_DSYNC are durable when the call is back, and nothing else of the file is', () => {
    const { script, fd } = withFile(filled(1, 2 * BLOCK));
    const synced = script.open('file', { dsync: true });
    script.write(fd, 0, filled(2, BLOCK)).writeSynced(synced, BLOCK, filled(3, BLOCK), false);
    const seen = (model: Model) => values(images(script, model), (image) => fileOf(image)![BLOCK]);
    expect(seen('ordered')).toEqual(['1', '3']);
    script.writeSynced(synced, BLOCK, filled(4, BLOCK));
    expect(seen('ordered')).toEqual(['4']);
    expect(values(images(script, 'ordered'), (image) => fileOf(image)![0])).toEqual(['1', '2']);
  });

  it('lose their length with their bytes, and a truncation may come undone', () => {
    const { script, fd } = withFile(filled(1, BLOCK));
    script.write(fd, BLOCK, filled(2, BLOCK));
    const lengths = (model: Model) => values(images(script, model), (image) => fileOf(image)!.length);
    expect(lengths('strict')).toEqual([String(BLOCK), String(2 * BLOCK)]);
    script.fdatasync(fd);
    expect(lengths('strict')).toEqual([String(2 * BLOCK)]);
    script.open('file', { truncate: true });
    expect(lengths('strict')).toEqual(['0', String(2 * BLOCK)]);
  });

  it('outlive the process, unsynced as they were', () => {
    const { script, fd } = withFile(filled(1, BLOCK));
    script.write(fd, 0, filled(2, BLOCK)).restart();
    expect(values(images(script, 'kept'), (image) => fileOf(image)![0])).toEqual(['2']);
    expect(values(images(script, 'ordered'), (image) => fileOf(image)![0])).toEqual(['1', '2']);
    script.fsync(script.open('file'));
    expect(values(images(script, 'ordered'), (image) => fileOf(image)![0])).toEqual(['2']);
  });
});

describe('names', () => {
  const named = (image: ImageFolder) => Object.keys(image).sort().join();

  it('may be lost though the file is synced, until its folder is: by the letter of POSIX alone', () => {
    const script = new Script();
    const fd = script.open('file', { create: true });
    script.write(fd, 0, filled(1, BLOCK)).fsync(fd);
    expect(values(images(script, 'strict'), named)).toEqual(['', 'file']);
    expect(values(images(script, 'ordered'), named)).toEqual(['file']);
    script.syncFolder('');
    expect(values(images(script, 'strict'), named)).toEqual(['file']);
  });

  it('are not made durable by a sync of data alone', () => {
    const script = new Script();
    script.fdatasync(script.open('file', { create: true }));
    for (const model of LOSING) expect(values(images(script, model), named), model).toEqual(['', 'file']);
  });

  it('are lost with the folder above, whose own name nobody synced', () => {
    const script = new Script().mkdir('folder');
    const fd = script.open('folder/file', { create: true });
    script.fsync(fd).syncFolder('folder');
    const shape = (image: ImageFolder) => ('folder' in image ? named(image.folder as ImageFolder) : 'none');
    expect(values(images(script, 'strict'), shape)).toEqual(['file', 'none']);
    expect(values(images(script, 'ordered'), shape)).toEqual(['file']);
    script.syncFolder('');
    expect(values(images(script, 'strict'), shape)).toEqual(['file']);
  });

  it('change in any combination under POSIX, and in their order in a journal', () => {
    const script = new Script();
    for (const name of ['a', 'b', 'c']) script.open(name, { create: true });
    expect(values(images(script, 'strict'), named)).toHaveLength(8);
    expect(values(images(script, 'ordered'), named)).toEqual(['', 'a', 'a,b', 'a,b,c']);
    expect(values(images(script, 'kept'), named)).toEqual(['a,b,c']);
  });

  it('keep a file that was renamed under one of its names', () => {
    const { script } = withFile(filled(1, BLOCK));
    script.rename('file', 'other');
    for (const model of LOSING) expect(values(images(script, model), named), model).toEqual(['file', 'other']);
    script.syncFolder('');
    for (const model of LOSING) expect(values(images(script, model), named), model).toEqual(['other']);
  });

  it('may be linked and not yet unlinked, or under POSIX unlinked and not linked', () => {
    const { script } = withFile(filled(1, BLOCK));
    script.link('file', 'other').unlink('file');
    expect(values(images(script, 'ordered'), named)).toEqual(['file', 'file,other', 'other']);
    expect(values(images(script, 'strict'), named)).toEqual(['', 'file', 'file,other', 'other']);
    for (const image of images(script, 'ordered'))
      for (const contents of Object.values(image)) expect((contents as Buffer).equals(filled(1, BLOCK))).toBe(true);
  });
});

it('the same seed makes the same image', () => {
  const { script, fd } = withFile(filled(1, 8 * BLOCK));
  script.write(fd, 100, filled(2, 6 * BLOCK));
  const drawn = (model: Model) => images(script, model).map((image) => fileOf(image)!.toString('base64'));
  for (const model of MODELS) {
    const [once, again] = [drawn(model).join(), drawn(model).join()];
    expect(once === again, model).toBe(true);
  }
  expect(new Set(drawn('torn4096')).size).toBeGreaterThan(IMAGES / 2);
});
