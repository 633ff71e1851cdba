/* Digests of claims that are about to be signed, a vector of them at a time. Those of claims in slots are made in slots.c. */
#include "claim_digests.h"
#include "common.h"
#include "dispatch.h"

struct queue {
    uint32_t count;
    uint32_t claim[CW_ELEMENTS_MAX];
    uint8_t block[CW_ELEMENTS_MAX][128];
};

static void hash_queued(struct queue *q, int link, uint8_t *digests) {
    const struct cw_kernel *kernel = q->count == 1 ? cw_lone_hasher : cw_kernel;
    uint64_t digest[CW_ELEMENTS_MAX][4];
    if (!q->count) return;
    (link ? kernel->sha256 : kernel->sha512_half)((int)q->count, (const uint8_t(*)[128])q->block, digest);
    for (uint32_t i = 0; i < q->count; i++) cw_words_to_be(digests + 32 * (size_t)q->claim[i], digest[i]);
    q->count = 0;
}

void cw_claim_digests(uint32_t count, const uint8_t *claims, const uint8_t *ledger_ids, const uint8_t *are_link, uint8_t *digests) {
    struct queue xrpl = {0}, link = {0};
    for (int i = 0; i < CW_ELEMENTS_MAX; i++) { /* what all preimages of a profile have in common, padding included */
        memcpy(xrpl.block[i], "CLM", 4);
        xrpl.block[i][44] = 0x80;
        cw_write_be64(xrpl.block[i] + 120, 44 * 8);
        memcpy(link.block[i], "claimwire/link/1", 16);
        link.block[i][77] = 0x80;
        cw_write_be64(link.block[i] + 120, 77 * 8);
    }
    for (uint32_t i = 0; i < count; i++) {
        const uint8_t *claim = claims + CW_CLAIM_BYTES * (size_t)i, *id = ledger_ids + 32 * (size_t)i;
        struct queue *q = are_link[i] ? &link : &xrpl;
        uint8_t *block = q->block[q->count];
        q->claim[q->count++] = i;
        if (are_link[i]) {
            memcpy(block + 16, id, 32);
            memcpy(block + 48, claim, CW_CLAIM_SIGNATURE); /* all that lies before it */
            memcpy(block + 69, claim + CW_CLAIM_TIMESTAMP, 8);
        } else {
            memcpy(block + 4, id, 32);
            memcpy(block + 36, claim + CW_CLAIM_AMOUNT, 8);
        }
        if (q->count == (uint32_t)cw_kernel->elements) hash_queued(q, are_link[i], digests);
    }
    hash_queued(&xrpl, 0, digests);
    hash_queued(&link, 1, digests);
}
