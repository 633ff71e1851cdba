/**
 * Where the kernel and the claim path in C find what they use of an arena. tools/kernel-layout.ts prints `struct cw_arena`
 * from this table, with the same fields in the same order.
 */
import type { Arena } from './arena.ts';
import type { ClaimRing } from './claim-ring.ts';

type Field = readonly [name: string, of: (arena: Arena, ring: ClaimRing) => number, meaning: string];

export const ARENA_LAYOUT: readonly Field[] = [
  ['slots', (_, ring) => ring.base, 'of the ring'],
  ['slot_mask', (_, ring) => ring.mask, 'ring size - 1; the ring size is a power of two'],
  ['committed', (_, ring) => ring.committedOffset, 'the ring’s committed cursor'],
  ['channel_index', ({ plan }) => plan.channelIndex.offset, 'u32 an entry: a row + 1, or 0'],
  ['index_mask', ({ plan }) => plan.channelIndex.bytes / 4 - 1, 'entries - 1, a power of two as well'],
  ['rows', ({ plan }) => plan.rows.offset, 'hot lines, CW_ROW_HOT_BYTES each'],
  ['rows_max', ({ plan }) => plan.shape.channelsMax, 'rows there is room for, and keys as well'],
  [
    'ledger_heads',
    ({ plan }) => plan.ledgerHeads.offset,
    'CW_LEDGER_HEAD_BYTES a row, of rows with CW_FLAG_OWN_HANDLE',
  ],
  ['ledger_tails', ({ plan }) => plan.ledgerTails.offset, 'CW_LEDGER_TAIL_BYTES a row'],
  ['signatures', ({ plan }) => plan.signatures.offset, 'CW_SIGNATURE_BYTES a row'],
  ['keys', ({ plan }) => plan.keys.offset, 'CW_KEY_ROW_BYTES a key'],
];

/** The fields of `struct cw_arena` for one ring of an arena. */
export function arenaLayout(arena: Arena, ring: ClaimRing): Uint32Array {
  return Uint32Array.from(ARENA_LAYOUT, ([, of]) => of(arena, ring));
}
