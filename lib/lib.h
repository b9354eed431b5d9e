/* SPDX-License-Identifier: MIT */
/*
 * Pure C for kernel, VMM, programs and host tests: types, small macros, formatting,
 * strings. Nothing here knows where it runs: all functions work in any context, and take no
 * lock.
 */
#ifndef LIB_LIB_H
#define LIB_LIB_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))
#define ROUND_UP(x, to) (((x) + (to) - 1) / (to) * (to))
#define DIV_UP(x, by) (((x) + (by) - 1) / (by))
#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define container_of(p, type, member) ((type *)((char *)(p) - offsetof(type, member)))
#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)
/* The compiler leaves such a function as it is written: debuggers stop at it, and call it. */
#define KEPT __attribute__((noinline, noipa, used))
#define barrier() __asm__ volatile("" ::: "memory")

/*
 * vsnprintf, snprintf - format into buf of `size` bytes; the text is cut to fit and ends
 * with NUL (if size > 0). fmt: %d %i %u %x %X %p %c %s %%, with 0, -, #, width and
 * precision (also *), l, ll and z. Result: as in C11, the length of the whole text.
 */
int vsnprintf(char *buf, size_t size, const char *fmt, va_list ap);
int snprintf(char *buf, size_t size, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/*
 * appendf - format after the first n characters of a text in buf. Result: the length of the
 * whole text, for the next call; it is above size if the text did not fit.
 */
size_t appendf(char *buf, size_t size, size_t n, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/* C11's functions (string.c). memcpy and memset use string instructions: DF must be clear. */
void *memcpy(void *to, const void *from, size_t bytes);
void *memmove(void *to, const void *from, size_t bytes);
void *memset(void *to, int byte, size_t bytes);
int memcmp(const void *a, const void *b, size_t bytes);
size_t strlen(const char *s);
size_t strnlen(const char *s, size_t max);
int strcmp(const char *a, const char *b);
int strncmp(const char *a, const char *b, size_t max);
char *strchr(const char *s, int c);
/* Copy a string, cut to fit `size` bytes, ending with NUL (if size > 0). Result: strlen(from). */
size_t strlcpy(char *to, const char *from, size_t size);
/*
 * The unsigned number that s begins with: base 10, or 16 after 0x. If end is not NULL, *end
 * becomes the first character after the number. A number above 2^32 - 1 gives that, and *end
 * becomes s, as where there is no number.
 */
uint32_t strtou(const char *s, const char **end);

/*
 * Divide 64 by 32 bits: *n becomes the quotient. Result: the remainder. by is not 0. (64-bit
 * division in C would need a helper of the compiler's, which is not linked.)
 */
static inline uint32_t div64(uint64_t *n, uint32_t by)
{
	uint32_t hi = (uint32_t)(*n >> 32), lo = (uint32_t)*n, qhi = hi / by, rem = hi % by, qlo;
#if defined(__i386__)
	__asm__("divl %4" : "=a"(qlo), "=d"(rem) : "a"(lo), "d"(rem), "rm"(by));
#else
	uint64_t v = (uint64_t)rem << 32 | lo;
	qlo = (uint32_t)(v / by), rem = (uint32_t)(v % by);
#endif
	*n = (uint64_t)qhi << 32 | qlo;
	return rem;
}

#endif
