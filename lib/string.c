/* SPDX-License-Identifier: MIT */
/*
 * C11's memory and string functions. memcpy and memset repeat 32-bit string instructions: no
 * other instruction moves as many bytes.
 */
#include "lib/lib.h"

/* Else the compiler would turn the loops of memcpy and memset into calls of themselves. */
#pragma GCC optimize("no-tree-loop-distribute-patterns")

void *memcpy(void *to, const void *from, size_t bytes)
{
#ifdef __i386__
	void *d = to;
	size_t words = bytes >> 2;
	__asm__ volatile("rep movsl" : "+D"(d), "+S"(from), "+c"(words) : : "memory");
	bytes &= 3;
	if (bytes)
		__asm__ volatile("rep movsb" : "+D"(d), "+S"(from), "+c"(bytes) : : "memory");
#else
	for (size_t i = 0; i < bytes; i++)
		((char *)to)[i] = ((const char *)from)[i];
#endif
	return to;
}

void *memset(void *to, int byte, size_t bytes)
{
#ifdef __i386__
	void *d = to;
	size_t words = bytes >> 2;
	uint32_t value = (uint8_t)byte * 0x01010101u;
	__asm__ volatile("rep stosl" : "+D"(d), "+c"(words) : "a"(value) : "memory");
	bytes &= 3;
	if (bytes)
		__asm__ volatile("rep stosb" : "+D"(d), "+c"(bytes) : "a"(value) : "memory");
#else
	for (size_t i = 0; i < bytes; i++)
		((char *)to)[i] = (char)byte;
#endif
	return to;
}

void *memmove(void *to, const void *from, size_t bytes)
{
	char *d = to;
	const char *s = from;
	if (d <= s || d >= s + bytes)
		return memcpy(to, from, bytes); /* which goes upwards: right if to is below from */
	while (bytes--)
		d[bytes] = s[bytes];
	return to;
}

int memcmp(const void *a, const void *b, size_t bytes)
{
	const uint8_t *x = a, *y = b;
	for (size_t i = 0; i < bytes; i++)
		if (x[i] != y[i])
			return x[i] - y[i];
	return 0;
}

size_t strnlen(const char *s, size_t max)
{
	size_t n = 0;
	while (n < max && s[n])
		n++;
	return n;
}

size_t strlen(const char *s) { return strnlen(s, SIZE_MAX); }

int strncmp(const char *a, const char *b, size_t max)
{
	for (size_t i = 0; i < max; i++)
		if (a[i] != b[i] || !a[i])
			return (uint8_t)a[i] - (uint8_t)b[i];
	return 0;
}

int strcmp(const char *a, const char *b) { return strncmp(a, b, SIZE_MAX); }

char *strchr(const char *s, int c)
{
	for (;; s++) {
		if (*s == (char)c)
			return (char *)s;
		if (!*s)
			return NULL;
	}
}

size_t strlcpy(char *to, const char *from, size_t size)
{
	size_t length = strlen(from);
	if (size) {
		size_t n = MIN(length, size - 1);
		memcpy(to, from, n);
		to[n] = '\0';
	}
	return length;
}

uint32_t strtou(const char *s, const char **end)
{
	const char *number = s;
	uint32_t value = 0, base = 10;
	if (s[0] == '0' && (s[1] == 'x' || s[1] == 'X'))
		base = 16, s += 2;
	for (;; s++) {
		uint32_t digit = *s >= '0' && *s <= '9' ? (uint32_t)(*s - '0')
			       : *s >= 'a' && *s <= 'f' ? (uint32_t)(*s - 'a') + 10
			       : *s >= 'A' && *s <= 'F' ? (uint32_t)(*s - 'A') + 10 : 16;
		if (digit >= base)
			break;
		if (value > (UINT32_MAX - digit) / base) {
			value = UINT32_MAX, s = number;
			break;
		}
		value = value * base + digit;
	}
	if (base == 16 && s == number + 2)
		s = number + 1; /* the number is 0, and x the character after it */
	if (end)
		*end = s;
	return value;
}
