/**
 * One thread's parts, built from its context: its views of the arena, and the steps over them. Files, time and random
 * numbers come from the machine, or from a simulator.
 */
import { RootedRows } from '../channel/rooted.ts';
import { ChannelTable } from '../channel/table.ts';
import { assert } from '../errors.ts';
import type { GroupLog } from '../journal/group-log.ts';
import { JournalWriter } from '../journal/writer.ts';
import { AckSender, type AnswerSink } from '../path/ack-sender.ts';
import { GROUP_CLAIMS_MAX } from '../path/commit-group.ts';
import { CommitStep } from '../path/commit-step.ts';
import type { NativePath } from '../path/native-path.ts';
import { PathMeasures } from '../path/path-measures.ts';
import { ReceiveStep } from '../path/receive-step.ts';
import { StageClock } from '../path/stage-clock.ts';
import { Standing } from '../path/standing.ts';
import { VerifyStep } from '../path/verify-step.ts';
import { AckRing } from '../ring/ack-ring.ts';
import { Arena } from '../ring/arena.ts';
import { ClaimRing } from '../ring/claim-ring.ts';
import { ControlWords } from '../ring/control-words.ts';
import { Counters } from '../ring/counters.ts';
import type { IdleStrategy } from '../ring/doorbell.ts';
import { GrownRows } from '../ring/grown-rows.ts';
import { SettingWords } from '../ring/setting-words.ts';
import { DatabaseLog } from '../store/database-log.ts';
import { HeldFence } from '../store/held-fence.ts';
import { openDatabase } from '../store/open-database.ts';
import { StoreCounts } from '../store/store-figures.ts';
import type { JournalFiles } from '../system/files.ts';
import { type Clock, nodeSystem, type System } from '../system/system.ts';
import type { Transport } from '../transport/transport.ts';
import { createBackend } from '../verify/select.ts';
import type { ThreadContext } from './context.ts';
import { Sockets } from './sockets.ts';

/** The most claims that one of several verifiers reserves at once, so that the others get some. */
export const SHARED_CLAIMS_MAX = 128;

/** What a thread uses of the machine besides its sockets. */
export interface ThreadSystem {
  files: JournalFiles;
  clock: Pick<Clock, 'wall' | 'monotonic'>;
  random: System['random'];
  /** Opens the store's database, where groups go to one. */
  openDatabase?: typeof openDatabase;
}

export class ThreadParts {
  readonly context: ThreadContext;
  readonly system: ThreadSystem;
  readonly arena: Arena;
  readonly ring: ClaimRing;
  readonly ackRing: AckRing;
  readonly table: ChannelTable;
  readonly control: ControlWords;
  /** What the main thread may change while this thread runs. */
  readonly settings: SettingWords;
  readonly counters: Counters;
  readonly stages: StageClock;
  readonly measures: PathMeasures | undefined;
  readonly standing: Standing | undefined;
  /** What is kept of leaves of signed roots, and the lane that this thread commits. */
  readonly rooted: { rows: RootedRows; lane: number } | undefined;

  constructor(context: ThreadContext, system: ThreadSystem = nodeSystem) {
    this.context = context;
    this.system = system;
    this.arena = new Arena(context.memory, context.shape);
    this.ring = new ClaimRing(this.arena, context.ring);
    this.ackRing = new AckRing(this.arena, context.ring);
    this.table = new ChannelTable(this.arena);
    if (context.rooted !== undefined) {
      const { memory, exposureMax } = context.rooted;
      this.rooted = { rows: new RootedRows(this.table, exposureMax, memory), lane: context.ring };
    }
    this.control = new ControlWords(this.arena);
    this.settings = new SettingWords(this.arena);
    this.counters = new Counters(this.arena, context.thread);
    this.stages = new StageClock(this.counters, system.clock);
    if (context.standing !== undefined) this.standing = new Standing(this.arena, context.ring, context.standing);
    const { arena, ring, ackRing } = this;
    // A lane's acks go straight to its sockets.
    const acks = context.role === 'lane' ? undefined : ackRing;
    if (context.measuring)
      this.measures = new PathMeasures({
        arena,
        number: context.ring,
        ring,
        acks,
        clock: system.clock,
        counters: this.counters,
      });
  }

  /** Whether Merkle batches are taken. Without, channels may still have leaves of an earlier run. */
  get #takesRoots(): boolean {
    return this.context.shape.hasFrames === true;
  }

  /** Milliseconds since 1970, never before a second that any thread has seen: what has expired stays expired. */
  now(): number {
    const wall = this.system.clock.wall();
    const seconds = Math.floor(wall / 1_000);
    const seen = this.control.advanceClock(seconds);
    return seen > seconds ? seen * 1_000 : wall;
  }

  verifyStep(): VerifyStep {
    const { backend, kernel, verify, role } = this.context;
    const claimsMax = role === 'lane' ? undefined : SHARED_CLAIMS_MAX;
    const { arena, ring, table, counters } = this;
    const roots = this.#takesRoots ? { counters, seed: Standing.newSeed(this.system.random) } : undefined;
    const chosen = createBackend(backend, arena, ring, table, kernel, verify, roots);
    return new VerifyStep(this.ring, chosen, claimsMax, this.measures, this.settings);
  }

  /** How this thread waits, where it blocks: as long as was set. */
  get idle(): IdleStrategy {
    const { settings } = this;
    const { spins, sleepMsMax } = this.context.idle;
    return {
      get spins() {
        return settings.get('idleSpins', spins);
      },
      sleepMsMax,
    };
  }

  /** Where this thread's groups go. A database is connected to before the thread is ready. */
  async openLog(): Promise<GroupLog> {
    const { database: start, ring } = this.context;
    if (start === undefined) return this.openJournal();
    const open = this.system.openDatabase ?? openDatabase;
    return new DatabaseLog(await open(start.address, new StoreCounts(start.counts)), new HeldFence(start.fence), ring);
  }

  openJournal(): JournalWriter {
    const { journal: start } = this.context;
    assert(start !== undefined, 'a node without a database has journals');
    const journal = new JournalWriter({
      ...start,
      ...this.system,
      groupClaimsMax: GROUP_CLAIMS_MAX,
    });
    this.ring.publishJournalSegment(journal.segment);
    return journal;
  }

  /** @param onSynced given where syncs may run beside this thread, see CommitStep */
  commitStep(journal: GroupLog, answers: AnswerSink, path?: NativePath, onSynced?: () => void): CommitStep {
    const { arena, ring, table, counters, stages: clock, measures, settings, standing } = this;
    const grown = new GrownRows(arena, this.context.ring);
    const parts = { arena, ring, table, counters, clock, journal, answers, path, grown, onSynced, measures, settings };
    return new CommitStep({ ...parts, standing, rooted: this.rooted, durability: this.context.durability });
  }

  /** Binds the sockets. Nothing is received before `sockets.startReceiving`, since the steps may not be ready. */
  openSockets(): Promise<Sockets> {
    const { counters, standing } = this;
    const { clock, random } = this.system;
    const isEqual = this.context.standing?.part === 1;
    return Sockets.open(this.context, {
      counters,
      clock,
      random,
      standing: isEqual ? undefined : standing,
      now: () => this.now(),
    });
  }

  /** The receive step, with the path in C where it is wanted, and the sender of acks. `transports` are by their id. */
  receiveStep(transports: readonly Transport[]): { receive: ReceiveStep; sender: AckSender } {
    const { arena, ring, table, counters, measures, standing } = this;
    const { random } = this.system;
    const sender = new AckSender(transports, counters, random);
    const receive = new ReceiveStep(arena, ring, table, sender, counters, random, measures, standing);
    if (this.context.path === 'native') receive.useNativePath(arena);
    receive.rooted = this.rooted?.rows;
    if (this.#takesRoots) receive.useRoots({ arena, number: this.context.ring, ring, table, counters, random });
    return { receive, sender };
  }
}
