/* What the signatures of claims cover: the digests of `count` claims that lie back to back, 32 bytes each. protocol/digest.ts is
 * the specification. `ledger_ids` has 32 bytes a claim; `are_link` is not 0 for a claim of the link profile. */
#ifndef CLAIMWIRE_CLAIM_DIGESTS_H
#define CLAIMWIRE_CLAIM_DIGESTS_H
#include <stdint.h>
/* Call cw_start first. */
void cw_claim_digests(uint32_t count, const uint8_t *claims, const uint8_t *ledger_ids, const uint8_t *are_link, uint8_t *digests);
#endif
