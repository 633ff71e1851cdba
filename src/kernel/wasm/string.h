/* What the kernel takes from <string.h>, for a target without a C library (platform_wasm.c). */
#ifndef CLAIMWIRE_WASM_STRING_H
#define CLAIMWIRE_WASM_STRING_H
#include <stddef.h>
void *memcpy(void *restrict target, const void *restrict source, size_t bytes);
void *memset(void *target, int value, size_t bytes);
int memcmp(const void *a, const void *b, size_t bytes);
#endif
