/* SPDX-License-Identifier: MIT */
/*
 * Block devices behind one interface: native drivers (ata.c, ramdisk.c) and the front end of a
 * ring (split/block_front.c). Nothing above rests on which one serves.
 */
#ifndef DEV_BLOCK_H
#define DEV_BLOCK_H

#include "lib/lib.h"

#define SECTOR 512
#define BLOCK_LENT 29 /* pages that a device gives to the block cache, at most */

/* Of a transfer: n sectors; 0, of a write: make all writes so far durable. */
struct block_part { uint32_t sector, n; void *data; };

struct blockdev {
	const char *name;
	uint32_t sectors;
	unsigned depth; /* requests that it can have under way; 0: one */
	bool read_only; /* nobody will write */
	char *pages;       /* memory from which and to which it moves blocks without a copy */
	unsigned nr_pages; /* whose user the block cache is; at most BLOCK_LENT; 0: none */
	/*
	 * Move n sectors between the device and buf, a kernel address. Result: 0, -EIO;
	 * -EINVAL if the range ends after the last sector; -EROFS (write) if the device can only
	 * be read. Context: process, may sleep; several tasks at once.
	 */
	int (*read)(struct blockdev *d, uint32_t sector, uint32_t n, void *buf);
	int (*write)(struct blockdev *d, uint32_t sector, uint32_t n, const void *buf);
	/* Make all writes so far durable: 0, -EIO. NULL if each write is durable at once. */
	int (*flush)(struct blockdev *d);
	/* Instead of the three: do n parts in order, all under way at once. Results: as above. */
	int (*move)(struct blockdev *d, bool write, const struct block_part *parts, unsigned n);
};

/* Read or write n parts: how devices are used. Results: as read, write, flush. */
static inline int block_move(struct blockdev *d, bool write, const struct block_part *parts,
			     unsigned n)
{
	int error = 0;
	if (d->move)
		return d->move(d, write, parts, n);
	for (; n-- && !error; parts++)
		error = !parts->n ? d->flush ? d->flush(d) : 0
		      : write ? d->write(d, parts->sector, parts->n, parts->data)
			      : d->read(d, parts->sector, parts->n, parts->data);
	return error;
}

/*
 * ramdisk_init - a RAM disk over [at, at + bytes), which begins a page; machine: machine
 * addresses, of a boot module, else pseudo-physical ones. Module frames are neighbours in the
 * machine but may have any pfns, so the disk is read and written frame by frame. Result: the
 * disk. Context: boot.
 */
struct blockdev *ramdisk_init(uint32_t at, uint32_t bytes, bool machine);
/*
 * ata_init - the first ATA disk of the primary channel (ports 0x1F0-0x1F7, PIO, LBA28,
 * polled). Result: the disk, or NULL if there is none. Context: process, once.
 */
struct blockdev *ata_init(void);

#endif
