/**
 * The store in the data folder: the registry and the side tables in LMDB, and a journal per lane. The default. Main thread.
 */
import type { ChannelTable } from '../channel/table.ts';
import { closeFolder, loadChannels, type OwnedFolder, openFolder } from '../folder/data-folder.ts';
import { Journals } from '../journal/lane-journals.ts';
import { LeafProofs } from '../journal/leaf-proofs.ts';
import type { Logger } from '../log.ts';
import type { ChannelStore, RowStore } from '../registry/channel-store.ts';
import { nativeLeafLoad } from '../registry/native-rows.ts';
import type { SideTables } from '../registry/side-tables.ts';
import type { System } from '../system/system.ts';
import type { ClaimLogs, OpenedStore } from './store.ts';

export interface EmbeddedOptions {
  data: string;
  segmentBytes: number;
  /** What groups are aligned to. */
  blockBytes: number;
  /** Whether groups may have frames of signed roots. */
  hasFrames?: boolean | undefined;
  /** Whether a corrupt journal is cut at its bad place. */
  cut: boolean;
  /** Whether it takes signed roots, and the drops that their leaves may expose. */
  roots: boolean;
  rootExposureDrops: number;
}

export class EmbeddedStore implements OpenedStore {
  readonly kind = 'embedded';
  readonly isAnswering = true;
  readonly #folder: OwnedFolder;
  readonly #options: EmbeddedOptions;
  readonly #system: System;
  readonly #logger: Logger;
  #leaves: LeafProofs | undefined;

  private constructor(folder: OwnedFolder, options: EmbeddedOptions, system: System, logger: Logger) {
    this.#folder = folder;
    this.#options = options;
    this.#system = system;
    this.#logger = logger;
  }

  /** Throws CONFIG_INVALID, DATA_LOCKED or REGISTRY_CORRUPT. */
  static async open(options: EmbeddedOptions, system: System, logger: Logger): Promise<EmbeddedStore> {
    return new EmbeddedStore(await openFolder(options.data, system, logger), options, system, logger);
  }

  get count(): number {
    return this.#folder.registry.count;
  }
  get rows(): RowStore {
    return this.#folder.registry;
  }
  get sides(): SideTables {
    return this.#folder.side;
  }

  get leaves(): LeafProofs | undefined {
    return this.#leaves;
  }

  /** Throws JOURNAL_CORRUPT or REGISTRY_CORRUPT. */
  async recover(channels: ChannelStore, table: ChannelTable, lanes: number): Promise<ClaimLogs> {
    const { registry, side: sides } = this.#folder;
    const { data, roots, rootExposureDrops: exposureMax } = this.#options;
    const leaves = new LeafProofs({ table, sides, files: this.#system.files, data, exposureMax });
    this.#leaves = leaves;
    channels.leaves = leaves;
    if (roots) leaves.makeRows();
    loadChannels(registry, channels, nativeLeafLoad(table));
    leaves.load();
    const onLeaf = leaves.replay.bind(leaves);
    const options = { ...this.#options, lanes, hasFrames: roots, onLeaf, logger: this.#logger };
    const journals = Journals.replay(options, registry, table, this.#system);
    leaves.rows?.recount();
    return {
      starts: journals.starts.map((journal) => ({ journal })),
      begin: () => journals.begin(),
      prepare: (segments) => journals.prepare(segments),
      hasGrown: (segments) => journals.hasGrown(segments),
      release: (segments) => journals.release(segments),
      end: (segments) => journals.end(segments),
    };
  }

  abandon(): void {}

  close(): Promise<void> {
    return closeFolder(this.#folder, this.#logger);
  }
}
