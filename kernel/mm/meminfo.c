/* SPDX-License-Identifier: MIT */
/* /proc/meminfo: where the frames are. "free" includes what allocators keep ready. */
#include "fs/bcache.h"
#include "mm/area.h"

int meminfo_show(char *buf, size_t size)
{
	const unsigned kib = PAGE_SIZE / 1024;
	return snprintf(buf, size, "total %u\nfree %u\ncached %u\n", nr_pfns * kib,
			(frames_free() + kmalloc_idle() + pools_idle()) * kib, bcache_frames() * kib);
}
