/* The functions of a C library and of compiler-rt that clang and the kernel need, for a target that has neither. */
#include <stdint.h>
#include "string.h"

void *memcpy(void *restrict target, const void *restrict source, size_t bytes) { return __builtin_memcpy(target, source, bytes); }
void *memset(void *target, int value, size_t bytes) { return __builtin_memset(target, value, bytes); }
int memcmp(const void *a, const void *b, size_t bytes) {
    const uint8_t *x = a, *y = b;
    for (size_t i = 0; i < bytes; i++)
        if (x[i] != y[i]) return x[i] < y[i] ? -1 : 1;
    return 0;
}
/* The product of two __int128: 64 x 64 -> 128 from four products of 32 bits, plus the cross terms. */
__int128 __multi3(__int128 a, __int128 b);
__int128 __multi3(__int128 a, __int128 b) {
    const uint64_t x = (uint64_t)a, y = (uint64_t)b, x0 = (uint32_t)x, x1 = x >> 32, y0 = (uint32_t)y, y1 = y >> 32;
    const uint64_t low = x0 * y0, middle = x1 * y0 + (low >> 32), other = x0 * y1 + (uint32_t)middle;
    const uint64_t high = x1 * y1 + (middle >> 32) + (other >> 32) + x * (uint64_t)((unsigned __int128)b >> 64) + (uint64_t)((unsigned __int128)a >> 64) * y;
    return (__int128)((unsigned __int128)high << 64 | (other << 32 | (uint32_t)low));
}
