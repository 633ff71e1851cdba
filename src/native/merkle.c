/* See merkle.h. */
#define _GNU_SOURCE /* clock_gettime */
#include "merkle.h"
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#if defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h>
#endif
#if defined(__x86_64__)
#include <cpuid.h>
#endif

#define AT_ONCE 64          /* messages that are padded together */
#define NODE_BLOCKS 2       /* 65 bytes */
#define NODE_BITS (65 * 8)
#define LEAF_PREFIX_BYTES 11
#define LEAF_BITS (55 * 8)

static const uint8_t leaf_prefix[LEAF_PREFIX_BYTES] = {0, 'c', 'l', 'a', 'i', 'm', 'w', 'i', 'r', 'e', 1};

struct hasher { const char *name; cw_sha256_many *call; size_t at_a_time; };
static struct hasher wide = {"plain", cw_sha256_plain, 1}, narrow = {"plain", cw_sha256_plain, 1};
static char name[48];
static pthread_once_t once = PTHREAD_ONCE_INIT;

#if defined(__x86_64__)
static int has_sha(void) {
    unsigned a, b, c, d;
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) && b >> 29 & 1 && __builtin_cpu_supports("sse4.1") && __builtin_cpu_supports("ssse3");
}
#endif

/* The shortest of a few runs over as many messages as a frame has leaves: other programs only make it longer. */
static uint64_t nanoseconds(const struct hasher *h, const uint8_t *messages, uint8_t *digests) {
    uint64_t best = UINT64_MAX;
    for (int run = 0; run < 8; run++) {
        struct timespec from, to;
        clock_gettime(CLOCK_MONOTONIC, &from);
        h->call(AT_ONCE, 1, messages, digests);
        clock_gettime(CLOCK_MONOTONIC, &to);
        const uint64_t took = (uint64_t)((to.tv_sec - from.tv_sec) * 1000000000LL + (to.tv_nsec - from.tv_nsec));
        if (took < best) best = took;
    }
    return best;
}

/* A hasher is used if it gets right what plain C does, and where it is the fastest: one message at a time, or many. */
static void choose(void) {
    struct hasher found[3];
    size_t count = 0;
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (has_sha()) found[count++] = (struct hasher){"sha-ni", cw_sha256_ni, 1};
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw")) found[count++] = (struct hasher){"avx512", cw_sha256_avx512, 16};
    if (__builtin_cpu_supports("avx2")) found[count++] = (struct hasher){"avx2", cw_sha256_avx2, 8};
#elif defined(__aarch64__) && defined(__APPLE__)
    found[count++] = (struct hasher){"arm-sha2", cw_sha256_arm, 1};
#elif defined(__aarch64__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ && defined(__linux__)
    if (getauxval(AT_HWCAP) >> 6 & 1) found[count++] = (struct hasher){"arm-sha2", cw_sha256_arm, 1};
#endif
    uint8_t messages[AT_ONCE * CW_BLOCK_BYTES], right[AT_ONCE * CW_HASH_BYTES], digests[AT_ONCE * CW_HASH_BYTES];
    for (size_t i = 0; i < sizeof messages; i++) messages[i] = (uint8_t)(i * 197 + (i >> 8));
    cw_sha256_plain(AT_ONCE, 1, messages, right);
    uint64_t narrow_time = nanoseconds(&narrow, messages, digests), wide_time = narrow_time;
    for (size_t i = 0; i < count; i++) {
        memset(digests, 0, sizeof digests);
        found[i].call(AT_ONCE, 1, messages, digests);
        if (memcmp(digests, right, sizeof right)) continue;
        const uint64_t time = nanoseconds(&found[i], messages, digests);
        if (found[i].at_a_time == 1 && time < narrow_time) narrow = found[i], narrow_time = time;
        if (time < wide_time) wide = found[i], wide_time = time;
    }
    snprintf(name, sizeof name, "%s%s%s", wide.name, wide.call == narrow.call ? "" : ", ", wide.call == narrow.call ? "" : narrow.name);
}
const char *cw_merkle_hasher(void) {
    pthread_once(&once, choose);
    return name;
}

void cw_merkle_digests(size_t count, size_t blocks, const uint8_t *messages, uint8_t *digests) {
    pthread_once(&once, choose);
    const size_t many = count - count % wide.at_a_time;
    if (many) wide.call(many, blocks, messages, digests);
    if (many < count) narrow.call(count - many, blocks, messages + many * blocks * CW_BLOCK_BYTES, digests + many * CW_HASH_BYTES);
}

static void put_be(uint8_t *to, uint64_t value, int bytes) {
    for (int i = bytes - 1; i >= 0; i--, value >>= 8) to[i] = (uint8_t)value;
}
void cw_merkle_leaf_block(uint8_t block[CW_BLOCK_BYTES], const uint8_t id[32], uint32_t sequence, const uint8_t amount[8]) {
    memcpy(block, leaf_prefix, LEAF_PREFIX_BYTES);
    memcpy(block + LEAF_PREFIX_BYTES, id, 32);
    put_be(block + 43, sequence, 4);
    memcpy(block + 47, amount, 8);
    block[55] = 0x80;
    put_be(block + 56, LEAF_BITS, 8);
}
void cw_merkle_leaves(size_t count, const uint8_t *ids, const uint8_t *leaves, uint32_t sequence, uint8_t *hashes) {
    uint8_t blocks[AT_ONCE * CW_BLOCK_BYTES];
    for (size_t done = 0; done < count; done += AT_ONCE) {
        const size_t now = count - done < AT_ONCE ? count - done : AT_ONCE;
        for (size_t i = 0; i < now; i++)
            cw_merkle_leaf_block(blocks + i * CW_BLOCK_BYTES, ids + 32 * (done + i), sequence, leaves + CW_LEAF_BYTES * (done + i) + CW_LEAF_AMOUNT);
        cw_merkle_digests(now, 1, blocks, hashes + CW_HASH_BYTES * done);
    }
}

static void node_message(uint8_t *message, const uint8_t *left, const uint8_t *right) {
    message[0] = 1;
    memcpy(message + 1, left, 32);
    memcpy(message + 33, right, 32);
    message[65] = 0x80;
    memset(message + 66, 0, 54);
    put_be(message + 120, NODE_BITS, 8);
}
void cw_merkle_nodes(size_t count, const uint8_t *hashes, uint8_t *parents) {
    uint8_t messages[AT_ONCE / 2 * NODE_BLOCKS * CW_BLOCK_BYTES];
    for (size_t done = 0; done < count; done += AT_ONCE / 2) {
        const size_t now = count - done < AT_ONCE / 2 ? count - done : AT_ONCE / 2;
        for (size_t i = 0; i < now; i++) {
            const uint8_t *pair = hashes + 2 * CW_HASH_BYTES * (done + i);
            node_message(messages + i * NODE_BLOCKS * CW_BLOCK_BYTES, pair, pair + CW_HASH_BYTES);
        }
        cw_merkle_digests(now, NODE_BLOCKS, messages, parents + CW_HASH_BYTES * done);
    }
}
void cw_merkle_reduce(uint8_t *hashes, size_t count) {
    for (; count > 1; count = (count + 1) / 2) {
        uint8_t last[CW_HASH_BYTES];
        memcpy(last, hashes + CW_HASH_BYTES * (count - 1), CW_HASH_BYTES);
        cw_merkle_nodes(count / 2, hashes, hashes);
        if (count & 1) memcpy(hashes + CW_HASH_BYTES * (count / 2), last, CW_HASH_BYTES);
    }
}
