/* The cost of forced collisions: a payer who knows its key's logarithm sends claims in whose sum two equal x meet. Prints the
 * time of each path alone, what one such claim adds to a batch of 128 (at the costliest node), the share of a core that
 * 300 of them a second use, and how much they slow others at that rate. Figures are medians; digests are given, not
 * computed. The environment variable MS is the time of a round. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "claimwire_kernel.h"
#include "common.h"
#include "craft.h"
#include "dispatch.h"
#include "throwaway_sign.h"

#define N 8192
#define HONEST_KEYS 1000
#define NODES_MAX 256
#define ROUNDS 7
#define PER_SECOND 300
static uint8_t digest[N][32], signature[N][64], key[N][33], verdict[N];
static struct { uint8_t digest[32], signature[64], key[33]; } forced[NODES_MAX];
static int nodes;
static struct cw_thread *thread;
static uint64_t round_ns = 100000000, checksum;

static uint64_t now(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t); /* processor time: other programs do not count */
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}
static number random_number(void) {
    static uint64_t state = 1;
    uint64_t w[4];
    for (int i = 0; i < 4; i++) {
        state = state * 6364136223846793005ULL + 1442695040888963407ULL;
        w[i] = state ^ state >> 29;
    }
    return from_words(w);
}
static void honest(int i) {
    static uint8_t keys[HONEST_KEYS][33];
    static struct cw_throwaway_key signer[HONEST_KEYS];
    const int k = i % HONEST_KEYS;
    const struct cw_throwaway_key *at = &signer[k];
    if (cw_words_zero(at->r)) {
        const uint8_t nonce[32] = {7};
        uint8_t bytes[32];
        cw_words_to_be(bytes, random_number().w);
        cw_throwaway_prepare(&signer[k], bytes, nonce, cw_generator);
        cw_throwaway_public(keys[k], bytes);
    }
    const number z = random_number();
    struct cw_job job;
    memcpy(job.z, z.w, 32);
    cw_kernel->throwaway_sign(1, &job, &at);
    cw_words_to_be(digest[i], z.w);
    cw_words_to_be(signature[i], job.r);
    cw_words_to_be(signature[i] + 32, job.s);
    memcpy(key[i], keys[k], 33);
}
static void force(void *context, number d) {
    const number *u = context;
    struct cw_job job;
    if (nodes == NODES_MAX || is_zero(d) || !craft(&job, u[0], u[1], d)) return;
    uint8_t bytes[32];
    cw_words_to_be(bytes, d.w);
    cw_throwaway_public(forced[nodes].key, bytes);
    cw_words_to_be(forced[nodes].digest, job.z);
    cw_words_to_be(forced[nodes].signature, job.r);
    cw_words_to_be(forced[nodes].signature + 32, job.s);
    nodes++;
}
static void put(int at, int node) {
    memcpy(digest[at], forced[node].digest, 32);
    memcpy(signature[at], forced[node].signature, 64);
    memcpy(key[at], forced[node].key, 33);
}
static uint64_t slow_paths(void) {
    struct cw_stats s;
    cw_read_stats(&s);
    return s.slow_paths;
}
/* Nanoseconds per claim; every verdict must be valid. */
static double once(enum cw_path path, size_t count, uint64_t limit) {
    uint64_t done = 0, begin = now(), end;
    do {
        cw_verify_many(thread, path, count, digest[0], signature[0], key[0], verdict);
        done += count;
        end = now();
    } while (end - begin < limit);
    for (size_t i = 0; i < count; i++) {
        if (verdict[i] != 1) printf("%zu: expected verdict 1, got %d\n", i, verdict[i]), exit(1);
        checksum += verdict[i];
    }
    return (double)(end - begin) / (double)done;
}
static int order(const void *a, const void *b) { return *(const double *)a < *(const double *)b ? -1 : 1; }
static double middle(double *list) {
    qsort(list, ROUNDS, sizeof *list, order);
    return list[ROUNDS / 2];
}
static double median(enum cw_path path, size_t count) {
    double list[ROUNDS];
    for (int i = 0; i < ROUNDS; i++) list[i] = once(path, count, round_ns / 4);
    return middle(list);
}
/* Nanoseconds that a forced claim at `at` adds to `count` claims, from rounds with and without it in turns. */
static double added(size_t count, int at, int node, double *plain) {
    double with[ROUNDS], without[ROUNDS];
    for (int i = 0; i < ROUNDS; i++) {
        honest(at);
        without[i] = once(CW_PATH_BATCH, count, round_ns / 4);
        put(at, node);
        const uint64_t before = slow_paths();
        with[i] = once(CW_PATH_BATCH, count, round_ns / 4);
        if (slow_paths() == before) puts("expected collisions, got none"), exit(1);
    }
    honest(at);
    *plain = middle(without);
    return (middle(with) - *plain) * (double)count;
}

int main(void) {
    if (getenv("MS")) round_ns = strtoull(getenv("MS"), 0, 10) * 1000000;
    const char *message = cw_start((size_t)1 << 30);
    thread = message ? 0 : cw_thread_new();
    if (!thread) return puts(message ? message : "no memory"), 1;
    number u[2] = {random_number(), random_number()};
    each_collision(CW_LARGE, u[0], u[1], cw_generator, cw_generator, force, u);
    for (int i = 0; i < N; i++) honest(i);
    for (int i = 0; i < nodes; i++) put(i, i);
    for (int i = 0; i < 300; i++) once(CW_PATH_BATCH, N, 0); /* large tables for all */
    for (int i = 0; i < nodes; i++) honest(i);
    once(CW_PATH_BATCH, N, 0);
    printf("kernel %s, %d honest keys, %d nodes to collide at\n", cw_kernel_name(), HONEST_KEYS, nodes);
    printf("honest claim: batch %.2f, single %.1f, complete %.1f, specification %.0f us\n", median(CW_PATH_BATCH, N) / 1e3,
           median(CW_PATH_SINGLE, N) / 1e3, median(CW_PATH_COMPLETE, N) / 1e3, median(CW_PATH_SLOW, 100) / 1e3);
    double worst = 0, plain;
    int worst_node = 0;
    for (int node = 0; node < nodes; node++) {
        const double cost = added(128, 77, node, &plain);
        if (cost > worst) worst = cost, worst_node = node;
    }
    printf("one forced in a batch of 128 adds %.1f us (node %d): %d a second take %.2f %% of a core\n", worst / 1e3, worst_node, PER_SECOND, worst * PER_SECOND / 1e7);
    const int tree_nodes = nodes;
    each_collision_in_order(cw_kernel->elements, CW_LARGE, u[0], u[1], cw_generator, cw_generator, force, u);
    put(0, tree_nodes);
    for (int i = 0; i < 200; i++) once(CW_PATH_SINGLE, 1, 0);
    const uint64_t before = slow_paths();
    const double alone = median(CW_PATH_SINGLE, 1);
    if (slow_paths() == before) return puts("expected collisions, got none"), 1;
    printf("forced ones, one at a time: %.1f us each: %.2f %% of a core\n", alone / 1e3, alone * PER_SECOND / 1e7);
    nodes = tree_nodes;
    for (int i = 0; i < 128; i++) put(i, i % nodes);
    const double all = median(CW_PATH_BATCH, 128);
    printf("nothing but forced ones, calls of 128: %.1f us each: %.2f %% of a core\n", all / 1e3, all * PER_SECOND / 1e7);
    for (int i = 0; i < 128; i++) honest(i);
    median(CW_PATH_BATCH, N);
    double with[ROUNDS], without[ROUNDS];
    for (int i = 0; i < ROUNDS; i++) { /* one in every batch, so that it can be told from noise */
        for (int k = 0; k < N; k += 128) honest(k);
        without[i] = once(CW_PATH_BATCH, N, round_ns);
        for (int k = 0; k < N; k += 128) put(k, worst_node);
        with[i] = once(CW_PATH_BATCH, N, round_ns);
    }
    plain = middle(without);
    const double slower = middle(with) / plain - 1, rate = 1e9 / middle(with) / 128;
    printf("others at full speed, %.0f /s: %.0f forced a second slow them by %.1f %%, %d by %.2f %%\n", 1e9 / plain, rate, slower * 100,
           PER_SECOND, slower * 100 * PER_SECOND / rate);
    printf("checksum %llu\n", (unsigned long long)checksum);
    return 0;
}
