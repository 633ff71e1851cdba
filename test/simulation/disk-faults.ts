/**
 * What goes wrong with one process's disk: where it is cut off, which calls fail, which are slow. The registry's and the side
 * tables' commits go through here too: each is there whole or not at all, told of or not.
 */
import { ClaimwireError } from '../../src/errors.ts';
import type { CommitDisk } from '../support/commit-disk.ts';
import { coded, type DiskFaults, type DiskOperation } from './files.ts';
import type { World } from './world.ts';

/** Thrown out of the call at which the process ended; nothing that catches it gets any further. */
export class ProcessEnded extends Error {}

const FAST_MS = 0.02;
const SLOW_MS = 30;
/** Longer than what a node waits before it says that its disk hangs, and than the 5 seconds after which it changes nothing. */
const HUNG_MS = 7_000;

interface Process {
  readonly isDead: boolean;
  /** Ends it, here and now. */
  crash(): void;
  /** The sync of a group will take so long. */
  hangs(forMs: number): void;
}

export class ProcessDisk implements DiskFaults {
  /** How many more operations the process makes before it ends. */
  operationsLeft = Number.POSITIVE_INFINITY;
  /** Errors that calls of this process were given: without one, none of its threads may fail. */
  errors = 0;
  readonly #world: World;
  readonly #process: Process;
  #failsForGood = false;
  #fullUntil = 0;
  #isRegistryLost = false;
  /** Commits follow one another. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(world: World, process: Process) {
    this.#world = world;
    this.#process = process;
  }

  before(operation: DiskOperation, path: string): void {
    if (this.#process.isDead) throw new ProcessEnded();
    if (operation === 'read') return;
    const world = this.#world;
    world.trace.note(() => `disk ${operation} ${path}`);
    if (--this.operationsLeft <= 0) this.#end(() => `${operation} ${path}`);
    if (world.isCalm) return;
    if (!this.#failsForGood && !world.strikes('eio')) return;
    if (this.#failsForGood || world.strikes('eioForGood')) {
      if (!this.#failsForGood) world.happened('disk.eio-for-good', () => `${operation} ${path}`);
      this.#failsForGood = true;
    } else world.happened('disk.eio-once', () => `${operation} ${path}`);
    if (operation === 'sync') world.happened('disk.lost-pages');
    this.errors++;
    throw coded('EIO', path);
  }

  room(path: string, bytes: number): number {
    const world = this.#world;
    if (world.scheduler.now >= this.#fullUntil) {
      if (!world.strikes('diskFull')) return bytes;
      this.#fullUntil = world.scheduler.now + world.chance.spread(1, 200);
    }
    if (world.isCalm) return bytes;
    this.errors++;
    const some = world.strikes('shortWrite') ? world.chance.random.below(bytes) : 0;
    world.happened(some > 0 ? 'disk.short-write' : 'disk.full', () => path);
    return some;
  }

  duration(operation: DiskOperation): number {
    const world = this.#world;
    const usual = operation === 'sync' ? world.plan.syncMs : FAST_MS;
    if (operation === 'read') return 0;
    if (world.strikes('diskSlow')) {
      world.happened('disk.slow');
      return world.chance.spread(1, SLOW_MS);
    }
    return usual * (0.5 + world.chance.fraction());
  }

  hangs(path: string): number {
    if (!path.endsWith('.seg') || !this.#world.strikes('diskHung')) return 0;
    this.#world.happened('disk.hung', () => path);
    this.#process.hangs(HUNG_MS);
    return HUNG_MS;
  }

  /** Where the registry, or the side tables, commit. */
  get commits(): CommitDisk {
    return {
      later: (apply) => {
        const done = this.#last.then(() => this.#commitLater(apply));
        this.#last = done.catch(() => undefined);
        return done;
      },
      now: (apply) => this.#commit(apply),
    };
  }

  #commitLater(apply: () => void): Promise<void> {
    const { scheduler, chance, plan } = this.#world;
    return new Promise((resolve, reject) => {
      scheduler.after(chance.fraction() * plan.commitMs, () => {
        try {
          this.#commit(apply);
          resolve();
        } catch (error) {
          if (!(error instanceof ProcessEnded)) reject(error);
        }
      });
    });
  }

  #commit(apply: () => void): void {
    if (this.#process.isDead) throw new ProcessEnded();
    const world = this.#world;
    world.trace.note(() => 'registry commit');
    if (--this.operationsLeft <= 0) {
      if (world.chance.is(0.5)) {
        apply();
        world.happened('crash.commit-kept');
      }
      this.#end(() => 'commit of the registry');
    }
    if (this.#isRegistryLost || world.strikes('registryFailed')) {
      if (!this.#isRegistryLost && world.chance.is(0.5)) apply();
      world.happened('registry.failed');
      this.#isRegistryLost = true;
      this.errors++;
      throw new ClaimwireError('REGISTRY_FAILED', 'registry in memory: expected the disk to take it, got EIO');
    }
    if (world.strikes('registryFull')) {
      world.happened('registry.full');
      this.errors++;
      throw new ClaimwireError('REGISTRY_FULL', 'registry in memory: expected room on the disk, got none');
    }
    apply();
  }

  #end(where: () => string): never {
    this.#world.happened('crash.at-operation', where);
    this.#process.crash();
    throw new ProcessEnded();
  }
}
