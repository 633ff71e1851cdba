/* The kernel for AVX-512 IFMA: eight elements. Compiled with that instruction set; runs only where cpuid has it. */
#include "vector_avx512ifma.h"
#define KERNEL_NAME avx512ifma
#include "kernel_template.h"
