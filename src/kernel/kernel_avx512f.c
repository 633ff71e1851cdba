/* The kernel for AVX-512 without IFMA: eight elements. Compiled with those instruction sets; runs only where cpuid has them. */
#include "vector_avx512f.h"
#define KERNEL_NAME avx512f
#include "kernel_template.h"
