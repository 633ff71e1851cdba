/* See claim_path.h. Words of the arena are little-endian, and an amount is two of them; a claim's bytes are big-endian. */
#include "claim_path.h"
#include "common.h"
#include "group_parts.h"
#include "path_words.h"
#include "rows_generated.h"

#define AHEAD 8          /* how many slots or records ahead rows are prefetched */
#define RUN 16           /* claims whose rows are looked up together: a datagram's */
#define DROPS_MAX ((uint64_t)CW_DROPS_MAX_HIGH << 32 | CW_DROPS_MAX_LOW)
#define PROBES_MAX 1024u /* the index is at most three quarters full; a longer search is left to TypeScript */

static const uint32_t *index_of(const struct cw_claim_path *p) { return (const uint32_t *)(p->arena.base + p->arena.channel_index); }

/* As hashHandle in channel/table.ts. */
static uint32_t hash_handle(uint32_t high, uint32_t low) {
    uint32_t hash = (low ^ high * CW_HASH_HIGH) * CW_HASH_BOTH;
    hash ^= hash >> CW_HASH_SHIFT;
    return hash * CW_HASH_END;
}
/* The row of a handle, searched for from `slot` on, or rows_max. */
static uint32_t find_row(const struct cw_claim_path *p, uint32_t slot, uint32_t high, uint32_t low) {
    for (uint32_t probe = 0; probe < PROBES_MAX; probe++, slot = (slot + 1) & p->arena.index_mask) {
        const uint32_t entry = load(&index_of(p)[slot]);
        if (!entry || entry > p->arena.rows_max) return p->arena.rows_max;
        const uint32_t *hot = cw_arena_hot(&p->arena, entry - 1);
        if (hot[CW_HOT_ID_LOW] == low && hot[CW_HOT_ID_HIGH] == high) return entry - 1;
    }
    return p->arena.rows_max;
}
/* Rules 2 and 4 to 6 (path/rules.ts). Returns 1 when all hold and the row was not being changed meanwhile; 0 also for a row with
 * leaves of signed roots, for whose claims rule 6 is another (channel/rooted.ts). Every load acquires, so that the change word is
 * read again after all of them. */
static int admits(const uint32_t *hot, uint64_t amount, uint32_t now_seconds) {
    const uint32_t change = load(&hot[CW_HOT_CHANGE]);
    const uint32_t flags = load(&hot[CW_HOT_FLAGS]), expires_at = load(&hot[CW_HOT_EXPIRES_AT]);
    const uint64_t capacity = pair(load(&hot[CW_HOT_CAPACITY_HIGH]), load(&hot[CW_HOT_CAPACITY_LOW]));
    const uint32_t high = load(&hot[CW_HOT_COMMITTED_HIGH]); /* before the low half: see committedHigh in table.ts */
    const uint64_t committed = pair(high, load(&hot[CW_HOT_COMMITTED_LOW]));
    return !(change & 1) && amount > committed && amount <= capacity && (flags & (CW_FLAG_OPEN | CW_FLAG_ROOTED)) == CW_FLAG_OPEN &&
           (amount <= DROPS_MAX || (flags & CW_FLAG_LINK)) && (!expires_at || now_seconds < expires_at) &&
           load(&hot[CW_HOT_CHANGE]) == change;
}

static uint32_t cell_of(const struct cw_filter *f, const uint8_t *claim) {
    const uint32_t r = (uint32_t)claim[f->r_start] << 8 | claim[f->r_start + 1], s = (uint32_t)claim[f->s_start] << 8 | claim[f->s_start + 1];
    return (r >> f->r_shift & 0xff) << 8 | (s >> f->s_shift & 0xff);
}

/* Whether a slot holds the same claim, except for its timestamp, as in path/duplicate-filter.ts. The caller checked the type. */
static int is_copy(const uint8_t *claim, const uint8_t *slot) { return !memcmp(claim + 1, slot + 1, CW_CLAIM_TIMESTAMP - 1); }

static uint32_t mixed(uint32_t hash, uint32_t word) {
    hash = (hash ^ word) * CW_STANDING_WORD;
    return hash ^ hash >> 15;
}
/* As Standing.isKnown. */
static int is_known(const struct cw_standing *s, const uint32_t source[CW_SOURCE_WORDS], uint32_t row, uint32_t now_seconds) {
    uint32_t hash = mixed(s->seed, source[0] >> 8);
    for (uint32_t i = 1; i < CW_SOURCE_WORDS; i++) hash = mixed(hash, source[i]);
    hash = mixed(hash, row);
    const uint32_t word = __atomic_load_n(&s->cells[hash >> CW_STANDING_SHIFT], __ATOMIC_RELAXED);
    return word >> (CW_STANDING_SECOND_BITS + CW_STANDING_FAILURE_BITS) == hash * CW_STANDING_TAG >> 16 &&
           (word >> CW_STANDING_SECOND_BITS & ((1u << CW_STANDING_FAILURE_BITS) - 1)) < CW_STANDING_FAILURES_MAX &&
           ((now_seconds - word) & ((1u << CW_STANDING_SECOND_BITS) - 1)) < CW_STANDING_SECONDS;
}

/* Where the search for each of the next claims begins, for at most RUN that lie before `length` and have room; the memory is asked for. */
static uint32_t look_ahead(const struct cw_claim_path *p, const uint8_t *bytes, size_t length, uint32_t next, uint32_t committed, uint32_t start[RUN]) {
    uint32_t run = 0;
    for (; run < RUN; run++) {
        const uint8_t *claim = bytes + (size_t)run * CW_CLAIM_BYTES;
        if ((size_t)(run + 1) * CW_CLAIM_BYTES > length || claim[0] != CW_FRAME_CLAIM || next + run - committed > p->arena.slot_mask) break;
        start[run] = hash_handle(be32(claim + 1), be32(claim + 5)) & p->arena.index_mask;
        __builtin_prefetch(&index_of(p)[start[run]]);
        __builtin_prefetch(&p->filter.cells[cell_of(&p->filter, claim)], 1);
    }
    return run;
}
uint32_t cw_path_admit(struct cw_claim_path *p, const uint8_t *bytes, size_t length, const uint32_t source[CW_SOURCE_WORDS], uint32_t next,
                      uint32_t now_seconds, uint32_t free) {
    const uint32_t *cursor = (const uint32_t *)(p->arena.base + p->arena.committed);
    uint32_t admitted = 0, starts[2][RUN], run = look_ahead(p, bytes, length, next, load(cursor), starts[0]);
    for (int now = 0;; now ^= 1) {
        const uint32_t committed = load(cursor), *start = starts[now];
        const size_t taken = (size_t)run * CW_CLAIM_BYTES;
        const uint32_t then = run < RUN ? 0 : look_ahead(p, bytes + taken, length - taken, next + run, committed, starts[!now]);
        for (uint32_t i = 0; i < run; i++) {
            const uint32_t entry = load(&index_of(p)[start[i]]);
            if (entry && entry <= p->arena.rows_max) __builtin_prefetch(cw_arena_hot(&p->arena, entry - 1));
        }
        for (uint32_t i = 0; i < run; i++, bytes += CW_CLAIM_BYTES, length -= CW_CLAIM_BYTES, next++, admitted++) {
            const uint32_t row = find_row(p, start[i], be32(bytes + 1), be32(bytes + 5));
            if (row >= p->arena.rows_max || !admits(cw_arena_hot(&p->arena, row), amount_of(bytes), now_seconds)) return admitted;
            if (load(&cw_arena_hot(&p->arena, row)[CW_HOT_PAYER]) & CW_SLOW_MARK) return admitted; /* it may be held back */
            if (admitted >= free && p->standing.cells && !is_known(&p->standing, source, row, now_seconds)) return admitted;
            uint32_t *cell = &p->filter.cells[cell_of(&p->filter, bytes)];
            if (*cell - committed < next - committed && is_copy(bytes, cw_arena_slot(&p->arena, *cell))) return admitted;
            *cell = next;
            uint8_t *slot = cw_arena_slot(&p->arena, next);
            memcpy(slot, bytes, CW_CLAIM_BYTES);
            memcpy(slot + CW_CLAIM_BYTES, (const uint8_t *)source + 1, CW_SOURCE_BYTES - 1);
            memcpy(slot + CW_SLOT_CHANNEL, &row, 4);
            const uint8_t *tail = p->arena.base + p->arena.ledger_tails + (size_t)row * CW_LEDGER_TAIL_BYTES; /* for the digest */
            __builtin_prefetch(tail);
            __builtin_prefetch(tail + CW_LEDGER_TAIL_BYTES - 1); /* one in four lies in two lines */
            memset(slot + CW_SLOT_VERDICT, 0, 4);
        }
        if (!then) return admitted;
        run = then;
    }
}

/* Rules 2 and 4 to 6 for a leaf of a link channel, as `admits` for claims. */
static int admits_link(const uint32_t *hot, uint64_t amount, uint32_t now_seconds) {
    const uint32_t change = load(&hot[CW_HOT_CHANGE]);
    const uint32_t flags = load(&hot[CW_HOT_FLAGS]), expires_at = load(&hot[CW_HOT_EXPIRES_AT]);
    const uint64_t capacity = pair(load(&hot[CW_HOT_CAPACITY_HIGH]), load(&hot[CW_HOT_CAPACITY_LOW]));
    const uint32_t high = load(&hot[CW_HOT_COMMITTED_HIGH]);
    const uint64_t committed = pair(high, load(&hot[CW_HOT_COMMITTED_LOW]));
    const uint32_t wanted = CW_FLAG_OPEN | CW_FLAG_LINK;
    return !(change & 1) && (flags & wanted) == wanted && capacity >= amount && committed < amount && (now_seconds < expires_at || !expires_at) &&
           load(&hot[CW_HOT_CHANGE]) == change;
}
/* Finds the rows of a frame's leaves; returns whether all of them are plain. */
static int finds_leaves(const struct cw_claim_path *p, const struct cw_leaf_frame *f, uint32_t now_seconds, uint32_t free, uint32_t *rows) {
    uint32_t start[CW_MERKLE_BLOCK_LEAVES];
    const uint8_t *leaves = f->bytes + CW_MERKLE_HEAD_BYTES;
    for (uint32_t i = 0; i < f->count; i++) {
        const uint8_t *leaf = leaves + (size_t)i * CW_MERKLE_LEAF_BYTES;
        start[i] = hash_handle(be32(leaf), be32(leaf + 4)) & p->arena.index_mask;
        __builtin_prefetch(&index_of(p)[start[i]]);
    }
    for (uint32_t i = 0; i < f->count; i++) {
        const uint32_t entry = load(&index_of(p)[start[i]]);
        if (entry && entry <= p->arena.rows_max) __builtin_prefetch(cw_arena_hot(&p->arena, entry - 1));
    }
    for (uint32_t i = 0; i < f->count; i++) {
        const uint8_t *leaf = leaves + (size_t)i * CW_MERKLE_LEAF_BYTES;
        const uint32_t row = find_row(p, start[i], be32(leaf), be32(leaf + 4));
        if (row >= p->arena.rows_max || !admits_link(cw_arena_hot(&p->arena, row), cw_read_be64(leaf + CW_MERKLE_LEAF_AMOUNT), now_seconds)) return 0;
        if (i >= free && p->standing.cells && !is_known(&p->standing, f->source, row, now_seconds)) return 0;
        const uint8_t *tail = p->arena.base + p->arena.ledger_tails + (size_t)row * CW_LEDGER_TAIL_BYTES; /* for the leaf's hash */
        __builtin_prefetch(tail);
        __builtin_prefetch(tail + CW_LEDGER_TAIL_BYTES - 1);
        rows[i] = row;
    }
    return 1;
}
int cw_path_enter_leaves(struct cw_claim_path *p, const struct cw_leaf_frame *f, uint32_t next, uint32_t now_seconds, uint32_t free) {
    uint32_t rows[CW_MERKLE_BLOCK_LEAVES];
    const uint32_t committed = load((const uint32_t *)(p->arena.base + p->arena.committed));
    if (next + f->count - committed > p->arena.slot_mask + 1u || !finds_leaves(p, f, now_seconds, free, rows)) return 0;
    uint8_t *entry = p->arena.base + f->entry;
    memcpy(entry + 4 * CW_ENTRY_ROWS, rows, 4 * (size_t)f->count);
    memcpy(entry + CW_ENTRY_FRAME, f->bytes, f->size);
    for (uint32_t i = 0; i < f->count; i++) {
        const uint8_t *leaf = f->bytes + CW_MERKLE_HEAD_BYTES + (size_t)i * CW_MERKLE_LEAF_BYTES;
        uint8_t *slot = cw_arena_slot(&p->arena, next + i);
        slot[0] = CW_FRAME_MERKLE;
        memcpy(slot + 1, leaf, 8);
        memcpy(slot + CW_CLAIM_SEQUENCE, f->bytes + CW_MERKLE_SEQUENCE, 4);
        memcpy(slot + CW_CLAIM_AMOUNT, leaf + CW_MERKLE_LEAF_AMOUNT, 8);
        memset(slot + CW_CLAIM_SIGNATURE, 0, CW_SIGNATURE_BYTES);
        put_be32(slot + CW_SLOT_FRAME, f->entry);
        put_be32(slot + CW_SLOT_LEAF, i);
        memcpy(slot + CW_CLAIM_TIMESTAMP, f->bytes + CW_MERKLE_TIMESTAMP, 8);
        memcpy(slot + CW_CLAIM_BYTES, (const uint8_t *)f->source + 1, CW_SOURCE_BYTES - 1); /* the first byte is the claim's last */
        memcpy(slot + CW_SLOT_CHANNEL, &rows[i], 4);
        put((uint32_t *)(slot + CW_SLOT_VERDICT), CW_PENDING);
    }
    return 1;
}

/* As #stage in stage-step.ts. Returns 0, with nothing done, when the groups have no room for the claim. */
static int stage_claim(struct cw_group *open, struct cw_group *syncing, uint32_t row, const uint8_t *slot) {
    if (!has_ack_room(open) || (syncing && !has_ack_room(syncing))) return 0;
    const uint64_t amount = amount_of(slot);
    uint32_t record = record_of(open, row);
    if (record) {
        if (amount > amount_of(record_at(open, record - 1))) copy_record(open, record - 1, slot);
        return accept(open, record - 1, slot);
    }
    const uint32_t earlier = syncing ? record_of(syncing, row) : 0;
    if (earlier && amount <= amount_of(record_at(syncing, earlier - 1))) return accept(syncing, earlier - 1, slot);
    record = open->counts[CW_COUNT_RECORDS];
    if (record >= open->records_max) return 0;
    open->counts[CW_COUNT_RECORDS] = record + 1;
    add_row(open, row, record);
    copy_record(open, record, slot);
    return accept(open, record, slot);
}
/* Atomic, since the row is also read from slots further on, which may be written meanwhile; each value is checked. */
static uint32_t row_of(const uint8_t *slot) { return __atomic_load_n((const uint32_t *)(slot + CW_SLOT_CHANNEL), __ATOMIC_RELAXED); }

uint32_t cw_path_stage(struct cw_claim_path *p, struct cw_group *open, struct cw_group *syncing, uint32_t next, uint32_t end,
                        uint32_t now_seconds) {
    uint32_t count = 0;
    for (; next != end; next++, count++) {
        const uint8_t *slot = cw_arena_slot(&p->arena, next);
        const uint32_t ahead = row_of(cw_arena_slot(&p->arena, next + AHEAD));
        if (ahead < p->arena.rows_max) __builtin_prefetch(cw_arena_hot(&p->arena, ahead));
        if (load((const uint32_t *)(slot + CW_SLOT_VERDICT)) != CW_VALID) break;
        const uint32_t row = row_of(slot);
        if (row >= p->arena.rows_max) break;
        const uint32_t *hot = cw_arena_hot(&p->arena, row);
        if ((load(&hot[CW_HOT_FLAGS]) & CW_FLAG_LINK) || !admits(hot, amount_of(slot), now_seconds)) break;
        if (!stage_claim(open, syncing, row, slot)) break;
    }
    return count;
}

/* All stores come before the release of the version word, so that a reader who finds it even sees all of them. */
static void put_claim(uint32_t *hot, uint64_t *signature, const uint8_t *claim, uint64_t amount) {
    if ((uint32_t)(amount >> 32) != hot[CW_HOT_COMMITTED_HIGH]) {
        store(&hot[CW_HOT_COMMITTED_LOW], 0);
        store(&hot[CW_HOT_COMMITTED_HIGH], (uint32_t)(amount >> 32));
    }
    store(&hot[CW_HOT_COMMITTED_LOW], (uint32_t)amount);
    put(&hot[CW_HOT_SEQUENCE], be32(claim + CW_CLAIM_SEQUENCE));
    put(&hot[CW_HOT_TIMESTAMP_HIGH], be32(claim + CW_CLAIM_TIMESTAMP));
    put(&hot[CW_HOT_TIMESTAMP_LOW], be32(claim + CW_CLAIM_TIMESTAMP + 4));
    for (uint32_t i = 0; i < CW_SIGNATURE_BYTES / 8; i++) {
        uint64_t word;
        memcpy(&word, claim + CW_CLAIM_SIGNATURE + 8 * i, 8);
        __atomic_store_n(&signature[i], word, __ATOMIC_RELAXED);
    }
    store(&hot[CW_HOT_DIRTY], 1);
}
/* As ChannelTable.commit; nothing, and 1, for a row with leaves of signed roots, which the apply step commits. The mark is set before such a
 * row's first leaf is staged, and read under the lock here: a claim staged before it is committed here before that leaf, or there. */
static uint32_t commit_row(struct cw_claim_path *p, uint32_t row, const uint8_t *claim) {
    uint32_t *hot = cw_arena_hot(&p->arena, row);
    uint32_t version;
    do version = load(&hot[CW_HOT_VERSION]) & ~1u;
    while (!__atomic_compare_exchange_n(&hot[CW_HOT_VERSION], &version, version | 1, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST));
    /* A reader that sees any store below finds the version odd when it looks again: it loads each word with acquire
     * (table.ts), which pairs with this fence. The fence is free on x86, but needed where an exchange is a load and a store. */
    __atomic_thread_fence(__ATOMIC_RELEASE);
    const uint64_t amount = amount_of(claim);
    const uint32_t is_rooted = (load(&hot[CW_HOT_FLAGS]) & CW_FLAG_ROOTED) != 0;
    if (!is_rooted && amount > pair(hot[CW_HOT_COMMITTED_HIGH], hot[CW_HOT_COMMITTED_LOW]))
        put_claim(hot, (uint64_t *)(p->arena.base + p->arena.signatures + (size_t)row * CW_SIGNATURE_BYTES), claim, amount);
    store(&hot[CW_HOT_VERSION], version + 2);
    return is_rooted;
}
uint32_t cw_path_commit(struct cw_claim_path *p, const struct cw_group *g) {
    const uint32_t records = g->counts[CW_COUNT_RECORDS];
    uint32_t left = 0;
    for (uint32_t record = 0; record < records; record++) {
        if (g->leaf_heads && *record_at(g, record) == CW_FRAME_MERKLE) continue; /* leaf_path.c commits it, or the apply step */
        if (record + AHEAD < records) {
            const uint32_t ahead = g->row_of_record[record + AHEAD];
            __builtin_prefetch(cw_arena_hot(&p->arena, ahead), 1);
            __builtin_prefetch(p->arena.base + p->arena.signatures + (size_t)ahead * CW_SIGNATURE_BYTES, 1);
        }
        left += commit_row(p, g->row_of_record[record], record_at(g, record));
    }
    return left;
}
