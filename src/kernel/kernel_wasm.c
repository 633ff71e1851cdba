/* The kernel for WebAssembly with SIMD128: four lanes. */
#include "lanes_wasm.h"
#define KERNEL_NAME wasm
#include "kernel_template.h"
