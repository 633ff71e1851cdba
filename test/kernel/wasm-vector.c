/* Exports the functions of vector_wasm.h for wasm-vector.mjs. Operands and results are at fixed places, limb by limb. */
#include "vector_wasm.h"
#include "modinv.h"

static fe operand[8];
static uint64_t words[8][4 * VEC];
static uint8_t rows[VEC][64] __attribute__((aligned(64)));
#define EXPORT(name) __attribute__((export_name(#name))) void name
__attribute__((export_name("operands"))) fe *operands(void) { return operand; }
__attribute__((export_name("words_at"))) uint64_t *words_at(void) { return words[0]; }
__attribute__((export_name("rows_at"))) uint8_t *rows_at(void) { return rows[0]; }
static const uint8_t *const row_of[VEC] = {rows[0], rows[1], rows[2], rows[3]};

EXPORT(mul)(void) { fe_mul(&operand[7], &operand[0], &operand[1]); }
EXPORT(mul_self)(void) { fe_mul(&operand[0], &operand[0], &operand[0]); operand[7] = operand[0]; }
EXPORT(sqr)(void) { fe_sqr(&operand[7], &operand[0]); }
EXPORT(mul_sub)(void) { fe_mul_sub(&operand[7], &operand[0], &operand[1], &operand[2]); }
EXPORT(sqr_sub)(void) { fe_sqr_sub(&operand[7], &operand[0], &operand[1], &operand[2]); }
EXPORT(add)(void) { fe_add(&operand[7], &operand[0], &operand[1]); }
EXPORT(sub)(void) { fe_sub(&operand[7], &operand[0], &operand[1]); }
EXPORT(scale)(unsigned k) { fe_scale(&operand[7], &operand[0], k); }
EXPORT(negate)(unsigned mask) { fe_negate_elements(&operand[7], &operand[0], (vec_mask)mask); }
EXPORT(normal)(void) { fe_normal(&operand[7], &operand[0]); }
__attribute__((export_name("zero"))) unsigned zero(void) { return fe_zero(&operand[0]); }
EXPORT(select)(unsigned mask) { fe_select(&operand[7], (vec_mask)mask, &operand[0], &operand[1]); }
EXPORT(rotate)(unsigned k) { fe_rotate(&operand[7], &operand[0], (int)k); }
EXPORT(from_words)(void) { fe_from_words(&operand[7], words[0], VEC); }
EXPORT(to_words)(void) { fe_to_words(words[0], VEC, &operand[0]); }
EXPORT(element_words)(void) { fe_element_words(words[0], &operand[0]); }
EXPORT(broadcast)(void) { fe_broadcast(&operand[7], words[0]); }
EXPORT(load_x)(void) { fe_load_x(&operand[7], row_of); }
EXPORT(load_y)(void) { fe_load_y(&operand[7], row_of); }
EXPORT(store_rows)(void) { fe_store_rows((uint8_t *const *)row_of, &operand[0], &operand[1]); }
EXPORT(scalar_mul)(void) { sc_mul((sc *)&operand[7], (const sc *)&operand[0], (const sc *)&operand[1]); }
EXPORT(scalar_normal)(void) { sc_normal((sc *)&operand[7], (const sc *)&operand[0]); }
EXPORT(scalar_from_words)(void) { sc_from_words((sc *)&operand[7], words[0], VEC); }
EXPORT(scalar_element_words)(void) { sc_element_words(words[0], (const sc *)&operand[0]); }
EXPORT(scalar_broadcast)(void) { sc_broadcast((sc *)&operand[7], words[0]); }
EXPORT(scalar_split)(void) {
    vec_u64 b1[3], b2[3];
    sc_split(b1, b2, (const sc *)&operand[0]);
    for (int i = 0; i < 3; i++) vec_store(words[i], b1[i]), vec_store(words[3 + i], b2[i]);
}
EXPORT(inverse_p)(void) { cw_inverse_p(words[0], words[0]); }
EXPORT(inverse_n)(void) { cw_inverse_n(words[0], words[0]); }
__attribute__((export_name("bit_mask"))) unsigned bit_mask(void) { return vec_bit_mask(vec_load(words[0])); }
EXPORT(store_pointers)(void) { vec_store((const uint8_t **)words[1], vec_load(words[0])); }
/* For a rate: four streams, as the tree has. */
EXPORT(repeat)(unsigned times, unsigned square) {
    for (unsigned i = 0; i < times; i++)
        for (int k = 0; k < 4; k++)
            if (square) fe_sqr(&operand[k], &operand[k]);
            else fe_mul(&operand[k], &operand[k], &operand[4]);
}
EXPORT(repeat_inverse)(unsigned times) {
    for (unsigned i = 0; i < times; i++) words[0][0]++, cw_inverse_p(words[0], words[0]);
}
