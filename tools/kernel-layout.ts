/**
 * Prints, as a C header, the layouts and constants that C shares with the node. They are declared in protocol/ and src/.
 *
 *   node dist/tools/kernel-layout.js > src/kernel/layout_generated.h      (a test fails when the two differ)
 *   node dist/tools/kernel-layout.js rows > src/native/rows_generated.h   (the registry's rows, which the kernel does not know)
 */
import { argv, stdout } from 'node:process';
import { pathToFileURL } from 'node:url';
import * as wire from '../protocol/layout.ts';
import { ROOTED_LAYOUT } from '../src/channel/rooted.ts';
import { ROW, ROW_BYTES } from '../src/channel/row.ts';
import * as table from '../src/channel/table.ts';
import { COUNT_RECORDS } from '../src/journal/group.ts';
import { GROUP_HEADER_BYTES, RECORD_BYTES } from '../src/journal/record.ts';
import { COUNT_ACCEPTED, COUNTS } from '../src/path/commit-group.ts';
import { FILTER_CELLS } from '../src/path/duplicate-filter.ts';
import { CHAIN_LOOKUPS_MAX, COUNT_ACKS } from '../src/path/group-acks.ts';
import { ROW_FOLD, ROW_HEADS } from '../src/path/group-rows.ts';
import { DROPS_MAX_HIGH, DROPS_MAX_LOW } from '../src/path/rules.ts';
import { SLOW_MARK } from '../src/path/slow-paths.ts';
import * as standing from '../src/path/standing.ts';
import {
  KEY_STRIDE_BYTES,
  ROW_HOT_BYTES,
  ROW_LEDGER_HEAD_BYTES,
  ROW_LEDGER_TAIL_BYTES,
  SLOT_BYTES,
  STANDING_CELLS,
} from '../src/ring/arena.ts';
import { ARENA_LAYOUT } from '../src/ring/arena-layout.ts';
import { ENTRY_FRAME, ENTRY_ROWS } from '../src/ring/frame-pool.ts';
import * as slot from '../src/ring/slot.ts';
import { HASH_WORD } from '../src/transport/source-hash.ts';
import * as udp from '../src/transport/udp-native.ts';
import { KERNEL_PATHS, KERNEL_STATS, TABLE_KINDS } from '../src/verify/kernel.ts';

const CONSTANTS: [name: string, value: number, meaning: string][] = [
  ['CLAIM_BYTES', wire.CLAIM_BYTES, ''],
  ['CLAIM_SEQUENCE', wire.CLAIM_SEQUENCE, 'u32, big-endian'],
  ['CLAIM_AMOUNT', wire.CLAIM_AMOUNT, 'u64, big-endian'],
  ['CLAIM_SIGNATURE', wire.CLAIM_SIGNATURE, 'r and s, 32 bytes each'],
  ['CLAIM_TIMESTAMP', wire.CLAIM_TIMESTAMP, 'f64, big-endian'],
  ['SIGNATURE_BYTES', wire.SIGNATURE_BYTES, ''],
  ['FRAME_CLAIM', wire.FRAME_CLAIM, 'first byte of a claim'],
  ['DATAGRAM_BYTES_MAX', wire.DATAGRAM_BYTES_MAX, ''],
  ['ED25519_KEY_PREFIX', wire.ED25519_KEY_PREFIX, 'first byte of a key that is not secp256k1’s'],
  ['DROPS_MAX_HIGH', DROPS_MAX_HIGH, 'most an xrpl claim may be for'],
  ['DROPS_MAX_LOW', DROPS_MAX_LOW, ''],
  ['SLOT_BYTES', SLOT_BYTES, 'a ring slot; the claim lies at 0'],
  ['SLOT_SOURCE', slot.SLOT_SOURCE, 'five words; the first byte is the claim’s last'],
  ['SOURCE_BYTES', slot.SOURCE_BYTES, ''],
  ['SOURCE_WORDS', slot.SOURCE_WORDS, ''],
  ['SLOT_CHANNEL', slot.SLOT_ROW, 'u32: channel row'],
  ['SLOT_VERDICT', slot.SLOT_VERDICT, 'i32, one of enum cw_verdict; written once, release'],
  ['LEDGER_HEAD_BYTES', ROW_LEDGER_HEAD_BYTES, 'of a ledger id: the handle, or kept apart'],
  ['LEDGER_TAIL_BYTES', ROW_LEDGER_TAIL_BYTES, 'the rest of it, which every row has'],
  ['KEY_ROW_BYTES', KEY_STRIDE_BYTES, 'a key row: 33 of compressed key'],
  ['FLAG_OPEN', table.FLAG_OPEN, 'bits of a row’s flags'],
  ['FLAG_LINK', table.FLAG_LINK, 'link profile'],
  ['FLAG_OWN_HANDLE', table.FLAG_OWN_HANDLE, 'the handle is not the first part of the ledger id'],
  ['ROW_HOT_BYTES', ROW_HOT_BYTES, 'a channel row’s hot line, u32 words:'],
  ['HOT_ID_HIGH', table.HOT_ID_HIGH, ''],
  ['HOT_ID_LOW', table.HOT_ID_LOW, ''],
  ['HOT_FLAGS', table.HOT_FLAGS, ''],
  ['HOT_EXPIRES_AT', table.HOT_EXPIRES_AT, 'unix seconds, 0 never'],
  ['HOT_CAPACITY_HIGH', table.HOT_CAPACITY_HIGH, ''],
  ['HOT_CAPACITY_LOW', table.HOT_CAPACITY_LOW, ''],
  ['HOT_COMMITTED_HIGH', table.HOT_COMMITTED_HIGH, ''],
  ['HOT_COMMITTED_LOW', table.HOT_COMMITTED_LOW, ''],
  ['HOT_SEQUENCE', table.HOT_SEQUENCE, ''],
  ['HOT_TIMESTAMP_HIGH', table.HOT_TIMESTAMP_HIGH, ''],
  ['HOT_TIMESTAMP_LOW', table.HOT_TIMESTAMP_LOW, ''],
  ['HOT_KEY', table.HOT_KEY, 'its key’s row'],
  ['HOT_VERSION', table.HOT_VERSION, 'odd while locked'],
  ['HOT_DIRTY', table.HOT_DIRTY, ''],
  ['HOT_CHANGE', table.HOT_CHANGE, 'odd while the operator’s fields are being changed'],
  ['HOT_PAYER', table.HOT_PAYER, ''],
  ['SLOW_MARK', SLOW_MARK, 'in it: the channel’s slow paths are counted (path/slow-paths.ts)'],
  ['HASH_HIGH', table.HASH_HIGH, 'of a handle in the channel index'],
  ['HASH_BOTH', table.HASH_BOTH, ''],
  ['HASH_SHIFT', table.HASH_SHIFT, ''],
  ['HASH_END', table.HASH_END, ''],
  ['FILTER_CELLS', FILTER_CELLS, 'of the in-flight duplicate filter'],
  ['STANDING_CELLS', STANDING_CELLS, 'words of pairs in good standing (path/standing.ts):'],
  ['STANDING_SHIFT', standing.CELL_SHIFT, ''],
  ['STANDING_WORD', HASH_WORD, ''],
  ['STANDING_TAG', standing.HASH_TAG, ''],
  ['STANDING_SECOND_BITS', standing.SECOND_BITS, ''],
  ['STANDING_FAILURE_BITS', standing.FAILURE_BITS, ''],
  ['STANDING_SECONDS', standing.KNOWN_SECONDS, ''],
  ['STANDING_FAILURES_MAX', standing.FAILURES_MAX, ''],
  ['GROUP_HEADER_BYTES', GROUP_HEADER_BYTES, 'of a journal group'],
  ['RECORD_BYTES', RECORD_BYTES, ''],
  ['COUNTS', COUNTS, 'words of a commit group’s counts:'],
  ['COUNT_RECORDS', COUNT_RECORDS, ''],
  ['COUNT_ACCEPTED', COUNT_ACCEPTED, ''],
  ['COUNT_ACKS', COUNT_ACKS, ''],
  ['CHAIN_LOOKUPS_MAX', CHAIN_LOOKUPS_MAX, 'acks of a record that are compared'],
  ['ROW_HEADS', ROW_HEADS, 'chains of a group’s rows (path/group-rows.ts)'],
  ['ROW_FOLD', ROW_FOLD, ''],
  ['UDP_BATCH', udp.MESSAGES_MAX, 'messages of one system call'],
  ['UDP_MESSAGE_STRIDE', udp.MESSAGE_STRIDE, 'bytes from message to message'],
  ['UDP_RECORD_WORDS', udp.RECORD_WORDS, ''],
  ['UDP_REUSE', udp.FLAG_REUSE, 'flags of a socket'],
  ['UDP_EXCLUSIVE', udp.FLAG_EXCLUSIVE, ''],
  ['UDP_GRO', udp.FLAG_GRO, ''],
  ['UDP_TIMES', udp.FLAG_TIMES, ''],
  ['ARENA_FIELDS', ARENA_LAYOUT.length, 'u32s of struct cw_arena'],
  ['STATS', KERNEL_STATS.length, 'u64s of struct cw_stats'],
  ['TABLE_NONE', TABLE_KINDS.none, 'CW_BARE of enum cw_kind, the largest of them'],
];

/** The text of src/kernel/layout_generated.h. */
export function kernelLayoutHeader(): string {
  const line = (text: string, meaning: string) => `${text}${meaning && ` /* ${meaning} */`}`;
  const verdicts = Object.entries(slot)
    .filter(([name]) => name.startsWith('VERDICT_'))
    .sort((left, right) => Number(left[1]) - Number(right[1]));
  const cases = (entries: [string, unknown][]) => entries.map(([name, value]) => `CW_${name} = ${value}`).join(', ');
  const paths = Object.entries(KERNEL_PATHS).map(([name, value]) => [`PATH_${name.toUpperCase()}`, value] as const);
  const stats = KERNEL_STATS.map((name) => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`));
  return [
    '/* Generated by tools/kernel-layout.ts from the node’s own constants; do not edit. */',
    '#ifndef CLAIMWIRE_LAYOUT_GENERATED_H',
    '#define CLAIMWIRE_LAYOUT_GENERATED_H',
    '#include <stddef.h>',
    '#include <stdint.h>',
    ...CONSTANTS.map(([name, value, meaning]) => line(`#define CW_${name} ${value}u`, meaning)),
    line(
      `enum cw_verdict { ${cases(verdicts.map(([name, value]) => [name.replace('VERDICT_', ''), value]))} };`,
      'ring/slot.ts',
    ),
    line(`enum cw_path { ${cases(paths.map(([name, value]) => [name, value]))} };`, 'verify/kernel.ts'),
    `struct cw_stats { uint64_t ${stats.join(', ')}; };`,
    '/* One shared memory, and where things lie in it: ring/arena-layout.ts. */',
    'struct cw_arena {',
    '    uint8_t *base;',
    '    size_t bytes;',
    ...ARENA_LAYOUT.map(([name, , meaning]) => `    uint32_t ${line(`${name};`, meaning)}`),
    '};',
    '#endif',
    '',
  ].join('\n');
}

/** The text of src/native/rows_generated.h. */
export function rowsLayoutHeader(): string {
  const fields = Object.entries(ROW).map(([name, at]): [string, number] => [
    `REGISTRY_ROW_${name.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()}`,
    at,
  ]);
  const constants: [string, number][] = [
    ['PUBLIC_KEY_BYTES', wire.PUBLIC_KEY_BYTES],
    ['FLAG_THROW_AWAY', table.FLAG_THROW_AWAY],
    ['FLAG_ROOTED', table.FLAG_ROOTED],
    ['FRAME_MERKLE', wire.FRAME_MERKLE],
    ['MERKLE_HEAD_BYTES', wire.MERKLE_HEAD_BYTES],
    ['MERKLE_SEQUENCE', wire.MERKLE_SEQUENCE],
    ['MERKLE_TIMESTAMP', wire.MERKLE_TIMESTAMP],
    ['MERKLE_LEAF_BYTES', wire.MERKLE_LEAF_BYTES],
    ['MERKLE_LEAF_AMOUNT', wire.MERKLE_LEAF_AMOUNT],
    ['MERKLE_BLOCK_LEAVES', wire.MERKLE_BLOCK_LEAVES],
    ['ENTRY_ROWS', ENTRY_ROWS],
    ['ENTRY_FRAME', ENTRY_FRAME],
    ['LEAF_VALID', slot.LEAF_VALID],
    ['SLOT_FRAME', slot.SLOT_FRAME],
    ['SLOT_LEAF', slot.SLOT_LEAF],
    ...Object.entries(ROOTED_LAYOUT).map(([name, word]): [string, number] => [`ROOTED_${name}`, word]),
    ['TABLE_WORDS', table.TABLE_LAYOUT.length],
    ['REGISTRY_ROW_BYTES', ROW_BYTES],
    ...fields,
  ];
  return [
    '/* Generated by tools/kernel-layout.ts from the node’s own constants; do not edit. */',
    '#ifndef CLAIMWIRE_ROWS_GENERATED_H',
    '#define CLAIMWIRE_ROWS_GENERATED_H',
    ...constants.map(([name, value]) => `#define CW_${name} ${value}u`),
    '/* Where the channel table lies in an arena: channel/table.ts. */',
    `struct cw_table { uint8_t *base; size_t bytes; uint32_t ${table.TABLE_LAYOUT.map(([name]) => name).join(', ')}; };`,
    '#endif',
    '',
  ].join('\n');
}

if (import.meta.url === pathToFileURL(argv[1] ?? '').href)
  stdout.write(argv[2] === 'rows' ? rowsLayoutHeader() : kernelLayoutHeader());
