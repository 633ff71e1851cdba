/* The hashes of Merkle batches (protocol/merkle.ts is the specification): SHA-256 of many short messages at once.
 *
 * How messages are hashed is measured at the first use, once a process. The last node of a level without a neighbour goes up as it is. */
#ifndef CLAIMWIRE_MERKLE_H
#define CLAIMWIRE_MERKLE_H
#include <stddef.h>
#include <stdint.h>

#define CW_HASH_BYTES 32
#define CW_LEAF_BYTES 16         /* in a frame: channel id and amount */
#define CW_LEAF_AMOUNT 8
#define CW_BLOCK_BYTES 64        /* of SHA-256 */
#define CW_BLOCK_LEAVES 64       /* of a frame */

/* SHA-256 of `count` messages that are padded to `blocks` blocks each, one after the other. */
typedef void cw_sha256_many(size_t count, size_t blocks, const uint8_t *messages, uint8_t *digests);
cw_sha256_many cw_sha256_plain;
/* Those that this build has; merkle.c checks the CPU. Of the AVX ones `count` is a multiple of 16, or 8. */
#if defined(__x86_64__)
cw_sha256_many cw_sha256_ni, cw_sha256_avx512, cw_sha256_avx2;
#elif defined(__aarch64__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
cw_sha256_many cw_sha256_arm;
#endif

/* What hashes here, the names of the two that were chosen: for whole vectors, and for what is left. */
const char *cw_merkle_hasher(void);
/* The block of a leaf, padded. */
void cw_merkle_leaf_block(uint8_t block[CW_BLOCK_BYTES], const uint8_t id[32], uint32_t sequence, const uint8_t amount[8]);
/* Digests of `count` padded messages of one block, or of two. */
void cw_merkle_digests(size_t count, size_t blocks, const uint8_t *messages, uint8_t *digests);
/* The hashes of `count` leaves, with 32 bytes of ledger channel id each; `leaves` as they lie in a frame. */
void cw_merkle_leaves(size_t count, const uint8_t *ids, const uint8_t *leaves, uint32_t sequence, uint8_t *hashes);
/* `count` parents, SHA-256(0x01 || left || right), of twice as many hashes that lie one after the other. They may be put where those begin. */
void cw_merkle_nodes(size_t count, const uint8_t *hashes, uint8_t *parents);
/* Reduces the `count` hashes at `hashes` to the root over them, which is left there. */
void cw_merkle_reduce(uint8_t *hashes, size_t count);
#endif
