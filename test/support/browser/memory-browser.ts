/** As much of IndexedDB and Web Locks as a page's payer uses, in memory. */
import type { WebGlobals } from '../../../src/client/web-globals.ts';

interface Request {
  result: unknown;
  error: Error | null;
  onsuccess: (() => void) | null;
  onerror: (() => void) | null;
  onupgradeneeded?: (() => void) | null;
  onblocked?: (() => void) | null;
}

export class MemoryBrowser {
  /** Whether writes fail. */
  fails = false;
  readonly durabilities: (string | undefined)[] = [];
  readonly #databases = new Map<string, Map<string, Map<string, unknown>>>();
  readonly #locks = new Set<string>();

  stored(database: string, store: string): Map<string, unknown> {
    return this.#databases.get(database)!.get(store)!;
  }

  readonly indexedDB = {
    open: (name: string) => {
      const isNew = !this.#databases.has(name);
      if (isNew) this.#databases.set(name, new Map());
      const request = this.#request(() => this.#database(name));
      request.result = this.#database(name);
      if (isNew) queueMicrotask(() => request.onupgradeneeded?.());
      return request;
    },
  } as unknown as WebGlobals['indexedDB'] & object;

  readonly navigator = {
    locks: {
      request: async (name: string, _options: object, held: (lock: object | null) => Promise<unknown>) => {
        if (this.#locks.has(name)) return await held(null);
        this.#locks.add(name);
        try {
          return await held({});
        } finally {
          this.#locks.delete(name);
        }
      },
    },
  };

  #database(name: string) {
    const stores = this.#databases.get(name)!;
    return {
      createObjectStore: (store: string) => stores.set(store, new Map()),
      close: () => {},
      transaction: (store: string, mode: string, options?: { durability: string }) => {
        if (mode === 'readwrite') this.durabilities.push(options?.durability);
        return this.#transaction(() => stores.get(store)!);
      },
    };
  }

  #transaction(rows: () => Map<string, unknown>) {
    const works: (() => void)[] = [];
    const transaction = {
      error: null as Error | null,
      oncomplete: null as (() => void) | null,
      onabort: null as (() => void) | null,
      objectStore: () => ({
        get: (key: string) => this.#request(() => rows().get(key)),
        getAll: () => this.#request(() => [...rows().values()]),
        getAllKeys: () => this.#request(() => [...rows().keys()]),
        put: (value: unknown, key: string) => works.push(() => rows().set(key, structured(value))),
        add: (value: unknown, key: string) => {
          const request = { error: null as Error | null };
          works.push(() => {
            if (rows().has(key)) {
              request.error = Object.assign(new Error('there'), { name: 'ConstraintError' });
              throw request.error;
            }
            rows().set(key, structured(value));
          });
          return request;
        },
      }),
    };
    setImmediate(() => {
      try {
        if (this.fails && works.length > 0) throw new Error('QuotaExceededError');
        for (const work of works) work();
        transaction.oncomplete?.();
      } catch (error) {
        transaction.error = error as Error;
        transaction.onabort?.();
      }
    });
    return transaction;
  }

  #request(result: () => unknown): Request {
    const request: Request = { result: undefined, error: null, onsuccess: null, onerror: null };
    setImmediate(() => {
      request.result = result();
      request.onsuccess?.();
    });
    return request;
  }
}

/** IndexedDB keeps a copy. */
function structured(value: unknown): unknown {
  return structuredClone(value);
}
