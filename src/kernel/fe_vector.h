/* The vector contract: VEC independent numbers mod p (fe) or mod n (sc) lie side by side; each of them is an element.
 *
 * The algorithms (batch_*.h, hash_vector.h, single.h) are written once against this contract and compiled once for each
 * implementation. An implementation is one header, chosen by the .c file that includes kernel_template.h; a .c file includes
 * only one of them, since their short macro names stay defined:
 *
 *   kernel_avx512ifma.c  vector_avx512ifma.h   8 elements, five limbs of 52 bits, vpmadd52
 *   kernel_avx512f.c     vector_avx512f.h      8 elements, five limbs of 52 bits, fused multiply-add of doubles
 *   kernel_avx2.c        vector_avx2.h         4 elements, the same
 *   kernel_scalar.c      vector_scalar.h       1 element, five limbs of 52 bits, unsigned __int128
 *   kernel_neon.c        vector_neon.h         4 elements, nine limbs of 29 bits, ARM64's smlal
 *   kernel_wasm.c        vector_wasm.h         4 elements, twenty limbs of 13 bits, SIMD128's i32x4.dot_i16x8_s
 * What they share is in limbs_52.h (all but products), vector_double.h (products of doubles) and vector_512.h (eight words).
 *
 * An implementation defines
 *   VEC           number of elements; a power of two
 *   VEC_LIMB_MAX(m)  the largest limb 0..3 of magnitude m (limb 4: m (2^48 + 2^6)); tests go to the edge of it
 *   vec_u64       VEC words; + - & | ^ << >> work on it element by element (a GCC vector type, or uint64_t when VEC = 1)
 *   vec_mask      one bit an element, bit i for element i, as an unsigned integer
 *   vec_load, vec_store(void *, v)        VEC consecutive words of any type (pointers too), 8-byte alignment is enough
 *   vec_set(x)                           x in every element
 *   vec_bit_mask(v)                      bit 0 of every element
 *
 * MAGNITUDE. An fe has magnitude m when its value is at most m (2^256 + 2^215) and every limb is at most m times that
 * of a canonical number of that width; products have magnitude 1, and none is ever over 8. `loose` is the result of
 * fe_negate_elements: it may be used in fe_sub and as c of fe_mul_sub, nowhere else. These are the magnitudes that every
 * implementation holds, and no more than the algorithms need; a build with CW_VERIFY checks them in every call (fe_verify.h).
 *
 *   function                          in                            out      value
 *   fe_mul(r,a,b)                     ma * mb <= 40, each <= 8      1        a b
 *   fe_sqr(r,a)                       ma <= 6                       1        a^2
 *   fe_mul_sub(r,a,b,c)               as fe_mul; c <= 8 or loose    1        a b - c
 *   fe_sqr_sub(r,a,x,d)               as fe_sqr; x <= 1, d <= 5     1        a^2 - 2 x - d
 *   fe_add(r,a,b)                     ma + mb <= 8                  ma + mb  a + b
 *   fe_sub(r,a,b)                     ma <= 4, mb <= 2              ma + 4   a - b
 *                                     a loose, b <= 2 or loose      6        a - b
 *   fe_scale(r,a,k)                   k ma <= 8                     k ma     k a
 *   fe_negate_elements(r,a,m)         ma = 1                        loose    -a in the elements of m, a elsewhere
 *   fe_normal(r,a)                    ma <= 8                       canonical, 0 <= r < p
 *   fe_zero(a)                        ma <= 8                       vec_mask of the elements that are 0 mod p
 *   fe_select(r,m,a,b)                any                           a in the elements of m, b elsewhere
 *   fe_rotate(r,a,k)                  any                           element i gets element (i + k) mod VEC
 *   fe_load_x/_y(r,row)               row[element]: 64 bytes, x then y, four little-endian words each, canonical
 *   fe_store_rows(row,x,y)            canonical; 64-byte aligned rows that this library owns
 *   fe_from_words(r,w,stride)         word k of element i at w[k*stride+i], any value below 2^256
 *   fe_to_words(w,stride,a)           canonical
 *   fe_element_words(w,a)                canonical words of element 0; a canonical
 *   fe_broadcast(r,w)                 four words into every element
 *
 * Scalars: five limbs of 52 bits below 2^52, Montgomery with R = 2^260. `near` = below 2^258, congruent is enough.
 *   sc_mul(r,a,b)                     near, near                    near     a b / R
 *   sc_normal(r,a)                    near                          canonical
 *   sc_rotate, sc_from_words, sc_element_words, sc_broadcast(r,limbs)   as for fe (sc_element_words: canonical)
 *   sc_split(B1,B2,u)                 u near, half of a scalar: u = k/2 mod n
 *       B1, B2: three vec_u64 each, the words of 129-bit numbers with
 *       k = (2 B1 - 2^129 + 1) + lambda (2 B2 - 2^129 + 1) mod n, and |B - 2^128| < CW_SPLIT_BOUND 2^120
 */
#ifndef VEC
#error "include a vector_*.h implementation, not this file alone"
#endif
#if VEC & (VEC - 1) || VEC > 8
#error "the number of elements must be a power of two, at most 8: that many jobs, digests and rotations have room elsewhere"
#endif
/* Halves of a product are told apart by exact roundings, in the order written. */
#if defined(__FAST_MATH__) || defined(__ASSOCIATIVE_MATH__) || defined(__RECIPROCAL_MATH__) || (defined(__FINITE_MATH_ONLY__) && __FINITE_MATH_ONLY__)
#error "compile the kernel without -ffast-math and its parts: it computes with exact roundings of doubles"
#endif

/* Functions that only move limbs are the same for an fe and an sc: an implementation defines vec_*, for the limbs of both. */
#ifndef VEC_DIFFERENT_WIDTHS /* an fe and an sc have limbs of different width */
CW_INLINE void fe_load_x(fe *r, const uint8_t *const *row) { vec_load_halves(r->v, row, 0); }
CW_INLINE void fe_load_y(fe *r, const uint8_t *const *row) { vec_load_halves(r->v, row, 32); }
CW_INLINE void fe_element_words(uint64_t w[4], const fe *a) { vec_element_words(w, a->v); }
CW_INLINE void sc_element_words(uint64_t w[4], const sc *a) { vec_element_words(w, a->v); }
#endif
#ifndef VEC_DIFFERENT_LIMBS /* an fe and an sc of the same words have different limbs */
CW_INLINE void fe_from_words(fe *r, const uint64_t *w, size_t stride) { vec_from_words(r->v, w, stride); }
CW_INLINE void sc_from_words(sc *r, const uint64_t *w, size_t stride) { vec_from_words(r->v, w, stride); }
#endif
#ifdef CW_VERIFY
#include "fe_verify.h"
#endif
