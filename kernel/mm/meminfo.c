/* SPDX-License-Identifier: MIT */
/*
 * /proc/meminfo: where the frames are. What allocators and pools keep ready counts as
 * free.
 */
#include "fs/bcache.h"
#include "mm/area.h"

int meminfo_show(char *buf, size_t size)
{
	const unsigned kib = PAGE_SIZE / 1024;
	uint32_t idle = frames_free() + kmalloc_idle() + pools_idle();
	return snprintf(buf, size, "total %u\nfree %u\ncached %u\n", nr_pfns * kib, idle * kib,
			bcache_frames() * kib);
}
