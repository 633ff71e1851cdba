/* The kernel this process runs and the generator's table: set once by cw_start, read-only afterwards. */
#ifndef CLAIMWIRE_DISPATCH_H
#define CLAIMWIRE_DISPATCH_H
#include "keys.h"
extern const struct cw_kernel *cw_kernel;
extern const uint8_t *cw_generator;
/* Whose digests are the fastest for one message alone: a vector of one message costs as much as a full one (measured: 340 ns for
 * SHA-512Half by the scalar kernel, 440 to 520 by the vector ones; SHA-256 of two blocks 500 against 630 to 780). */
extern const struct cw_kernel *cw_lone_hasher;
/* Signatures of a batch, at most CW_BATCH: of fewer all intermediate points stay in a small second-level cache. */
extern uint32_t cw_batch_max;
static inline uint32_t cw_batch_for(const struct cw_kernel *kernel, size_t level_2_bytes) {
    return level_2_bytes && level_2_bytes <= (size_t)1 << 20 ? kernel->small_cache_batch : CW_BATCH;
}
/* Returns the kernel called `name`, or for NULL the preferred one of those that can run here, untested and unmeasured; NULL
 * and a message when it cannot run here. */
const struct cw_kernel *cw_choose_kernel(const char *name, const char **message);
/* Returns zeroed pages, of 2 MB where the system has them, or NULL. They are not touched here, so memory is used only as
 * keys come: the first use of a page costs its zeroing, about 100 us for the 15 large tables (or 120 small ones) it holds. */
void *cw_map(size_t bytes);
void cw_unmap(void *memory, size_t bytes);
/* For start-up: maps the cache and builds the generator's table with `kernel`. Returns 0 when there is no memory. */
static inline int cw_start_tables(const struct cw_kernel *kernel, size_t cache_bytes) {
    uint8_t *table = cw_map((size_t)cw_table_rows(CW_GENERATOR) * CW_ROW_BYTES), *scratch = cw_map(kernel->generator_scratch_bytes);
    if (!table || !scratch || !cw_keys_start(cache_bytes)) return 0;
    kernel->build(CW_GENERATOR, 1, &cw_generator_x, &cw_generator_y, &table, scratch);
    cw_unmap(scratch, kernel->generator_scratch_bytes);
    cw_generator = table;
    return 1;
}
#endif
