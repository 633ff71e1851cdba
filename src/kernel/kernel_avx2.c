/* The kernel for AVX2 with FMA: four lanes. Compiled with those instruction sets; runs only where cpuid has them. */
#include "lanes_avx2.h"
#define KERNEL_NAME avx2
#include "kernel_template.h"
