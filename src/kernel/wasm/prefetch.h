/* WebAssembly has no prefetch, and clang drops __builtin_prefetch. A load whose value is dropped brings the line
 * as well; unlike a prefetch it can trap, so it stays inside the memory. The Makefile includes this file before all else. */
#ifndef CLAIMWIRE_WASM_PREFETCH_H
#define CLAIMWIRE_WASM_PREFETCH_H
#include <stdint.h>
static inline __attribute__((always_inline, unused)) void cw_touch(const volatile void *p) {
    if ((uintptr_t)p >> 16 < __builtin_wasm_memory_size(0)) (void)*(const volatile uint8_t *)p;
}
#define __builtin_prefetch(p, ...) cw_touch((const volatile void *)(p))
#endif
