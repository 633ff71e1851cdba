/* Crafted signatures: chosen u1, u2 for a key of known logarithm, and keys for which two nodes of the tree meet. The tests,
 * the fuzzer and the bench use them, and check the results against the specification. */
#ifndef CRAFT_H
#define CRAFT_H
#include <stdint.h>
#include "kernel.h"

/* Integers mod n, canonical. */
typedef struct { uint64_t w[4]; } number;
number small_number(uint64_t v);
number from_words(const uint64_t w[4]); /* any value below 2^256 */
number multiply(number a, number b);
number add(number a, number b);
number negate(number a);
number invert(number a);
int is_zero(number a);

/* u1 G + u2 d G = R: r = x(R), s = r/u2, z = u1 s; low s is its negative, which negates u1 and u2. 0 when R is infinity. */
int craft(struct cw_job *job, number u1, number u2, number d);
/* The same u1, u2 (or both negated), hence the same points to add, with any r: in general invalid. */
int forge(struct cw_job *job, number u1, number u2, number r);

/* A key whose x is n + r: u1 = 0, u2 = 1 then gives R = Q, so r (x - n, below p - n) with s = r, z = 0 is valid by the second
 * candidate alone. Nobody knows its logarithm. */
void craft_second_candidate(struct cw_job *job, uint64_t x[4], uint64_t y[4]);

/* Calls `meet` with each logarithm d of a key Q for which u1 G + u2 Q makes two neighbours of the tree meet: for every pair
 * of nodes (A1 Q + B1 G, A2 Q + B2 G), d with A1 d + B1 = +-(A2 d + B2), and last the one where the two halves meet.
 * Returns the number of levels. `table`: any key's table of the kind; rows are identified by their places. */
int each_collision(int kind, number u1, number u2, const uint8_t *table, const uint8_t *generator, void (*meet)(void *context, number d),
                   void *context);
/* The same for a key without a table (batch_bare.h): each row of G equal or opposite to the sum before it. */
void each_bare_collision(number u1, number u2, const uint8_t *generator, void (*meet)(void *context, number d), void *context);
/* The same for points added one after the other, in `elements` sums (single.h) that are then added up, or in one (complete.c):
 * each point equal or opposite to the sum before it, and then sum to sum. */
void each_collision_in_order(int elements, int kind, number u1, number u2, const uint8_t *table, const uint8_t *generator,
                             void (*meet)(void *context, number d), void *context);
#endif
