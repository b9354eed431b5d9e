/* SPDX-License-Identifier: MIT */
/*
 * Random numbers for unit tests, the same in every run of a seed, and a CHECK that names the seed
 * of what failed. The generator is xorshift32 (G. Marsaglia, 2003).
 */
#ifndef RANDOM_H
#define RANDOM_H

static uint32_t random_state, seed;

static inline uint32_t random32(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 17;
	return random_state ^= random_state << 5;
}

static inline uint32_t below(uint32_t limit) { return random32() % limit; }

static inline void at_random(uint32_t from)
{
	seed = from;
	random_state = from * 2654435761u + 1;
}

#define CHECK(x) \
	do { \
		if (!(x)) \
			fail_msg("seed %u: %s does not hold (line %d)", seed, #x, __LINE__); \
	} while (0)

#endif
