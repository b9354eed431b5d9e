/* SPDX-License-Identifier: MIT */
/*
 * The RAM disk: a boot module, or a part of a guest's memory. A module's frames are neighbours in
 * the machine, but their pfns may not be; with a guest it is the other way round.
 */
#include "dev/block.h"
#include "mm/frame.h"

static struct { struct blockdev dev; uint32_t at; bool machine; } disk;

/* Copy n sectors between buf and the module, frame by frame. */
static int move(uint32_t sector, uint32_t n, char *buf, bool write)
{
	if (sector > disk.dev.sectors || n > disk.dev.sectors - sector)
		return -EINVAL;
	uint32_t at = disk.at + sector * SECTOR, bytes = n * SECTOR;
	for (uint32_t some; bytes; at += some, buf += some, bytes -= some) {
		uint32_t pfn = disk.machine ? mfn_to_pfn(at >> PAGE_SHIFT) : at >> PAGE_SHIFT;
		char *frame = (char *)pfn_to_virt(pfn) + (at & ~PAGE_MASK);
		some = MIN(bytes, PAGE_SIZE - (at & ~PAGE_MASK));
		memcpy(write ? frame : buf, write ? buf : frame, some);
	}
	return 0;
}

static int ram_read(struct blockdev *d, uint32_t sector, uint32_t n, void *buf)
{
	(void)d;
	return move(sector, n, buf, false);
}

static int ram_write(struct blockdev *d, uint32_t sector, uint32_t n, const void *buf)
{
	(void)d;
	return move(sector, n, (char *)buf, true);
}

struct blockdev *ramdisk_init(uint32_t at, uint32_t bytes, bool machine)
{
	disk.at = at;
	disk.machine = machine;
	disk.dev = (struct blockdev){ .name = "ram", .sectors = bytes / SECTOR,
				      .read = ram_read, .write = ram_write };
	return &disk.dev;
}
