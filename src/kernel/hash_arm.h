/* SHA-512Half and SHA-256 on ARM64, by its instructions for them where the CPU has these; as in struct cw_kernel. */
#ifndef CLAIMWIRE_HASH_ARM_H
#define CLAIMWIRE_HASH_ARM_H
#include <stdint.h>
#define CW_ARM_SHA256 1
#define CW_ARM_SHA512 2
/* The instructions that are used, of those above: set by cw_choose_kernel, before any thread hashes; 0 is always right. */
extern int cw_arm_hashes;
/* Those that this CPU has. */
int cw_arm_hashes_here(void);
void cw_arm_sha512_half(int count, const uint8_t (*block)[128], uint64_t (*digest)[4]);
void cw_arm_sha256(int count, const uint8_t (*block)[128], uint64_t (*digest)[4]);
#endif
