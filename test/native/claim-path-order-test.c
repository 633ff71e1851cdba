/* Changes and reads a row of the channel table in every order in which threads can meet. It is claim_path.c itself, in which any
 * other thread may continue at each atomic operation (interleave.h), and readers as in channel/table.ts. A snapshot read
 * under an even version must be of one claim, its amount with its own signature, and the row must be marked dirty.
 *
 * It also checks what keeps that true where stores are reordered (ARM): every store of a row comes after a release fence, which
 * comes after the exchange that locked the row; all stores are atomic; and the version is released last. */
#include <stdint.h>
#include <string.h>
#include "interleave.h"
#include "layout_generated.h"

enum { ROWS_AT = 128, SIGNATURES_AT = 256, INDEX_AT = 384, SLOTS_AT = 512, CURSOR_AT = 1024, ARENA = 1152, ROW_WORDS = CW_ROW_HOT_BYTES / 4 };
static _Alignas(128) uint8_t arena[ARENA];
static uint32_t *const hot = (uint32_t *)(arena + ROWS_AT), *const signature = (uint32_t *)(arena + SIGNATURES_AT);
static long checks;

/* The row as atomic stores left it, and per actor whether a fence separates its stores from the exchange before. */
static uint8_t expected[SIGNATURES_AT + CW_SIGNATURE_BYTES];
static int is_fenced[ACTORS_MAX];
static int is_row(const volatile void *at) { return (const uint8_t *)at >= arena + ROWS_AT && (const uint8_t *)at < arena + SIGNATURES_AT + CW_SIGNATURE_BYTES; }
static void meet(const volatile void *at) {
    if (current < 0 || !is_row(at)) return;
    MODEL_EXPECT(!memcmp(expected + ROWS_AT, arena + ROWS_AT, sizeof expected - ROWS_AT), "a row was stored to otherwise than atomically");
    interleave_step();
}
static void stored(const volatile void *at, size_t bytes) {
    const size_t from = (size_t)((const uint8_t *)at - arena);
    if (is_row(at)) memcpy(expected + from, arena + from, bytes);
}
static void may_store(const volatile void *at, int order) {
    if (current < 0 || !is_row(at)) return;
    if (at == &hot[CW_HOT_VERSION]) {
        MODEL_EXPECT(lock_holder == current && (order == __ATOMIC_RELEASE || order == __ATOMIC_SEQ_CST), "the version is not released");
        return;
    }
    MODEL_EXPECT(lock_holder == current, "a row is stored to without its lock");
    MODEL_EXPECT(is_fenced[current], "a store may be seen before the version is odd");
}
static void released(const volatile void *at) {
    if (at == &hot[CW_HOT_VERSION]) interleave_unlock();
}
/* A failed exchange is tried again by the next actor. */
static void may_exchange(const volatile void *at) {
    meet(at);
    if (current >= 0 && lock_holder != current) interleave_lock();
    if (current >= 0) is_fenced[current] = 0;
}
static void may_read(const volatile void *at, int order) {
    if (current >= 0 && is_row(at)) MODEL_EXPECT(order == __ATOMIC_ACQUIRE || order == __ATOMIC_SEQ_CST, "a row is read without acquire");
    meet(at);
}
#define __atomic_load_n(p, order) (may_read(p, order), __atomic_load_n(p, order))
#define __atomic_store_n(p, v, order) (may_store(p, order), meet(p), __atomic_store_n(p, v, order), stored(p, sizeof *(p)), released(p))
#define __atomic_compare_exchange_n(p, e, v, weak, good, bad) (may_exchange(p), exchange(p, e, v))
#define __atomic_thread_fence(order) (void)(current >= 0 && (is_fenced[current] = (order) == __ATOMIC_RELEASE || (order) == __ATOMIC_SEQ_CST))
static int exchange(uint32_t *word, uint32_t *before, uint32_t value) {
    const int is_taken = *word == *before;
    if (is_taken) *word = value, stored(word, 4);
    else *before = *word;
    return is_taken;
}
#include "../../src/native/claim_path.c"

static struct cw_claim_path path;
static struct scene {
    const char *name;
    uint64_t committed, first, second; /* amounts: in the row, of one and of the other group */
    void (*run[ACTORS_MAX])(int);
} const *scene;

static void put64(uint8_t *to, uint64_t v) { for (int i = 7; i >= 0; i--, v >>= 8) to[i] = (uint8_t)v; }
/* Every byte of it follows from its amount. */
static void make_claim(uint8_t claim[CW_CLAIM_BYTES], uint64_t amount) {
    memset(claim, (int)(amount % 251), CW_CLAIM_BYTES);
    claim[0] = CW_FRAME_CLAIM;
    put64(claim + 1, 1);
    put64(claim + CW_CLAIM_AMOUNT, amount);
}
static void commit_amount(uint64_t amount) {
    uint8_t journal[CW_GROUP_HEADER_BYTES + CW_RECORD_BYTES] = {0};
    uint32_t row = 0, counts[3] = {0};
    counts[CW_COUNT_RECORDS] = 1;
    make_claim(journal + CW_GROUP_HEADER_BYTES, amount);
    const struct cw_group group = {.journal = journal, .row_of_record = &row, .counts = counts, .records_max = 1};
    cw_path_commit(&path, &group);
}
static void commits_first(int a) { (void)a, commit_amount(scene->first); }
static void commits_second(int a) { (void)a, commit_amount(scene->second); }

/* As ChannelTable.read; it gives up rather than wait. */
static void reads(int a) {
    (void)a;
    for (int tries = 0; tries < 2; tries++) {
        uint32_t row[ROW_WORDS], words[CW_SIGNATURE_BYTES / 4];
        const uint32_t version = load(&hot[CW_HOT_VERSION]);
        if (version & 1) continue;
        for (int i = 0; i < ROW_WORDS; i++) row[i] = load(&hot[i]);
        for (uint32_t i = 0; i < CW_SIGNATURE_BYTES / 4; i += 5) words[i] = load(&signature[i]);
        if (load(&hot[CW_HOT_VERSION]) != version) continue;
        uint8_t claim[CW_CLAIM_BYTES];
        const uint64_t amount = pair(row[CW_HOT_COMMITTED_HIGH], row[CW_HOT_COMMITTED_LOW]);
        make_claim(claim, amount);
        MODEL_EXPECT(amount == scene->committed || amount == scene->first || amount == scene->second, "an amount nobody committed");
        MODEL_EXPECT(row[CW_HOT_SEQUENCE] == be32(claim + CW_CLAIM_SEQUENCE) && row[CW_HOT_TIMESTAMP_LOW] == be32(claim + CW_CLAIM_TIMESTAMP + 4) &&
                     row[CW_HOT_TIMESTAMP_HIGH] == be32(claim + CW_CLAIM_TIMESTAMP), "an amount with another claim's sequence or time");
        for (uint32_t i = 0; i < CW_SIGNATURE_BYTES / 4; i += 5)
            MODEL_EXPECT(!memcmp(&words[i], claim + CW_CLAIM_SIGNATURE + 4 * i, 4), "amount %llx with another claim's signature", (unsigned long long)amount);
        MODEL_EXPECT(amount == scene->committed || row[CW_HOT_DIRTY], "a claim the registry lacks, in a row that is not dirty");
        checks++;
        return;
    }
}
/* Receipt beside commits: the committed amount that it reads is never above the true one. */
static void asks_above_both(int a) {
    (void)a;
    const uint64_t most = scene->first > scene->second ? scene->first : scene->second;
    MODEL_EXPECT(admits(hot, most + 1, 0), "a claim above all that is committed is turned away");
    checks++;
}
/* The operator, as ChannelTable.change: from one capacity to the other, which share no half. */
static void changes_capacity(int a) {
    (void)a;
    interleave_lock();
    is_fenced[current] = 1;
    for (int turn = 0; turn < 3; turn++) {
        const uint32_t words[] = {CW_HOT_CHANGE, CW_HOT_CAPACITY_HIGH, CW_HOT_CAPACITY_LOW, CW_HOT_CHANGE};
        const uint32_t values[] = {hot[CW_HOT_CHANGE] + 1, turn & 1, turn & 1 ? 0 : UINT32_MAX, hot[CW_HOT_CHANGE] + 2};
        for (int i = 0; i < 4; i++) __atomic_store_n(&hot[words[i]], values[i], __ATOMIC_SEQ_CST);
    }
    interleave_unlock();
}
static void asks_above_capacity(int a) {
    (void)a;
    for (int i = 0; i < 2; i++) MODEL_EXPECT(!admits(hot, 0x100000001, 0), "a claim above both capacities is taken");
    checks++;
}

static const struct scene scenes[] = {
    {"a commit and a reader", 5, 9, 9, {commits_first, reads}},
    {"a commit that changes both halves", 0xffffffff, 0x100000000, 0x100000000, {commits_first, reads}},
    {"two lanes and a reader", 5, 9, 7, {commits_first, commits_second, reads}},
    {"two lanes, high halves", 0xfffffff0, 0x100000007, 0x200000001, {commits_first, commits_second, reads}},
    {"two lanes and the receiver", 0xfffffff0, 0x100000007, 0x200000001, {commits_first, commits_second, asks_above_both}},
    {"the operator and the receiver", 1, 1, 1, {changes_capacity, asks_above_capacity}},
};
static void set_scene(void) {
    uint8_t claim[CW_CLAIM_BYTES];
    make_claim(claim, scene->committed);
    memset(arena, 0, sizeof arena);
    hot[CW_HOT_FLAGS] = CW_FLAG_OPEN;
    hot[CW_HOT_CAPACITY_HIGH] = scene->run[0] == changes_capacity ? 1 : UINT32_MAX;
    hot[CW_HOT_COMMITTED_HIGH] = (uint32_t)(scene->committed >> 32), hot[CW_HOT_COMMITTED_LOW] = (uint32_t)scene->committed;
    hot[CW_HOT_SEQUENCE] = be32(claim + CW_CLAIM_SEQUENCE);
    hot[CW_HOT_TIMESTAMP_HIGH] = be32(claim + CW_CLAIM_TIMESTAMP), hot[CW_HOT_TIMESTAMP_LOW] = be32(claim + CW_CLAIM_TIMESTAMP + 4);
    memcpy(signature, claim + CW_CLAIM_SIGNATURE, CW_SIGNATURE_BYTES);
    memcpy(expected, arena, sizeof expected);
}
static void check_end(void) {
    const uint64_t most = scene->first > scene->second ? scene->first : scene->second;
    const uint64_t amount = (uint64_t)hot[CW_HOT_COMMITTED_HIGH] << 32 | hot[CW_HOT_COMMITTED_LOW];
    MODEL_EXPECT(!(hot[CW_HOT_VERSION] & 1) && amount == (scene->run[0] == changes_capacity ? scene->committed : most), "the highest claim stays");
    MODEL_EXPECT(!memcmp(expected + ROWS_AT, arena + ROWS_AT, sizeof expected - ROWS_AT), "a row was stored to otherwise than atomically");
    checks++;
}
int main(void) {
    path = (struct cw_claim_path){.arena = {.base = arena, .slots = SLOTS_AT, .slot_mask = 1, .committed = CURSOR_AT, .channel_index = INDEX_AT, .index_mask = 1,
                                                  .rows = ROWS_AT, .rows_max = 1, .signatures = SIGNATURES_AT}};
    for (size_t i = 0; i < sizeof scenes / sizeof *scenes; i++) {
        scene = &scenes[i];
        const int actors_here = scene->run[2] ? 3 : 2;
        const long runs = interleave_all(actors_here, scene->run, actors_here == 2 ? 3 : 2, set_scene, check_end);
        printf("claim-path-order: %s: %ld orders\n", scene->name, runs);
    }
    printf("claim-path-order: %ld checks\n", checks);
    return 0;
}
