/* SPDX-License-Identifier: MIT */
/*
 * The kernel log: a ring of the last LOG_BYTES characters. It needs no lock: each printk
 * reserves its place in the ring by one atomic addition.
 */
#include "log/log.h"

#define LOG_BYTES 16384u

void (*log_console)(const char *text, uint32_t bytes);

static char log[LOG_BYTES];
static uint32_t log_end; /* characters ever printed, modulo 2^32; atomic */

void printk(const char *fmt, ...)
{
	char text[256];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	uint32_t bytes = (uint32_t)strlen(text);
	uint32_t at = __atomic_fetch_add(&log_end, bytes, __ATOMIC_RELAXED);
	for (uint32_t i = 0; i < bytes; i++)
		log[(at + i) % LOG_BYTES] = text[i];
	if (log_console)
		log_console(text, bytes);
}

int kmsg_show(char *buf, size_t size)
{
	uint32_t end = __atomic_load_n(&log_end, __ATOMIC_RELAXED), n = MIN(end, LOG_BYTES);
	for (uint32_t i = 0; i < n && i + 1 < size; i++)
		buf[i] = log[(end - n + i) % LOG_BYTES];
	if (size)
		buf[MIN(n, size - 1)] = '\0';
	return (int)n;
}
