/* SPDX-License-Identifier: MIT */
/*
 * Strings and formatted printing against the C library's: random formats and values must give the
 * same text, random moves and comparisons the same bytes and signs. Each buffer is exactly as large
 * as the function is told, so the sanitizer sees an access beyond.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#undef SEEK_SET
#undef SEEK_CUR
#undef SEEK_END

/* Our functions get other names, so that the host's can be called, too. */
#define memcpy our_memcpy
#define memmove our_memmove
#define memset our_memset
#define memcmp our_memcmp
#define strlen our_strlen
#define strnlen our_strnlen
#define strcmp our_strcmp
#define strncmp our_strncmp
#define strchr our_strchr
#define strlcpy our_strlcpy
#define snprintf our_snprintf
#define vsnprintf our_vsnprintf
#include "lib/string.c"
#include "lib/format.c"
#undef memcpy
#undef memmove
#undef memset
#undef memcmp
#undef strlen
#undef strnlen
#undef strcmp
#undef strncmp
#undef strchr
#undef snprintf
#undef vsnprintf

#pragma GCC diagnostic ignored "-Wformat-nonliteral"
#pragma GCC diagnostic ignored "-Wformat-truncation"
#pragma GCC diagnostic ignored "-Wformat-overflow" /* %s of NULL */

#define SEED 20240229u
#define LONGEST 8192

static uint32_t random_state;
static uint32_t random32(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 17;
	return random_state ^= random_state << 5;
}
static uint32_t below(uint32_t limit) { return random32() % limit; }

static int setup(void **state)
{
	(void)state;
	random_state = SEED;
	return 0;
}

/* Random values, many of them near the ends of their range. */
static uint64_t value(void)
{
	static const uint64_t ends[] = {
		0, 1, 9, 10, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, INT64_MAX, (uint64_t)INT64_MIN,
		UINT64_MAX,
	};
	if (below(3) == 0)
		return ends[below(ARRAY_SIZE(ends))];
	return ((uint64_t)random32() << 32 | random32()) >> below(64);
}

/* --- formats --- */

/* One conversion: its text, and the arguments that each * in it takes. */
struct conversion { char f[64]; bool star_width, star_precision; int width, precision; };

static void make(struct conversion *c, const char *flags, const char *length_and_letter)
{
	char width[12] = "", precision[12] = "", some[4] = "";
	c->width = (int)below(40) - 10;
	c->precision = (int)below(30) - 5;
	c->star_width = below(4) == 0;
	c->star_precision = below(4) == 0;
	for (unsigned i = 0, n = 0; flags[i]; i++)
		if (below(3) == 0)
			some[n++] = flags[i], some[n] = '\0';
	if (c->star_width)
		strcpy(width, "*");
	else if (c->width > 0)
		sprintf(width, "%d", c->width);
	if (c->star_precision)
		strcpy(precision, ".*");
	else if (c->precision >= 0)
		sprintf(precision, c->precision ? ".%d" : ".", c->precision);
	sprintf(c->f, "<%s%%%s%s%s%s>", below(2) ? "" : "text ", some, width, precision,
		length_and_letter);
}

static void same(const char *f, const char *theirs, int want, const char *ours, int got,
		 size_t size)
{
	if (want != got || (size && strcmp(theirs, ours)))
		fail_msg("seed %u: \"%s\" into %zu bytes gives %d \"%s\", not %d \"%s\"", SEED, f,
			 size, got, size ? ours : "", want, size ? theirs : "");
}

#define BOTH(f, size, ...) do { \
	char *theirs = malloc(size), *ours = malloc(size); \
	int want = snprintf(theirs, size, f, __VA_ARGS__); \
	int got = our_snprintf(ours, size, f, __VA_ARGS__); \
	same(f, theirs, want, ours, got, size); \
	free(theirs), free(ours); \
} while (0)

#define CHECK(c, size, v) do { \
	if ((c)->star_width && (c)->star_precision) \
		BOTH((c)->f, size, (c)->width, (c)->precision, v); \
	else if ((c)->star_width) \
		BOTH((c)->f, size, (c)->width, v); \
	else if ((c)->star_precision) \
		BOTH((c)->f, size, (c)->precision, v); \
	else \
		BOTH((c)->f, size, v); \
} while (0)

static void test_numbers(void **state)
{
	static const struct { const char *letters, *flags; unsigned bytes; } kinds[] = {
		{ "d", "-0", 4 },   { "i", "-0", 4 },    { "u", "-0", 4 },  { "x", "-0#", 4 },
		{ "X", "-0#", 4 },  { "ld", "-0", 8 },   { "lu", "-0", 8 }, { "lld", "-0", 8 },
		{ "llu", "-0", 8 }, { "llx", "-0#", 8 }, { "zu", "-0", 8 }, { "zX", "#0-", 8 },
	};
	(void)state;
	for (int round = 0; round < 100000; round++) {
		unsigned k = below(ARRAY_SIZE(kinds));
		size_t size = below(2) ? 100 : below(40);
		struct conversion c;
		make(&c, kinds[k].flags, kinds[k].letters);
		uint64_t v = value();
		if (kinds[k].bytes == 8)
			CHECK(&c, size, v);
		else
			CHECK(&c, size, (uint32_t)v);
	}
}

static void test_texts(void **state)
{
	(void)state;
	for (int round = 0; round < 30000; round++) {
		struct conversion c;
		char *text = malloc(30), letter = (char)('a' + below(26));
		uint32_t n = below(30), size = below(100);
		memset(text, letter, n);
		text[n] = '\0';
		make(&c, "-", below(4) ? "s" : "c");
		if (c.f[strlen(c.f) - 2] == 's')
			CHECK(&c, size, text);
		else
			CHECK(&c, size, letter);
		free(text);
	}
	BOTH("%p %20p %-20p|", 100, (void *)4096, (void *)0xC0000000, (void *)&random_state);
	BOTH("%s %c %-6d|%08X %.3s %lld%%", 100, "several", 'c', -12, 0xBEEFu, "abcdef",
	     (long long)INT64_MIN);
}

/* Texts of any length; for %.*s texts without a NUL, beyond which it must not read. */
static void test_long(void **state)
{
	char *text = malloc(LONGEST), *part = malloc(7);
	(void)state;
	memset(text, 'x', LONGEST - 1);
	text[LONGEST - 1] = '\0';
	memcpy(part, "partial", 7);
	BOTH("[%s]", LONGEST * 2, text);
	BOTH("[%s]", 100, text);
	BOTH("[%4000s]", LONGEST * 2, "wide");
	BOTH("[%.*s]", 100, 7, part);
	BOTH("[%.3s]", 100, part);
	free(text), free(part);
}

static void test_ends(void **state)
{
	char buf[4] = "abc";
	(void)state;
	assert_int_equal(our_snprintf(NULL, 0, "%d", 12345), 5);
	assert_int_equal(our_snprintf(buf, 0, "%d", 12345), 5);
	assert_string_equal(buf, "abc");
	assert_int_equal(our_snprintf(buf, 1, "%d", 12345), 5);
	assert_string_equal(buf, "");
	assert_int_equal(our_snprintf(buf, 4, "%d", 123), 3);
	assert_string_equal(buf, "123");
	assert_int_equal(our_snprintf(buf, 4, "%s", (char *)NULL), 6);
	assert_string_equal(buf, "(nu");
	/* output ends at a conversion that is not known */
	static const char *const cut[] = { "ab%", "ab%l", "ab%-0", "ab%.", "ab%5", "ab%q" };
	for (unsigned i = 0; i < ARRAY_SIZE(cut); i++) {
		assert_int_equal(our_snprintf(buf, 4, cut[i], 1, 2), 2);
		assert_string_equal(buf, "ab");
	}
}

/* --- strings --- */

static int sign(int n) { return (n > 0) - (n < 0); }

static void test_memory(void **state)
{
	enum { BYTES = 80 };
	char *ours = malloc(BYTES), *theirs = malloc(BYTES);
	(void)state;
	for (int round = 0; round < 50000; round++) {
		uint32_t from = below(BYTES + 1), to = below(BYTES + 1),
			 n = below(BYTES + 1 - MAX(from, to));
		for (int i = 0; i < BYTES; i++)
			ours[i] = theirs[i] = (char)random32();
		memmove(theirs + to, theirs + from, n);
		assert_ptr_equal(our_memmove(ours + to, ours + from, n), ours + to);
		if (memcmp(ours, theirs, BYTES))
			fail_msg("seed %u: memmove of %u bytes from %u to %u", SEED, n, from, to);
		/* one bit differs, perhaps beyond the bytes that are compared */
		ours[below(BYTES)] ^= (char)(1 << below(8));
		if (sign(our_memcmp(ours + from, theirs + from, n)) !=
		    sign(memcmp(ours + from, theirs + from, n)))
			fail_msg("seed %u: memcmp of %u bytes at %u", SEED, n, from);
		int byte = (int)random32();
		memset(theirs + to, byte, n), memcpy(ours, theirs, BYTES);
		assert_ptr_equal(our_memset(ours + to, byte, n), ours + to);
		assert_memory_equal(ours, theirs, BYTES);
		assert_ptr_equal(our_memcpy(ours, theirs + BYTES - n, n), ours);
		assert_memory_equal(ours, theirs + BYTES - n, n);
	}
	free(ours), free(theirs);
}

/*
 * Short texts of few different characters, two of them above 127: so prefixes and equal texts
 * occur, and the order must be that of unsigned characters.
 */
static char *some_text(void)
{
	uint32_t n = below(6);
	char *text = malloc(n + 1);
	for (uint32_t i = 0; i < n; i++)
		text[i] = "ab\x80\xFF"[below(4)];
	text[n] = '\0';
	return text;
}

static void test_strings(void **state)
{
	(void)state;
	for (int round = 0; round < 50000; round++) {
		char *a = some_text(), *b = some_text(), c = "ab\x80\xFF"[below(5)];
		uint32_t n = below(8);
		assert_int_equal(sign(our_strcmp(a, b)), sign(strcmp(a, b)));
		assert_int_equal(sign(our_strncmp(a, b, n)), sign(strncmp(a, b, n)));
		assert_int_equal(our_strlen(a), strlen(a));
		assert_int_equal(our_strnlen(a, n), strnlen(a, n));
		assert_ptr_equal(our_strchr(a, c), strchr(a, c));
		char *to = malloc(n);
		assert_int_equal(our_strlcpy(to, a, n), strlen(a));
		if (n) {
			assert_int_equal(strlen(to), MIN(strlen(a), n - 1));
			assert_memory_equal(to, a, strlen(to));
		}
		free(a), free(b), free(to);
	}
}

static void test_strtou(void **state)
{
	static const struct { const char *text; uint32_t value, used; } cases[] = {
		{ "", 0, 0 }, { "x", 0, 0 }, { "0", 0, 1 }, { "-1", 0, 0 }, { " 1", 0, 0 },
		{ "12a", 12, 2 },
		{ "007", 7, 3 }, { "0x1F", 31, 4 }, { "0XaBg", 0xAB, 4 }, { "0x", 0, 1 },
		{ "1x2", 1, 1 },
		{ "00x1", 0, 2 }, { "4294967295", UINT32_MAX, 10 },
		{ "0xFFFFFFFF", UINT32_MAX, 10 }, { "0xg", 0, 1 },
		/* above 2^32 - 1 */
		{ "4294967296", UINT32_MAX, 0 }, { "0x100000000", UINT32_MAX, 0 },
		{ "99999999999x", UINT32_MAX, 0 },
	};
	const char *end;
	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_int_equal(strtou(cases[i].text, &end), cases[i].value);
		assert_ptr_equal(end, cases[i].text + cases[i].used);
	}
	assert_int_equal(strtou("77", NULL), 77);
	for (int round = 0; round < 10000; round++) {
		uint32_t v = (uint32_t)value();
		char text[16];
		snprintf(text, sizeof(text), below(2) ? "%u," : "0x%x,", v);
		assert_int_equal(strtou(text, &end), v);
		assert_string_equal(end, ",");
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_numbers, setup),
		cmocka_unit_test_setup(test_texts, setup),
		cmocka_unit_test(test_long), cmocka_unit_test(test_ends),
		cmocka_unit_test_setup(test_memory, setup),
		cmocka_unit_test_setup(test_strings, setup),
		cmocka_unit_test_setup(test_strtou, setup),
	};
	return cmocka_run_group_tests_name("format", tests, NULL, NULL);
}
