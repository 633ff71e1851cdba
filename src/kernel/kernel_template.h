/* A whole kernel, compiled against the vector contract in scope. The .c file that includes it defines KERNEL_NAME. */
#define KERNEL_JOIN_(a, b) a##_##b
#define KERNEL_JOIN(a, b) KERNEL_JOIN_(a, b)
#define KERNEL(function) KERNEL_JOIN(function, KERNEL_NAME)
#define KERNEL_STRING_(x) #x
#define KERNEL_STRING(x) KERNEL_STRING_(x)

#include "batch_scalars.h"
#include "batch_tree.h"
#include "jacobian.h"
#include "batch_table.h"
#include "batch_bare.h"
#include "xyzz.h"
#include "single.h"
#ifndef KERNEL_SHA512_HALF /* the instruction set has no instructions for hashing */
#include "hash_vector.h"
#define KERNEL_SHA512_HALF KERNEL(sha512_half)
#define KERNEL_SHA256 KERNEL(sha256)
#endif
#include "throwaway_vector.h"
#include "sign_vector.h"

_Static_assert(VEC <= CW_ELEMENTS_MAX && VEC <= 8 * (int)sizeof(vec_mask), "a mask has a bit an element");
_Static_assert((VEC - 1) >> 3 == 0, "the elements are multiplied across in at most three steps: across[3]");
#define TREE_BYTES (3 * (CW_BATCH_NODES / VEC) * sizeof(fe))
#define BUILDER_BYTES(nodes) (sizeof(struct builder) + 4 * (nodes) * sizeof(fe))

#ifndef VEC_SMALL_CACHE_BATCH /* an implementation that gains by it says so */
#define VEC_SMALL_CACHE_BATCH CW_BATCH
#endif
_Static_assert(SIGN_BYTES(SIGN_TREE_GROUPS) <= TREE_BYTES, "a thread's scratch memory holds the signer's tree");
const struct cw_kernel KERNEL(cw_kernel) = {
    .name = KERNEL_STRING(KERNEL_NAME),
    .elements = VEC,
    .small_cache_batch = VEC_SMALL_CACHE_BATCH,
    .scratch_bytes = TREE_BYTES > BUILDER_BYTES(BUILD_NODES) ? TREE_BYTES : BUILDER_BYTES(BUILD_NODES),
    .generator_scratch_bytes = BUILDER_BYTES(4096),
    .prepare = KERNEL(prepare),
    .finish = KERNEL(finish),
    .bare = KERNEL(bare),
    .single = KERNEL(single),
    .build = KERNEL(build),
    .decompress = KERNEL(decompress),
    .sha512_half = KERNEL_SHA512_HALF,
    .sha256 = KERNEL_SHA256,
    .throwaway_sign = KERNEL(throwaway_sign),
    .sign_width = VEC_SIGN_WIDTH,
    .sign_scratch_bytes = SIGN_BYTES(1),
    .sign = KERNEL(sign),
    .sign_multiply = KERNEL(sign_multiply),
};
