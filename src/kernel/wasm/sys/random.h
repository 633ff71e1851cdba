/* What the kernel takes from <sys/random.h>, for a target without a C library (platform_wasm.c). */
#ifndef CLAIMWIRE_WASM_RANDOM_H
#define CLAIMWIRE_WASM_RANDOM_H
#include <stddef.h>
/* The seed the loader wrote, once: at most CW_SEED_BYTES. */
long getrandom(void *target, size_t bytes, unsigned flags);
#endif
