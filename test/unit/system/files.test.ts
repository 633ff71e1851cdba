import { describe, expect, it } from 'vitest';
import { makeFolder } from '../../../src/system/files.ts';
import { MemoryFiles } from '../../support/memory-files.ts';

describe('makeFolder', () => {
  /** The folders synced by the call, in order. */
  function syncedBy(files: MemoryFiles, ...folders: [directory: string, top?: string]): string[] {
    const synced: string[] = [];
    files.before = (operation, path) => {
      if (operation === 'sync') synced.push(path);
    };
    makeFolder(files, ...folders);
    files.before = () => {};
    return synced;
  }

  it('syncs every folder whose names it changes', () => {
    const files = new MemoryFiles();
    files.mkdirSync('/home');
    expect(syncedBy(files, '/home/data/journal/0')).toEqual(['/home/data/journal', '/home/data', '/home']);
    expect(syncedBy(files, '/home/data/journal/1')).toEqual(['/home/data/journal']);
  });

  it('syncs the folders up to the top although they are there: a killed run may have made them', () => {
    const files = new MemoryFiles();
    files.mkdirSync('/home/data/journal/0');
    const chain = ['/home/data/journal', '/home/data', '/home'];
    expect(syncedBy(files, '/home/data/journal/0', '/home/data')).toEqual(chain);
    expect(syncedBy(files, '/home/data')).toEqual(['/home']);
    expect(syncedBy(files, '/new/data/journal/0', '/new/data')).toEqual([
      '/new/data/journal',
      '/new/data',
      '/new',
      '/',
    ]);
  });

  it('lets a folder above the top be that cannot be opened, and no other', () => {
    const files = new MemoryFiles();
    files.mkdirSync('/home/data/journal/0');
    const refuse = (refused: string) => {
      files.openSync = (path, flags) => {
        if (path === refused) throw Object.assign(new Error(path), { code: 'EACCES' });
        return MemoryFiles.prototype.openSync.call(files, path, flags);
      };
    };
    refuse('/home');
    makeFolder(files, '/home/data/journal/0', '/home/data');
    expect(() => makeFolder(files, '/home/other')).toThrow('/home');
    refuse('/home/data');
    expect(() => makeFolder(files, '/home/data/journal/0', '/home/data')).toThrow('/home/data');
  });
});
