/* SPDX-License-Identifier: MIT */
/*
 * The table in use, its use counts and its report. The operations are in native*.c, virtual.c
 * and irq.S.
 */
#include "vo/vo.h"
#include "proc/task.h"

struct vo vo;
uint32_t vo_uses[MAX_CPUS];

void vo_hold(void)
{
	preempt_disable();
	vo_uses[this_cpu()]++;
}

void vo_release(void)
{
	vo_uses[this_cpu()]--;
	preempt_enable();
}

#ifdef DEBUG
uint32_t vo_calls[NR_VO_OPS];
#endif

int vo_show(char *buf, size_t size)
{
	static const char *const names[NR_VO_OPS] = {
#define NAME(group, op) [offsetof(struct vo, group.op) / sizeof(void *)] = #group "." #op,
		VO_OPERATIONS(NAME)
	};
	size_t n = 0;
	for (unsigned i = 0; i < NR_VO_OPS; i++) {
#ifdef DEBUG
		n = appendf(buf, size, n, "%s %u\n", names[i], vo_calls[i]);
#else
		n = appendf(buf, size, n, "%s -\n", names[i]);
#endif
	}
	return (int)n;
}
