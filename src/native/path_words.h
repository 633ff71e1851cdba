/* How claim_path.c and leaf_path.c read and write words of the arena, and numbers in a claim's bytes. */
#ifndef CLAIMWIRE_PATH_WORDS_H
#define CLAIMWIRE_PATH_WORDS_H
#include "claim_path.h"
#include "common.h"

static inline uint32_t load(const uint32_t *word) { return __atomic_load_n(word, __ATOMIC_ACQUIRE); }
static inline void store(uint32_t *word, uint32_t value) { __atomic_store_n(word, value, __ATOMIC_RELEASE); }
/* Ordered only by a fence before it and a release after it. */
static inline void put(uint32_t *word, uint32_t value) { __atomic_store_n(word, value, __ATOMIC_RELAXED); }
static inline uint32_t be32(const uint8_t *bytes) {
    uint32_t v;
    memcpy(&v, bytes, 4);
    return __builtin_bswap32(v);
}
static inline void put_be32(uint8_t *bytes, uint32_t value) {
    value = __builtin_bswap32(value);
    memcpy(bytes, &value, 4);
}
static inline uint64_t amount_of(const uint8_t *claim) { return cw_read_be64(claim + CW_CLAIM_AMOUNT); }
static inline uint64_t pair(uint32_t high, uint32_t low) { return (uint64_t)high << 32 | low; }
#endif
