/* The kernel for ARM64: four elements in NEON, which every such CPU has, and instructions for hashing where it has them. */
#include "vector_neon.h"
#include "hash_arm.h"
#define KERNEL_NAME neon
#define KERNEL_SHA512_HALF cw_arm_sha512_half
#define KERNEL_SHA256 cw_arm_sha256
#include "kernel_template.h"
