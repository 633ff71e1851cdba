/**
 * Faults put into the product on purpose, to see that the simulator notices them: it is worth what it finds. Each is an edit of a
 * source file; `make simulate ARGS="--break all"` says which seed finds which.
 */
import type { Edit } from './bundle.ts';

interface Break {
  name: string;
  edits: Edit[];
}

export const BREAKS: readonly Break[] = [
  {
    name: 'ack-before-sync',
    edits: [{ file: 'src/journal/writer.ts', from: 'this.#guard(() => this.#files.fdatasyncSync(this.#fd));', to: '' }],
  },
  {
    name: 'overlapped-sync-not-waited-for',
    edits: [
      {
        file: 'src/path/commit-step.ts',
        from: '      this.#isSyncing = true;\n      this.#clock.syncBegins();',
        to: '      this.#apply.apply(group);\n      this.#isSyncing = true;\n      this.#clock.syncBegins();',
      },
    ],
  },
  {
    name: 'sync-error-ignored',
    edits: [
      {
        file: 'src/journal/writer.ts',
        from: '      if (error === null) {',
        to: '      if (error === null || error !== null) {',
      },
    ],
  },
  {
    name: 'failed-writer-goes-on',
    edits: [{ file: 'src/journal/writer.ts', from: '    if (this.#failed)\n', to: '    if (this.#fd < 0)\n' }],
  },
  {
    name: 'equal-amount-is-new',
    edits: [
      {
        file: 'src/path/rules.ts',
        from: 'if (!isAbove(amountHigh, amountLow, committedHigh, table.committedLow(hot))) return STATUS.ALREADY;',
        to: 'if (isAbove(committedHigh, table.committedLow(hot), amountHigh, amountLow)) return STATUS.ALREADY;',
      },
      {
        file: 'src/channel/table.ts',
        from: 'if (isAbove(amountHigh, amountLow, this.words[hot + HOT_COMMITTED_HIGH]!, this.words[hot + HOT_COMMITTED_LOW]!)) {',
        to: 'if (!isAbove(this.words[hot + HOT_COMMITTED_HIGH]!, this.words[hot + HOT_COMMITTED_LOW]!, amountHigh, amountLow)) {',
      },
    ],
  },
  {
    name: 'last-record-dropped',
    edits: [
      {
        file: 'src/journal/walk.ts',
        from: 'for (let index = 0; index < count; index++) onClaim(',
        to: 'for (let index = 0; index < count - 1; index++) onClaim(',
      },
    ],
  },
  {
    name: 'dirty-mark-lost-after-failed-checkpoint',
    edits: [
      {
        file: 'src/registry/channel-store.ts',
        from: 'for (const dirty of rows) this.#table.markDirty(dirty);',
        to: '',
      },
    ],
  },
  {
    name: 'torn-tail-accepted',
    edits: [{ file: 'src/journal/reader.ts', from: 'crc32(', to: '0 * crc32(' }],
  },
  {
    name: 'segments-read-after-checkpoint',
    edits: [
      {
        file: 'src/threads/housekeeping.ts',
        from: '      await logs.release(segments);',
        to: '      await logs.release(topology.journalSegments);',
      },
    ],
  },
  {
    name: 'charge-answered-before-its-commit',
    edits: [
      {
        file: 'src/meter/charges.ts',
        from: 'await this.#tables.commit(changes);',
        to: 'void this.#tables.commit(changes).catch(() => {});',
      },
    ],
  },
  {
    name: 'charge-key-forgotten',
    edits: [
      {
        file: 'src/meter/charges.ts',
        from: 'if (earlier !== undefined) return this.#answerRepeated(charge, earlier, committed);',
        to: '',
      },
    ],
  },
  {
    name: 'close-without-fence',
    edits: [
      {
        file: 'src/registry/channel-store.ts',
        from: 'this.#leases.change(row, { open: false });\n      await this.#fence();\n      const channel = this.#leases.read(row);',
        to: 'const channel: Channel = { ...this.#leases.read(row), state: "closed" };\n      this.#leases.change(row, { open: false });',
      },
    ],
  },
  {
    name: 'change-in-force-before-it-is-durable',
    edits: [
      {
        file: 'src/registry/channel-store.ts',
        from: '      await this.#replaceOr(row, { ...this.#leases.read(row), capacity, expiresAt }, old);',
        to: '      void this.#replaceOr(row, { ...this.#leases.read(row), capacity, expiresAt }, old);',
      },
    ],
  },
  {
    name: 'folder-not-synced',
    edits: [
      { file: 'src/system/files.ts', from: "  withFile(files, directory, 'r', (fd) => files.fsyncSync(fd));", to: '' },
    ],
  },
  {
    name: 'verdict-not-looked-at',
    edits: [
      { file: 'src/path/stage-step.ts', from: 'if (verdict !== VERDICT_VALID) {', to: 'if (verdict !== verdict) {' },
    ],
  },
  {
    name: 'capacity-plus-one',
    edits: [
      {
        file: 'src/path/rules.ts',
        from: 'if (isAbove(amountHigh, amountLow, capacityHigh, Atomics.load(words, hot + HOT_CAPACITY_LOW)))',
        to: 'if (isAbove(amountHigh, amountLow, capacityHigh, Atomics.load(words, hot + HOT_CAPACITY_LOW) + 1))',
      },
    ],
  },
  {
    name: 'clock-may-fall',
    edits: [{ file: 'src/threads/parts.ts', from: 'return seen > seconds ? seen * 1_000 : wall;', to: 'return wall;' }],
  },
  {
    name: 'slots-freed-early',
    edits: [
      { file: 'src/path/apply-step.ts', from: 'ring.release(group.end);', to: 'ring.release((group.end + 1) >>> 0);' },
    ],
  },
  {
    name: 'redemption-submitted-before-its-intent',
    edits: [
      {
        file: 'src/ledger/redemption-journal.ts',
        from: 'await this.#tables.commit([entryOf(redemption), ...forgotten.map((old) => this.#removalOf(old))]);',
        to: 'void this.#tables.commit([entryOf(redemption)]).catch(() => {});',
      },
    ],
  },
  {
    name: 'redemption-under-way-forgotten',
    edits: [
      {
        file: 'src/ledger/redeemer.ts',
        from: 'for (const redemption of this.#journal.pending()) this.#resume(redemption);',
        to: '',
      },
      {
        file: 'src/ledger/redeemer.ts',
        from: 'const earlier = this.#journal.pendingOf(channelId);',
        to: 'const earlier = undefined as Redemption | undefined;',
      },
    ],
  },
  {
    name: 'server-behind-believed',
    edits: [
      {
        file: 'src/ledger/redemption-maker.ts',
        from: 'return paidOut > channel.balance ?',
        to: 'return paidOut < 0n ?',
      },
    ],
  },
  {
    name: 'redeemed-above-what-is-committed',
    edits: [
      {
        file: 'src/ledger/redeem-rules.ts',
        from: 'return { ...paymentChannelClaim({ account, channel: row }), Balance: balance.toString(), Flags };',
        to: 'return { ...paymentChannelClaim({ account, channel: row }), Amount: (row.committed + 1n).toString(), Balance: balance.toString(), Flags };',
      },
    ],
  },
  {
    name: 'groups-of-the-dead-not-read',
    edits: [
      {
        file: 'src/cluster/shard-work.ts',
        from: 'if (source !== undefined) await database.readGroups(',
        to: 'if (source === null) await database.readGroups(',
      },
    ],
  },
  {
    name: 'append-without-fence',
    edits: [
      {
        file: 'src/store/memory-database.ts',
        from: '      this.#expectFence(fence);\n      return effect;',
        to: '      if (call !== "append") this.#expectFence(fence);\n      return effect;',
      },
    ],
  },
  {
    name: 'shard-given-without-fence',
    edits: [{ file: 'src/node/shards.ts', from: '    await this.#parts.passFence();', to: '' }],
  },
  {
    name: 'moved-not-followed',
    edits: [
      {
        file: 'src/client/route/routed-link.ts',
        from: "this.#fetcher.refresh(isNewer ? 'newer' : 'moved', version);",
        to: 'void version;',
      },
    ],
  },
  {
    name: 'pieces-of-a-message-mixed-up',
    edits: [
      {
        file: 'protocol/stream.ts',
        from: 'this.#gathered.set(chunk.subarray(start, end), this.#gatheredBytes);',
        to: 'this.#gathered.set(chunk.subarray(start, end), Math.max(0, this.#gatheredBytes - 1));',
      },
    ],
  },
  {
    name: 'exposure-of-a-group-not-added-up',
    edits: [
      {
        file: 'src/path/leaf-stage.ts',
        from: 'if (!this.#rooted.reserve(row, high, low)) return STATUS.ROOT_EXPOSURE;',
        to: 'this.#rooted.reserve(row, high, low);',
      },
    ],
  },
  {
    name: 'root-overwrites-what-redeems',
    edits: [
      {
        file: 'src/channel/rooted.ts',
        from: 'const version = table.lock(hot);\n    this.#begin(row, hot);',
        to: 'const version = table.lock(hot);\n    this.#store(base + HAS, 1);',
      },
    ],
  },
  {
    name: 'proofs-not-kept-at-a-checkpoint',
    edits: [
      {
        file: 'src/journal/leaf-proofs.ts',
        from: 'if (changes.length > 0) await sides.commit(changes);',
        to: 'await sides.commit([]);',
      },
    ],
  },
  {
    name: 'recovery-not-synced',
    edits: [
      {
        file: 'src/journal/walk.ts',
        from: 'if (this.#options.sync !== false && this.#lastWithGroups > 0) {',
        to: 'if (this.#options.sync === null) {',
      },
    ],
  },
];
