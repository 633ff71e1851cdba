/* The kernel for AVX2 with FMA: four elements. Compiled with those instruction sets; runs only where cpuid has them. */
#include "vector_avx2.h"
#define KERNEL_NAME avx2
#include "kernel_template.h"
