/* The kernel this process runs and the generator's table: set once by cw_start, read-only afterwards. */
#ifndef CLAIMWIRE_DISPATCH_H
#define CLAIMWIRE_DISPATCH_H
#include "kernel.h"
extern const struct cw_kernel *cw_kernel;
extern const uint8_t *cw_generator;
/* The kernel called `name`, or the best this CPU has for NULL; NULL and a message when it cannot run here. */
const struct cw_kernel *cw_choose_kernel(const char *name, const char **message);
/* Zeroed pages, 2 MB ones where the system has them; NULL when there are none. Not touched, so that memory is taken as keys
 * come: the first use of a page costs its zeroing, about 100 us for the 15 large tables (or 120 small ones) it holds. */
void *cw_map(size_t bytes);
void cw_unmap(void *memory, size_t bytes);
#endif
