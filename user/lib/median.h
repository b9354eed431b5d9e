/* SPDX-License-Identifier: MIT */
/* The median, for programs that measure. */
#ifndef MEDIAN_H
#define MEDIAN_H

#include "user.h"

/* Sort n numbers. Result: the one in the middle. */
static inline uint32_t median(uint32_t *v, uint32_t n)
{
	for (uint32_t i = 1; i < n; i++)
		for (uint32_t j = i; j > 0 && v[j - 1] > v[j]; j--) {
			uint32_t higher = v[j - 1];
			v[j - 1] = v[j];
			v[j] = higher;
		}
	return v[n / 2];
}

#endif
