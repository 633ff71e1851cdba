/* What batches are made of: in a call all but the last one fill whole vectors with each kind of table, whatever keys its claims have, and
 * every claim is judged once. Run by the kernel that this CPU prefers, with `prepare` and `bare` counted on their way. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "arena.h"
#include "claimwire_kernel.h"
#include "common.h"
#include "dispatch.h"
#include "throwaway_sign.h"

static long checks;
#define EXPECT(condition, ...) do { checks++; if (!(condition)) { printf("FAILED line %d: ", __LINE__); printf(__VA_ARGS__); puts(""); exit(1); } } while (0)

#define SLOTS 2048
#define ROWS 64
#define SLOTS_AT 64 /* then the rows' parts, one after another */
#define ROWS_AT (SLOTS_AT + SLOTS * CW_SLOT_BYTES)
#define TAILS_AT (ROWS_AT + ROWS * CW_ROW_HOT_BYTES)
#define HEADS_AT (TAILS_AT + ROWS * CW_LEDGER_TAIL_BYTES)
#define KEYS_AT (HEADS_AT + ROWS * CW_LEDGER_HEAD_BYTES)
static uint8_t memory[KEYS_AT + ROWS * CW_KEY_ROW_BYTES] __attribute__((aligned(64)));
static const struct cw_arena arena = {.base = memory, .bytes = sizeof memory, .slots = SLOTS_AT, .slot_mask = SLOTS - 1, .rows = ROWS_AT,
                                      .rows_max = ROWS, .ledger_heads = HEADS_AT, .ledger_tails = TAILS_AT, .keys = KEYS_AT};
static struct cw_throwaway_key signer[ROWS];
static struct cw_thread *thread;
/* Rows of keys of each kind of table, the last ones without; of the last two rows the key is no point. */
static const int first_row[CW_KINDS + 2] = {0, 12, 20, 40, 44, 44, ROWS};
#define NO_POINT (ROWS - 2)

static uint64_t random_state = 9;
static uint32_t below(uint32_t n) {
    random_state = random_state * 6364136223846793005ULL + 1442695040888963407ULL;
    return (uint32_t)(random_state >> 33) % n;
}
static void random_bytes(uint8_t *bytes, size_t count) {
    for (size_t i = 0; i < count; i++) bytes[i] = (uint8_t)below(256);
}

/* Batches of the call under way. */
static const struct cw_kernel *real;
static uint32_t batches, jobs, bare_jobs, unfilled_before, unfilled, most_jobs;
static void counted_prepare(struct cw_batch *batch, const uint8_t *generator, void *scratch) {
    uint32_t of[CW_KINDS + 1] = {0};
    batches++, unfilled_before += unfilled, unfilled = 0;
    for (uint32_t i = 0; i < batch->count; i++) of[batch->job[i].kind]++;
    for (int kind = 0; kind < CW_KEY_KINDS; kind++) jobs += of[kind], unfilled += -of[kind] % (uint32_t)real->elements;
    unfilled += -of[CW_BARE] % (uint32_t)(real->elements * CW_BARE_TOGETHER);
    if (batch->count > most_jobs) most_jobs = batch->count;
    real->prepare(batch, generator, scratch);
}
static void counted_bare(struct cw_batch *batch, const uint8_t *generator, void *scratch) {
    for (uint32_t i = 0; i < batch->count; i++) bare_jobs += batch->job[i].kind == CW_BARE;
    real->bare(batch, generator, scratch);
}

static uint8_t *key_at(uint32_t row) { return memory + KEYS_AT + row * CW_KEY_ROW_BYTES; }
static void renew_keys(uint32_t from) {
    uint8_t private_keys[ROWS][32], nonces[ROWS][32];
    random_bytes(private_keys[0], sizeof private_keys);
    random_bytes(nonces[0], sizeof nonces);
    EXPECT(cw_throwaway_keys(&signer[from], ROWS - from, private_keys[from], nonces[from]) == ROWS - from, "keys to sign with");
    for (uint32_t row = from; row < ROWS; row++) {
        EXPECT(cw_throwaway_public(key_at(row), private_keys[row]), "a key");
        while (row >= NO_POINT && cw_key_valid(key_at(row))) random_bytes(key_at(row) + 1, 32);
    }
}
static void start(void) {
    const char *fault = cw_start(64 << 20);
    EXPECT(!fault, "a kernel: %s", fault);
    thread = cw_thread_new();
    random_bytes(memory + TAILS_AT, HEADS_AT - TAILS_AT);
    for (uint32_t row = 0; row < ROWS; row++) {
        uint32_t *hot = cw_arena_hot(&arena, row);
        hot[CW_HOT_ID_HIGH] = row, hot[CW_HOT_FLAGS] = CW_FLAG_OPEN | (row & 1 ? CW_FLAG_LINK : 0), hot[CW_HOT_KEY] = row;
    }
    renew_keys(0);
    for (int kind = 0; kind < CW_KEY_KINDS; kind++)
        for (int row = first_row[kind]; row < first_row[kind + 1]; row++)
            EXPECT(cw_warm_keys(thread, kind, 1, key_at((uint32_t)row)), "room for a table");
    real = cw_kernel;
    static struct cw_kernel counted;
    counted = *real, counted.prepare = counted_prepare, counted.bare = counted_bare;
    cw_kernel = &counted;
}

/* A call of `count` claims from slot `first` on, of keys of the kinds of table from `low` to `high`, some of them spoilt or judged before. */
static void test_call(uint32_t first, uint32_t count, int low, int high, int with_no_points) {
    static int32_t expected[SLOTS];
    const uint32_t lowest = (uint32_t)first_row[low], end = high == CW_BARE && !with_no_points ? NO_POINT : (uint32_t)first_row[high + 1];
    uint32_t pending = 0, without_point = 0;
    renew_keys((uint32_t)first_row[CW_BARE]); /* what had valid claims has earned tables */
    for (uint32_t i = 0; i < count; i++) {
        uint8_t *slot = cw_arena_slot(&arena, first + i);
        const uint32_t row = lowest + below(end - lowest);
        random_bytes(slot, CW_CLAIM_BYTES);
        memcpy(slot + CW_SLOT_CHANNEL, &row, 4);
    }
    EXPECT(cw_throwaway_sign_slots(thread, &arena, first, count, signer, ROWS) == count, "all signed");
    for (uint32_t i = 0; i < count; i++) {
        uint8_t *slot = cw_arena_slot(&arena, first + i);
        uint32_t row;
        memcpy(&row, slot + CW_SLOT_CHANNEL, 4);
        const int is_spoilt = below(5) == 0, is_judged = below(50) == 0;
        if (is_spoilt) slot[CW_CLAIM_SIGNATURE + 40] ^= 4;
        expected[i] = is_judged ? CW_SUPERSEDED : is_spoilt || row >= NO_POINT ? CW_INVALID : CW_VALID;
        const int32_t before = is_judged ? CW_SUPERSEDED : CW_PENDING;
        memcpy(slot + CW_SLOT_VERDICT, &before, 4);
        pending += !is_judged, without_point += !is_judged && row >= NO_POINT;
    }
    batches = jobs = bare_jobs = unfilled_before = unfilled = most_jobs = 0;
    EXPECT(cw_verify_slots(thread, &arena, first, count) == pending, "one verdict each");
    for (uint32_t i = 0; i < count; i++) {
        int32_t verdict;
        memcpy(&verdict, cw_arena_slot(&arena, first + i) + CW_SLOT_VERDICT, 4);
        EXPECT(verdict == expected[i], "call of %u, claim %u: expected verdict %d, got %d", count, i, expected[i], verdict);
    }
    if (pending <= 3) return;
    EXPECT(jobs + bare_jobs == pending - without_point, "each once: %u and %u of %u", jobs, bare_jobs, pending);
    /* Of those without a point it is known only afterwards that they fill nothing. */
    if (!without_point) EXPECT(!unfilled_before, "call of %u: %u elements without a claim before the last of %u batches", count, unfilled_before, batches);
    EXPECT(most_jobs <= CW_BATCH, "%u jobs in a batch", most_jobs);
}

int main(void) {
    start();
    cw_batch_max = CW_BATCH / 2;
    const uint32_t sizes[] = {1, 2, 3, 4, 63, 64, 65, 127, 128, 129, 200, 1000};
    for (int size = 0; size < 12; size++)
        for (int low = 0; low <= CW_BARE; low++)
            for (int high = low; high <= CW_BARE; high++)
                if (low != CW_GENERATOR && high != CW_GENERATOR) test_call(below(SLOTS), sizes[size], low, high, size & 1);
    for (int round = 0; round < 40; round++) {
        cw_batch_max = round % 4 < 2 ? CW_BATCH : CW_BATCH / 2;
        test_call(0u - 500, 500 + below(1000), 0, CW_BARE, round & 1);
    }
    cw_thread_free(thread);
    printf("slots-test: %ld checks\n", checks);
    return 0;
}
