/* The test that a kernel must pass before it is trusted, and the time that it takes for a batch. Start-up, one thread. */
#ifndef CLAIMWIRE_SELF_TEST_H
#define CLAIMWIRE_SELF_TEST_H
#include "kernel.h"

/* Whether some rows of the generator's table, by the specification, are right. */
int cw_generator_sound(const uint8_t *generator);
/* Signatures known to be valid, and the same wrong in one bit, with tables of every kind that the kernel under test built. */
struct cw_known;
size_t cw_known_bytes(void);
/* Makes them in cw_known_bytes() bytes of zeroed, 64-byte aligned memory. */
void cw_known_make(struct cw_known *known, const uint8_t *generator);
/* Returns 0, or what `kernel` did wrong. scratch: as long as the kernel wants for a batch. */
const char *cw_self_test(const struct cw_kernel *kernel, struct cw_known *known, const uint8_t *generator, void *scratch);
/* Nanoseconds of this thread's processor time for some batches, after some that let the clock settle. About 1.5 ms. */
uint64_t cw_batch_nanoseconds(const struct cw_kernel *kernel, struct cw_known *known, const uint8_t *generator, void *scratch);
#endif
