/* What the kernel takes from <stdlib.h>, for a target without a C library (platform_wasm.c). */
#ifndef CLAIMWIRE_WASM_STDLIB_H
#define CLAIMWIRE_WASM_STDLIB_H
#include <stddef.h>
/* From the kernel's part of the arena; there is no free. */
void *calloc(size_t count, size_t bytes);
#endif
