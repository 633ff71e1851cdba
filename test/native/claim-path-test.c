/* Runs the claim path's loops over memory that shows any access out of bounds: payloads that end at a page which cannot be read,
 * an arena with poisoned gaps between its regions (ASan), groups of exact size, damaged slots and indexes. Results are
 * checked by a small model here; test/differential/native-path.test.ts compares them with the steps. */
#define _DEFAULT_SOURCE
#include "../../src/native/claim_path.h"
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "layout_generated.h"
#if defined(__SANITIZE_ADDRESS__)
#define POISON 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define POISON 1
#endif
#endif
#ifdef POISON
#include <sanitizer/asan_interface.h>
#endif

enum { ROWS = 24, INDEX = 64, RECORDS = 32, ACKS = 64, GAP = 256, CELLS = 1 << 16, PAYLOAD = 65536 };
static uint64_t state = 0x9E3779B97F4A7C15ULL;
static uint32_t random_word(void) {
    state ^= state << 13, state ^= state >> 7, state ^= state << 17;
    return (uint32_t)((state * 0x2545F4914F6CDD1DULL) >> 32);
}
static uint32_t below(uint32_t bound) { return random_word() % bound; }
static long checks;
#ifndef CW_FAILED
#define CW_FAILED exit(1)
#endif
#define EXPECT(condition, ...) do { checks++; if (!(condition)) { printf("FAILED line %d: ", __LINE__); printf(__VA_ARGS__); puts(""); CW_FAILED; } } while (0)

static struct cw_claim_path path;
static uint8_t *payload_end;
static uint32_t arena_end;
/* The next region, after a gap that nobody may touch. */
static uint32_t region(uint32_t bytes) {
    const uint32_t at = (arena_end + GAP + 127) & ~127u;
    arena_end = at + bytes;
    return at;
}
static void poison(uint32_t from, uint32_t to) {
#ifdef POISON
    __asan_poison_memory_region(path.arena.base + from, to - from);
#else
    (void)from, (void)to;
#endif
}
static uint32_t *word(uint32_t at) { return (uint32_t *)(path.arena.base + at); }
static uint32_t *hot(uint32_t row) { return word(path.arena.rows + row * CW_ROW_HOT_BYTES); }
static uint8_t *slot(uint32_t sequence) { return path.arena.base + path.arena.slots + (sequence & path.arena.slot_mask) * CW_SLOT_BYTES; }
static uint64_t committed_of(uint32_t row) { return (uint64_t)hot(row)[CW_HOT_COMMITTED_HIGH] << 32 | hot(row)[CW_HOT_COMMITTED_LOW]; }

static void open_path(uint32_t slots) {
    arena_end = 0;
    path.arena.slot_mask = slots - 1, path.arena.index_mask = INDEX - 1, path.arena.rows_max = ROWS;
    path.arena.committed = region(4);
    path.arena.slots = region(slots * CW_SLOT_BYTES);
    path.arena.channel_index = region(INDEX * 4);
    path.arena.rows = region(ROWS * CW_ROW_HOT_BYTES);
    path.arena.signatures = region(ROWS * CW_SIGNATURE_BYTES);
    const uint32_t bytes = region(0);
    path.arena.base = aligned_alloc(128, (bytes + 127) & ~127u);
    memset(path.arena.base, 0, bytes);
    const uint32_t starts[] = {path.arena.committed, path.arena.slots, path.arena.channel_index, path.arena.rows, path.arena.signatures, bytes};
    const uint32_t sizes[] = {0, 4, slots * CW_SLOT_BYTES, INDEX * 4, ROWS * CW_ROW_HOT_BYTES, ROWS * CW_SIGNATURE_BYTES};
    for (int i = 0; i < 6; i++) poison(i ? (starts[i - 1] + sizes[i] + 7) & ~7u : 0, starts[i]);
    path.filter.cells = calloc(CELLS, 4);
    path.filter.r_start = CW_CLAIM_SIGNATURE + below(31), path.filter.r_shift = below(9);
    path.filter.s_start = CW_CLAIM_SIGNATURE + 33 + below(30), path.filter.s_shift = below(9);
    for (uint32_t row = 0; row < ROWS; row++) {
        uint32_t hash = (row + 1) * CW_HASH_BOTH, entry;
        hash ^= hash >> CW_HASH_SHIFT, hash *= CW_HASH_END;
        for (entry = hash & (INDEX - 1); word(path.arena.channel_index)[entry]; entry = (entry + 1) % INDEX);
        word(path.arena.channel_index)[entry] = row + 1;
        hot(row)[CW_HOT_ID_LOW] = row + 1, hot(row)[CW_HOT_FLAGS] = CW_FLAG_OPEN;
        hot(row)[CW_HOT_CAPACITY_HIGH] = row % 5 ? 3 : 0, hot(row)[CW_HOT_CAPACITY_LOW] = 1u << 20;
    }
}
static void close_path(void) {
#ifdef POISON
    __asan_unpoison_memory_region(path.arena.base, arena_end);
#endif
    free(path.arena.base), free(path.filter.cells);
}
static struct cw_group open_group(void) {
    struct cw_group g = {malloc(CW_GROUP_HEADER_BYTES + RECORDS * CW_RECORD_BYTES), calloc(CW_ROW_HEADS, 4), calloc(RECORDS, 4), calloc(RECORDS, 4), calloc(ACKS * 5, 4),
                         calloc(ACKS, 4), calloc(ACKS, 4), calloc(RECORDS, 4), calloc(3, 4), RECORDS, ACKS, 0, 0};
    return g;
}
static void clear_group(struct cw_group *g) {
    memset(g->row_heads, 0, CW_ROW_HEADS * 4);
    memset(g->ack_heads, 0, RECORDS * 4), memset(g->counts, 0, 12);
}
static void close_group(struct cw_group *g) {
    free(g->journal), free(g->row_heads), free(g->row_next), free(g->row_of_record), free(g->ack_words), free(g->ack_records), free(g->ack_next), free(g->ack_heads), free(g->counts);
}

static void put64(uint8_t *to, uint64_t v) { for (int i = 7; i >= 0; i--, v >>= 8) to[i] = (uint8_t)v; }
static uint64_t get64(const uint8_t *from) { uint64_t v = 0; for (int i = 0; i < 8; i++) v = v << 8 | from[i]; return v; }
static void some_claim(uint8_t *claim) {
    for (uint32_t i = 0; i < CW_CLAIM_BYTES; i++) claim[i] = (uint8_t)random_word();
    claim[0] = below(60) ? CW_FRAME_CLAIM : (uint8_t)below(4);
    const uint32_t row = below(ROWS + 1);
    put64(claim + 1, row + 1);
    put64(claim + CW_CLAIM_AMOUNT, (row < ROWS ? committed_of(row) : 0) + below(30));
}

/* Random bytes, or whole claims cut at any byte, which end at a page that cannot be read. */
static void test_payloads(uint32_t slots, int rounds) {
    const uint32_t source[5] = {0x01020304, 1, 2, 3, 4};
    struct cw_group groups[2] = {open_group(), open_group()};
    uint32_t first = 0u - below(3000), next = first;
    open_path(slots);
    *word(path.arena.committed) = first;
    for (int round = 0; round < rounds; round++) {
        const uint32_t claims = below(round % 50 ? 20 : 700), length = below(8) ? claims * CW_CLAIM_BYTES : below(claims * CW_CLAIM_BYTES + 2);
        uint8_t *bytes = payload_end - length;
        for (uint32_t at = 0; at < length; at += CW_CLAIM_BYTES) {
            uint8_t claim[CW_CLAIM_BYTES];
            some_claim(claim);
            memcpy(bytes + at, claim, length - at < sizeof claim ? length - at : sizeof claim);
        }
        const uint32_t taken = cw_path_admit(&path, bytes, length, source, next, 1500000000, UINT32_MAX);
        EXPECT(taken <= length / CW_CLAIM_BYTES && next + taken - first <= slots, "%u claims of %u bytes into %u slots", taken, length, slots - (next - first));
        for (uint32_t i = 0; i < taken; i++) {
            uint8_t *s = slot(next + i);
            const uint32_t row = *(uint32_t *)(s + CW_SLOT_CHANNEL);
            EXPECT(!memcmp(s, bytes + i * CW_CLAIM_BYTES, CW_CLAIM_BYTES) && !memcmp(s + CW_CLAIM_BYTES, (const uint8_t *)source + 1, 19), "a slot holds its claim");
            EXPECT(row < ROWS && get64(s + 1) == row + 1 && get64(s + CW_CLAIM_AMOUNT) > committed_of(row), "its row is the channel's");
            *(uint32_t *)(s + CW_SLOT_VERDICT) = below(30) ? CW_VALID : below(5);
            if (!below(100)) *(uint32_t *)(s + CW_SLOT_CHANNEL) = below(2) ? ROWS + below(2) : random_word();
        }
        next += taken;
        uint64_t best[ROWS];
        for (uint32_t row = 0; row < ROWS; row++) best[row] = committed_of(row);
        while (first != next) {
            const uint32_t open = below(2);
            const uint32_t staged = cw_path_stage(&path, &groups[open], below(2) ? &groups[!open] : 0, first, next, 1500000000);
            EXPECT(staged <= next - first, "%u staged", staged);
            for (uint32_t i = 0; i < staged; i++) {
                const uint32_t row = *(uint32_t *)(slot(first + i) + CW_SLOT_CHANNEL);
                const uint64_t amount = get64(slot(first + i) + CW_CLAIM_AMOUNT);
                EXPECT(row < ROWS && *(uint32_t *)(slot(first + i) + CW_SLOT_VERDICT) == CW_VALID, "staged what is valid");
                if (amount > best[row]) best[row] = amount;
            }
            for (int g = 0; g < 2; g++) EXPECT(groups[g].counts[CW_COUNT_RECORDS] <= RECORDS && groups[g].counts[CW_COUNT_ACKS] <= ACKS, "a group holds what it can");
            first += staged + (first + staged != next); /* the next one is left to the step */
            for (int g = 0; g < 2; g++)
                if (first == next || groups[g].counts[CW_COUNT_ACKS] == ACKS) cw_path_commit(&path, &groups[g]), clear_group(&groups[g]);
        }
        for (uint32_t row = 0; row < ROWS; row++)
            EXPECT(committed_of(row) == best[row] && !(hot(row)[CW_HOT_VERSION] & 1), "row %u has its best claim", row);
        *word(path.arena.committed) = first;
        if (!below(50)) word(path.arena.channel_index)[below(INDEX)] = below(2) ? ROWS + 1 : random_word() | 1u << 31;
    }
    close_path();
    close_group(&groups[0]), close_group(&groups[1]);
}

/* Calls while the operator changes a row; a sanitizer, which looks at memory, need not wait for the rarest meetings. */
#ifdef CW_SANITIZED
enum { OPERATOR_CALLS = 300000 };
#else
enum { OPERATOR_CALLS = 3000000 };
#endif

/* Capacities that share no half, changed as ChannelTable.change does; stops when the receive step has seen enough. */
static int is_over;
static void *operate(void *nothing) {
    for (uint32_t turn = 0; !__atomic_load_n(&is_over, __ATOMIC_RELAXED); turn++) {
        __atomic_add_fetch(&hot(0)[CW_HOT_CHANGE], 1, __ATOMIC_SEQ_CST);
        __atomic_store_n(&hot(0)[CW_HOT_CAPACITY_HIGH], turn & 1, __ATOMIC_SEQ_CST);
        __atomic_store_n(&hot(0)[CW_HOT_CAPACITY_LOW], turn & 1 ? 0 : UINT32_MAX, __ATOMIC_SEQ_CST);
        __atomic_add_fetch(&hot(0)[CW_HOT_CHANGE], 1, __ATOMIC_SEQ_CST);
        for (volatile uint32_t rest = turn * 7 % 64; rest > 0; rest--);
    }
    return nothing;
}
static void test_operator(long calls) {
    const uint32_t source[5] = {0};
    uint8_t above[CW_CLAIM_BYTES] = {CW_FRAME_CLAIM}, within[CW_CLAIM_BYTES] = {CW_FRAME_CLAIM};
    long taken = 0;
    pthread_t operator;
    open_path(16);
    put64(above + 1, 1), put64(within + 1, 1);
    put64(above + CW_CLAIM_AMOUNT, 0x100000001), put64(within + CW_CLAIM_AMOUNT, 0xfffffff0);
    hot(0)[CW_HOT_CAPACITY_HIGH] = 1, hot(0)[CW_HOT_CAPACITY_LOW] = 0;
    if (pthread_create(&operator, 0, operate, 0)) puts("FAILED: no thread"), exit(1);
    for (long call = 0; call < calls; call++) {
        EXPECT(!cw_path_admit(&path, above, sizeof above, source, 0, 0, UINT32_MAX), "a claim above both capacities was taken");
        taken += cw_path_admit(&path, within, sizeof within, source, 0, 0, UINT32_MAX);
    }
    __atomic_store_n(&is_over, 1, __ATOMIC_RELAXED);
    pthread_join(operator, 0);
    EXPECT(taken > 0, "claims within both capacities are taken");
    close_path();
}
int main(void) {
    const size_t page = (size_t)sysconf(_SC_PAGESIZE), room = PAYLOAD * 2;
    uint8_t *pages = mmap(0, room + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (pages == MAP_FAILED || mprotect(pages + room, page, PROT_NONE)) return puts("FAILED: no memory to protect"), 1;
    payload_end = pages + room;
    for (int round = 0; round < 8; round++)
        for (uint32_t slots = 1; slots <= 1024; slots *= 4) test_payloads(slots, 150);
    test_operator(OPERATOR_CALLS);
    printf("claim-path: %ld checks\n", checks);
    return 0;
}
