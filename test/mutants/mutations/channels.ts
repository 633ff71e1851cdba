/** The channel table, the registry's store over it, and what was paid without a claim. */
import type { Mutation } from '../mutation.ts';

const TABLE_TESTS = 'test/unit/channel/table.test.ts';
const ORDER_TESTS = 'test/unit/channel/table-order.test.ts';
const STORE_TESTS = 'test/unit/registry/channel-store.test.ts';
const REMOVE_TESTS = 'test/unit/registry/channel-remove.test.ts';
const TABLE = 'src/channel/table.ts';
const STORE = 'src/registry/channel-store.ts';

export const CHANNELS: readonly Mutation[] = [
  {
    name: 'lower-amount-committed',
    file: TABLE,
    find: 'if (!isAbove(amountHigh, amountLow, words[hot + HOT_COMMITTED_HIGH]!, words[hot + HOT_COMMITTED_LOW]!))',
    put: 'if (!isAbove(amountHigh, amountLow, 0, 0))',
    harm: 'Of two lanes the slower one takes a balance back; so does a replay.',
    killer: { file: TABLE_TESTS, title: 'a table does what a Map does, under random operations' },
  },
  {
    name: 'row-unlocked-before-its-signature',
    file: TABLE,
    find: 'if (!isKept && this.storeBest(hot, view, offset)) this.storeSignature(row, view, offset);\n    this.unlock(hot, version);',
    put: 'const isBest = !isKept && this.storeBest(hot, view, offset);\n    this.unlock(hot, version);\n    if (isBest) this.storeSignature(row, view, offset);',
    harm: 'An amount is read, and settled, with the signature of another.',
    killer: { file: ORDER_TESTS, title: 'while a claim is committed is locked' },
  },
  {
    name: 'halves-of-two-amounts',
    file: TABLE,
    find: '      Atomics.store(this.words, hot + HOT_COMMITTED_LOW, 0);\n',
    put: '',
    harm: 'For a moment a balance is read four billion drops too high, and charged against.',
    killer: { file: TABLE_TESTS, title: 'never reads more than was stored' },
  },
  {
    name: 'torn-row-read',
    file: TABLE,
    find: 'if (Atomics.load(this.#ints, hot + HOT_VERSION) === version) return channel;',
    put: 'return channel;',
    harm: 'A row is read while it is written: an amount with the signature of another.',
    killer: { file: ORDER_TESTS, title: 'is read as one claim left it' },
  },
  {
    name: 'keys-of-two-channels-shared',
    file: TABLE,
    find: 'while (same < PUBLIC_KEY_BYTES && this.#bytes',
    put: 'while (same < PUBLIC_KEY_BYTES - 1 && this.#bytes',
    harm: "A channel's claims are checked against a key that differs in its last byte.",
    killer: { file: TABLE_TESTS, title: 'channels of one key share it; keys that differ in any byte do not' },
  },
  {
    name: 'raise-keeps-its-signature',
    file: TABLE,
    find: 'for (let word = 0; word < SIGNATURE_WORDS; word++) Atomics.store(words, signature + word, 0);',
    put: '',
    harm: 'An amount that no claim paid stands beside a signature for less, which the ledger refuses.',
    killer: { file: STORE_TESTS, title: 'a committed amount is raised without a claim, durably, and never lowered' },
  },
  {
    name: 'dirty-mark-lost-after-a-failed-checkpoint',
    file: STORE,
    find: 'for (const dirty of rows) this.#table.markDirty(dirty);',
    put: '',
    harm: 'The next checkpoint passes over these rows, and their claims go with the journal.',
    killer: {
      file: STORE_TESTS,
      title: 'rows of a checkpoint that failed are written by the next one, and by it alone',
    },
  },
  {
    name: 'close-without-fence',
    file: STORE,
    find: 'this.#leases.change(row, { open: false });\n      await this.#fence();\n      const channel',
    put: 'this.#leases.change(row, { open: false });\n      const channel',
    harm: 'A claim is accepted after its channel was reported closed, and its last amount.',
    killer: { file: STORE_TESTS, title: 'a channel is closed before its fence' },
  },
  {
    name: 'removal-without-fence',
    file: STORE,
    find: 'if (leaving.size > 0) await this.#fence();',
    put: '',
    harm: 'A channel is removed while its first amount is being committed, and the money with it.',
    killer: { file: REMOVE_TESTS, title: 'the first amount that a group commits during the removal refuses it' },
  },
  {
    name: 'lower-capacity-without-fence',
    file: STORE,
    find: '        await this.#fence();\n        const { committed }',
    put: '        const { committed }',
    harm: 'More is committed than the capacity that an operator was told is in force.',
    killer: { file: STORE_TESTS, title: 'a lower capacity is in force before its fence' },
  },
  {
    name: 'extension-before-it-is-durable',
    file: STORE,
    find: 'await this.#replaceOr(row, { ...this.#leases.read(row), capacity, expiresAt }, old);\n      this.#leases.change(row, { capacity, expiresAt });',
    put: 'this.#leases.change(row, { capacity, expiresAt });\n      await this.#replaceOr(row, { ...this.#leases.read(row), capacity, expiresAt }, old);',
    harm: 'A claim is accepted because of a deposit that a crash undoes.',
    killer: { file: STORE_TESTS, title: 'a higher capacity and a later expiry are durable before they are in force' },
  },
  {
    name: 'removal-not-undone',
    file: STORE,
    find: 'for (const [row, { wasOpen }] of leaving) this.#leases.change(row, { open: wasOpen });\n        throw error;',
    put: 'throw error;',
    harm: 'A removal that failed leaves channels that take no claims.',
    killer: { file: REMOVE_TESTS, title: 'a registry that fails leaves all as it was' },
  },
  {
    name: 'raise-told-after-it-is-made',
    file: STORE,
    find: 'if (committed > before.committed) await this.#beforeRaise(before, before.committed, committed);\n      const now = this.#leases.read(row);',
    put: 'const now = this.#leases.read(row);\n      if (committed > now.committed) this.#table.raise(row, committed);\n      if (committed > before.committed) await this.#beforeRaise(before, before.committed, committed);',
    harm: 'A kill between the two sells drops that nobody paid this node for.',
    killer: { file: STORE_TESTS, title: 'a raise is told before it is made' },
  },
  {
    name: 'raise-in-force-before-it-is-durable',
    file: STORE,
    find: 'await this.#registry.replace([row], packedRows([raised(now, committed)]));',
    put: 'this.#table.raise(row, committed);\n        await this.#registry.replace([row], packedRows([raised(now, committed)]));',
    harm: 'Claims are answered ALREADY, and a crash takes back what that promises.',
    killer: { file: STORE_TESTS, title: 'a committed amount is raised without a claim, durably, and never lowered' },
  },
  {
    name: 'raise-counted-twice',
    file: 'src/registry/raised.ts',
    find: '[last.to, spent + last.drops]',
    put: '[spent + last.drops]',
    harm: 'After a kill a raise is taken off twice, and what was paid buys nothing.',
    killer: {
      file: 'test/unit/registry/raised.test.ts',
      title: 'raises add up, and one that was recorded but not made is counted once',
    },
  },
  {
    name: 'removed-channels-not-indexed',
    file: STORE,
    find: 'this.#table.indexRemoved();',
    put: '',
    harm: 'A start after a removal takes the journal, which has claims of the channel, for one of another registry.',
    killer: { file: REMOVE_TESTS, title: 'killed before the commit, a channel is there; after it, gone' },
  },
];
