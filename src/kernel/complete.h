/* The slow path of the product: complete, yet from the key's table. slow.h is the specification it is tested against. */
#ifndef CLAIMWIRE_COMPLETE_H
#define CLAIMWIRE_COMPLETE_H
#include "kernel.h"
/* 1 when the signature is valid. The job's table is set; any r, s, z; range and low s are checked. */
int cw_complete_verify(const struct cw_job *job, const uint8_t *generator);
#endif
