/* The kernel for WebAssembly with SIMD128: four elements. */
#include "vector_wasm.h"
#define KERNEL_NAME wasm
#include "kernel_template.h"
