/* The vector contract (fe_vector.h) with eight elements: AVX-512 F alone, for CPUs that lack IFMA. Products are those of the
 * AVX2 implementation, twice as wide: vector_double.h; the rest is in vector_512.h and limbs_52.h. */
#ifndef CLAIMWIRE_VECTOR_AVX512F_H
#define CLAIMWIRE_VECTOR_AVX512F_H
#include "vector_512.h"
#define VEC_SMALL_CACHE_BATCH 64 /* 10 to 15 % more on a CPU with 1 MB, nothing on one with 2 MB */

typedef __m512d vec_double;
#define ALL(x) {x, x, x, x, x, x, x, x}
#define FMADD _mm512_fmadd_pd
#define FSUB _mm512_sub_pd
#define FSET _mm512_set1_pd
#define BITS _mm512_castpd_si512
#define FLOATS _mm512_castsi512_pd
#define AND_OR(a, b, c) _mm512_ternarylogic_epi64(a, b, c, 0xEA)
#ifndef VEC_REGISTER /* a test that compiles this for other CPUs has no such registers */
#define VEC_REGISTER "v"
#endif
#include "vector_double.h"
#endif
