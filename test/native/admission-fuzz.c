/* libFuzzer target: payloads of any bytes through the claim path's loops, over the memory and with the checks of claim-path-test.c. What is
 * staged was valid, a row never falls, and no byte outside a payload, a slot or a group is touched (ASan).
 *
 * The input is records: what to do, a length of two bytes, a payload. Any bytes are records. */
#define CW_FAILED abort()
#define main claim_path_test_main
#include "claim-path-test.c"
#undef main

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const uint32_t source[5] = {0x01020304, 1, 2, 3, 4}, slots = 16;
    struct cw_group groups[2] = {open_group(), open_group()};
    uint32_t first = 0u - 20, next = first;
    state = 0x9E3779B97F4A7C15ULL; /* the filter looks at the same bytes of a signature in every run */
    open_path(slots);
    *word(path.arena.committed) = first;
    while (size >= 3) {
        const uint32_t what = data[0], said = (uint32_t)data[1] << 8 | data[2], length = said < size - 3 ? said : (uint32_t)(size - 3);
        uint8_t *payload = malloc(length + !length); /* of exact size, so that a read past its end is seen */
        memcpy(payload, data + 3, length);
        data += 3 + length, size -= 3 + length;
        const uint32_t taken = cw_path_admit(&path, payload, length, source, next, 1500000000, UINT32_MAX);
        EXPECT(taken <= length / CW_CLAIM_BYTES && next + taken - first <= slots, "%u claims of %u bytes", taken, length);
        for (uint32_t i = 0; i < taken; i++) {
            uint8_t *s = slot(next + i);
            const uint32_t row = *(uint32_t *)(s + CW_SLOT_CHANNEL);
            EXPECT(!memcmp(s, payload + i * CW_CLAIM_BYTES, CW_CLAIM_BYTES), "a slot holds its claim");
            EXPECT(row < ROWS && get64(s + 1) == row + 1 && get64(s + CW_CLAIM_AMOUNT) > committed_of(row), "its row is the channel's");
            /* A signature's last byte says what the verifier found, and whether the slot was damaged since. */
            const uint8_t last = s[CW_CLAIM_BYTES - 9];
            *(uint32_t *)(s + CW_SLOT_VERDICT) = last & 3 ? CW_VALID : last >> 2 & 3;
            if (last == 0xff) *(uint32_t *)(s + CW_SLOT_CHANNEL) = ROWS + (last & 1);
        }
        free(payload);
        next += taken;
        uint64_t before[ROWS];
        for (uint32_t row = 0; row < ROWS; row++) before[row] = committed_of(row);
        if (what & 1) {
            const uint32_t staged = cw_path_stage(&path, &groups[what >> 1 & 1], what & 4 ? &groups[~what >> 1 & 1] : 0, first, next, 1500000000);
            EXPECT(staged <= next - first, "%u staged", staged);
            for (uint32_t i = 0; i < staged; i++)
                EXPECT(*(uint32_t *)(slot(first + i) + CW_SLOT_VERDICT) == CW_VALID, "staged what is valid");
            first += staged + (first + staged != next);
            for (int g = 0; g < 2; g++)
                EXPECT(groups[g].counts[CW_COUNT_RECORDS] <= RECORDS && groups[g].counts[CW_COUNT_ACKS] <= ACKS, "a group holds what it can");
        }
        for (int g = 0; g < 2; g++)
            if (what & (8u << g) || groups[g].counts[CW_COUNT_ACKS] == ACKS) cw_path_commit(&path, &groups[g]), clear_group(&groups[g]);
        for (uint32_t row = 0; row < ROWS; row++)
            EXPECT(committed_of(row) >= before[row] && !(hot(row)[CW_HOT_VERSION] & 1), "row %u falls", row);
        *word(path.arena.committed) = first;
    }
    close_path();
    close_group(&groups[0]), close_group(&groups[1]);
    return 0;
}
