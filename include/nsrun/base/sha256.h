/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SHA-256 (FIPS 180-4), for results of the lab, and for nothing that must be fast. Not by the kernel's AF_ALG: many kernels are built without it, and filters of
 * containers deny it, so a class would have some results with a hash and some without.
 */
#ifndef NSRUN_BASE_SHA256_H
#define NSRUN_BASE_SHA256_H

#include <stddef.h>
#include <stdint.h>

#define SHA256_TEXT_SIZE 65

struct sha256 {
	uint32_t state[8];
	uint64_t size; /* in bytes, so far */
	uint8_t block[64];
};

void sha256_begin(struct sha256 *sha256);
void sha256_add(struct sha256 *sha256, const void *data, size_t size);
/* Lower-case hexadecimal digits. */
void sha256_end(struct sha256 *sha256, char ret[SHA256_TEXT_SIZE]);

#endif
