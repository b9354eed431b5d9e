/* SPDX-License-Identifier: MIT */
/*
 * The first disk of the primary ATA channel: PIO, 28-bit addresses (ATA/ATAPI-6, 9.5 and
 * 9.6). The status is polled, and other tasks run meanwhile. That is enough: a teaching
 * kernel's disk is small, and its image lies in the host's memory.
 */
#include "dev/block.h"
#include "proc/task.h"

enum { BASE = 0x1F0, DATA = 0, COUNT = 2, LBA0 = 3, LBA1 = 4, LBA2 = 5, DEVICE = 6 };
enum { COMMAND = 7, STATUS = 7, CONTROL = 0x3F6 };
enum { BUSY = 0x80, DRQ = 0x08, FAULT = 0x20, ERROR = 0x01 };
enum { IDENTIFY = 0xEC, READ = 0x20, WRITE = 0x30, FLUSH = 0xE7, NO_INTERRUPTS = 2, LBA = 0xE0 };
#define TIMEOUT_NS 5000000000ull
#define QUICK_NS 50000000ull /* for a disk that may not be there */
#define SECTORS_MAX 128u /* in one command */

static struct mutex lock; /* one command at a time */
static struct blockdev disk;

static uint8_t in(unsigned reg) { return VO(io, in8)((uint16_t)(BASE + reg)); }
static void out(unsigned reg, uint32_t value)
{
	VO(io, out8)((uint16_t)(BASE + reg), (uint8_t)value);
}

/*
 * Wait until the disk is not busy and all status bits in `wanted` are set. timeout: in ns.
 * Other tasks run during a long wait. Result: 0, -EIO.
 */
static int wait_for(uint8_t wanted, uint64_t timeout)
{
	uint64_t end = VO(time, now)() + timeout;
	for (unsigned polls = 0;; polls++) {
		uint8_t status = in(STATUS);
		if (status == 0xFF)
			return -EIO; /* no disk drives the bus */
		if (!(status & BUSY)) {
			if (status & (FAULT | ERROR))
				return -EIO;
			if ((status & wanted) == wanted)
				return 0;
		}
		if (VO(time, now)() > end)
			return -EIO;
		if (polls > 100)
			schedule();
	}
}

/* Start a command for n sectors. Result: 0; -EIO if the disk stays busy. With the lock held. */
static int command(uint8_t code, uint32_t sector, uint32_t n)
{
	ASSERT_MUTEX(&lock);
	if (wait_for(0, TIMEOUT_NS) && in(STATUS) & BUSY)
		return -EIO;
	out(DEVICE, LBA | (sector >> 24 & 0xF));
	out(COUNT, n);
	out(LBA0, sector);
	out(LBA1, sector >> 8);
	out(LBA2, sector >> 16);
	out(COMMAND, code);
	for (int i = 0; i < 4; i++)
		VO(io, in8)(CONTROL); /* 400 ns pass before the status is valid */
	return 0;
}

/* Read or write n sectors: results as in struct blockdev. */
static int transfer(uint32_t sector, uint32_t n, char *buf, bool write)
{
	if (sector > disk.sectors || n > disk.sectors - sector)
		return -EINVAL;
	int error = 0;
	mutex_lock(&lock);
	while (n && !error) {
		uint32_t some = MIN(n, SECTORS_MAX);
		error = command(write ? WRITE : READ, sector, some);
		for (uint32_t i = 0; i < some && !error; i++, buf += SECTOR) {
			error = wait_for(DRQ, TIMEOUT_NS);
			if (error)
				break;
			if (write)
				VO(io, out16_block)(BASE + DATA, buf, SECTOR / 2);
			else
				VO(io, in16_block)(BASE + DATA, buf, SECTOR / 2);
		}
		if (write && !error)
			error = wait_for(0, TIMEOUT_NS);
		sector += some;
		n -= some;
	}
	mutex_unlock(&lock);
	return error;
}

static int ata_read(struct blockdev *d, uint32_t sector, uint32_t n, void *buf)
{
	(void)d;
	return transfer(sector, n, buf, false);
}

static int ata_write(struct blockdev *d, uint32_t sector, uint32_t n, const void *buf)
{
	(void)d;
	return transfer(sector, n, (char *)buf, true);
}

static int ata_flush(struct blockdev *d)
{
	(void)d;
	mutex_lock(&lock);
	int error = command(FLUSH, 0, 0);
	error = error ? error : wait_for(0, TIMEOUT_NS);
	mutex_unlock(&lock);
	return error;
}

struct blockdev *ata_init(void)
{
	uint16_t id[256];
	if (in(STATUS) == 0xFF)
		return NULL;
	VO(io, out8)(CONTROL, NO_INTERRUPTS);
	out(DEVICE, LBA);
	if (wait_for(0, QUICK_NS) && in(STATUS) & BUSY)
		return NULL;
	out(COMMAND, IDENTIFY);
	if (in(STATUS) == 0 || wait_for(DRQ, QUICK_NS) || in(LBA1) || in(LBA2))
		return NULL; /* no device, or no ATA disk */
	VO(io, in16_block)(BASE + DATA, id, 256);
	disk = (struct blockdev){ .name = "ata", .sectors = id[60] | (uint32_t)id[61] << 16,
				  .read = ata_read, .write = ata_write, .flush = ata_flush };
	return disk.sectors ? &disk : NULL;
}
