/* What a compiled kernel (one instruction set) offers to slots.c, keys.c and the tests. It has no state but its arguments. */
#ifndef CLAIMWIRE_KERNEL_H
#define CLAIMWIRE_KERNEL_H
#include <stdint.h>
#include <stddef.h>
#include "layout_generated.h"
#include "table.h"

#define CW_BATCH 128          /* signatures that share their inversions */
#define CW_ELEMENTS_MAX 8     /* of any implementation */
#define CW_SIGN_TREE 256      /* signatures of the signer whose points are added together */
#define CW_POSITIONS (CW_BATCH + CW_KEY_KINDS * CW_ELEMENTS_MAX) /* the same with each kind padded to whole groups of elements */
#define CW_BATCH_NODES (CW_POSITIONS * 2 * CW_HALF_POINTS_MAX)   /* points of a batch where every key has the smallest table */
_Static_assert(CW_POSITIONS % CW_ELEMENTS_MAX == 0 && CW_POSITIONS <= UINT16_MAX, "positions are whole groups, and fit into job_at");

/* One signature: 0 < r < n, 0 < s < n, z < 2^256 in words, least significant first; the key as its table, or for CW_BARE as a
 * single row: the point. */
struct cw_job {
    uint64_t r[4], s[4], z[4];
    const uint8_t *table;
    uint32_t kind, verdict;
    uint32_t slot;  /* the cache's own: where the table is, + 1; 0 for none */
    uint32_t index; /* the cache's own: which of the keys looked up */
};

/* A verdict without how it was come by. */
static inline uint32_t cw_plain_verdict(uint32_t verdict) { return verdict & ~(uint32_t)(CW_SLOWLY | CW_TABLELESS); }

/* A batch between `prepare` and `finish`. Belongs to one thread. */
struct cw_batch {
    uint32_t count;               /* jobs, 1..CW_BATCH */
    uint32_t groups[CW_KEY_KINDS];           /* groups of VEC jobs per kind of table */
    uint32_t rows;                /* pointers in row[] */
    uint16_t job_at[CW_POSITIONS];
    struct cw_job job[CW_BATCH];
    uint64_t r[4][CW_POSITIONS] __attribute__((aligned(64)));
    const uint8_t *row[CW_BATCH_NODES] __attribute__((aligned(64))); /* table rows, node by node, element by element */
    uint8_t negative[CW_BATCH_NODES];                                /* an element mask per node */
};

/* The rows of a lone signature: the lambda half, then the plain half, cw_half_points each, and room for one vector more. */
#define CW_SINGLE_ROWS (2 * CW_HALF_POINTS_MAX + CW_ELEMENTS_MAX)
struct cw_lone {
    const uint8_t *row[CW_SINGLE_ROWS];
    uint8_t negative[CW_SINGLE_ROWS];
    uint64_t factor[5]; /* R / 2 s: limbs of a scalar */
};

struct cw_throwaway_key;
struct cw_sign_key;
struct cw_kernel {
    const char *name;
    int elements;
    uint32_t small_cache_batch; /* signatures of a batch where the second-level cache has 1 MB or less */
    /* Bytes of 64-byte aligned scratch that prepare, finish and build need, and that build needs for the generator's table. */
    size_t scratch_bytes, generator_scratch_bytes;
    /* Jobs -> table rows to add up. `generator` is the table of kind CW_GENERATOR. */
    void (*prepare)(struct cw_batch *batch, const uint8_t *generator, void *scratch);
    /* Adds up the rows and sets job[].verdict of all but the bare jobs; prefetches the rows of `next` (may be 0) meanwhile. */
    void (*finish)(struct cw_batch *batch, const struct cw_batch *next, void *scratch);
    /* Sets job[].verdict of the bare jobs: their keys have no table, so the doublings are done here. */
    void (*bare)(struct cw_batch *batch, const uint8_t *generator, void *scratch);
    /* One signature alone, for latency; its key has a table, whose rows cw_find_key_rows has found: valid, invalid or undecided. */
    int (*single)(const struct cw_job *job, const uint8_t *generator, struct cw_lone *lone);
    /* Tables for `count` <= elements points (canonical words), into `table[]` (64-byte aligned). */
    void (*build)(int kind, int count, const uint64_t (*x)[4], const uint64_t (*y)[4], uint8_t *const *table, void *scratch);
    /* y from x and the parity of y for `count` <= elements points; returns a bit for each that is on the curve. */
    uint32_t (*decompress)(int count, const uint64_t (*x)[4], const uint8_t *odd, uint64_t (*y)[4]);
    /* First 32 bytes of SHA-512 (one padded block of 128 bytes) and SHA-256 (two of 64) for `count` <= elements messages;
     * out: words, least significant first. */
    void (*sha512_half)(int count, const uint8_t (*block)[128], uint64_t (*digest)[4]);
    void (*sha256)(int count, const uint8_t (*block)[128], uint64_t (*digest)[4]);
    /* THROW-AWAY signatures of z for `count` <= elements jobs: r and a low s; 0 for s when z = -r d and there is none. */
    void (*throwaway_sign)(int count, struct cw_job *job, const struct cw_throwaway_key *const *key);
    /* The signer for real keys (sign.h): bits of a window of its table, and bytes of scratch for sign_multiply; `sign` is content
     * with scratch_bytes. */
    int sign_width;
    size_t sign_scratch_bytes;
    /* Signs `count` <= CW_SIGN_MAX digests, unchecked. */
    void (*sign)(const struct cw_sign_key *key, const uint64_t *table, uint32_t count, const uint8_t *digests, uint8_t *signatures, void *scratch);
    /* (x, y) = k G in constant time; 0 < k < n. Of the key only the blind is used. */
    void (*sign_multiply)(const struct cw_sign_key *key, const uint64_t *table, const uint64_t k[4], uint64_t x[4], uint64_t y[4], void *scratch);
};

extern const struct cw_kernel cw_kernel_scalar, cw_kernel_avx2, cw_kernel_avx512f, cw_kernel_avx512ifma, cw_kernel_neon;

/* Find and prefetch the rows of a lone signature: first those of its key's table, which are the least likely to be in a cache, and for which
 * the digest (job->z) is not needed yet; then the generator's. cw_single_rows does both. Each returns how many there are in all. */
int cw_find_key_rows(const struct cw_job *job, struct cw_lone *lone);
int cw_find_generator_rows(const struct cw_job *job, const uint8_t *generator, struct cw_lone *lone);
int cw_single_rows(const struct cw_job *job, const uint8_t *generator, struct cw_lone *lone);
static inline __attribute__((unused)) int cw_verify_lone(const struct cw_kernel *kernel, const struct cw_job *job, const uint8_t *generator) {
    struct cw_lone lone;
    cw_find_key_rows(job, &lone);
    return kernel->single(job, generator, &lone);
}
/* The two halves of u2, plain and lambda, as sc_split gives them. */
void cw_key_halves(const struct cw_job *job, uint64_t half[2][3]);
/* The slow path (complete.c): returns 1 when the signature is valid. The job's table is set; r, s and z may be anything, and
 * range and low s are checked. slow.h is the specification it is tested against. */
int cw_complete_verify(const struct cw_job *job, const uint8_t *generator);
/* For the throw-away signer: x of k G, canonical. Returns 0 when only the slow path can tell. */
int cw_generator_multiply_x(uint64_t x[4], const uint64_t k[4], const uint8_t *generator);
#endif
