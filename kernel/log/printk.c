/* SPDX-License-Identifier: MIT */
/* The kernel log: printk writes to both consoles and keeps the last LOG_BYTES for /proc/kmsg. */
#include "dev/dev.h"
#include "proc/task.h"

#define LOG_BYTES 16384u

static char log[LOG_BYTES];
static uint32_t log_end; /* characters ever written */
static struct spinlock log_lock;
unsigned panicking; /* 1 + the CPU, set by panic(): locks may be held by those who stopped */

void printk(const char *fmt, ...)
{
	char line[256];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	uint32_t flags = panicking ? 0 : spin_lock_irq(&log_lock);
	for (const char *s = line; *s; s++) {
		log[log_end++ % LOG_BYTES] = *s;
		console_putc(*s);
	}
	if (!panicking)
		spin_unlock_irq(&log_lock, flags);
}

int kmsg_show(char *buf, size_t size)
{
	uint32_t flags = spin_lock_irq(&log_lock), n = MIN(log_end, LOG_BYTES), start = log_end - n;
	for (uint32_t i = 0; i < n && i + 1 < size; i++)
		buf[i] = log[(start + i) % LOG_BYTES];
	if (size)
		buf[MIN(n, size - 1)] = '\0';
	spin_unlock_irq(&log_lock, flags);
	return (int)n;
}
