/* The kernel for ARM64: four elements in NEON, which every such CPU has. */
#include "vector_neon.h"
#define KERNEL_NAME neon
#include "kernel_template.h"
